"""Tables about rows by themselves: pictures, people, consistency, prompts, and their making."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from schemas.evaluate import SOURCE, TARGET
from tasks.evaluation.evaluation import Evaluation
from tasks.evaluation.words import (
    distance_name,
    named,
    within,
)
from tasks.text_tables import Table, number, percent

_DASH = "-"
# Scores of a picture and its prompt: what they are called, their decimals, and the tokens that are
# read of a prompt.
_OF_PROMPTS = {
    "clip_score": ("CLIP-Score", 2, 77),
    "image_reward": ("ImageReward", 3, 35),
    "hps": ("HPS v2.1", 2, 77),
}
Column = tuple[str, Callable[[str], str]]


def pictures_table(told: Evaluation) -> Table:
    """What pictures are like by themselves and beside their own source and target."""
    apart = {row for rows in told.blocks.values() for row in rows}
    columns = [*_alone(told), *_beside(told), _making_time(told)]
    timed = {one.told_by for one in told.speeds.values()}
    note = "Means over all prompts, of the row's own source and target. Fine detail is the "
    note += "target's at 1: it cannot tell pores from noise. "
    note += _about_prompts(told, [one for one in told.looks if one not in apart])
    if timed:
        note += f"Seconds by {'; '.join(sorted(timed))}; a head's with its source's."
    return _of_columns(
        told, "Pictures", [one for one in told.looks if one not in apart], columns, note
    )


def block_tables(told: Evaluation) -> list[Table]:
    """Rows of other families of models, a table each: what they are like by themselves."""
    same = (
        "Means over the same prompts. Another family of models made these pictures: they are "
        "compared with each other alone, and no distance to the target is told of them."
    )
    columns = [*_alone(told), _making_time(told)]
    return [
        _of_columns(
            told, f"Pictures, {block}", rows, columns, f"{same} {_about_prompts(told, rows)}"
        )
        for block, rows in told.blocks.items()
    ]


def _of_columns(
    told: Evaluation, title: str, rows: Sequence[str], columns: Sequence[Column], note: str
) -> Table:
    return Table(
        title=title,
        head=("row", *(name for name, _ in columns)),
        rows=tuple((named(told, row), *(cell(row) for _, cell in columns)) for row in rows),
        num_words=1,
        note=note.strip(),
    )


def _alone(told: Evaluation) -> Iterator[Column]:
    """What a picture is like by itself."""
    there = told.looks[SOURCE].means
    if "clip_iqa" in there:
        yield "CLIP-IQA", _mean_cell(told, "clip_iqa")
    if "face_score" in there:
        yield "Face Score", _mean_cell(told, "face_score")
        yield "with a face", _mean_cell(told, "faces_scored")
    for label, (name, decimals, _) in _OF_PROMPTS.items():
        if label in there:
            yield name, _mean_cell(told, label, decimals)


def _about_prompts(told: Evaluation, rows: Sequence[str]) -> str:
    """What readers of these columns have to know: prompts that are long, or are none."""
    found = ""
    for label, (name, _, tokens) in _OF_PROMPTS.items():
        means = [told.looks[row].means for row in rows]
        cut = [one[f"{label}_cut"].value for one in means if label in one]
        prompted = [one[f"{label}_prompted"].value for one in means if label in one]
        if any(share > 0 for share in cut):
            share = max(share for share in cut if share > 0)
            found += f"{name} read the first {tokens} tokens of {percent(share)} of the prompts. "
        if any(share < 1 for share in prompted):
            found += f"{name} is of the {percent(min(prompted))} of pictures with a prompt. "
    return found


def _beside(told: Evaluation) -> Iterator[Column]:
    """What it is like beside its own source and target."""
    there = told.looks[SOURCE].means
    for beside in (SOURCE, TARGET):
        if f"ssim_{beside}" in there:
            yield f"SSIM to {beside}", _mean_cell(told, f"ssim_{beside}")
            yield f"PSNR to {beside}", _psnr(told, f"error_{beside}")
        if f"lpips_{beside}" in there:
            yield f"LPIPS to {beside}", _mean_cell(told, f"lpips_{beside}")
    if any(one.identity for one in told.looks.values()):
        yield "identity", lambda row: number(_identity(told, row))
        yield "faces lost", lambda row: _lost(told, row)
    if "net_pattern" in there:
        yield "net-like pattern", _mean_cell(told, "net_pattern", 4)
    if "high" in there:
        wanted = told.looks[TARGET].means["high"].value
        yield "fine detail", lambda row: number(_mean(told, row, "high") / wanted, 2)


def _making_time(told: Evaluation) -> Column:
    return "pictures/s", lambda row: _speed(told, row)


def _mean_cell(told: Evaluation, key: str, decimals: int = 3) -> Callable[[str], str]:
    return lambda row: number(_mean(told, row, key), decimals)


def drift_table(told: Evaluation) -> Table:
    """How perceived people move from the source to rows that are audited."""
    rows = [
        (
            named(told, name),
            f"{report.num_counted:,} of {report.num_pairs:,}",
            *(f"{100 * report.groups[group].changed:.1f} %" for group in report.groups),
            number(dict(report.identity).get("mean")),
        )
        for name, report in told.drift.items()
    ]
    groups = next(iter(told.drift.values())).groups
    return Table(
        title="Perceived people, from source to row",
        head=("row", "pairs counted", *(f"{group} changed" for group in groups), "identity"),
        rows=tuple(rows),
        num_words=1,
        note="By the audits that the config names: a classifier's perception of synthetic "
        "pictures. Targets that change people set what a head may change.",
    )


def consistency_table(told: Evaluation) -> Table:
    """What of the change is explainable, and what heads explain of it."""
    found = told.consistency
    assert found is not None
    rows = [
        ("explainable, of the whole change", within(found.explainable), _DASH),
        ("  the same for all sources", within(found.constant), _DASH),
        ("  decided by the source", within(found.by_source), _DASH),
    ]
    for name, one in told.explained.items():
        rows.append(
            (
                f"explained by {named(told, name)}",
                "nothing to explain" if one is None else within(one.share),
                _DASH if one is None else within(one.alignment),
            )
        )
    return Table(
        title="Is the difference consistent?",
        head=("", "share", "direction (cosine)"),
        rows=tuple(rows),
        num_words=1,
        note=f"{found.num_sources:,} sources with {found.num_seeds} targets each, features of "
        f"{distance_name(told, told.headline)}. The rest of the change differs from seed to seed.",
    )


def prompts_table(told: Evaluation) -> Table:
    """Closure and artifacts of prompts outside the domain."""
    rows = [
        (name, str(one["num"]), row["row"], row["closure"], row["net_pattern"], row["detail"])
        for name, one in told.prompts.items()
        for row in one["rows"]
    ]
    return Table(
        title="Outside the domain",
        head=("prompts", "N", "row", "closure", "net-like pattern", "fine detail"),
        rows=tuple(rows),
        num_words=3,
        note="Pictures of other prompts by the same models, the head as it is. "
        + " ".join(f"{name}: {told_}" for name, one in told.prompts.items() for told_ in one["of"]),
    )


def making_table(told: Evaluation) -> Table:
    """Models, settings, weights and looks that every number follows from."""
    rows = []
    for label, one in told.networks.items():
        weights = ", ".join(f"{name} {value[:12]}" for name, value in one["weights"].items())
        settings = {key: value for key, value in one["network"].items() if value is not None}
        left_out = ("kind", "faces")
        shown = ", ".join(
            f"{key} {_listed(value)}" for key, value in settings.items() if key not in left_out
        )
        rows.append((label, shown or _DASH, weights or "none"))
    for name, row in told.rows.items():
        change = row["change"]
        shown = ", ".join(f"{key} {str(value)[:12]}" for key, value in change.items())
        facts = ", ".join(
            f"{key} {row[key]}"
            for key in ("model", "revision", "steps", "guidance", "strength", "lora", "seed")
            if row.get(key) is not None
        )
        rows.append((name, facts or shown, ", ".join(sorted(set(row["looks"].values())))))
    return Table(
        title="What the numbers are of",
        head=("what", "settings", "weights, looks"),
        rows=tuple(rows),
        num_words=3,
        note=f"{told.num:,} of {told.num_planned:,} prompts of {told.split} of {told.dataset}; "
        f"{len(told.left_out):,} are left out of all rows, as some row has no picture or no "
        f"features of them. Seed of the parts {told.settings.seed}, {told.settings.draws} draws. "
        "All hashes stand in report.json.",
    )


def _listed(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _mean(told: Evaluation, row: str, key: str) -> float:
    one = told.looks[row].means.get(key)
    return float("nan") if one is None else one.value


def _psnr(told: Evaluation, key: str) -> Callable[[str], str]:
    """Of the mean square error over all prompts."""

    def cell(row: str) -> str:
        error = _mean(told, row, key)
        if not error:
            return "infinite"
        return number(10 * math.log10(255**2 / error) if error > 0 else float("nan"), 1)

    return cell


def _identity(told: Evaluation, row: str) -> float | None:
    kept = told.looks[row].identity
    return None if kept is None else kept.mean


def _lost(told: Evaluation, row: str) -> str:
    kept = told.looks[row].identity
    return _DASH if kept is None else f"{kept.lost:,}"


def _speed(told: Evaluation, row: str) -> str:
    one = told.speeds.get(row)
    return _DASH if one is None else f"{one.per_second:.3g}"
