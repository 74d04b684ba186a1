"""The choice of names, held against a small plain Python version of the rule."""

from __future__ import annotations

import gzip
import itertools
import random
import re
import tempfile
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.name import NAME_SCHEMA
from schemas.name_rule import NameRule
from tasks.choose_names import Summary, TooFewNamesError, choose_names
from tasks.names import best as best_names
from tasks.names.name_hash import hash_names, ordered_by
from tasks.names.votes import Votes, read_person_votes

HEADER = "nconst\tprimaryName\tbirthYear\tdeathYear\tprimaryProfession\tknownForTitles"
Row = tuple[str, str, str, str, str, str]


def person(number: int, name: str, professions: str = "actor", born: str = r"\N") -> Row:
    return (f"nm{number:07d}", name, born, r"\N", professions, r"\N")


def write(folder: Path, rows: Iterable[Sequence[str] | bytes]) -> Path:
    path = folder / "name.basics.tsv.gz"
    lines = [row if isinstance(row, bytes) else "\t".join(row).encode() for row in rows]
    path.write_bytes(gzip.compress(b"\n".join([HEADER.encode(), *lines, b""])))
    return path


def choose(path: Path, count: int | None = None, **options: Any) -> tuple[list[Any], Summary]:
    rule = options.pop("rule", NameRule())
    table, summary = choose_names(path, rule, count=count, seed=options.pop("seed", 0), **options)
    assert table.schema.equals(NAME_SCHEMA, check_metadata=True)
    table.validate(full=True)
    assert summary.num_read == sum(summary.dropped.values()) + summary.num_distinct
    return table.to_pylist(), summary


def names_of(path: Path, **options: Any) -> set[str]:
    return {row["name"] for row in choose(path, **options)[0]}


# A release that changes these changes every draw that was ever made.
PLACES_OF_SEED_7 = [
    13197412608711306638,
    16219481524805678945,
    10231230747658574244,
    10641002083697339905,
]


# The reference: one row at a time, with Python's own Unicode and a hash of plain integers.

CONTROL = re.compile(
    "[\0-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffd\ue000-\uf8ff\U000e0000-\U000e007f\U000f0000-\U0010ffff]"
)
WORD = 2**64


def reference_hash(name: str) -> int:
    def mixed(value: int) -> int:
        value = value * 0xBF58476D1CE4E5B9 % WORD
        return value ^ value >> 32

    text = name.encode()
    value = len(text) * 0x9E3779B97F4A7C15 % WORD
    for begin in range(0, max(len(text), 1), 8):
        value = mixed(value ^ int.from_bytes(text[begin : begin + 8], "little"))
    return value


def reference(rows: Iterable[Row]) -> tuple[dict[str, str], Counter[str]]:
    """The nconst of every eligible name, and why the other rows are dropped."""
    best: dict[str, str] = {}
    dropped: Counter[str] = Counter()
    for nconst, name, born, _, professions, _ in rows:
        cleaned = " ".join(re.split(r"[\s]+", unicodedata.normalize("NFC", name))).strip()
        if not {"actor", "actress"} & set(professions.split(",")):
            dropped["profession"] += 1
        elif not re.fullmatch(r"\\N|\d{1,4}", born):
            dropped["unreadable"] += 1
        elif name in (r"\N", ""):
            dropped["nameless"] += 1
        elif CONTROL.search(name):
            dropped["control"] += 1
        elif not cleaned:
            dropped["nameless"] += 1
        elif " " not in cleaned:
            dropped["one_word"] += 1
        elif cleaned in best:
            dropped["duplicate"] += 1
            best[cleaned] = min(best[cleaned], nconst, key=lambda text: int(text[2:]))
        else:
            best[cleaned] = nconst
    return best, dropped


LETTERS = st.sampled_from(
    [
        *"aB1.'/\\<>-\"",
        *(" ", "  ", "\u00a0", "\u3000", "\u2003"),
        *("\u00e9", "e\u0301", "\u0301", "\u00c5", "\u212b", "\u00f8", "\uac00", "\u1100\u1161"),
        *("\u0644", "\u05d9", "\u200d", "\u202e", "\u00ad", "\x7f", "\x85"),
    ]
)
NAMES = st.one_of(
    st.sampled_from(["Ann Lee", "Ann  Lee", "Renée Fu", "Rene\u0301e Fu", "Cher", r"\N", ""]),
    st.lists(LETTERS, max_size=12).map("".join),
)
ROWS = st.lists(
    st.builds(
        person,
        st.integers(1, 20_000_000),
        NAMES,
        st.sampled_from(["actor", "actress", "writer,actor", "voice_actor", "actors", "", r"\N"]),
        st.sampled_from([r"\N", r"\N", "1980", "64", "unknown", "19 80"]),
    ),
    max_size=40,
)


@settings(max_examples=150)
@given(rows=ROWS, block_bytes=st.sampled_from([200, 1000, 1 << 20]), seed=st.integers(0, 3))
def test_agrees_with_the_reference(rows: list[Row], block_bytes: int, seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder), rows)
        chosen, summary = choose(path, seed=seed, block_bytes=block_bytes)
    best, dropped = reference(rows)
    assert {row["name"]: row["nconst"] for row in chosen} == best
    assert {reason: num for reason, num in summary.dropped.items() if num} == dict(dropped)
    assert summary.num_distinct == summary.num_chosen == len(best)
    assert all(unicodedata.is_normalized("NFC", name) for name in best)


@settings(max_examples=50)
@given(rows=ROWS, shuffle=st.randoms(use_true_random=False), seed=st.integers(0, 3))
def test_order_count_and_block_size_change_nothing(
    rows: list[Row], shuffle: random.Random, seed: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        everything, _ = choose(write(Path(folder), rows), seed=seed)
        mixed = [*rows, *rows[:5]]
        shuffle.shuffle(mixed)
        path = write(Path(folder), mixed)
        for count in {1, len(everything) // 2, len(everything)} - {0}:
            if count <= len(everything):
                chosen, _ = choose(path, count, seed=seed, block_bytes=300)
                assert chosen == everything[:count]


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = random.Random(1)
    words = ["".join(rng.choices("abcdefgh", k=4)) for _ in range(90)]
    rows = [
        person(number, f"{rng.choice(words)} {rng.choice(words)}", born=str(1900 + number % 100))
        for number in range(1, 6001)
    ]
    rng.shuffle(rows)
    return write(tmp_path_factory.mktemp("crowd"), rows)


def test_bounded_merging_gives_the_same_names(crowd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    everything, summary = choose(crowd, block_bytes=1 << 20)
    assert summary.dropped["duplicate"] > 500
    monkeypatch.setattr(best_names, "MERGE_ROWS", 50)
    for count in (1, 10, 1000, summary.num_distinct):
        chosen, again = choose(crowd, count, block_bytes=500)
        assert chosen == everything[:count]
        assert replace(again, num_chosen=0) == replace(summary, num_chosen=0)


def test_names_of_one_hash_are_all_kept_and_ordered_by_name(
    crowd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything, _ = choose(crowd)
    monkeypatch.setattr(
        "tasks.names.eligible_people.hash_names", lambda names: np.zeros(len(names), np.uint64)
    )
    chosen, _ = choose(crowd, block_bytes=500)
    assert [row["name"] for row in chosen] == sorted(row["name"] for row in everything)
    assert sorted(chosen, key=str) == sorted(everything, key=str)


def test_another_seed_is_another_draw(crowd: Path) -> None:
    first, second = (choose(crowd, 500, seed=seed)[0] for seed in (0, 1))
    _, summary = choose(crowd)
    common = len({row["name"] for row in first} & {row["name"] for row in second})
    assert common == pytest.approx(500 * 500 / summary.num_distinct, rel=0.4)


def test_the_draw_is_the_same_for_ever() -> None:
    names = pa.array(["Ann Lee", "Renée Fu", "", "a name that is longer than sixteen bytes"])
    assert hash_names(names).tolist() == [reference_hash(name) for name in names.to_pylist()]
    assert ordered_by(hash_names(names), 7).tolist() == PLACES_OF_SEED_7
    assert hash_names(names[1:3]).tolist() == hash_names(names).tolist()[1:3]


def test_hashes_spread_evenly() -> None:
    names = pa.array([f"Name {first} {second}" for first in range(300) for second in range(300)])
    places = ordered_by(hash_names(names), 0)
    assert len(np.unique(places)) == len(names)
    for shift in (0, 20, 40, 56):
        buckets = np.bincount((places >> np.uint64(shift)).astype(np.int64) & 255, minlength=256)
        # 90,000 in 256 buckets: 352 each, with a standard deviation of 19.
        assert 260 < buckets.min() < buckets.max() < 450


def test_the_lowest_number_bears_the_name(tmp_path: Path) -> None:
    numbers = (10_000_000, 10, 9, 9_999_999)
    for order in itertools.permutations(numbers):
        path = write(tmp_path, [person(number, "Ann Lee") for number in order])
        assert [row["nconst"] for row in choose(path)[0]] == ["nm0000009"]


def test_a_row_holds_what_imdb_says(tmp_path: Path) -> None:
    path = write(tmp_path, [person(7, "Rene\u0301e  Fu", "writer,actress,producer", "1975")])
    assert choose(path)[0] == [
        {
            "nconst": "nm0000007",
            "name": "Ren\u00e9e Fu",
            "birth_year": 1975,
            "professions": ["writer", "actress", "producer"],
        }
    ]


@pytest.mark.parametrize(
    "name",
    [
        '"Weird" Al',
        'Ann "Ace',
        "../../etc passwd",
        "A. B.",
        "<script>alert(1)</script> Lee",
        "محمد علي",
        "נועם לוי",
        "Ze\u200dro Width",
        "'; DROP TABLE names; --",
        "=cmd|' /C calc'!A0",
        "C:\\temp \\N",
    ],
)
def test_strange_names_stay_as_they_are(tmp_path: Path, name: str) -> None:
    assert names_of(write(tmp_path, [person(1, name)])) == {unicodedata.normalize("NFC", name)}


@pytest.mark.parametrize("mark", ["\u202e", "\u200f", "\u2066", "\0", "\x1b", "\x85", "\ufeff"])
def test_control_and_direction_characters_drop_a_name(tmp_path: Path, mark: str) -> None:
    chosen, summary = choose(write(tmp_path, [person(1, f"Ann{mark} Lee"), person(2, "Bo Xu")]))
    assert [row["name"] for row in chosen] == ["Bo Xu"]
    assert summary.dropped["control"] == 1


def test_rows_that_cannot_be_read_are_counted(tmp_path: Path) -> None:
    rows: list[Row | bytes] = [
        person(1, "Bo Xu"),
        b"nm0000002\ttab\tin name\t\\N\t\\N\tactor\t\\N",
        b"nm0000003\ttoo few\t\\N\t\\N\tactor",
        b"nm0000004\tnot \xff utf\t\\N\t\\N\tactor\t\\N",
        b"nm0000005\tnot utf\t\\N\t\\N\tactor,\xff\t\\N",
        b"tt0000006\tanother kind\t\\N\t\\N\tactor\t\\N",
        b"nm0000007\tno year\tMCMXC\t\\N\tactor\t\\N",
        b"nm0000008\tno year\t99999\t\\N\tactor\t\\N",
        b"\\N\t\\N\t\\N\t\\N\t\\N\t\\N",
    ]
    chosen, summary = choose(write(tmp_path, rows))
    assert [row["name"] for row in chosen] == ["Bo Xu"]
    assert (summary.dropped["malformed"], summary.dropped["unreadable"]) == (2, 5)
    assert summary.dropped["profession"] == 1


def test_nulls_everywhere_choose_nobody(tmp_path: Path) -> None:
    path = write(tmp_path, [(r"\N",) * 6] * 50)
    assert choose(path)[1].dropped["profession"] == 50
    with pytest.raises(TooFewNamesError, match=r"only 0 distinct names .* see what was dropped"):
        choose(path, 1)


def test_too_few_names_says_how_many_there_are(crowd: Path) -> None:
    _, summary = choose(crowd)
    with pytest.raises(TooFewNamesError, match=f"take --count {summary.num_distinct} or fewer"):
        choose(crowd, summary.num_distinct + 1)


def test_filters_by_years(tmp_path: Path) -> None:
    rows = [person(year, f"Born {year}", born=str(year)) for year in (1899, 1900, 1950, 1951)]
    dead = ("nm0000001", "Late Star", "1920", "1999", "actor", r"\N")
    path = write(tmp_path, [*rows, dead, person(2, "No Year")])
    between = names_of(path, rule=NameRule(born_from=1900, born_to=1950))
    assert between == {"Born 1900", "Born 1950", "Late Star"}
    assert "Late Star" not in names_of(path, rule=NameRule(alive=True))
    _, summary = choose(path, rule=NameRule(born_to=1900, alive=True))
    assert (summary.num_distinct, summary.dropped["born"], summary.dropped["dead"]) == (2, 4, 0)


def test_filters_by_profession_as_whole_words(tmp_path: Path) -> None:
    professions = ("voice_actor", "stunts", "writer,stunts,actor", "actors", "special_effects")
    path = write(tmp_path, [person(1 + n, f"P {p}", p) for n, p in enumerate(professions)])
    assert names_of(path) == {"P writer,stunts,actor"}
    stunts = names_of(path, rule=NameRule(professions=("stunts",)))
    assert stunts == {"P stunts", "P writer,stunts,actor"}


def write_votes(folder: Path) -> tuple[Path, Path]:
    principals, ratings = folder / "principals.tsv.gz", folder / "ratings.tsv.gz"
    credits = [("tt1", "nm0000001"), ("tt2", "nm0000001"), ("tt2", "nm0000002"), ("tt9", "nm3")]
    rest = ["actor", r"\N", '["An "Owl""]']
    lines = ["\t".join([title, "1", who, *rest]) for title, who in credits]
    lines += ["tt1\t1\tnobody\tactor\t\\N\t\\N", "short"]
    text = "\n".join(["tconst\tordering\tnconst\tcategory\tjob\tcharacters", *lines])
    principals.write_bytes(gzip.compress(text.encode()))
    ratings.write_bytes(
        gzip.compress(b"tconst\taverageRating\tnumVotes\ntt1\t5.0\t100\ntt2\t6.1\t900\ntt3\t1\t\\N")
    )
    return principals, ratings


def test_votes_are_the_most_of_any_title(tmp_path: Path) -> None:
    votes = read_person_votes(*write_votes(tmp_path))
    assert votes.of(np.array([1, 2, 3, 4])).tolist() == [900, 900, 0, 0]
    empty = Votes(np.empty(0, np.int64), np.empty(0, np.int64))
    assert empty.of(np.array([1, 2])).tolist() == [0, 0]


def test_filters_by_votes(tmp_path: Path) -> None:
    votes = read_person_votes(*write_votes(tmp_path))
    path = write(tmp_path, [person(1, "Well Known"), person(3, "Un Known"), person(4, "No Title")])
    assert names_of(path, rule=NameRule(min_votes=900), votes=votes) == {"Well Known"}
    few = names_of(path, rule=NameRule(max_votes=899), votes=votes)
    assert few == {"Un Known", "No Title"}
    with pytest.raises(ValueError, match=r"need title\.principals"):
        choose(path, rule=NameRule(min_votes=1))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"professions": ("actr",)}, "did you mean 'actor'"),
        ({"professions": ()}, "professions = .*: should be at least 1 long"),
        ({"born_from": 1990, "born_to": 1980}, "born_from = 1990, born_to = 1980"),
        ({"min_votes": -1}, "min_votes = -1: should be at least 0"),
        ({"min_votes": 5, "max_votes": 4}, "swap the two"),
    ],
)
def test_a_rule_that_nobody_can_pass_is_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        NameRule(**fields)
