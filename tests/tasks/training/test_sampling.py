"""Which pictures a step sees: every one once an epoch, in the company that was asked for."""

from __future__ import annotations

import pyarrow as pa
import pytest

from schemas.train import Pairing
from tasks.training.sampling import Order, Slot, make_order, training_positions

# Two portraits of each name.
SAMPLES = pa.table(
    {
        "id": [f"id-{number}" for number in range(40)],
        "name": [f"name {number // 2}" for number in range(40)],
        "nconst": pa.array([None] * 40, pa.string()),
    }
)


def order(pairing: Pairing, batch_size: int = 4) -> Order:
    return make_order(SAMPLES, pairing, 3, batch_size, "test")


def epoch(order: Order, number: int = 0) -> list[Slot]:
    return [slot for step in range(order.num_steps) for slot in order.batch(number, step)]


@pytest.mark.parametrize("pairing", ["paired", "shuffled"])
def test_every_picture_comes_once_in_an_epoch_and_otherwise_in_the_next(pairing: Pairing) -> None:
    ours = order(pairing)
    first, second = epoch(ours), epoch(ours, 1)
    for side in ("source", "target"):
        places = [getattr(slot, side) for slot in first]
        assert sorted(places) == list(range(40))
        assert places != [getattr(slot, side) for slot in second]


def test_pairs_stay_together_with_the_same_crop_and_the_shuffled_do_not() -> None:
    for slot in epoch(order("paired")):
        assert (slot.source, slot.source_seed) == (slot.target, slot.target_seed)
    shuffled = epoch(order("shuffled"))
    # Of 40 that are drawn apart about one meets its own.
    assert sum(slot.source == slot.target for slot in shuffled) < 5
    assert all(slot.source_seed != slot.target_seed for slot in shuffled)


def test_disjoint_sides_share_no_name() -> None:
    ours = order("disjoint")
    assert len(ours.sources) + len(ours.targets) == 40
    names = SAMPLES["name"].to_pylist()
    sides = [{names[place] for place in side} for side in (ours.sources, ours.targets)]
    assert all(sides)
    assert not sides[0] & sides[1]
    for slot in epoch(ours):
        assert slot.source in ours.sources
        assert slot.target in ours.targets


def test_without_a_fraction_all_of_train_is_drawn_whatever_its_ranks() -> None:
    """A plan of a part has the ranks of the whole."""
    plan = pa.table({"id": ["a", "b", "c", "d"], "train_rank": [900, 3, 17, None]})
    assert training_positions(["a", "b", "c"], plan, None, None).tolist() == [1, 2, 0]
    assert training_positions(["a", "b", "c"], plan, 1.0, None).tolist() == [1]
    assert training_positions(["a", "b", "c"], plan, None, {"a", "c"}).tolist() == [2, 0]
