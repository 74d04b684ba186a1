"""`relume names` as a person uses it."""

from __future__ import annotations

import errno
import gzip
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from benchmarks.name_basics import people, principals, ratings, write
from schemas.name import NAME_SCHEMA
from schemas.records import check_record
from workflows.cli import main

ROWS = 3000


@pytest.fixture(scope="module")
def imdb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("imdb") / "name.basics.tsv.gz"
    write(path, people(ROWS, 0))
    write(path.with_name("title.principals.tsv.gz"), principals(ROWS, 0))
    write(path.with_name("title.ratings.tsv.gz"), ratings(ROWS, 0))
    return path


def names(imdb: Path, out: Path, *options: str, count: str = "100") -> int:
    return main(["names", str(imdb), "--out", str(out), "--count", count, *options])


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_writes_the_record_and_says_where_the_rows_went(
    imdb: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "names.parquet"
    assert names(imdb, out) == 0
    printed = capsys.readouterr()
    assert "name.basics.tsv.gz: 3,000 rows" in printed.out
    assert "dropped: none of the professions" in printed.out
    assert "names.parquet (" in printed.out
    assert "100 of " in printed.out
    assert printed.err == ""
    table = pq.read_table(out)
    check_record(table.schema, NAME_SCHEMA, "names")
    assert len(table) == len(set(table["name"].to_pylist())) == 100
    assert json.loads(table.schema.metadata[b"relume.choice"])["seed"] == 0
    assert left_in(tmp_path) == ["names.parquet"]


def test_json_adds_up(imdb: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert names(imdb, tmp_path / "names.parquet", "--json", count="all") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["num_read"] == ROWS == sum(said["dropped"].values()) + said["num_distinct"]
    assert said["num_chosen"] == said["num_distinct"] == len(pq.read_table(said["out"]))


def test_a_smaller_count_is_the_beginning_of_a_larger_one(imdb: Path, tmp_path: Path) -> None:
    few, many = tmp_path / "few.parquet", tmp_path / "many.parquet"
    assert names(imdb, few, count="10") == names(imdb, many, count="200") == 0
    assert pq.read_table(few).equals(pq.read_table(many).slice(0, 10))


def test_a_published_file_never_changes(
    imdb: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "names.parquet"
    assert names(imdb, out) == 0
    before = out.read_bytes()
    assert names(imdb, out) == 0
    assert "it was there already" in capsys.readouterr().out
    assert names(imdb, out, "--seed", "1") == 2
    assert "holds other names" in capsys.readouterr().err
    assert out.read_bytes() == before
    assert left_in(tmp_path) == ["names.parquet"]


def test_too_many_names_says_how_many_there_are(
    imdb: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert names(imdb, tmp_path / "names.parquet", "--json", count="99999") == 2
    printed = capsys.readouterr()
    distinct = json.loads(printed.out)["num_distinct"]
    assert f"only {distinct} distinct names" in printed.err
    assert f"take --count {distinct} or fewer" in printed.err
    assert left_in(tmp_path) == []


def test_filters_by_votes_read_both_tables(
    imdb: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tables = [
        *("--principals", str(imdb.with_name("title.principals.tsv.gz"))),
        *("--ratings", str(imdb.with_name("title.ratings.tsv.gz"))),
    ]
    kept = []
    for limits in (["--min-votes", "50"], ["--max-votes", "49"], ["--min-votes", "0"]):
        out = tmp_path / f"{limits[0]}{limits[1]}.parquet"
        assert names(imdb, out, *limits, *tables, count="all") == 0
        kept.append(set(pq.read_table(out)["nconst"].to_pylist()))
    capsys.readouterr()
    # Two people of one name may stand on different sides.
    assert kept[2] <= kept[0] | kept[1]
    assert min(map(len, kept)) > 50


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--professions", "actres"], "did you mean 'actress'?"),
        (["--born-from", "2000", "--born-to", "1990"], "nobody is in this range"),
        (["--max-votes", "10"], "--principals: is missing; --min-votes and --max-votes need"),
        (["--max-votes", "10", "--principals", "p.gz"], "--ratings: is missing"),
        (["--ratings", "r.gz"], "--ratings = r.gz: needs --min-votes or --max-votes"),
        (["--max-votes", "1", "--principals", "p", "--ratings", "r"], "p: cannot be read"),
        (["--count", "ten"], "--count = ten: should be a whole number from 1, or all"),
        (["--cuont", "0"], "--cuont: unknown option, did you mean '--count'?"),
        (["--count", "0"], "--count = 0: should be a whole number from 1, or all"),
        (["--count", "-5"], "--count = -5: should be a whole number from 1, or all"),
    ],
)
def test_wrong_options_are_one_line(
    imdb: Path,
    tmp_path: Path,
    options: list[str],
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert names(imdb, tmp_path / "names.parquet", *options) == 2
    printed = capsys.readouterr()
    assert words in printed.err
    assert printed.err.count("\n") == 1
    assert left_in(tmp_path) == []


def test_bad_files_are_one_line(
    imdb: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = {
        "cut short": imdb.read_bytes()[:20_000],
        "not gzip": b"<html>Not found</html>",
        "column 'nconst' is missing": imdb.with_name("title.ratings.tsv.gz").read_bytes(),
        "is empty": b"",
        "column 'primaryName' is missing": gzip.compress(b"nconst\tname\n"),
        "only 0 distinct names": gzip.compress(
            b"nconst\tprimaryName\tbirthYear\tdeathYear\tprimaryProfession\tknownForTitles\n"
        ),
    }
    path, out = tmp_path / "bad.gz", tmp_path / "names.parquet"
    for words, content in bad.items():
        path.write_bytes(content)
        assert names(path, out) == 2
        error = capsys.readouterr().err
        assert words in error
        assert str(path) in error
        assert error.count("\n") == 1
    assert left_in(tmp_path) == ["bad.gz"]


def test_bad_places_are_named_before_the_file_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    absent, other = tmp_path / "absent.tsv.gz", tmp_path / "other.parquet"
    other.write_text("something else")
    for out, words in (
        (tmp_path / "no" / "names.parquet", "does not exist; make it first"),
        (tmp_path, "is a folder; name a file in it"),
        (other, "exists and is no names file"),
    ):
        assert names(absent, out) == 2
        assert words in capsys.readouterr().err
    assert left_in(tmp_path) == ["other.parquet"]


def test_a_read_only_folder_is_refused(
    imdb: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if os.geteuid() == 0:  # root may write anywhere, so the system's answer is put in its mouth

        def refuse(*_: object, **__: object) -> None:
            raise PermissionError(errno.EACCES, "Permission denied")

        monkeypatch.setattr(Path, "touch", refuse)
    else:
        tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    assert names(imdb, tmp_path / "names.parquet") == 2
    assert "cannot be written (Permission denied); choose another --out" in capsys.readouterr().err
    tmp_path.chmod(stat.S_IRWXU)
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("call", ["write", "fsync", "link"])
def test_a_full_disk_leaves_nothing_behind(
    imdb: Path,
    tmp_path: Path,
    call: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, call, full)
    assert names(imdb, tmp_path / "names.parquet") == 1
    error = capsys.readouterr().err
    assert "No space left on device; nothing published is lost; make room" in error
    assert left_in(tmp_path) == []


def test_runs_as_a_module(imdb: Path, tmp_path: Path) -> None:
    out = tmp_path / "names.parquet"
    command = [sys.executable, "-m", "workflows.names", str(imdb), "--out", str(out)]
    done = subprocess.run(
        [*command, "--count", "5"], capture_output=True, text=True, check=False, cwd=Path.cwd()
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(pq.read_table(out)) == 5
