"""What people decided about captions: read from the page's file, kept beside them, applied.

The captions of the shards never change; decisions are applied whenever their rows are gathered.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, get_args

from models.captioner.clip_length import MOST_TOKENS
from schemas.caption import CaptionRow, ReviewAction, ReviewDecision
from shards import filesystem
from shards.encoding import json_bytes
from tasks.captions.texts import in_one_line, twin_key

DECISIONS = "review.json"
COLUMNS = ("captions", "id", "action", "caption", "reason", "of")
Count = Callable[[Sequence[str]], list[int]]


def caption_key(caption: str | None) -> str:
    """Digits that stand for a caption as it was made."""
    return hashlib.sha256((caption or "").encode()).hexdigest()[:12]


def read_decisions(path: Path, captions: str) -> list[ReviewDecision]:
    """The decisions in a CSV or JSON file of the page; ValueError where they are of others.

    `captions` is the fingerprint of the captions that they should be about.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{path}: is no text in UTF-8; save the page's file as it is") from None
    rows = _json_rows(path, text) if text.lstrip().startswith(("{", "[")) else _csv_rows(path, text)
    found: dict[str, ReviewDecision] = {}
    for number, row in rows:
        where = f"{path}: line {number}"
        if row["captions"] != captions:
            raise ValueError(
                f"{where}: is about the captions {row['captions']!r}, not these ({captions}); take "
                "the file that was saved from their page"
            )
        found[row["id"]] = _decision(where, row)
    return list(found.values())


def kept_decisions(root: Path) -> dict[str, ReviewDecision]:
    """The decisions that are kept beside captions, by id."""
    path = root / DECISIONS
    if not path.exists():
        return {}
    try:
        told = [ReviewDecision(**one) for one in json.loads(path.read_bytes())]
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: is damaged: {error}; take it from a backup") from None
    return {one.id: one for one in told}


def keep_decisions(
    root: Path, new: Sequence[ReviewDecision], rows: Mapping[str, CaptionRow]
) -> int:
    """Keep decisions beside the captions, newer ones for older ones; how many there are now.

    ValueError where one is about a caption that is not there, or two say different things of one.
    """
    decided: dict[str, ReviewDecision] = {}
    for one in new:
        if decided.setdefault(one.id, one) != one:
            raise ValueError(
                f"id {one.id!r}: is decided twice, {decided[one.id].action} and {one.action}; "
                "leave one out"
            )
        row = rows.get(one.id)
        if row is None:
            raise ValueError(f"id {one.id!r}: has no caption here; caption all of it first")
        if row.status == "error":
            raise ValueError(f"id {one.id!r}: its picture cannot be read, so it has no caption")
        if one.of != caption_key(row.caption):
            raise ValueError(f"id {one.id!r}: was decided of another caption than it has here")
    kept = kept_decisions(root) | {one.id: one for one in new}
    told = [asdict(kept[key]) for key in sorted(kept)]
    filesystem.replace_file(root, root / DECISIONS, filesystem.plain(json_bytes(told)))
    return len(kept)


def settled(
    rows: Iterable[CaptionRow], decisions: Mapping[str, ReviewDecision], count: Count | None
) -> list[CaptionRow]:
    """Rows as they stand after decisions, and twins after the first of them told apart."""
    reviewed = [_reviewed(row, decisions.get(row.id)) for row in rows]
    edited = [row for row in reviewed if row.review == "edit"]
    if count is not None:
        tokens = count([row.caption or "" for row in edited])
        counted = {row.id: one for row, one in zip(edited, tokens, strict=True)}
        reviewed = [_counted(row, counted.get(row.id)) for row in reviewed]
    # What a person has accepted is nobody's twin, wherever it stands.
    first = {twin_key(row.caption or ""): row.id for row in reversed(reviewed) if _stands(row)}
    return [_twin(row, first) for row in reviewed]


def _stands(row: CaptionRow) -> bool:
    return row.status in ("ok", "cut_off")


def _twin(row: CaptionRow, first: Mapping[str, str]) -> CaptionRow:
    if not _stands(row) or row.review is not None:
        return row
    other = first[twin_key(row.caption or "")]
    if other == row.id:
        return row
    return replace(row, status="duplicate", reason=f"says the same as {other}")


def _reviewed(row: CaptionRow, decision: ReviewDecision | None) -> CaptionRow:
    if decision is None:
        return row
    if decision.action == "reject":
        why = f"rejected: {decision.reason}" if decision.reason else "rejected"
        return replace(row, status="rejected", reason=why, review="reject")
    if decision.action == "accept":
        return replace(row, status="ok", reason=None, review="accept")
    # Nobody has counted these words yet.
    changed = replace(row, caption=decision.caption, clip_tokens=None, clip_cut=None)
    return replace(changed, status="ok", reason=None, review="edit")


def _counted(row: CaptionRow, tokens: int | None) -> CaptionRow:
    if tokens is None:
        return row
    return replace(row, clip_tokens=tokens, clip_cut=tokens > MOST_TOKENS)


def _decision(where: str, row: Mapping[str, str]) -> ReviewDecision:
    action = row["action"]
    if action not in get_args(ReviewAction):
        raise ValueError(f"{where}: action {action!r}: should be accept, reject or edit")
    caption = in_one_line(row["caption"])
    if action == "edit" and not caption:
        raise ValueError(f"{where}: edits {row['id']!r} to nothing; reject it instead")
    return ReviewDecision(
        id=row["id"],
        action=action,  # type: ignore[arg-type]
        caption=caption,
        reason=in_one_line(row["reason"]),
        of=row["of"],
    )


def _csv_rows(path: Path, text: str) -> list[tuple[int, dict[str, str]]]:
    reader = csv.DictReader(io.StringIO(text))
    lacking = [one for one in COLUMNS if one not in (reader.fieldnames or ())]
    if lacking:
        raise ValueError(f"{path}: has no column {lacking[0]!r}; save the page's file as it is")
    rows = []
    for row in reader:
        if any(row[one] is None for one in COLUMNS):
            raise ValueError(f"{path}: line {reader.line_num}: is cut short")
        rows.append((reader.line_num, {one: row[one] for one in COLUMNS}))
    return rows


def _json_rows(path: Path, text: str) -> list[tuple[int, dict[str, str]]]:
    try:
        told: Any = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{path}: is damaged: {error}; save the page's file again") from None
    if isinstance(told, dict):
        told = told.get("decisions")
    if not isinstance(told, list):
        raise ValueError(f"{path}: has no list of decisions; save the page's file as it is")
    for number, row in enumerate(told, 1):
        if not isinstance(row, dict) or any(not isinstance(row.get(one), str) for one in COLUMNS):
            raise ValueError(f"{path}: line {number}: should have {', '.join(COLUMNS)}, as text")
    return list(enumerate(told, 1))
