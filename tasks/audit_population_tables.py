"""The tables of one population: what was counted, its groups, and its faces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from metrics.association import Association
from tasks.audit_records import AttributeReport, PopulationReport
from tasks.text_tables import Table, chance, interval, number, percent

_MANY_CELLS = 48


def population_tables(one: PopulationReport, small_cell: int) -> Iterator[Table]:
    """What was counted, each attribute, groups crossed, and faces."""
    title = f"{one.label}, {one.stage}"
    yield Table(
        title=f"{title}: what was counted",
        head=("status", "pictures", "share"),
        rows=tuple(
            (status.replace("_", " "), f"{count:,}", percent(count / one.num))
            for status, count in one.statuses.items()
        ),
        num_words=1,
        note=f"{one.num_counted:,} of {one.num:,} pictures count: those with the status ok.",
    )
    for attribute in one.attributes.values():
        yield _counts(title, attribute, one.num - one.num_counted)
        yield _evenness(title, attribute)
        yield _matrices(title, attribute)
    if one.crossed:
        yield _crossed(title, one, small_cell)
        yield association_table(f"{title}: which groups go together", one.associations)
    yield from _faces(title, one)


def _counts(title: str, attribute: AttributeReport, undetected: int) -> Table:
    return Table(
        title=f"{title}: perceived {attribute.attribute}, counts",
        head=("group", "hard count", "hard share", "soft share", "uncounted", "worst case"),
        rows=tuple(
            (
                row.group,
                f"{row.count:,}",
                percent(row.share),
                percent(row.soft_share),
                f"{undetected:,}",
                interval(row.worst_low, row.worst_high),
            )
            for row in attribute.rows
        ),
        num_words=1,
        note="Hard: the likeliest group of each picture. Soft: the mean probability. Worst case: "
        "none, or all, of the uncounted pictures belong to the group.",
    )


def _evenness(title: str, attribute: AttributeReport) -> Table:
    return Table(
        title=f"{title}: perceived {attribute.attribute}, evenness",
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


def _matrices(title: str, attribute: AttributeReport) -> Table:
    groups = [row.group for row in attribute.rows]
    return Table(
        title=f"{title}: perceived {attribute.attribute}, corrected by each matrix",
        head=("matrix", *groups, "misfit", "normalised entropy"),
        rows=tuple(
            (
                one.matrix,
                *(
                    f"{percent(share)} ({interval(low, high)})"
                    for share, low, high in zip(one.shares, one.low, one.high, strict=True)
                ),
                number(one.misfit),
                f"{number(one.entropy)} ({number(one.entropy_low)} to {number(one.entropy_high)})",
            )
            for one in attribute.matrices
        ),
        num_words=1,
        note=" ".join(
            ["A misfit above 0: no shares at all, seen through this matrix, look like these."]
            + [f"{one.matrix}: {one.note}." for one in attribute.matrices]
        ),
    )


def _crossed(title: str, one: PopulationReport, small_cell: int) -> Table:
    small = sum(cell.small for cell in one.crossed)
    shown = sorted(one.crossed, key=lambda cell: -cell.count)[:_MANY_CELLS]
    return Table(
        title=f"{title}: gender x age x ethnicity",
        head=("gender", "age", "ethnicity", "pictures", "share", "simultaneous 95 %", "flag"),
        rows=tuple(
            (
                cell.gender,
                cell.age,
                cell.ethnicity,
                f"{cell.count:,}",
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


def association_table(title: str, found: Mapping[str, Association]) -> Table:
    """Effect sizes, and p-values or why there are none."""
    why = next((one.no_p_because for one in found.values() if one.no_p_because), None)
    return Table(
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


def _faces(title: str, one: PopulationReport) -> Iterator[Table]:
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
            title=f"{title}: variety of faces",
            head=("measure", "value"),
            rows=tuple(rows),
            num_words=1,
            note="",
        )
    if one.likeness:
        found_likeness = one.likeness
        explained = {"face": found_likeness.faces, **found_likeness.groups}
        yield Table(
            title=f"{title}: what the name explains",
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
            note="Omega squared is the share of variance that the name explains, without what "
            f"chance alone does. {found_likeness.num_names_taken:,} of "
            f"{found_likeness.num_names:,} names with several faces were taken.",
        )
        yield Table(
            title=f"{title}: the most stable names",
            head=("name", "faces", "mean cosine"),
            rows=tuple(
                (stable.name, str(stable.num_faces), number(stable.mean_cosine))
                for stable in found_likeness.most_stable
            ),
            num_words=1,
            note="With shuffled names the most stable reaches "
            f"{number(found_likeness.stable_by_chance)} in 95 of 100 shuffles.",
        )


def _pairs(num: int) -> int:
    return num * (num - 1) // 2
