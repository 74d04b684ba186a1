"""The tables and the figure of `relume benchmark`: what a picture costs, and what a head saves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from metrics.groups import Floats
from metrics.intervals import median_interval
from schemas.benchmark import HEAD_ON_DEVICE, ROAD, SOURCE, TEACHER, Timing
from tasks.figure_style import COLOURS, MARKERS, new_figure, plain_axes, styled, write_figure
from tasks.text_tables import Table, number, percent

PROCEDURAL = (
    "A painter stands for the models here: these times test the instrument and say nothing about "
    "any diffusion model."
)
# Figure 8 and the text of section 4.4, at 512 px, and what follows from them.
_PAPER_SOURCE_PER_S, _PAPER_HEAD_PER_S, _PAPER_SAVING = 0.25, 11.2, 0.82
_USUAL_TEACHER_STEPS, _SOURCE_STEPS = 28, 4
_DRAWS, _SEED = 2000, 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Saving:
    """What one size saves: with the road timed as one, and added up from its parts."""

    size_px: int
    share: float
    low: float
    high: float
    from_parts: float
    # Of one picture of a large number, by the best batches.
    teacher_s: float
    road_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """GPU-hours that were spent before the first picture; None where nobody told."""

    data_gpu_hours: float | None
    training_gpu_hours: float | None


def savings(timings: Sequence[Timing]) -> list[Saving]:
    """What each size saves that has every row."""
    by_size: dict[int, dict[str, Timing]] = {}
    for one in timings:
        by_size.setdefault(one.size_px, {})[one.what] = one
    told = []
    for size_px, rows in sorted(by_size.items()):
        wanted = (TEACHER, SOURCE, ROAD, HEAD_ON_DEVICE)
        if not all(name in rows for name in wanted):
            continue
        teacher, source, road, head = (rows[name] for name in wanted)
        draws = 1 - _medians(road.seconds, 1) / _medians(teacher.seconds, 2)
        low, high = np.quantile(draws, [0.025, 0.975])
        parts = (_median(source) + _median(head)) / _median(teacher)
        told.append(
            Saving(
                size_px=size_px,
                share=1 - _median(road) / _median(teacher),
                low=float(low),
                high=float(high),
                from_parts=1 - parts,
                teacher_s=_each(teacher),
                road_s=_each(road),
            )
        )
    return told


def benchmark_tables(timings: Sequence[Timing], costs: Costs, device: str) -> list[Table]:
    """The tables, the one to read first first."""
    found = savings(timings)
    tables = [_savings(found)] if found else []
    tables += [_timings(timings, device)]
    if found:
        tables.append(_break_even(found, costs))
    return [*tables, _paper()]


def write_figure_8(timings: Sequence[Timing], folder: Path, *, procedural: bool) -> None:
    """Seconds of one picture by its size, as the paper has it: each row a line, logarithmic."""
    with styled():
        figure = new_figure(3.8)
        axes = figure.subplots()
        names = list(dict.fromkeys(one.what for one in timings))
        for place, name in enumerate(names):
            mine = sorted((t for t in timings if t.what == name), key=lambda t: t.size_px)
            told = [median_interval(one.seconds) for one in mine]
            axes.errorbar(
                [one.size_px for one in mine],
                [middle for middle, _, _ in told],
                [[m - low for m, low, _ in told], [high - m for m, _, high in told]],
                marker=MARKERS[place % len(MARKERS)],
                color=COLOURS[place % len(COLOURS)],
                markersize=5,
                capsize=2,
                label=name,
            )
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        sizes = sorted({one.size_px for one in timings})
        axes.set_xticks(sizes, [str(size) for size in sizes])
        axes.minorticks_off()
        axes.set_xlabel("side of a picture, px")
        what = "seconds of a picture, 95 % interval"
        axes.set_ylabel(f"{what} (procedural)" if procedural else what)
        plain_axes(axes, grid="y")
        figure.legend(loc="outside upper left", ncols=3, fontsize=8)
    write_figure(figure, folder, "figure-8")


def _median(one: Timing) -> float:
    return float(np.median(one.seconds))


def _each(one: Timing) -> float:
    """Seconds of a picture in the best batch."""
    return float(np.median(one.batch_seconds)) / one.batch


def _medians(seconds: Sequence[float], stream: int) -> Floats:
    """Medians of the runs drawn anew."""
    rng = np.random.default_rng([_SEED, stream])
    drawn = rng.choice(np.asarray(seconds), size=(_DRAWS, len(seconds)))
    return np.asarray(np.median(drawn, axis=1))


def _seconds(value: float) -> str:
    return f"{1000 * value:,.2f} ms" if value < 1 else f"{value:,.3f} s"


def _savings(found: Sequence[Saving]) -> Table:
    rows = [
        (
            f"{one.size_px} px",
            percent(one.share),
            f"{100 * one.low:.1f} to {100 * one.high:.1f}",
            percent(one.from_parts),
        )
        for one in found
    ]
    mean = float(np.mean([one.share for one in found]))
    parts = float(np.mean([one.from_parts for one in found]))
    rows.append(("mean of the sizes", percent(mean), "", percent(parts)))
    return Table(
        title="Time saved by source + head instead of the teacher",
        head=("size", "saved", "95 % interval", "by the parts"),
        rows=tuple(rows),
        num_words=1,
        note="1 - t / t of the teacher, latencies of one picture. Saved: source and head timed as "
        "one road. By the parts: t is that of the source plus that of the head on the device.",
    )


def _timings(timings: Sequence[Timing], device: str) -> Table:
    rows = []
    # All sizes of a row together, rows and sizes in the order in which they were asked for.
    names = list(dict.fromkeys(one.what for one in timings))
    for one in sorted(timings, key=lambda one: names.index(one.what)):
        middle, low, high = median_interval(one.seconds)
        joules = one.joules_per_picture
        rows.append(
            (
                one.what,
                f"{one.size_px}",
                _seconds(middle),
                f"{_seconds(low)} to {_seconds(high)}",
                number(1 / _each(one), 2),
                str(one.batch),
                f"{one.memory_bytes / 2**30:,.2f}",
                "-" if joules is None else number(joules, 1),
            )
        )
    return Table(
        title="What a picture takes",
        head=(
            *("what", "px", "latency", "95 % interval", "pictures/s", "best batch"),
            *("GiB", "joules a picture"),
        ),
        rows=tuple(rows),
        num_words=1,
        note=f"On {device}. Latency: the median of one picture at a time, text encoders and VAE "
        "included. GiB: allocated on the GPU, or resident in the process, with the best batch; "
        "joules by NVML where there is one.",
    )


def _break_even(found: Sequence[Saving], costs: Costs) -> Table:
    data, training = costs.data_gpu_hours, costs.training_gpu_hours
    lacking = [
        option
        for option, hours in (
            ("--data (or --data-gpu-hours)", data),
            ("--run (or --training-gpu-hours)", training),
        )
        if hours is None
    ]
    spent_s = 3600 * ((data or 0.0) + (training or 0.0))
    rows = []
    for one in found:
        saved_s = one.teacher_s - one.road_s
        # What saves nothing pays back no hours, however many they were.
        told = "never" if saved_s <= 0 else "not known" if lacking else f"{spent_s / saved_s:,.0f}"
        rows.append((f"{one.size_px} px", _seconds(one.teacher_s), _seconds(one.road_s), told))
    spent = (
        f"Give {' and '.join(lacking)} to see it."
        if lacking
        else f"{_hours(data)} GPU-hours for the dataset and {_hours(training)} for training."
    )
    return Table(
        title="Pictures until the head has paid for itself",
        head=("size", "teacher, each", "source + head, each", "pictures"),
        rows=tuple(rows),
        num_words=1,
        note=f"Each: seconds of a picture in the best batch. {spent}",
    )


def _hours(hours: float | None) -> str:
    """A laptop's few minutes are no 0.0 hours."""
    hours = hours or 0.0
    return f"{hours:,.1f}" if hours >= 1 or not hours else f"{hours:.2g}"


def _paper() -> Table:
    source_s, head_s = 1 / _PAPER_SOURCE_PER_S, 1 / _PAPER_HEAD_PER_S
    implied = (source_s + head_s) / (1 - _PAPER_SAVING)
    by_steps = source_s / _SOURCE_STEPS * _USUAL_TEACHER_STEPS
    saving = 1 - (source_s + head_s) / by_steps
    return Table(
        title="The paper's 82 %, read again",
        head=("from", "source", "head", "teacher", "saved"),
        rows=(
            ("its text", _seconds(source_s), _seconds(head_s), "-", percent(_PAPER_SAVING)),
            (
                "82 % taken as it is",
                _seconds(source_s),
                _seconds(head_s),
                _seconds(implied),
                percent(_PAPER_SAVING),
            ),
            (
                f"teacher at {_USUAL_TEACHER_STEPS} steps of the source's",
                _seconds(source_s),
                _seconds(head_s),
                _seconds(by_steps),
                percent(saving),
            ),
        ),
        num_words=1,
        note="It prints 0.25 and 11.2 pictures/s at 512 px and an average of 82 %, but no time of "
        "its teacher; none of these numbers belongs in a column with those above.",
    )
