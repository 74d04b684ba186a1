"""The painter: independent of company and processor, true to its shares, with a gap of its size."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import fields, replace
from itertools import pairwise, product

import numpy as np
import pytest

from models.generators.procedural.chance import blurred, noise_tile, windows_of
from models.generators.procedural.painter import (
    PAINTER_REVISION,
    gap_strengths,
    paint_pairs,
    paint_source,
    paint_target,
    paint_teacher,
)
from models.generators.procedural.people import NAME_EFFECT, People, draw_people
from models.generators.procedural.portrait import paint_portrait
from schemas.truth import ETHNICITIES, GENDERS, HAIR_STYLES

BASELINE = "A professional business portrait"


def prompts(count: int) -> list[str]:
    return [f"A professional portrait of Name Number{n}" for n in range(count)]


def high_pass(pictures: np.ndarray, where: np.ndarray) -> np.ndarray:
    """What a blur over neighbours takes away, per picture, where the mask is."""
    grey = pictures.astype(np.float64).mean(axis=3)
    around = sum(np.roll(grey, step, axis) for axis in (1, 2) for step in (-1, 1)) / 4
    return (np.abs(grey - around) * where).sum(axis=(1, 2)) / where.sum(axis=(1, 2))


def covered(people: People, size_px: int) -> np.ndarray:
    """Where the person is and not the background; a pixel or two inside."""
    portrait = paint_portrait(people, size_px)
    person = np.maximum(np.maximum(portrait.skin, portrait.strands), portrait.clothes) > 0.9
    for axis, step in product((1, 2), (-2, -1, 1, 2)):
        person &= np.roll(person, step, axis)
    return person


@pytest.mark.parametrize("size_px", [64, 96, 128, 512])
def test_a_picture_does_not_depend_on_its_company(size_px: int) -> None:
    count = 9
    people = draw_people(prompts(count), range(count))
    sources, targets = paint_pairs(people, range(100, 100 + count), size_px)
    for n in reversed(range(count)):
        alone = draw_people(prompts(count)[n : n + 1], [n])
        source, target = paint_pairs(alone, [100 + n], size_px)
        assert np.array_equal(source[0], sources[n])
        assert np.array_equal(target[0], targets[n])
    assert np.array_equal(paint_source(people, size_px), sources)
    assert np.array_equal(paint_target(people, range(100, 100 + count), size_px), targets)


def test_the_pictures_of_this_revision_do_not_change() -> None:
    """A change here needs another PAINTER_REVISION: old datasets must not go on with it."""
    people = draw_people([*prompts(7), BASELINE], range(8))
    pairs = paint_pairs(people, range(8), 64, 1.0, "shuffled")
    digests = [hashlib.sha256(pictures.tobytes()).hexdigest()[:16] for pictures in pairs]
    assert (PAINTER_REVISION, digests) == ("3", ["befe5e0f07d368cd", "c79cbd5d42005788"])


@pytest.mark.parametrize("size_px", [64, 80, 96, 128, 192, 256, 512])
def test_below_a_narrow_chin_nothing_is_divided_by_zero(size_px: int) -> None:
    """Small heads whose jaw narrows to exactly nothing at the middle of one row of the picture."""
    count = 48
    people = draw_people(prompts(count), range(count))
    row = np.float32((2 * (0.88 * size_px // 1) + 1) / size_px - 1)
    heads = np.linspace(0.463, 0.50, count, dtype=np.float32)
    down = (row - (people.shift_y - np.float32(0.10))) * (1 / heads)
    jaw = np.maximum((np.float32(0.42) - 1 / (down * down)) / np.float32(0.30), 0)
    narrow = replace(people, height=heads, jaw=jaw.astype(np.float32))
    with np.errstate(divide="raise", invalid="raise", over="raise"):
        paint_source(narrow, size_px)


def test_no_person_brings_a_warning() -> None:
    """Thousands of people, in every floating-point respect that numpy tells."""
    count = 4000
    with warnings.catch_warnings(), np.errstate(divide="raise", invalid="raise", over="raise"):
        warnings.simplefilter("error")
        people = draw_people(prompts(count), range(count))
        pictures = paint_pairs(people, range(count), 64, 1.0, "shuffled")
    for painted in pictures:
        assert painted.std(axis=(1, 2, 3)).min() > 10


def test_everything_is_single_precision() -> None:
    """Double precision anywhere would be slow, and no other test would tell."""
    people = draw_people(prompts(4), range(4))
    whole_numbers = {
        "gender",
        "age",
        "age_group",
        "ethnicity",
        "hair_style",
        "collar",
        "beard_shape",
    }
    for field in fields(People):
        if field.name not in whole_numbers:
            assert getattr(people, field.name).dtype == np.float32, field.name
    portrait = paint_portrait(people, 64)
    for part in ("canvas", "skin", "strands", "clothes"):
        assert getattr(portrait, part).dtype == np.float32, part


def test_the_last_part_of_a_tile_can_be_cut_out() -> None:
    tile = noise_tile(129, "test")
    ends = np.array([0, 1 - 2**-24], np.float32)
    first, last = windows_of(tile, ends, ends, 64, 64)
    assert np.array_equal(first, tile[:64, :64])
    assert np.isin(last, tile).all()


def test_a_mean_goes_around_at_the_end() -> None:
    tile = noise_tile(8, "test")
    for axis in (0, 1):
        wanted = sum(np.roll(tile, step, axis) for step in range(3)) / 3
        assert np.allclose(blurred(tile, axis, 3), wanted, atol=1e-6)


def test_no_gap_means_the_same_bytes() -> None:
    people = draw_people(prompts(16), range(16))
    for kind in ("constant", "shuffled"):
        source, target = paint_pairs(people, range(16), 64, 0.0, kind)
        assert np.array_equal(source, target)


@pytest.mark.parametrize("size_px", [64, 256])
def test_the_gap_grows_with_its_parameter_and_is_consistent(size_px: int) -> None:
    count = 24
    people = draw_people(prompts(count), range(count))
    person, gaps = covered(people, size_px), []
    for gap in (0.5, 1.0, 2.0):
        source, target = paint_pairs(people, range(count), size_px, gap)
        gaps.append(high_pass(target, person) - high_pass(source, person))
    for smaller, larger in pairwise(gaps):
        assert (larger > smaller).all()
    assert gaps[1].std() / gaps[1].mean() < 0.6
    _, shuffled = paint_pairs(people, range(count), size_px, 1.0, "shuffled")
    spread = high_pass(shuffled, person) - high_pass(source, person)
    assert spread.std() / spread.mean() > 1.3 * gaps[1].std() / gaps[1].mean()


@pytest.mark.parametrize("size_px", [64, 256])
def test_behind_a_person_a_target_is_smoother_than_its_source(size_px: int) -> None:
    """No grain that is laid over all of a source makes a target of it."""
    people = draw_people(prompts(24), range(24))
    source, target = paint_pairs(people, range(24), size_px)
    behind = np.zeros(source.shape[:3], bool)
    behind[:, 2 : size_px // 5, 2 : size_px // 5] = True
    assert (high_pass(target, behind) < 0.6 * high_pass(source, behind)).all()


def test_shuffled_gaps_are_spread_around_the_parameter() -> None:
    drawn = gap_strengths(range(4000), 1.0, "shuffled")
    assert (drawn.min() >= 0, drawn.max() < 2) == (True, True)
    assert abs(drawn.mean() - 1) < 0.03
    assert set(gap_strengths(range(5), 1.0, "constant")) == {1.0}


def test_a_target_is_slightly_moved() -> None:
    """The best match of a target lies within a pixel or so, and not always at none."""
    people = draw_people(prompts(1) * 24, [0] * 24)  # one person, moved 24 times
    source, target = paint_pairs(people, range(24), 64)
    one = source[0].astype(np.float64).mean(axis=2)
    best = set()
    for moved in target.astype(np.float64).mean(axis=3):
        misfit = {
            (dy, dx): np.abs(np.roll(one, (dy, dx), (0, 1)) - moved)[4:-4, 4:-4].mean()
            for dy in range(-2, 3)
            for dx in range(-2, 3)
        }
        best.add(min(misfit, key=misfit.__getitem__))
    assert len(best) >= 4
    assert all(abs(dy) <= 1 and abs(dx) <= 1 for dy, dx in best)


@pytest.mark.parametrize(
    ("named", "genders", "groups", "ethnicities"),
    [
        (False, (0.73, 0.27), (0.61, 0.39, 0.0), (0.12, 0.01, 0.01, 0.26, 0.02, 0.59)),
        (True, (0.60, 0.40), (0.40, 0.58, 0.02), (0.10, 0.05, 0.04, 0.08, 0.02, 0.70)),
    ],
)
def test_attributes_follow_the_papers_table(
    named: bool, genders: tuple, groups: tuple, ethnicities: tuple
) -> None:
    count = 20_000
    people = draw_people(prompts(count) if named else [BASELINE] * count, range(count))
    for shares, found in (
        (genders, people.gender),
        (groups, people.age_group),
        (ethnicities, people.ethnicity),
    ):
        wanted = np.array(shares) / sum(shares)
        seen = np.bincount(found, minlength=len(shares)) / count
        assert np.abs(seen - wanted).max() < 0.012
    assert (people.age >= 18).all()
    assert (people.age < 80).all()


def test_a_name_mostly_gives_the_same_attributes_again() -> None:
    """Of two pictures of one name, both follow the name in 0.75² of the cases, else by chance."""
    names = prompts(4000)
    first, second = draw_people(names, range(4000)), draw_people(names, range(4000, 8000))
    same = (first.gender == second.gender).mean()
    chance = 0.6**2 + 0.4**2
    assert abs(same - (NAME_EFFECT**2 + (1 - NAME_EFFECT**2) * chance)) < 0.03
    strangers = draw_people([BASELINE] * 4000, range(4000))
    others = draw_people([BASELINE] * 4000, range(4000, 8000))
    assert abs((strangers.gender == others.gender).mean() - (0.73**2 + 0.27**2)) < 0.03


def test_different_people_look_different() -> None:
    count = 32
    pictures = paint_source(draw_people(prompts(count), range(count)), 64).astype(np.float64)
    for n in range(count):
        apart = np.abs(pictures - pictures[n]).mean(axis=(1, 2, 3))
        assert np.sort(apart)[1] > 4  # levels, to the most similar other


def test_truth_can_be_seen() -> None:
    """Darker tones give darker faces, and a teacher shows the attributes that it is said to."""
    people = draw_people(prompts(64), range(64))
    faces = paint_source(people, 64)[:, 34:38, 26:38].mean(axis=(1, 2, 3))
    bare = (people.beard == 0) & (people.glasses == 0)
    assert np.corrcoef(people.skin_tone[bare], faces[bare])[0, 1] < -0.9
    assert (people.beard[people.gender == GENDERS.index("woman")] == 0).all()
    assert people.skin_tone[people.ethnicity == ETHNICITIES.index("black")].min(initial=1) > 0.7
    teachers = paint_teacher(prompts(4), range(50, 54), 64)
    assert np.array_equal(
        teachers, paint_target(draw_people(prompts(4), range(50, 54)), range(50, 54), 64)
    )


def test_hair_is_painted_as_the_truth_says() -> None:
    """Bald heads are bare, long hair lies beside the neck, a beard is where one is worn."""
    count = 400
    people = draw_people(prompts(count), range(count))
    hair = paint_portrait(people, 64).strands
    crown, cheek = hair[:, 12, 32], hair[:, 42, 8:24].max(axis=1)
    chin = hair[:, 36:46, 30:34].max(axis=(1, 2))
    style = np.array(HAIR_STYLES)[people.hair_style]
    for name in HAIR_STYLES:
        assert (style == name).sum() >= 8, name
    assert crown[style == "bald"].max() < 0.36
    assert crown[style != "bald"].mean() > 0.9
    assert cheek[style == "long"].min() > 0.9
    bare = people.beard == 0
    assert cheek[np.isin(style, ("bald", "short")) & bare].max() < 0.1
    assert chin[bare].max() < 0.01
    assert chin[people.beard > 0.3].min() > 0.05
    assert np.corrcoef(people.beard[~bare], chin[~bare])[0, 1] > 0.5


@pytest.mark.parametrize("size_px", [0, 48, 65, 100, 4096])
def test_sizes_that_cannot_be_painted(size_px: int) -> None:
    with pytest.raises(ValueError, match=f"size_px = {size_px}: should be a multiple of 16"):
        paint_source(draw_people(prompts(2), range(2)), size_px)
