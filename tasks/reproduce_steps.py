"""The steps of `relume reproduce`: what is run in which order, and what each leaves."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from schemas.config import Preset
from schemas.generator import ProceduralSettings
from schemas.reproduce import ReproduceSettings
from schemas.seeds import stable_hash
from shards.filesystem import file_facts
from tasks.evaluation.prompt_sets import read_prompts

BASELINE, ENHANCED, TEACHER = "baseline", "enhanced", "teacher"
AUDIT, GALLERY, HEADS, SWEEP = "audit", "gallery", "heads", "sweep"
EVALUATION, COSTS, STUDY, REPORT = "evaluation", "costs", "study", "report"
PEOPLE, NAMES = "name.basics.tsv.gz", "names.parquet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One command: `module` is what python -m runs, `outcome` what it leaves when it is done."""

    name: str
    module: str
    words: tuple[str, ...]
    outcome: Path
    # Files whose content decides what the command does.
    reads: tuple[Path, ...] = ()
    # A folder that never takes another content, and so makes way for a command that is another one.
    makes_way: Path | None = None

    def key(self) -> str:
        """Changes with the command and with what it reads."""
        sums = [file_facts(path).sha256 for path in self.reads if path.is_file()]
        return f"{stable_hash(self.module, *self.words, *sums):014x}"


def steps(
    preset: Preset, settings: ReproduceSettings, config: Path, out: Path, *, benchmarked: bool
) -> Iterator[Step]:
    """Every step in its order; what a later one is told may depend on what an earlier one left."""
    for step in _every(preset, settings, config, out, benchmarked=benchmarked):
        more = settings.options.get(step.name, ())
        yield replace(step, words=(*step.words, *more))


def unknown_options(names: Sequence[str], settings: ReproduceSettings) -> list[str]:
    """Steps that [reproduce.options] names and that are none."""
    return sorted(set(settings.options) - set(names))


def _every(
    preset: Preset, settings: ReproduceSettings, config: Path, out: Path, *, benchmarked: bool
) -> Iterator[Step]:
    yield from _names(settings, preset.seed, out)
    planned = {name: (name, ()) for name in preset.dataset} | {
        one.name: (one.dataset, one.options) for one in settings.variant
    }
    for name, (of, options) in planned.items():
        words = [str(config), "--dataset", of, "--out", str(out / name), *options]
        if of in preset.dataset and preset.dataset[of].has_names:
            words += ["--names", str(out / NAMES)]
        yield _step(f"plan-{name}", "plan", words, out / name / "plan.parquet", (config,))
    for name in planned:
        yield _step(
            f"generate-{name}", "generate", [str(out / name)], out / name / "manifest.parquet"
        )
    data = out / ENHANCED
    made = {name: out / name / "manifest.parquet" for name in planned}
    weights = {one.name: out / HEADS / one.name / "head/model.safetensors" for one in settings.head}
    if ENHANCED in preset.dataset:
        words = [str(data), "--out", str(out / AUDIT)]
        words += ["--against", str(out / BASELINE)] if BASELINE in preset.dataset else []
        if isinstance(preset.generator, ProceduralSettings):
            words += ["--analyser", "truth"]
        seen = tuple(made[name] for name in (ENHANCED, BASELINE) if name in made)
        yield _step("audit", "audit", words, out / AUDIT / "report.json", seen)
        words = [str(data), "--audit", str(out / AUDIT), "--out", str(out / GALLERY)]
        found = (out / AUDIT / "report.json",)
        yield _step("gallery", "gallery", words, out / GALLERY / "index.html", found)
    for head in settings.head:
        own = config if head.config is None else config.parent / head.config
        run = out / HEADS / head.name
        words = [str(own), "--data", str(data), "--out", str(run)]
        yield _step(f"train-{head.name}", "train", words, weights[head.name], (own,))
    if settings.sweep is not None:
        own = config.parent / settings.sweep
        words = [str(own), "--data", str(data), "--out", str(out / SWEEP)]
        yield _step("sweep", "sweep", words, out / SWEEP / "report.json", (own,))
    seen = (config, *made.values(), *weights.values(), out / AUDIT / "report.json")
    yield from _evaluation(preset, settings, config, out, seen)
    first = out / HEADS / settings.head[0].name / "head"
    if benchmarked:
        words = [str(config), "--head", str(first), "--out", str(out / COSTS)]
        words += ["--data", str(data), "--run", str(first.parent)]
        seen = (config, weights[settings.head[0].name])
        step = _step("benchmark", "benchmark", words, out / COSTS / "report.json", seen)
        yield replace(step, makes_way=out / COSTS)
    if settings.study:
        words = [f"{stage}={data}:{stage}" for stage in ("source", "target")]
        words += ["--out", str(out / STUDY)]
        step = _step("study", "rate", words, out / STUDY / "study.json")
        yield replace(step, makes_way=out / STUDY)


def _evaluation(
    preset: Preset,
    settings: ReproduceSettings,
    config: Path,
    out: Path,
    seen: tuple[Path, ...],
) -> Iterator[Step]:
    """The table, and then again with prompts outside the domain, whose pictures take long."""
    words = [str(config), "--root", str(out), "--out", str(out / EVALUATION)]
    report = out / EVALUATION / "report.json"
    yield _step("evaluate", "evaluate", words, report, seen)
    if not settings.prompts:
        return
    if isinstance(preset.generator, ProceduralSettings):
        raise ValueError(
            f"{config}: reproduce.prompts: the painter draws portraits whatever it is asked; "
            "leave it out"
        )
    files = tuple(config.parent / one for one in settings.prompts)
    for path in files:
        read_prompts(path)
    words += ["--prompts", *map(str, files)]
    yield _step("prompts", "evaluate", words, report, (*seen, *files))


def _names(settings: ReproduceSettings, seed: int, out: Path) -> Iterator[Step]:
    table = out / PEOPLE if settings.imdb is None else Path(settings.imdb).absolute()
    if settings.imdb is None:
        words = (str(table), "--rows", str(settings.invented_people), "--seed", str(seed))
        yield Step(name="people", module="benchmarks.name_basics", words=words, outcome=table)
    words = (str(table), "--out", str(out / NAMES), "--count", str(settings.names))
    yield _step("names", "names", [*words, "--seed", str(seed)], out / NAMES)


def _step(
    name: str, verb: str, words: Sequence[str], outcome: Path, reads: tuple[Path, ...] = ()
) -> Step:
    return Step(
        name=name, module=f"workflows.{verb}", words=tuple(words), outcome=outcome, reads=reads
    )


def command(step: Step) -> str:
    """How a person would type it."""
    verb = step.module.removeprefix("workflows.")
    begin = f"relume {verb}" if verb != step.module else f"python -m {step.module}"
    return f"{begin} {shlex.join(step.words)}"
