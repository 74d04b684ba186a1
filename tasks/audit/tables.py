"""A report as tables of text, for a page and for a terminal; computes and colours nothing."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.audit.pair_tables import pair_tables
from tasks.audit.paper_shares import PAPER_HEAD
from tasks.audit.population_tables import population_tables
from tasks.audit.records import Comparison, MatrixRow, Report
from tasks.text_tables import Table, interval, number, page, percent, signed

PERCEIVED = (
    "Gender, age and ethnicity are what a classifier perceives in synthetic pictures. They are no "
    "facts about a person, and the classifier errs often."
)
PROCEDURAL = (
    "These pictures are procedural: drawn by a program. The numbers test the instrument and stand "
    "beside no number of a diffusion model."
)


def tables(report: Report) -> list[Table]:
    """Every table of a report, in the order to read them."""
    told = [_table_one(report), _headline(report), _paper(report)]
    for one in report.populations:
        told += population_tables(one, report.small_cell)
    told += [_comparison(one) for one in report.comparisons]
    for pairs in report.pairs:
        told += pair_tables(pairs)
    return told


def markdown(report: Report) -> str:
    """The report as a page."""
    lead = [f"**{PROCEDURAL}**", PERCEIVED] if report.procedural else [PERCEIVED]
    return page("Who is perceived in these pictures", tables(report), lead)


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
                    _misfit(attribute.matrices[0]),
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
        "of which none transfers for sure to synthetic faces. Where the misfit refutes the first "
        "matrix, no people could look like these through it, and its shares are not to be quoted. "
        f"{_at_an_edge(rows)}The sampling-only (Wilson) interval takes the classifier to be always "
        "right: at 140,000 pictures it is ten times too narrow.",
    )


def _misfit(one: MatrixRow) -> str:
    return f"{number(one.misfit, 2)}{', refuted' if one.refuted else ''}"


def _at_an_edge(rows: Sequence[tuple[str, ...]]) -> str:
    """What an interval means whose estimate is as small or as large as a share can be."""
    if not any(row[3] in (percent(0), percent(1)) for row in rows):
        return ""
    return (
        "A corrected share of 0 or 100 % is at the edge of what shares can be: the other end of "
        "its interval bounds it from one side, at 97.5 %. "
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


def _comparison(one: Comparison) -> Table:
    return Table(
        part=f"{one.of} against {one.against}",
        title="Differences of corrected shares",
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
