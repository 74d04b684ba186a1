"""A report as tables of text, for a page and for a terminal; computes and colours nothing."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from tasks.audit_pair_tables import pair_tables
from tasks.audit_people import AttributeReport
from tasks.audit_report import Comparison, PopulationReport, Report
from tasks.paper_shares import PAPER_HEAD
from tasks.text_tables import Table, interval, number, percent, signed

PERCEIVED = (
    "Gender, age and ethnicity are what a classifier perceives in synthetic pictures. They are no "
    "facts about a person, and the classifier errs often."
)
PROCEDURAL = (
    "These pictures are procedural: drawn by a program. The numbers test the instrument and stand "
    "beside no number of a diffusion model."
)
_MANY_CELLS = 48


def tables(report: Report) -> list[Table]:
    """Every table of a report, in the order to read them."""
    told = [_table_one(report), _headline(report), _paper(report)]
    for one in report.populations:
        told += _population_tables(one, report.small_cell)
    told += [_comparison(one) for one in report.comparisons]
    for pairs in report.pairs:
        told += pair_tables(pairs)
    return told


def markdown(report: Report) -> str:
    """The report as a page."""
    lines = ["# Who is perceived in these pictures", ""]
    if report.procedural:
        lines += [f"**{PROCEDURAL}**", ""]
    lines += [PERCEIVED, ""]
    for table in tables(report):
        lines += [f"## {table.title}", "", *_markdown_rows(table), ""]
        if table.note:
            lines += [table.note, ""]
    return "\n".join(lines)


def _markdown_rows(table: Table) -> Iterator[str]:
    yield "| " + " | ".join(_cell(one) for one in table.head) + " |"
    yield (
        "|"
        + "|".join("---" if i < table.num_words else "---:" for i in range(len(table.head)))
        + "|"
    )
    for row in table.rows:
        yield "| " + " | ".join(_cell(one) for one in row) + " |"


def _cell(text: str) -> str:
    """Text that may be anything, such as a name, as the content of a cell."""
    escaped = html.escape(" ".join(text.split()), quote=False)
    return re.sub(r"([\\`*_\[\]|~])", r"\\\1", escaped)


def _table_one(report: Report) -> Table:
    return Table(
        title="Table 1, in the paper's form",
        head=PAPER_HEAD,
        rows=report.table_one,
        num_words=4,
        note="Shares of the pictures with exactly one sure face, as the classifier sees them: no "
        "correction, no interval. The age shares are of those who seem 18 or older, as the paper "
        "has no younger group. An age of 50.9 years is 50.",
    )


def _headline(report: Report) -> Table:
    rows = []
    for one in report.populations:
        for attribute in one.attributes.values():
            rows += [
                (
                    f"{one.label}, {one.stage}",
                    attribute.attribute,
                    row.group,
                    percent(row.corrected),
                    interval(row.corrected_low, row.corrected_high),
                    interval(row.range_low, row.range_high),
                    number(attribute.matrices[0].misfit, 2),
                    percent(row.share),
                    interval(row.sampling_low, row.sampling_high),
                )
                for row in attribute.rows
            ]
    return Table(
        title="Table 1, corrected",
        head=(
            *("pictures", "perceived", "group", "corrected share"),
            *("95 % interval", "range over matrices", "misfit", "as seen", "sampling only"),
        ),
        rows=tuple(rows),
        num_words=3,
        note="The headline is the share corrected by the first confusion matrix, with an interval "
        f"from {report.draws:,} draws of pictures and of matrix. The range is over all matrices, "
        "of which none transfers for sure to synthetic faces. A misfit clearly above 0 refutes "
        "the first matrix: it cannot make any people look like these. The sampling-only "
        "(Wilson) interval takes the classifier to be always right: at 140,000 pictures it is ten times too narrow.",
    )


def _paper(report: Report) -> Table:
    return Table(
        title="The paper's own Table 1, read again",
        head=(
            *("prompt", "perceived", "printed sum", "normalised entropy"),
            *("if shares sum to 1", "any within rounding", "effective groups"),
        ),
        rows=tuple(
            (
                one.prompt,
                one.attribute,
                number(one.printed_sum, 2),
                number(one.normalised_entropy),
                f"{number(one.least)} to {number(one.most)}",
                f"{number(one.least_any_sum)} to {number(one.most_any_sum)}",
                number(one.effective_groups, 2),
            )
            for one in report.paper
        ),
        num_words=2,
        note="1 is even. Gender and age get more even with names; for ethnicity the ranges that "
        "two decimals leave overlap, so the printed shares do not tell.",
    )


def _population_tables(one: PopulationReport, small_cell: int) -> Iterator[Table]:
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
        yield _associations(f"{title}: which groups go together", one)
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
            + [f"*{_cell(one.matrix)}*: {_cell(one.note)}." for one in attribute.matrices]
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
        note=f"Goodman's intervals hold for all {len(one.crossed)} combinations at once, for "
        f"sampling only. {small} have fewer than {small_cell} pictures and are flagged.",
    )


def _associations(title: str, one: PopulationReport | Comparison) -> Table:
    return Table(
        title=title,
        head=("perceived", "Cramer's V", "bias-corrected", "n", "p"),
        rows=tuple(
            (
                name,
                number(found.cramers_v),
                number(found.cramers_v_corrected),
                f"{found.num:,}",
                number(found.p_value, 4) if found.p_value is not None else "not given",
            )
            for name, found in one.associations.items()
        ),
        num_words=1,
        note="V is 0 for independent, 1 for one settling the other. "
        + next(
            (f"No p: {a.no_p_because}." for a in one.associations.values() if a.no_p_because), ""
        ),
    )


def _comparison(one: Comparison) -> Table:
    return Table(
        title=f"{one.of} against {one.against}",
        head=("perceived", "group", "corrected difference", "95 % interval", "over matrices", "V"),
        rows=tuple(
            (
                row.attribute,
                row.group,
                signed(row.difference),
                f"{signed(row.low)} to {signed(row.high)}",
                f"{signed(row.range_low)} to {signed(row.range_high)}",
                number(one.associations[row.attribute].cramers_v_corrected),
            )
            for row in one.differences
        ),
        num_words=2,
        note="In percentage points. Both sides share each draw of the matrix, as one classifier "
        "saw both. V: bias-corrected Cramer's V between set and attribute.",
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
        explained = {"face (ArcFace)": found_likeness.faces, **found_likeness.groups}
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
                    number(of.p_value, 4),
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
