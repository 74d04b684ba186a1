"""The tables of what changes in people between source and target."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from metrics.groups import ATTRIBUTES
from tasks.audit.pairs import SAME_PERSON_COSINE, PairReport
from tasks.text_tables import Table, chance, number, percent, signed


def pair_tables(one: PairReport) -> Iterator[Table]:
    """Moves of groups, tests, and measures of pairs."""
    part = f"{one.label}, {one.before} to {one.after}"
    yield Table(
        part=part,
        title="Drift of perceived groups",
        head=("perceived", "group", "net change", "95 % interval", "moved in", "moved out"),
        rows=tuple(
            (
                attribute,
                group,
                signed(drift.net[i, 0]),
                f"{signed(drift.net[i, 1])} to {signed(drift.net[i, 2])}",
                f"{int(drift.moves[:, i].sum() - drift.moves[i, i]):,}",
                f"{int(drift.moves[i].sum() - drift.moves[i, i]):,}",
            )
            for attribute, drift in one.groups.items()
            if drift.num
            for i, group in enumerate(ATTRIBUTES[attribute])
        ),
        num_words=2,
        note=f"In percentage points, over {one.num_counted:,} of {one.num_pairs:,} pairs: those of "
        "which both pictures count. Some moves are the classifier's own unsteadiness, not a change "
        "of the picture.",
    )
    yield Table(
        part=part,
        title="Paired tests",
        head=("perceived", "changed", "kappa", "test", "statistic", "degrees", "p"),
        rows=tuple(
            (
                attribute,
                percent(drift.changed),
                number(drift.kappa),
                drift.test,
                number(drift.statistic, 2),
                str(drift.degrees),
                chance(drift.p_value),
            )
            for attribute, drift in one.groups.items()
            if drift.num
        ),
        num_words=1,
        note=next(
            (f"No p: {drift.no_p_because}." for drift in one.groups.values() if drift.no_p_because),
            "",
        ),
    )
    yield _measures(part, one)


def _measures(part: str, one: PairReport) -> Table:
    measured: dict[str, Mapping[str, float]] = {
        "years older": one.years,
        "identity (ArcFace cosine)": one.identity,
        **one.measures,
    }
    below = one.below_same_person
    return Table(
        part=part,
        title="Measures of pairs",
        head=("measure", "pairs", "mean", "median", "middle 90 %", "least", "most"),
        rows=tuple(
            (
                name,
                f"{int(told['num']):,}",
                number(told["mean"]),
                number(told["q50"]),
                f"{number(told['q05'])} to {number(told['q95'])}",
                number(told["least"]),
                number(told["most"]),
            )
            for name, told in measured.items()
            if told["num"]
        ),
        num_words=1,
        note=""
        if below is None
        else f"{percent(below)} of the pairs have an identity below {SAME_PERSON_COSINE:.2f}, "
        "under which DeepFace takes two ArcFace faces for two persons.",
    )
