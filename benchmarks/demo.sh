#!/bin/sh
# The whole road on a laptop: invented names -> plan -> procedural pairs -> audit -> gallery.
# What is there already is kept; run it again and it only verifies.
set -eu
cd "$(dirname "$0")/.."
DEMO=runs/demo
step() { printf '\n$ %s\n' "$*"; "$@"; }

mkdir -p "$DEMO"
[ -f "$DEMO/name.basics.tsv.gz" ] ||
  step python -m benchmarks.name_basics "$DEMO/name.basics.tsv.gz" --rows 20000 --seed 0
step relume names "$DEMO/name.basics.tsv.gz" --out "$DEMO/names.parquet" --count 768 --seed 0
step relume plan configs/demo.toml --dataset baseline --out "$DEMO/baseline"
step relume plan configs/demo.toml --dataset enhanced --names "$DEMO/names.parquet" --out "$DEMO/enhanced"
step relume generate "$DEMO/baseline"
step relume generate "$DEMO/enhanced"
step relume inspect "$DEMO/baseline" --verify
step relume inspect "$DEMO/enhanced" --verify --sheet "$DEMO/sheet.png"
step relume audit "$DEMO/enhanced" --against "$DEMO/baseline" --analyser truth --out "$DEMO/audit"
step relume curate "$DEMO/audit" --target uniform --attributes gender --out "$DEMO/selection.parquet"
step relume gallery "$DEMO/enhanced" --audit "$DEMO/audit" --selection "$DEMO/selection.parquet" --out "$DEMO/gallery"

cat <<END

The demo's dataset lies in $DEMO/enhanced, whole and verified. Look at
  $DEMO/gallery/index.html           every pair, with search, filters and the audit: open it in a browser
  $DEMO/sheet.png                    32 sources, each with its target below
  $DEMO/audit/report.md              who is in it, with intervals; figures beside it
  $DEMO/enhanced/README.md           its card, as a hub would show it
  $DEMO/enhanced/manifest.parquet    a row per sample: pandas.read_parquet opens it
  $DEMO/enhanced/truth.parquet       what the painter drew
END
