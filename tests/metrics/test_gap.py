"""Gaps and closures where the truth is known: how near, and how often an interval holds it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from metrics.frechet import frechet_distance
from metrics.gap import GapTable, Halves, gap_table, square_root_slack
from metrics.same_prompts import same_prompt_rows
from metrics.subsampling import error, parts, without_bias

WIDTH = 6


@dataclass(frozen=True)
class World:
    """A source, a head that goes `way` of the road, and a target, in features of known moments.

    Each prompt has content that all its pictures share; what the target adds beside a shift and a
    mixing of it is chance. Contents have heavy tails, so no distance of samples is of Gaussians.
    """

    way: float
    shift: np.ndarray
    mixing: np.ndarray
    chance: float = 0.6

    @property
    def scale(self) -> np.ndarray:
        return np.exp(-np.arange(WIDTH) / 3)

    def rows(self, rng: np.random.Generator, num: int) -> dict[str, np.ndarray]:
        """Sources, outputs, targets and teacher's pictures of as many prompts."""
        wide = np.where(rng.random((num, 1)) < 0.3, 1.6, np.sqrt((1 - 0.3 * 2.56) / 0.7))
        content = rng.normal(size=(num, WIDTH)) * wide * self.scale
        made = {"source": content}
        for name, way in (("head", self.way), ("target", 1.0)):
            noise = rng.normal(size=(num, WIDTH)) * self.scale * self.chance
            made[name] = content + way * (content @ self.mixing + self.shift + noise)
        return made

    def distance(self, way: float) -> float:
        """The true distance to the target of what goes this way."""
        means, roots, spreads = [], [], []
        for one in (way, 1.0):
            move = np.eye(WIDTH) + one * self.mixing
            spread = move.T @ np.diag(self.scale**2) @ move
            spreads.append(spread + np.diag((one * self.chance * self.scale) ** 2))
            means.append(one * self.shift)
            values, vectors = np.linalg.eigh(spreads[-1])
            roots.append(vectors * np.sqrt(values) @ vectors.T)
        both = np.linalg.eigvalsh(roots[0] @ spreads[1] @ roots[0])
        apart = float(np.square(means[0] - means[1]).sum())
        return apart + float(np.trace(spreads[0] + spreads[1])) - 2 * float(np.sqrt(both).sum())

    @property
    def closure(self) -> float:
        return 1 - self.distance(self.way) / self.distance(0)


def world(way: float) -> World:
    rng = np.random.default_rng(11)
    shift = 0.7 * np.exp(-np.arange(WIDTH) / 3) * rng.normal(size=WIDTH)
    return World(way, shift, 0.25 * rng.normal(size=(WIDTH, WIDTH)) / np.sqrt(WIDTH))


def halves(there: World, seed: int, num: int) -> dict[str, Halves]:
    rng = np.random.default_rng(seed)
    a, b = there.rows(rng, num), there.rows(rng, num)
    return {name: Halves(a[name], b[name]) for name in a}


def table(there: World, seed: int, num: int = 300, draws: int = 60) -> GapTable:
    rows = halves(there, seed, num)
    reference = rows.pop("target")
    return gap_table(rows, reference, draws=draws, seed=seed)


@pytest.mark.parametrize("way", [0.5, 0.8])
def test_95_percent_intervals_hold_the_truth_in_90_to_98_of_100(way: float) -> None:
    there = world(way)
    found = [table(there, seed).rows[1] for seed in range(200)]
    for name in ("closure", "floor_corrected"):
        told = [getattr(row, name) for row in found]
        assert all(told), "the gap is large enough to be told"
        held = np.mean([one.low <= there.closure <= one.high for one in told])
        assert 0.90 <= held <= 0.98, (name, held)
        # And without bias beyond a quarter of an error.
        off = np.mean([one.value for one in told]) - there.closure
        assert abs(off) < 0.25 * np.mean([one.error for one in told]), name
    infinite = [row.infinity for row in found]
    held = np.mean([one.low <= there.distance(way) <= one.high for one in infinite])
    assert 0.90 <= held <= 0.985


def test_what_the_protocol_forbids_is_wrong() -> None:
    """A bootstrap with replacement, and the plain ratio of distances between other prompts."""
    there = world(0.5)
    truth = there.distance(0)
    held, plain = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        a, b = there.rows(rng, 80), there.rows(rng, 80)
        again = [
            frechet_distance(
                a["source"][rng.integers(0, 80, 80)], b["target"][rng.integers(0, 80, 80)]
            )
            for _ in range(60)
        ]
        low, high = np.quantile(again, [0.025, 0.975])
        held.append(low <= truth <= high)
        to_head = frechet_distance(a["head"], b["target"])
        plain.append(1 - to_head / frechet_distance(a["source"], b["target"]))
    assert np.mean(held) < 0.7
    assert np.mean(plain) < there.closure - 0.05


def test_the_ends_of_the_scale() -> None:
    there = world(0.5)
    rows = halves(there, 0, 400)
    target = rows.pop("target")
    found = gap_table({**rows, "target": target}, target, draws=40)
    by_name = {row.name: row for row in found.rows}
    assert list(by_name) == ["source", "head", "target"]
    source, copy = by_name["source"], by_name["target"]
    assert source.closure is not None
    assert (source.closure.value, source.closure.error) == pytest.approx((0, 0), abs=1e-12)
    assert source.by_direction == pytest.approx((0, 0))
    assert copy.floor_corrected is not None
    assert copy.floor_corrected.value == pytest.approx(1)
    assert copy.floor_corrected.error == pytest.approx(0, abs=1e-12)
    # A copy of the target is as far from the target of other prompts as targets are.
    assert copy.distance == found.floor.distance
    assert copy.closure is not None
    assert copy.closure.low < 1 < copy.closure.high
    assert copy.infinity.low < 0 < copy.infinity.high
    assert (found.num_a, found.num_b, found.width, found.draws) == (400, 400, WIDTH, 40)
    assert not found.cautions


def test_the_order_of_halves_and_of_rows_changes_nothing() -> None:
    rows = halves(world(0.5), 1, 120)
    target = rows.pop("target")
    one = gap_table(rows, target, draws=20, seed=4)
    assert gap_table(dict(reversed(rows.items())), target, draws=20, seed=4).rows[::-1] == one.rows
    swapped = {name: Halves(row.b, row.a) for name, row in rows.items()}
    other = gap_table(swapped, Halves(target.b, target.a), draws=20, seed=4)
    assert other.rows[1].distance.value == pytest.approx(one.rows[1].distance.value)
    assert one.rows[1].by_direction is not None
    assert other.rows[1].by_direction is not None


def test_where_there_is_no_gap_no_share_of_it_is_told() -> None:
    there = world(0.5)
    rng = np.random.default_rng(5)
    rows = {
        name: Halves(there.rows(rng, 200)["target"], there.rows(rng, 200)["target"])
        for name in ("source", "head")
    }
    reference = Halves(there.rows(rng, 200)["target"], there.rows(rng, 200)["target"])
    found = gap_table(rows, reference, draws=40)
    assert all(row.closure is None and row.by_direction is None for row in found.rows)
    assert any("too near 0" in told for told in found.cautions)


def test_too_few_prompts_are_told() -> None:
    rng = np.random.default_rng(0)

    def of(num: int, width: int) -> GapTable:
        sets = [Halves(rng.normal(size=(num, width)), rng.normal(size=(num, width))) for _ in "sd"]
        return gap_table({"source": sets[0]}, sets[1], draws=8)

    assert "16 pictures for 32 features" in of(16, 32).cautions[0]
    told = of(40, 32).cautions[0]
    assert "a quarter of the prompts is 10 pictures for 32 features" in told
    assert "at least 132 prompts in each half" in told
    with pytest.raises(ValueError, match="6 prompts: give at least 8"):
        of(6, 4)


def test_rows_that_do_not_go_together() -> None:
    rows = halves(world(0.5), 2, 20)
    target = rows["target"]
    with pytest.raises(ValueError, match="none is 'source'"):
        gap_table({"head": rows["head"]}, target)
    with pytest.raises(ValueError, match="is the reference itself"):
        gap_table({"source": target, "reference": target}, target)
    cut = Halves(target.a[:-1], target.b)
    with pytest.raises(ValueError, match=r"row 'head': .*\(19, 6\).*same prompts"):
        gap_table({"source": target, "head": cut}, target)
    narrow = Halves(target.a, target.b[:, :3])
    with pytest.raises(ValueError, match="6 features in test-A, 3 in test-B"):
        gap_table({"source": narrow}, narrow)


def test_square_roots_keep_the_triangle_inequality() -> None:
    rows = halves(world(0.5), 3, 100)
    s, x, d = (rows[name].a for name in ("source", "head", "target"))
    three = frechet_distance(x, s), frechet_distance(x, d), frechet_distance(s, d)
    assert square_root_slack(*three) >= 0
    # The paper's own row of its best head, and the same with a digit lost.
    assert square_root_slack(0.75, 0.34, 0.37) == pytest.approx(0.325, abs=1e-3)
    assert square_root_slack(0.75, 0.034, 0.037) < 0


def test_parts_are_disjoint_and_use_every_prompt_alike() -> None:
    found = list(parts([12, 17], 4, 8, seed=1))
    assert len(found) == 8
    for begin in (0, 4):
        for group, size in enumerate((3, 4)):
            together = np.concatenate([part[group] for part in found[begin : begin + 4]])
            assert len(set(together.tolist())) == len(together) == 4 * size
    assert [tuple(map(tuple, one)) for one in parts([12, 17], 4, 8, seed=1)] == [
        tuple(map(tuple, one)) for one in found
    ]


def test_bias_and_error_of_statistics_that_are_known() -> None:
    truth, num = 3.0, 400
    biased = [truth + 5 / n + 70 / n**2 for n in (num, num // 2, num // 4)]
    assert without_bias(biased[0], biased[1:], num) == pytest.approx(truth)
    # The square of a mean is quadratic where the mean is 0, and linear where it is large.
    for mean in (0.0, 10.0):
        rng = np.random.default_rng(7)
        errors, values = [], []
        for _ in range(120):
            drawn = rng.normal(mean, 1, 64)
            by_cut = [
                np.array([drawn[part].mean() ** 2 for (part,) in parts([64], cut, 400, 0)])
                for cut in (2, 4)
            ]
            errors.append(error(by_cut, 64))
            values.append(drawn.mean() ** 2)
        assert np.mean(np.square(errors)) ** 0.5 == pytest.approx(np.std(values), rel=0.25)


def test_the_papers_block_of_the_same_prompts() -> None:
    rows = world(0.5).rows(np.random.default_rng(8), 200)
    found = same_prompt_rows({"head": rows["head"]}, rows["source"], rows["target"], draws=40)
    source, target, head = found
    assert [row.name for row in found] == ["source", "target", "head"]
    assert source.to_source is target.to_target is source.difference is None
    assert source.to_target is not None
    assert target.to_source is not None
    assert source.to_target.value == pytest.approx(target.to_source.value)
    assert head.to_source is not None
    assert head.to_target is not None
    assert head.difference is not None
    assert head.to_source.value == pytest.approx(frechet_distance(rows["head"], rows["source"]))
    assert head.to_target.value == pytest.approx(frechet_distance(rows["head"], rows["target"]))
    assert head.difference.value == pytest.approx(head.to_source.value - head.to_target.value)
    assert 0 < head.difference.error < 1
    with pytest.raises(ValueError, match=r"row 'x': .*\(199, 6\)"):
        same_prompt_rows({"x": rows["head"][1:]}, rows["source"], rows["target"])
