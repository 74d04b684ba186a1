"""Who is left out of a selection, and in which order that is decided."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from schemas.sample import Stage
from tasks import choose_samples as module
from tasks.audit.population import Population
from tasks.choose_samples import Wish, choose_samples

# Two alike, and one that is like neither.
FACES = np.array([[1, 0.01], [1, 0], [0, 1]], np.float32)


def people(stage: Stage, **changes: Any) -> Population:
    count = len(FACES)
    made = Population(
        label="set",
        stage=stage,
        ids=tuple("abc"[:count]),
        statuses={"ok": count},
        counted=np.ones(count, bool),
        codes={},
        probabilities={},
        ages=np.full(count, 30.0),
        embeddings=FACES,
        sharpness=np.full(count, 9.0),
        hashes=np.zeros(count, np.int64),
        has_hash=np.zeros(count, bool),
    )
    return replace(made, **changes)


def reasons(monkeypatch: pytest.MonkeyPatch, wish: Wish, *every: Population) -> dict[str, Any]:
    monkeypatch.setattr(module, "populations", lambda *_: list(every))
    table = choose_samples(pa.table({}), "set", wish).table
    return dict(zip(table["id"].to_pylist(), table["reason"].to_pylist(), strict=True))


@pytest.mark.parametrize("blurred", [0, 1])
@pytest.mark.parametrize("seed", range(4))
def test_of_two_alike_the_sharp_one_is_kept(
    blurred: int, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sharpness = np.full(3, 9.0)
    sharpness[blurred] = 1.0
    wish = Wish(min_sharpness=5, near_cosine=0.95, seed=seed)
    told = reasons(monkeypatch, wish, people("target", sharpness=sharpness))
    assert told == {"a": None, "b": None, "c": None} | {"ab"[blurred]: "sharpness below 5"}


@pytest.mark.parametrize("seed", range(4))
def test_of_two_alike_and_fit_one_is_kept(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    told = reasons(monkeypatch, Wish(near_cosine=0.95, seed=seed), people("target"))
    assert told["c"] is None
    assert sorted(map(str, (told["a"], told["b"]))) == [
        "None",
        "near-duplicate, cosine at least 0.95",
    ]


def test_both_pictures_of_a_pair_have_to_show_a_face(monkeypatch: pytest.MonkeyPatch) -> None:
    sources = people("source", counted=np.array([True, False, True]))
    targets = people("target", counted=np.array([False, True, True]))
    assert reasons(monkeypatch, Wish(), sources, targets) == {
        "a": "no single sure face",
        "b": "no single sure face in the source",
        "c": None,
    }
