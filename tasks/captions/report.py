"""What a caption run came to: counts, refusals, twins, lengths, openings, as numbers and text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from schemas.caption import CAPTION_STATUSES, CaptionRecord, CaptionRow
from tasks.captions.file import USABLE
from tasks.captions.texts import openings
from tasks.text_tables import Table, page, percent

QUANTILES = (0, 5, 25, 50, 75, 95, 100)
_MOST_OPENINGS, _MOST_REASONS = 10, 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Length:
    """How long captions are, in one unit: the mean, and the quantiles of QUANTILES."""

    unit: str
    mean: float
    quantiles: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionReport:
    """Everything that a report of captions says."""

    name: str
    pictures: int
    planned: int
    """units of work, and how many of them are there"""
    done: int
    statuses: dict[str, int]
    usable: int
    reasons: dict[str, int]
    """of what is not usable; twins counted as one reason"""
    reviewed: dict[str, int]
    clip_counted: int
    """usable captions whose CLIP tokens are known"""
    clip_cut: int
    """of these, how many have more than 77"""
    lengths: tuple[Length, ...]
    """of the usable captions"""
    openings: tuple[tuple[str, int], ...]

    @property
    def cut_share(self) -> float:
        """Share of captions that 77 tokens cut; not a number where nobody counted."""
        return self.clip_cut / self.clip_counted if self.clip_counted else float("nan")


def caption_report(
    record: CaptionRecord, rows: Sequence[CaptionRow], planned: int, done: int
) -> CaptionReport:
    """The report of gathered rows."""
    usable = [row for row in rows if row.status in USABLE]
    texts = [row.caption or "" for row in usable]
    counts = Counter(row.status for row in rows)
    reasons = Counter(_reason(row) for row in rows if row.status not in USABLE)
    counted = [row.clip_tokens for row in usable if row.clip_tokens is not None]
    lengths = [_length("words", [len(one.split()) for one in texts])]
    lengths.append(_length("CLIP tokens", counted))
    return CaptionReport(
        name=record.name,
        pictures=len(rows),
        planned=planned,
        done=done,
        statuses={one: counts[one] for one in CAPTION_STATUSES if counts[one]},
        usable=len(usable),
        reasons=dict(sorted(reasons.items(), key=lambda one: (-one[1], one[0]))),
        reviewed=dict(sorted(Counter(row.review for row in rows if row.review).items())),
        clip_counted=len(counted),
        clip_cut=sum(bool(row.clip_cut) for row in usable),
        lengths=tuple(one for one in lengths if one is not None),
        openings=tuple(openings(texts, _MOST_OPENINGS)),
    )


def report_text(report: CaptionReport, record: CaptionRecord) -> str:
    """The report as Markdown."""
    settings = record.settings
    lead = [
        f"{report.pictures:,} pictures in {report.done:,} of {report.planned:,} units of work; "
        f"{report.usable:,} captions are usable.",
        f"Asked by template `{settings.template}`, at most {settings.max_new_tokens} tokens, "
        f"greedily, in {settings.dtype}. Captions are a model's words about pictures; they may be "
        "wrong about people, and none is a fact about anybody.",
    ]
    return page(f"Captions of {report.name}", list(_tables(report)), lead)


def _tables(report: CaptionReport) -> list[Table]:
    total = max(report.pictures, 1)
    shares = [(one, f"{n:,}", percent(n / total)) for one, n in report.statuses.items()]
    tables = [_table("What became of the pictures", ("status", "captions", "share"), shares)]
    if report.reasons:
        told = [(why, f"{count:,}") for why, count in list(report.reasons.items())[:_MOST_REASONS]]
        tables.append(_table("Why not usable", ("reason", "captions"), told))
    if report.clip_counted:
        cut = (f"{report.clip_cut:,} of {report.clip_counted:,}", percent(report.cut_share))
        note = "Stable Diffusion 1.5 reads 77 tokens, with begin and end; the rest is never seen."
        tables.append(_table("Cut at 77 CLIP tokens", ("captions", "share"), [cut], note))
    head = ("of usable captions", "mean", *(f"{one} %" for one in QUANTILES))
    rows = [(one.unit, f"{one.mean:.1f}", *map("{:g}".format, one.quantiles))
            for one in report.lengths]  # fmt: skip
    if rows:
        tables.append(_table("Lengths", head, rows))
        said = [(f"{words} ...", f"{count:,}") for words, count in report.openings]
        tables.append(_table("Most frequent openings", ("first words", "captions"), said))
    if report.reviewed:
        told = [(action, f"{count:,}") for action, count in report.reviewed.items()]
        tables.append(_table("Decided in review", ("action", "captions"), told))
    return tables


def _table(
    title: str, head: tuple[str, ...], rows: Sequence[tuple[str, ...]], note: str = ""
) -> Table:
    return Table(title=title, head=head, rows=tuple(rows), num_words=1, note=note)


def _reason(row: CaptionRow) -> str:
    return "duplicate" if row.status == "duplicate" else row.reason or row.status


def _length(unit: str, values: Sequence[int]) -> Length | None:
    if not values:
        return None
    quantiles = np.percentile(values, QUANTILES, method="nearest")
    return Length(unit=unit, mean=float(np.mean(values)), quantiles=tuple(map(float, quantiles)))
