"""The sections of the page: each figure and table of the paper, or the command that makes it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from tasks.paper_page.markup import Figure, Section
from tasks.paper_page.pictures import draw_comparison, draw_samples
from tasks.paper_page.sources import Sources
from tasks.paper_page.told import figure_file
from tasks.paper_tables import paper_table_1, paper_table_2, paper_table_3, paper_table_4
from tasks.report_place import FIGURES
from tasks.reproduce_steps import AUDIT, BASELINE, COSTS, ENHANCED, SWEEP

_SAMPLES = 6


def sections_of(found: Sources, place: Path) -> Iterator[Section]:
    """Every section in the page's order; figures are put into place as they come."""
    yield _figure_1(found, place)
    yield _figures_2_and_3(found, place)
    yield _table_1(found)
    yield _figure_4(found, place)
    yield _tables_2_and_3(found, place)
    yield _figure_8(found, place)
    yield _table_4(found, place)
    yield Section(
        anchor="steps",
        title="How this was made",
        says="Each step is a command of its own and can be repeated by itself; relume reproduce "
        "with --steps lists them with the time that each took. docs/reproduction.md has the "
        "command for every number of the paper, and what is bit-exact, what statistical, what "
        "neither.",
        differs=tuple(_what_differs(found)),
    )


def _figure_1(found: Sources, place: Path) -> Section:
    says = "Test samples, chosen by a hash of their ids: source, what heads make of it, and target."
    command = "relume train configs/esa_cyclegan.toml --data DATASET --out RUN"
    data = found.out / ENHANCED
    if not found.heads or not (data / "manifest.parquet").exists():
        return Section(anchor="figures-1-7", title="Figures 1 and 7", says=says, missing=command)
    draw_comparison(data, found.heads, found.settings.pictures, place / FIGURES, "figure-1")
    alt = f"Rows of portraits: source, {', '.join(found.heads)}, target, each whole and near"
    return Section(
        anchor="figures-1-7",
        title="Figures 1 and 7: what a head does",
        says=says,
        figures=(_own("figure-1", alt, "Nobody chose these for their looks."),),
    )


def _figures_2_and_3(found: Sources, place: Path) -> Section:
    figures: list[Figure] = []
    for name, number, alt in (
        (ENHANCED, "2 and 3b", "Sources above, their targets below, from prompts with names"),
        (BASELINE, "3a", "Sources from the one prompt without a name"),
    ):
        dataset = found.out / name
        if name in found.preset.dataset and (dataset / "manifest.parquet").exists():
            stem = f"figure-{number.replace(' and ', '-')}"
            stages = found.preset.dataset[name].stages
            draw_samples(dataset, stages, _SAMPLES, place / FIGURES, stem)
            prompt = found.preset.dataset[name].prompt
            figures.append(_own(stem, alt, f"Figure {number}. Prompt: {prompt}"))
    return Section(
        anchor="figures-2-3",
        title="Figures 2 and 3: the pictures",
        says="Samples of the dataset of pairs, whose prompts have names, and of the baseline.",
        figures=tuple(figures),
        missing="" if figures else "relume generate DATASET",
    )


def _table_1(found: Sources) -> Section:
    return Section(
        anchor="table-1",
        title="Table 1: who is perceived",
        says="Shares as a classifier sees them, in the paper's form. They are its perception of "
        "synthetic pictures, and it errs often: the corrected table, with intervals, is the one to "
        "quote.",
        ours=() if found.audit is None else found.audit.tables[:2],
        paper=(paper_table_1(),),
        missing="" if found.audit else "relume audit DATASET --against BASELINE --out AUDIT",
        differs=(
            "The paper prints shares without intervals, and those of ethnicity sum to 1.01 and "
            "0.99. Read again with the range that rounding allows, gender and age get more even "
            "with names; of ethnicity its shares do not tell.",
        ),
    )


def _figure_4(found: Sources, place: Path) -> Section:
    figures: list[Figure] = []
    for name, stage in ((ENHANCED, "target"), (BASELINE, "source")):
        path = figure_file(found.out / AUDIT, f"faces-{name}-{stage}")
        if path is not None:
            figures.append(_copied(path, place, f"Faces of {name}, {stage}, by t-SNE"))
    return Section(
        anchor="figure-4",
        title="Figure 4: faces by likeness",
        says="Portraits where t-SNE puts their face embeddings.",
        figures=tuple(figures),
        missing="" if figures else "relume audit DATASET --out AUDIT",
        differs=(
            "For procedural portraits the painter's parameters stand for ArcFace's embedding.",
        )
        if found.kind == "procedural"
        else (),
    )


def _tables_2_and_3(found: Sources, place: Path) -> Section:
    figure = figure_file(found.out / SWEEP, "sweep") or found.out / SWEEP / "sweep.png"
    shown = found.sweep is not None and figure.exists()
    return Section(
        anchor="tables-2-3",
        title="Tables 2 and 3: which settings",
        says="The grid of cycle weight and learning rate, in two phases as in the paper. The "
        "choice here is by validation closure with a floor for identity; the paper's is by the "
        "GAN loss.",
        ours=() if found.sweep is None else found.sweep.tables,
        paper=(paper_table_2(), paper_table_3()),
        figures=(_copied(figure, place, "Closure and identity of each cell"),) if shown else (),
        missing="" if found.sweep else "relume sweep configs/sweep.toml --data DATASET --out SWEEP",
        differs=(
            "A GAN loss compares no two settings of lambda, as lambda weighs a part of it; it is "
            "printed because the paper prints it.",
        ),
    )


def _figure_8(found: Sources, place: Path) -> Section:
    figure = figure_file(found.out / COSTS, "figure-8")
    return Section(
        anchor="figure-8",
        title="Figure 8: what a picture costs",
        says="The time of teacher, source, and source with head, text encoders and VAE included.",
        ours=() if found.costs is None else found.costs.tables[:3],
        paper=() if found.costs is None else found.costs.tables[3:],
        figures=()
        if figure is None
        else (_copied(figure, place, "Seconds of a picture by its size"),),
        missing="" if found.costs else "relume benchmark CONFIG --head RUN/head --out COSTS",
        differs=("A painter takes milliseconds, so that no head can save time here.",)
        if found.kind == "procedural"
        else (),
    )


def _table_4(found: Sources, place: Path) -> Section:
    told = found.evaluation
    figures: list[Figure] = []
    for stem, caption in (
        ("closures", "How much of the gap each row closes, with intervals of 95 %"),
        ("pareto", "Quality against time"),
    ):
        path = None if told is None else figure_file(told.folder, stem)
        if path is not None:
            figures.append(_copied(path, place, caption))
    return Section(
        anchor="table-4",
        title="Table 4: how near to the slow model",
        says="Closure is 0 for the source and 1 for pictures that nobody tells from the "
        "target's. Rows and references are of different prompts, so that nothing gains by "
        "copying; the paper's own distances on the same prompts follow, labelled so.",
        ours=() if told is None else told.tables,
        paper=(paper_table_4(),),
        figures=tuple(figures),
        missing="" if told else "relume evaluate CONFIG --out FOLDER",
        differs=(
            "The paper compares pictures of the same prompts, and prints one number each; here "
            "prompts are disjoint, the bias of small numbers is taken away, and closures and "
            "distances have intervals.",
            "Straw men are rows too: an unsharp mask and film grain that close the gap would mean "
            "that the measure is blind.",
        ),
    )


def _what_differs(found: Sources) -> Iterator[str]:
    if found.kind == "procedural":
        yield (
            "A numpy painter stands for both models, and fixed random filters for the networks "
            "that look."
        )
    if found.settings.imdb is None:
        yield "The names are invented: nobody was looked up."
    for name, dataset in found.preset.dataset.items():
        yield f"{name}: {dataset.count:,} samples of {dataset.size_px} px."
    for title, head in found.heads.items():
        if head.training is not None:
            facts = head.training
            yield (
                f"{title}: trained on {facts.num_ids:,} samples at {facts.size_px} px; "
                f"{facts.images_seen:,} pictures went through it."
            )


def _own(stem: str, alt: str, caption: str) -> Figure:
    return Figure(file=f"{FIGURES}/{stem}.png", alt=alt, caption=caption)


def _copied(path: Path, place: Path, caption: str) -> Figure:
    (place / FIGURES).mkdir(exist_ok=True)
    shutil.copyfile(path, place / FIGURES / path.name)
    return Figure(file=f"{FIGURES}/{path.name}", alt=caption, caption=caption)
