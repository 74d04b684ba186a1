"""Rows of captions: gathered, decided, told apart from twins, read by id, and reported."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from schemas.caption import (
    CAPTION_SCHEMA,
    CaptionRecord,
    CaptionRow,
    CaptionSettings,
    CaptionStatus,
    ReviewDecision,
)
from schemas.records import to_table
from schemas.run import FileIdentity
from shards.encoding import parquet_bytes
from shards.record_file import publish_record
from shards.run import read_generator
from tasks.captions.decisions import (
    COLUMNS,
    caption_key,
    keep_decisions,
    kept_decisions,
    read_decisions,
    settled,
)
from tasks.captions.file import caption_record, read_captions
from tasks.captions.report import caption_report, report_text
from tasks.captions.sidecars import JOURNAL, Sidecars, write_sidecars

RECORD = CaptionRecord(
    name="faces",
    dataset=None,
    stage=None,
    photos=FileIdentity(sha256="0" * 64, rows=4),
    settings=CaptionSettings(model="m", question="What?", clip_tokenizer="sd"),
    weights={"model.safetensors": "ab"},
    clip={"vocab.json": "cd"},
    refusals="1",
    code="c",
    libraries={},
)


def row(
    name: str, caption: str | None, status: CaptionStatus = "ok", tokens: int | None = 9
) -> CaptionRow:
    return CaptionRow(
        id=name,
        shard="pictures/shard-000000",
        path=f"in/{name}.png",
        picture_sha256=None,
        status=status,
        reason=None if status == "ok" else f"why {status}",
        caption=caption,
        said=caption,
        num_tokens=None if caption is None else len(caption.split()),
        clip_tokens=None if caption is None else tokens,
        clip_cut=None if caption is None or tokens is None else tokens > 77,
        review=None,
        captioner="f",
    )


ROWS = [
    row("a", "A man who smiles."),
    row("b", "a man, who smiles"),
    row("c", "I cannot.", "refusal"),
    row("d", "A woman in a long", "cut_off", 120),
    row("e", None, "error"),
    row("f", "A MAN who smiles!"),
]


def decided(name: str, action: str, caption: str = "", reason: str = "") -> ReviewDecision:
    of = next(one.caption for one in ROWS if one.id == name)
    return ReviewDecision(
        id=name, action=action, caption=caption, reason=reason, of=caption_key(of)
    )  # type: ignore[arg-type]


def settle(*decisions: ReviewDecision) -> dict[str, CaptionRow]:
    def count(texts: Sequence[str]) -> list[int]:
        return [100 * len(text.split()) for text in texts]

    return {one.id: one for one in settled(ROWS, {one.id: one for one in decisions}, count)}


def published(root: Path, rows: Sequence[CaptionRow] = ROWS) -> Path:
    root.mkdir(exist_ok=True)
    if not (root / "captions.json").exists():
        publish_record(root / "captions.json", RECORD)
    (root / "rows.parquet").write_bytes(parquet_bytes(to_table(rows, CAPTION_SCHEMA)))
    return root


def test_twins_come_after_the_first_of_them() -> None:
    found = settle()
    assert {name: one.status for name, one in found.items()} == {
        "a": "ok", "b": "duplicate", "c": "refusal", "d": "cut_off", "e": "error", "f": "duplicate"
    }  # fmt: skip
    assert found["b"].reason == found["f"].reason == "says the same as a"


def test_decisions_decide() -> None:
    found = settle(
        decided("a", "reject", reason="guesses"),
        decided("f", "accept"),
        decided("c", "edit", "A sign that reads: I cannot."),
        decided("d", "accept"),
    )
    assert (found["a"].status, found["a"].reason) == ("rejected", "rejected: guesses")
    # The first of the twins is gone, so that the next one stands; an accepted one is no twin.
    assert found["b"].status == "ok"
    assert (found["f"].status, found["f"].review) == ("ok", "accept")
    edited = found["c"]
    assert (edited.caption, edited.status) == ("A sign that reads: I cannot.", "ok")
    assert (edited.said, edited.clip_tokens, edited.clip_cut) == ("I cannot.", 600, True)
    assert (found["d"].status, found["d"].clip_cut) == ("ok", True)


def test_an_edit_that_nobody_can_count_says_so() -> None:
    (edited,) = settled([ROWS[2]], {"c": decided("c", "edit", "New")}, None)
    assert (edited.clip_tokens, edited.clip_cut) == (None, None)


def test_decisions_are_kept_and_newer_ones_win(tmp_path: Path) -> None:
    rows = {one.id: one for one in ROWS}
    assert kept_decisions(tmp_path) == {}
    assert keep_decisions(tmp_path, [decided("a", "reject"), decided("b", "accept")], rows) == 2
    assert keep_decisions(tmp_path, [decided("a", "accept")], rows) == 2
    assert {name: one.action for name, one in kept_decisions(tmp_path).items()} == {
        "a": "accept",
        "b": "accept",
    }
    (tmp_path / "review.json").write_text("[{}]")
    with pytest.raises(ValueError, match=r"review\.json: is damaged: .*; take it from a backup"):
        kept_decisions(tmp_path)


def test_decisions_about_others_are_refused(tmp_path: Path) -> None:
    rows = {one.id: one for one in ROWS}
    with pytest.raises(ValueError, match="id 'z': has no caption here"):
        keep_decisions(tmp_path, [replace(decided("a", "accept"), id="z")], rows)
    with pytest.raises(ValueError, match="id 'a': is decided twice, accept and reject"):
        keep_decisions(tmp_path, [decided("a", "accept"), decided("a", "reject")], rows)
    with pytest.raises(ValueError, match="id 'e': its picture cannot be read"):
        keep_decisions(tmp_path, [replace(decided("a", "accept"), id="e")], rows)
    with pytest.raises(ValueError, match="id 'b': was decided of another caption"):
        keep_decisions(tmp_path, [replace(decided("a", "accept"), id="b")], rows)
    assert not (tmp_path / "review.json").exists()


def write_csv(path: Path, *rows: Sequence[str], columns: Sequence[str] = COLUMNS) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns, *rows])
    return path


def test_files_of_the_page_are_read(tmp_path: Path) -> None:
    line = ["k", "a", "edit", 'Says "hi",\nand smiles', "", "of"]
    wanted = ReviewDecision(
        id="a", action="edit", caption='Says "hi", and smiles', reason="", of="of"
    )
    assert read_decisions(write_csv(tmp_path / "r.csv", line), "k") == [wanted]
    told = {"decisions": [dict(zip(COLUMNS, line, strict=True))]}
    (tmp_path / "r.json").write_text(json.dumps(told))
    assert read_decisions(tmp_path / "r.json", "k") == [wanted]
    (tmp_path / "list.json").write_text(json.dumps(told["decisions"]))
    assert read_decisions(tmp_path / "list.json", "k") == [wanted]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("captions,id\nk,a\n", "has no column 'action'"),
        (f"{','.join(COLUMNS)}\nk,a,accept\n", "line 2: is cut short"),
        (f"{','.join(COLUMNS)}\nother,a,accept,,,o\n", "is about the captions 'other', not these"),
        (f"{','.join(COLUMNS)}\nk,a,keep,,,o\n", "line 2: action 'keep': should be accept, reject"),
        (f"{','.join(COLUMNS)}\nk,a,edit, ,,o\n", "edits 'a' to nothing; reject it instead"),
        ("{", "is damaged"),
        ("{}", "has no list of decisions"),
        ("[1]", "line 1: should have captions, id, action"),
        ("\udcff", "is no text in UTF-8"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "review").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ValueError, match=told):
        read_decisions(tmp_path / "review", "k")


def test_captions_are_read_by_id(tmp_path: Path) -> None:
    root = published(tmp_path / "captions", list(settle().values()))
    found = read_captions(root, ["d", "a"])
    assert list(found.texts.items()) == [("d", "A woman in a long"), ("a", "A man who smiles.")]
    assert found.missing == {}
    told = (
        r"4 of 5 samples have no usable caption \(1 duplicate, 1 error, 1 not captioned, 1 refusal"
        r"\), for example 'b'; review"
    )
    wanted = ["a", "b", "c", "e", "z"]
    with pytest.raises(ValueError, match=told):
        read_captions(root, wanted)
    skipped = read_captions(root, wanted, missing="skip")
    assert skipped.texts == {"a": "A man who smiles."}
    assert skipped.missing == {"duplicate": 1, "error": 1, "not captioned": 1, "refusal": 1}
    assert read_captions(root, ["b"], take=("ok", "duplicate")).texts["b"] == "a man, who smiles"
    with pytest.raises(ValueError, match="has no usable caption of any of these 1 samples"):
        read_captions(root, ["c"], missing="skip")


def test_captions_of_other_pictures_are_refused(tmp_path: Path, finished: Path) -> None:
    root = published(tmp_path / "captions")
    with pytest.raises(ValueError, match="its captions are of other pictures than those of"):
        read_captions(root, ["a"], dataset=finished)
    generator = read_generator(finished)
    assert generator is not None
    of_sources = replace(RECORD, dataset=generator.fingerprint(), stage="source", photos=None)
    publish_record(tmp_path / "captions.json", of_sources)
    published(tmp_path)
    of_them = {"dataset": finished, "stage": "source"}
    assert read_captions(tmp_path, ["a"], **of_them).texts  # type: ignore[arg-type]
    for other in ("target", None):
        told = rf"its captions are of the stage 'source', .* are of {other!r}"
        with pytest.raises(ValueError, match=told):
            read_captions(tmp_path, ["a"], **of_them | {"stage": other})  # type: ignore[arg-type]
    (tmp_path / "captions.json").unlink()
    with pytest.raises(ValueError, match=r"has no captions\.json; make captions with"):
        caption_record(tmp_path)


def write_texts(root: Path, rows: Sequence[CaptionRow], folder: Path) -> Sidecars:
    *_, told = write_sidecars(root, rows, folder)
    return told


def test_texts_lie_beside_their_pictures(tmp_path: Path) -> None:
    root, folder = published(tmp_path / "captions"), tmp_path / "texts"
    rows = list(settle().values())
    assert write_texts(root, rows, folder) == Sidecars(written=2, foreign=[])
    assert {str(one.relative_to(folder)) for one in folder.rglob("*")} == {
        "in", "in/a.txt", "in/d.txt"
    }  # fmt: skip
    assert (folder / "in/a.txt").read_text() == "A man who smiles.\n"
    assert write_texts(root, rows, folder) == Sidecars(there=2, foreign=[])
    # Of a dataset's sample the id is the name.
    write_texts(root, [replace(rows[0], path=None)], folder)
    assert (folder / "a.txt").exists()


def test_files_of_others_stay(tmp_path: Path) -> None:
    root, folder = published(tmp_path / "captions"), tmp_path / "texts"
    (folder / "in").mkdir(parents=True)
    (folder / "in/a.txt").write_text("somebody's")
    (folder / "in/c.txt").write_text("somebody's too")
    rows = list(settle().values())
    assert write_texts(root, rows, folder) == Sidecars(written=1, foreign=["in/a.txt"])
    assert (folder / "in/a.txt").read_text() == "somebody's"
    # One that was written here and changed by hand since is somebody's as well.
    (folder / "in/d.txt").write_text("A woman in a long dress.\n")
    assert write_texts(root, rows, folder).foreign == ["in/a.txt", "in/d.txt"]
    # In another folder the same name is another file.
    other = tmp_path / "other"
    (other / "in").mkdir(parents=True)
    (other / "in/d.txt").write_text("A woman in a long\n")
    assert write_texts(root, rows, other) == Sidecars(written=1, there=1, foreign=[])


def test_texts_follow_a_review(tmp_path: Path) -> None:
    root, folder = published(tmp_path / "captions"), tmp_path / "texts"
    write_texts(root, list(settle().values()), folder)
    after = settle(decided("a", "reject"), decided("d", "edit", "A woman."))
    told = write_texts(root, list(after.values()), folder)
    assert told == Sidecars(written=2, removed=1, foreign=[])
    assert {one.name for one in folder.rglob("*.txt")} == {"b.txt", "d.txt"}
    assert (folder / "in/d.txt").read_text() == "A woman.\n"


def test_a_line_that_a_crash_cut_short_is_no_claim(tmp_path: Path) -> None:
    root, folder = published(tmp_path / "captions"), tmp_path / "texts"
    write_texts(root, ROWS[:1], folder)
    with (root / JOURNAL).open("ab") as journal:
        journal.write(b'{"folder": "/tex')
    assert write_texts(root, [ROWS[0], ROWS[3]], folder) == Sidecars(written=1, there=1, foreign=[])


def test_the_report_counts_everything() -> None:
    rows = list(settle(decided("d", "accept")).values())
    report = caption_report(RECORD, rows, 3, 2)
    assert report.statuses == {"ok": 2, "refusal": 1, "duplicate": 2, "error": 1}
    assert (report.pictures, report.usable, report.planned, report.done) == (6, 2, 3, 2)
    assert report.reasons == {"duplicate": 2, "why error": 1, "why refusal": 1}
    assert (report.clip_counted, report.clip_cut, report.cut_share) == (2, 1, 0.5)
    words, tokens = report.lengths
    assert (words.unit, words.mean, words.quantiles[0], words.quantiles[-1]) == ("words", 4.5, 4, 5)
    assert (tokens.unit, tokens.mean) == ("CLIP tokens", 64.5)
    assert report.openings == (("a man who", 1), ("a woman in", 1))
    text = report_text(report, RECORD)
    for line in (
        "6 pictures in 2 of 3 units of work; 2 captions are usable.",
        "| duplicate | 2 | 33.3 % |",
        "| 1 of 2 | 50.0 % |",
        "| words | 4.5 | 4 | 4 | 4 | 4 | 5 | 5 | 5 |",
        "| accept | 1 |",
    ):
        assert line in text, line


def test_a_report_of_nothing_is_one() -> None:
    report = caption_report(RECORD, [row("e", None, "error")], 1, 1)
    assert (report.usable, report.lengths, report.openings) == (0, (), ())
    assert "Cut at 77" not in report_text(report, RECORD)
