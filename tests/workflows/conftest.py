"""A dataset with names that no page may obey, its audit, and its gallery, each made once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from models.generators.procedural.generator import ProceduralGenerator
from schemas.audit import AUDIT_SCHEMA
from schemas.name import NAME_SCHEMA, Name
from schemas.records import to_table
from schemas.truth import ETHNICITIES, GENDERS
from shards.encoding import read_parquet
from tests.presets import PROCEDURAL
from workflows import gallery, generate, plan

NAMED = f"""
seed = 3
fractions = []
{PROCEDURAL}
[dataset.named]
prompt = "A professional portrait of {{name}}"
count = 150
stages = ["source", "target"]
size_px = 64
shard_size = 16
batch_size = 4

[dataset.alone]
prompt = "A professional business portrait"
count = 20
stages = ["source"]
size_px = 64
shard_size = 16
batch_size = 4
"""
SCRIPT = '<script>window.hacked="name"</script> <img src=x onerror=window.hacked=1>'
ODD_NAMES = [
    SCRIPT,
    '"Quotes" O\'Neil & </script><b>bold</b>',
    "ليلى محمود",
    "\u202eRight-to-left \u202cOverride",
    "Smile 😀👩🏽‍🚀 Emoji",
    "Łukasz Ångström-Straße",
    "Line\u2028Separator \\u0041 \\",
    "Nguyễn Thị A\u0301nh",
    "x" * 90 + " Long",
    "${constructor} {{7*7}} %00",
]


@pytest.fixture(scope="session")
def odd_names() -> list[str]:
    """The names of the first ten rows of names.parquet: nm0000000 and so on."""
    return ODD_NAMES


def named_people(count: int) -> list[Name]:
    plain = [f"Anna{n:03d} Berg{n % 7}" for n in range(count - len(ODD_NAMES))]
    return [
        Name(nconst=f"nm{n:07d}", name=name, birth_year=None, professions=["actor"])
        for n, name in enumerate([*ODD_NAMES, *plain])
    ]


@pytest.fixture(scope="session")
def named_config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("named-config") / "named.toml"
    path.write_text(NAMED)
    return path


@pytest.fixture(scope="session")
def named_dataset(tmp_path_factory: pytest.TempPathFactory, named_config: Path) -> Path:
    """150 pairs, ten of them of odd names; the first of every shard failed."""
    folder = tmp_path_factory.mktemp("named")
    names = folder / "names.parquet"
    pq.write_table(to_table(named_people(150), NAME_SCHEMA), names)
    dataset = folder / "dataset"
    argv = [str(named_config), "--dataset", "named", "--out", str(dataset)]
    assert plan.main([*argv, "--names", str(names)]) == 0
    make = ProceduralGenerator.make

    def one_is_black(self: ProceduralGenerator, samples: Any, given: Any = None) -> dict[Any, Any]:
        drawn = {stage: pixels.copy() for stage, pixels in make(self, samples, given).items()}
        for place, sample in enumerate(samples):
            if sample.index == 0:
                drawn["source"][place] = 0
        return drawn

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ProceduralGenerator, "make", one_is_black)
        assert generate.main(["--here", str(dataset)]) == 1
    return dataset


def audit_rows(dataset: Path) -> list[dict[str, Any]]:
    """What an analyser might say of the dataset: mostly the truth, with every status among it."""
    rows = read_parquet(dataset / "manifest.parquet").to_pylist()
    truth = {row["id"]: row for row in read_parquet(dataset / "truth.parquet").to_pylist()}
    found: list[dict[str, Any]] = []
    for number, row in enumerate(one for one in rows if one["status"] == "ok"):
        for stage in ("source", "target"):
            status = {3: "no_face", 5: "multi_face", 7: "low_confidence", 11: "error"}.get(
                number % 40 if stage == "source" else 0, "ok"
            )
            drawn = truth[row["id"]]
            people = {"ok": 1, "low_confidence": 1, "multi_face": 3, "no_face": 0}.get(status)
            face = bool(people)
            men = drawn["gender"] == "man"
            if stage == "target" and number % 25 == 0:
                men = not men
            found.append(
                dict.fromkeys(AUDIT_SCHEMA.names)
                | {
                    "id": row["id"],
                    "shard": row["shard"],
                    "stage": stage,
                    "picture_sha256": row[f"{stage}_sha256"],
                    "status": status,
                    "reason": "the graph refused <b>it</b>" if status == "error" else None,
                    "num_faces": people,
                    "detector": "opencv",
                    "analyser": "0123456789abcdef",
                }
                | (_face(drawn, men) if face else {})
            )
    return found


def _face(drawn: dict[str, Any], men: bool) -> dict[str, Any]:
    shares = [0.7 if group == drawn["ethnicity"] else 0.06 for group in ETHNICITIES]
    return {
        **{"box_x": 16, "box_y": 12, "box_width": 30, "box_height": 38, "confidence": 0.9312},
        "age": float(drawn["age"]),
        "age_probabilities": [1 / 101] * 101,
        "gender_probabilities": [0.8, 0.2] if men else [0.2, 0.8],
        "ethnicity_probabilities": shares,
        "embedding": [0.1] * 8,
        "sharpness": 123.4,
        "picture_hash": 5,
    }


def write_audit(folder: Path, rows: list[dict[str, Any]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=AUDIT_SCHEMA), folder / "rows.parquet")
    return folder


REPORT = {
    "title": "Perceived groups",
    "tables": [
        {
            "title": "Table 1",
            "columns": ["Group", "Source", "Target", "Flagged"],
            "rows": [
                [
                    GENDERS[0],
                    48.25,
                    {"text": "51 %", "filter": {"target-gender": ["man"]}},
                    None,
                ],
                [
                    "<b>no face</b>",
                    1234,
                    {"text": "rows", "filter": {"source-audit": ["no_face"]}},
                    0,
                ],
            ],
            "note": "Intervals of 95 %.",
        },
        {
            "part": "big, source",
            "title": "Near-duplicates to look at",
            "columns": ["near by", "sample"],
            "rows": [["hash", {"text": "nm0000005-00", "id": "nm0000005-00"}]],
        },
    ],
    "figures": [{"file": "figures/ages.svg", "title": "Ages", "alt": "Bars of perceived ages"}],
    "numbers": {"for": "other readers"},
}
DRAWING = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 120 40" width="600" height="200">
<script>window.hacked = "figure"</script><rect width="60" height="40" fill="#0c6b5e"/></svg>"""


@pytest.fixture(scope="session")
def audit_folder(tmp_path_factory: pytest.TempPathFactory, named_dataset: Path) -> Path:
    folder = write_audit(tmp_path_factory.mktemp("audit") / "audit", audit_rows(named_dataset))
    (folder / "report.json").write_text(json.dumps(REPORT))
    (folder / "report.md").write_text("# The audit\n<script>window.hacked = 1</script>\n")
    (folder / "figures").mkdir()
    (folder / "figures" / "ages.svg").write_text(DRAWING)
    Image.new("RGB", (60, 40), (12, 107, 94)).save(folder / "figures" / "ages.png")
    Image.new("RGB", (60, 40), (200, 107, 94)).save(folder / "figures" / "contact_sheet.png")
    (folder / "figures" / "notes.txt").write_text("not a figure")
    return folder


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A browser that asks nobody for anything."""
    program = Path("/usr/bin/chromium")
    if not program.exists():
        pytest.fail(
            f"{program} is missing; install it with: apt-get install chromium", pytrace=False
        )
    quiet = [
        *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    ]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=quiet)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def gallery_folder(
    tmp_path_factory: pytest.TempPathFactory, named_dataset: Path, audit_folder: Path
) -> Path:
    """The gallery of that dataset and its audit; the tests only look."""
    out = tmp_path_factory.mktemp("gallery") / "look here, it's ünïcode #1"
    argv = [str(named_dataset), "--out", str(out), "--audit", str(audit_folder), "--exact", "20"]
    assert gallery.main(argv) == 0
    return out
