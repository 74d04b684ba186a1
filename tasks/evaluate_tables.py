"""The tables of an evaluation in words and numbers, for a terminal and for Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from metrics.gap import GapRow, GapTable
from metrics.subsampling import Estimate
from schemas.evaluate import SOURCE, TARGET
from schemas.measure import FRECHET
from tasks.evaluated_rows import FLAGS
from tasks.evaluation import Evaluation
from tasks.text_tables import Table, number

# In the order of the flags; the first marks another source.
_MARKS = dict(zip(FLAGS, ("\u2020", "\u2021", "\u00a7"), strict=True))
_DASH = "-"
PROCEDURAL = "Procedural portraits: this tests the instrument and stands beside no number of FLUX."


def tables_of(told: Evaluation) -> list[Table]:
    """All tables, the headline's first."""
    tables = [_headline(told, reference) for reference in told.gaps]
    tables += [_others(told, reference) for reference in told.gaps]
    tables.append(_pictures(told))
    tables += [_taps(told)] if _num_taps(told) > 1 else []
    tables.append(_same_prompts(told))
    if told.drift:
        tables.append(_drift(told))
    if told.consistency is not None:
        tables.append(_consistency(told))
    if told.prompts:
        tables.append(_prompts(told))
    tables.append(_made_of(told))
    return tables


def named(told: Evaluation, row: str) -> str:
    """A row's name with the marks of its flags."""
    flags = told.rows.get(row, {}).get("flags", [])
    return row + "".join(f" {_MARKS[one]}" for one in flags)


def distance_name(told: Evaluation, what: str) -> str:
    """What a distance of this network and tap is called."""
    label, _, tap = what.partition("/")
    name = FRECHET[told.networks[label]["network"]["kind"]]
    policy = told.networks[label]["network"].get("policy")
    return f"{name} ({f'tap {tap}, ' if tap else ''}{policy})" if policy else name


def within(one: Estimate | None, decimals: int = 2) -> str:
    """A value with its interval of 95 %."""
    if one is None:
        return "no gap"
    low, high = number(one.low, decimals), number(one.high, decimals)
    return f"{number(one.value, decimals)} ({low} to {high})"


def marks(told: Evaluation) -> str:
    """What the marks that are used mean."""
    used = {flag for row in told.rows.values() for flag in row["flags"]}
    return " ".join(f"{_MARKS[flag]} {FLAGS[flag]}." for flag in FLAGS if flag in used)


def _headline(told: Evaluation, reference: str) -> Table:
    table = told.gaps[reference][told.headline]
    rows = [_gap_cells(named(told, row.name), row, plain=reference) for row in table.rows]
    rows.append(_gap_cells(f"{reference}, other prompts (floor)", table.floor, plain=reference))
    notes = [
        f"{distance_name(told, told.headline)}; rows of {table.num_a} + {table.num_b} prompts "
        f"against the {reference}s of the other half, both ways averaged; {table.width} features"
        + (f" at {table.places} places of a picture" if table.places > 1 else "")
        + f". Intervals of 95 % over prompts. Closure {_ends(reference)}."
    ]
    if told.procedural:
        notes.append(PROCEDURAL)
    notes += [one for one in told.cautions if one.startswith(f"against the {reference}:")]
    if marks(told):
        notes.append(marks(told))
    return Table(
        title=f"Gap to the {reference}",
        head=(
            "row",
            "FD",
            "FD-infinity",
            "closure",
            "floor-corrected",
            "A to B",
            "B to A",
        ),
        rows=tuple(rows),
        num_words=1,
        note=" ".join(_sentence(one) for one in notes),
    )


def _ends(reference: str) -> str:
    return f"0 is the source, 1 what no number of pictures tells from the {reference}s"


def _gap_cells(name: str, row: GapRow, *, plain: str) -> tuple[str, ...]:
    del plain
    ways = row.by_direction
    digits = _digits(row.distance.value)
    return (
        name,
        number(row.distance.value, digits),
        within(row.infinity, digits),
        within(row.closure),
        within(row.floor_corrected),
        number(ways[0], 2) if ways else _DASH,
        number(ways[1], 2) if ways else _DASH,
    )


def _others(told: Evaluation, reference: str) -> Table:
    """What does not take features for Gaussians, and Frechet distances of other networks."""
    main = told.headline.partition("/")[0]
    further = [what for what in told.gaps[reference] if what.partition("/")[0] != main]
    near = told.nearness[reference]
    with_cmmd = any(one.cmmd is not None for one in near.values())
    head = ["row", "KID x 1000", "precision", "recall"] + (["CMMD"] if with_cmmd else [])
    for what in further:
        head += [f"{distance_name(told, what)}-infinity", "closure"]
    rows = []
    for name, one in near.items():
        cells = [named(told, name), number(1000 * one.kid), number(one.precision)]
        cells += [number(one.recall)] + ([number(one.cmmd)] if with_cmmd else [])
        for what in further:
            row = _row(told.gaps[reference][what], name)
            cells += [within(row.infinity, _digits(row.distance.value)), within(row.closure)]
        rows.append(tuple(cells))
    of = distance_name(told, told.headline)
    return Table(
        title=f"Other distances to the {reference}",
        head=tuple(head),
        rows=tuple(rows),
        num_words=1,
        note=f"KID, precision and recall (k = 3) by the features of {of}, on other prompts, both "
        "ways averaged. Compare precision and recall within a column only.",
    )


def _pictures(told: Evaluation) -> Table:
    """What pictures are like by themselves and beside their own source and target."""
    target_detail = told.looks[TARGET].means.get("high")
    columns: list[tuple[str, Callable[[str], str]]] = []
    there = told.looks[SOURCE].means

    def mean(key: str, decimals: int = 3) -> Callable[[str], str]:
        return lambda row: number(_mean(told, row, key), decimals)

    if "clip_iqa" in there:
        columns.append(("CLIP-IQA", mean("clip_iqa")))
    for beside in (SOURCE, TARGET):
        if f"ssim_{beside}" in there:
            columns.append((f"SSIM to {beside}", mean(f"ssim_{beside}")))
            columns.append((f"PSNR to {beside}", _psnr(told, f"error_{beside}")))
        if f"lpips_{beside}" in there:
            columns.append((f"LPIPS to {beside}", mean(f"lpips_{beside}")))
    if any(one.identity for one in told.looks.values()):
        columns.append(("identity", lambda row: number(_identity(told, row))))
        columns.append(("faces lost", lambda row: _lost(told, row)))
    if "net_pattern" in there:
        columns.append(("net-like pattern", mean("net_pattern", 4)))
    if target_detail is not None:
        wanted = target_detail.value
        columns.append(("fine detail", lambda row: number(_mean(told, row, "high") / wanted, 2)))
    columns.append(("pictures/s", lambda row: _speed(told, row)))
    rows = [(named(told, row), *(cell(row) for _, cell in columns)) for row in told.looks]
    timed = {one.told_by for one in told.speeds.values()}
    note = "Means over all prompts, of the row's own source and target. Fine detail is the "
    note += "target's at 1: it cannot tell pores from noise. "
    if timed:
        note += f"Seconds by {'; '.join(sorted(timed))}; a head's with its source's."
    return Table(
        title="Pictures",
        head=("row", *(name for name, _ in columns)),
        rows=tuple(rows),
        num_words=1,
        note=note.strip(),
    )


def _taps(told: Evaluation) -> Table:
    """Closure by every network and tap."""
    rows = []
    for reference, by_what in told.gaps.items():
        for what, table in by_what.items():
            for row in table.rows:
                if row.name == SOURCE:
                    continue
                cells = (reference, distance_name(told, what), named(told, row.name))
                digits = _digits(row.distance.value)
                rows.append((*cells, within(row.infinity, digits), within(row.closure)))
    return Table(
        title="Every network and tap",
        head=("reference", "distance", "row", "FD-infinity", "closure"),
        rows=tuple(rows),
        num_words=3,
        note="A closure that depends on the tap is a statement about the tap.",
    )


def _same_prompts(told: Evaluation) -> Table:
    rows = []
    for what, block in told.same_prompts.items():
        for row in block:
            values = (row.to_source, row.to_target, row.difference)
            largest = max((one.value for one in values if one), default=0.0)
            told_as = [_DASH if one is None else within(one, _digits(largest)) for one in values]
            rows.append((distance_name(told, what), named(told, row.name), *told_as))
    return Table(
        title="Same prompts, as in the paper",
        head=("distance", "row", "FID_source", "FID_target", "FID_diff"),
        rows=tuple(rows),
        num_words=2,
        note="Never a headline: FID_diff = FID_source - FID_target rewards leaving the source as "
        "much as reaching the target, and a copy of the target scores best.",
    )


def _drift(told: Evaluation) -> Table:
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


def _consistency(told: Evaluation) -> Table:
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


def _prompts(told: Evaluation) -> Table:
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


def _made_of(told: Evaluation) -> Table:
    rows = []
    for label, one in told.networks.items():
        weights = ", ".join(f"{name} {value[:12]}" for name, value in one["weights"].items())
        settings = {key: value for key, value in one["network"].items() if key != "kind"}
        shown = ", ".join(f"{key} {value}" for key, value in settings.items() if key != "faces")
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


def _row(table: GapTable, name: str) -> GapRow:
    return next(row for row in table.rows if row.name == name)


def _mean(told: Evaluation, row: str, key: str) -> float:
    one = told.looks[row].means.get(key)
    return float("nan") if one is None else one.value


def _psnr(told: Evaluation, key: str) -> Callable[[str], str]:
    """Of the mean square error over all prompts."""
    import math

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


def _num_taps(told: Evaluation) -> int:
    return max(map(len, told.gaps.values()))


def _digits(value: float) -> int:
    """Decimals that leave about three digits."""
    return 1 if value >= 100 else 2 if value >= 10 else 3 if value >= 1 else 4


def _sentence(words: str) -> str:
    text = words.strip()
    return (text[0].upper() + text[1:]).rstrip(".") + "."


def headline_rows(told: Evaluation, columns: Sequence[str]) -> list[dict[str, str]]:
    """Rows of the first table by column, for whoever shows a few of them."""
    first = tables_of(told)[0]
    return [
        {key: value for key, value in zip(first.head, row, strict=True) if key in columns}
        for row in first.rows
    ]
