"""The tables of one population: what was counted, its groups, and its faces."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from metrics.association import Association
from metrics.groups import AGE_EDGES, ATTRIBUTES
from tasks.audit.records import AttributeReport, PopulationReport
from tasks.text_tables import Cell, Link, Table, chance, interval, number, percent

_MANY_CELLS = 48


def population_tables(one: PopulationReport, small_cell: int) -> Iterator[Table]:
    """What was counted, each attribute, groups crossed, and faces."""
    part = f"{one.label}, {one.stage}"
    yield Table(
        part=part,
        title="What was counted",
        head=("status", "pictures", "share"),
        rows=tuple(
            (
                status.replace("_", " "),
                _rows(one, f"{count:,}", audit=status),
                percent(count / one.num),
            )
            for status, count in one.statuses.items()
        ),
        num_words=1,
        note=f"{one.num_counted:,} of {one.num:,} pictures count: those with the status ok.",
    )
    for attribute in one.attributes.values():
        yield _counts(part, one, attribute)
        yield _evenness(part, attribute)
        yield _matrices(part, attribute)
    if one.crossed:
        yield _crossed(part, one, small_cell)
        yield association_table(part, "Which groups go together", one.associations)
    yield from _faces(part, one)
    yield from _repeated(part, one)
    yield from _likeness(part, one)


def _rows(one: PopulationReport, text: str, **perceived: str) -> Cell:
    """A number that leads to its rows, where they are those of the audited dataset itself."""
    if not one.own:
        return text
    # In the words of a gallery's filters; only pictures with the status ok are in a group.
    wanted = {"audit": "ok"} | perceived
    return Link(text=text, filter={f"{one.stage}-{key}": [word] for key, word in wanted.items()})


def _counts(part: str, one: PopulationReport, attribute: AttributeReport) -> Table:
    what = attribute.attribute
    hard = "the likeliest group of each picture."
    if what == "age":
        hard = f"the bin of the perceived age. {_edges()}"
    return Table(
        part=part,
        title=f"Perceived {what}, counts",
        head=("group", "hard count", "hard share", "soft share", "uncounted", "worst case"),
        rows=tuple(
            (
                row.group,
                _rows(one, f"{row.count:,}", **{what: row.group}),
                percent(row.share),
                percent(row.soft_share),
                f"{one.num - one.num_counted:,}",
                interval(row.worst_low, row.worst_high),
            )
            for row in attribute.rows
        ),
        num_words=1,
        note=f"Hard: {hard} Soft: the mean probability. Worst case: none, or all, of the uncounted "
        "pictures belong to the group.",
    )


def _edges() -> str:
    bins = zip(ATTRIBUTES["age"], AGE_EDGES[:-1], AGE_EDGES[1:], strict=True)
    told = [
        f"{name} from {low:g}" + (f" to below {high:g}" if high < math.inf else "")
        for name, low, high in bins
    ]
    return f"Edges in years: {', '.join(told)}."


def _evenness(part: str, attribute: AttributeReport) -> Table:
    return Table(
        part=part,
        title=f"Perceived {attribute.attribute}, evenness",
        head=(
            *("shares", "normalised entropy", "effective groups", "KL from uniform"),
            *("TV from uniform", "KL from target", "TV from target"),
        ),
        rows=tuple(
            (
                one.of,
                number(one.normalised_entropy),
                number(one.effective_groups, 2),
                number(one.kl_from_uniform),
                number(one.tv_from_uniform),
                number(one.kl_from_target),
                number(one.tv_from_target),
            )
            for one in attribute.evenness
        ),
        num_words=1,
        note="Over the groups that the paper has; distances from a target over all. KL in nats.",
    )


def _matrices(part: str, attribute: AttributeReport) -> Table:
    groups = [row.group for row in attribute.rows]
    return Table(
        part=part,
        title=f"Perceived {attribute.attribute}, corrected by each matrix",
        head=("matrix", *groups, "misfit", "normalised entropy"),
        rows=tuple(
            (
                one.matrix,
                *(
                    f"{percent(share)} ({interval(low, high)})"
                    for share, low, high in zip(one.shares, one.low, one.high, strict=True)
                ),
                f"{number(one.misfit)}{', refuted' if one.refuted else ''}",
                f"{number(one.entropy)} ({number(one.entropy_low)} to {number(one.entropy_high)})",
            )
            for one in attribute.matrices
        ),
        num_words=1,
        note=" ".join(
            ["Refuted: no shares at all, seen through this matrix, look like these."]
            + [f"{one.matrix}: {one.note}." for one in attribute.matrices]
        ),
    )


def _crossed(part: str, one: PopulationReport, small_cell: int) -> Table:
    small = sum(cell.small for cell in one.crossed)
    shown = sorted(one.crossed, key=lambda cell: -cell.count)[:_MANY_CELLS]
    return Table(
        part=part,
        title="Gender x age x ethnicity",
        head=("gender", "age", "ethnicity", "pictures", "share", "simultaneous 95 %", "flag"),
        rows=tuple(
            (
                cell.gender,
                cell.age,
                cell.ethnicity,
                _rows(
                    one,
                    f"{cell.count:,}",
                    gender=cell.gender,
                    age=cell.age,
                    ethnicity=cell.ethnicity,
                ),
                percent(cell.share),
                interval(cell.low, cell.high),
                "small" if cell.small else "",
            )
            for cell in shown
        ),
        num_words=3,
        note=f"The intervals hold for all {len(one.crossed)} combinations at once (Clopper-Pearson "
        f"at a Bonferroni level), for sampling only. {small} have fewer than {small_cell} "
        "pictures and are flagged.",
    )


def association_table(part: str, title: str, found: Mapping[str, Association]) -> Table:
    """Effect sizes, and p-values or why there are none."""
    why = next((one.no_p_because for one in found.values() if one.no_p_because), None)
    return Table(
        part=part,
        title=title,
        head=("perceived", "Cramer's V", "bias-corrected", "n", "p"),
        rows=tuple(
            (
                name,
                number(one.cramers_v),
                number(one.cramers_v_corrected),
                f"{one.num:,}",
                chance(one.p_value),
            )
            for name, one in found.items()
        ),
        num_words=1,
        note="V is 0 for independent, 1 for one settling the other."
        + (f" No p: {why}." if why else ""),
    )


def _faces(part: str, one: PopulationReport) -> Iterator[Table]:
    rows: list[tuple[str, str]] = []
    if one.diversity:
        found = one.diversity
        rows += [
            ("mean cosine over all pairs", number(found.mean_cosine)),
            (f"Vendi score, at most {found.vendi_most:,}", number(found.vendi, 1)),
        ]
    for kind in one.repeats:
        rows += [
            (f"near pairs by {kind.by}", f"{kind.num_pairs:,} of {_pairs(kind.num_compared):,}"),
            (f"pictures that repeat one by {kind.by}", f"{kind.num_repeating:,}"),
        ]
    if rows:
        yield Table(
            part=part,
            title="Variety of faces",
            head=("measure", "value"),
            rows=tuple(rows),
            num_words=1,
            note="",
        )


def _repeated(part: str, one: PopulationReport) -> Iterator[Table]:
    def sample(of: str) -> Cell:
        return Link(text=of, id=of) if one.own else of

    rows = [
        (kind.by, sample(kept), sample(again))
        for kind in one.repeats
        for kept, again in kind.examples
    ]
    if rows:
        yield Table(
            part=part,
            title="Near-duplicates to look at",
            head=("near by", "sample", "repeats it"),
            rows=tuple(rows),
            num_words=3,
            note="The nearest of each kind. relume curate --near-cosine leaves such out.",
        )


def _likeness(part: str, one: PopulationReport) -> Iterator[Table]:
    found = one.likeness
    if found is None:
        return
    explained = {"face": found.faces, **found.groups}
    why = next((of.no_p_because for of in explained.values() if of.no_p_because), None)
    yield Table(
        part=part,
        title="What the name explains",
        head=("of the", "omega squared", "ICC", "eta squared", "eta by chance", "p"),
        rows=tuple(
            (
                f"{name}, {of.num_labels:,} names, {of.num_rows:,} pictures",
                number(of.omega_squared),
                number(of.intraclass),
                number(of.eta_squared),
                f"{number(of.by_chance_mean)}, 95 % below {number(of.by_chance_95)}",
                chance(of.p_value),
            )
            for name, of in explained.items()
        ),
        num_words=1,
        note="Omega squared is the share of variance that the name explains, without what chance "
        f"alone does. {found.num_names_taken:,} of {found.num_names:,} names with several faces "
        "were taken." + (f" No p: {why}." if why else ""),
    )
    yield Table(
        part=part,
        title="The most stable names",
        head=("name", "faces", "mean cosine"),
        rows=tuple(
            (stable.name, str(stable.num_faces), number(stable.mean_cosine))
            for stable in found.most_stable
        ),
        num_words=1,
        note=f"With shuffled names the most stable reaches {number(found.stable_by_chance)} in 95 "
        "of 100 shuffles.",
    )


def _pairs(num: int) -> int:
    return num * (num - 1) // 2
