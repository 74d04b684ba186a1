"""What `relume caption` writes and says about what it made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from workflows.console import Console, counted, duration

if TYPE_CHECKING:
    from schemas.caption import CaptionRecord
    from tasks.captions.report import CaptionReport

_MOST_OPENINGS = 5


def write_report(root: Path, report: CaptionReport, record: CaptionRecord) -> None:
    """Write report.json and report.md, each whole at every moment."""
    from shards.encoding import json_bytes
    from tasks.captions.report import report_text
    from tasks.report_place import REPORT, TEXT, staged_report

    with staged_report(root) as place:
        (place / REPORT).write_bytes(json_bytes(asdict(report)))
        (place / TEXT).write_text(report_text(report, record), encoding="utf-8")


def tell(
    console: Console,
    report: CaptionReport,
    speed: Mapping[str, float],
    sidecars: Mapping[str, int | list[str]],
) -> None:
    """Say what there is now, and how fast it came."""
    console.heading(
        f"{report.name}: {report.usable:,} usable captions of {counted(report.pictures, 'picture')}"
    )
    facts = {one.replace("_", " "): f"{count:,}" for one, count in report.statuses.items()}
    facts |= {f"  {why}": f"{count:,}" for why, count in report.reasons.items() if " " in why}
    if report.clip_counted:
        told = f"{report.clip_cut:,} of {report.clip_counted:,}, {report.cut_share:.1%}"
        facts["cut at 77 CLIP tokens"] = told
    for length in report.lengths:
        low, middle, high = (length.quantiles[at] for at in (1, 3, 5))
        facts[length.unit] = f"median {middle:g}, 90 % from {low:g} to {high:g}"
    if speed:
        told = f"{speed['per_second']:,.2f} pictures a second in {duration(speed['seconds'])}"
        alone = f"{speed['per_second_and_worker']:,.2f} a worker without what loading takes"
        facts["speed"] = f"{told}, {alone}"
    if sidecars:
        there = ("written", "there", "removed")
        facts["text files"] = ", ".join(f"{sidecars[one]} {one}" for one in there)
    console.facts(facts)
    if report.openings:
        said = [(f"{words} ...", f"{n:,}") for words, n in report.openings[:_MOST_OPENINGS]]
        console.table(("most frequent openings", "captions"), said)
