"""Settings of a command line: what they mean, and that they are told like those of a file."""

from __future__ import annotations

import pytest

from schemas.config import DatasetConfig
from schemas.overrides import merged, parse_overrides, paths


@pytest.mark.parametrize(
    ("words", "tables"),
    [
        ("--seed 3", {"seed": 3}),
        ("--seed=3", {"seed": 3}),
        ("--seed three", {"seed": "three"}),
        ("--fractions 0.1 -1", {"fractions": [0.1, -1]}),
        ("--fractions 0.1", {"fractions": [0.1]}),
        ("--fractions", {"fractions": []}),
        ("--dataset.size-px 64 --dataset.count 8", {"dataset": {"size_px": 64, "count": 8}}),
        ("--dataset.stages source", {"dataset": {"stages": ["source"]}}),
        # What is text stays text, also when it looks like a number.
        ("--stage.source.revision 1", {"stage": {"source": {"revision": "1"}}}),
        ("--stage.target.strength none", {"stage": {"target": {"strength": None}}}),
        ("--stage.target.strength 0.5", {"stage": {"target": {"strength": 0.5}}}),
        # A field of either kind of generator.
        ("--generator.gap 0.5", {"generator": {"gap": 0.5}}),
        ("--generator.dtype float32", {"generator": {"dtype": "float32"}}),
        ("--no.such.thing 1", {"no": {"such": {"thing": 1}}}),
        ("", {}),
    ],
)
def test_words_become_tables(words: str, tables: dict) -> None:
    assert parse_overrides(DatasetConfig, words.split()) == tables


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("7", "'7': belongs to no option"),
        ("--seed", "--seed: takes one value, 0 are given"),
        ("--seed 1 2", "--seed: takes one value, 2 are given"),
        ("--dataset 1 --dataset.count 2", "--dataset.count: dataset has a value already"),
    ],
)
def test_words_that_mean_nothing(words: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        parse_overrides(DatasetConfig, words.split())


def test_merging_replaces_values_and_keeps_their_neighbours() -> None:
    tables = {"a": {"b": 1, "c": 2}, "d": 3}
    assert merged(tables, {"a": {"b": 9}, "e": 4}) == {"a": {"b": 9, "c": 2}, "d": 3, "e": 4}
    assert tables == {"a": {"b": 1, "c": 2}, "d": 3}
    assert list(paths({"a": {"b": 1}, "d": 3})) == [("a", "b"), ("d",)]
