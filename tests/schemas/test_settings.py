"""Settings: every mistake at once, with path, value and the nearest right name."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Literal

import pytest
from annotated_types import Ge, Gt, Le, Lt
from hypothesis import given
from hypothesis import strategies as st

from schemas.config import dataset_config, read_preset
from schemas.mistakes import nearest
from schemas.settings import (
    FILLED,
    NON_NEGATIVE,
    as_plain,
    descriptions,
    read_toml,
    resolve,
    settings,
    tagged,
)


@settings
class Drawn:
    kind: Literal["drawn"] = "drawn"
    gap: Annotated[float, NON_NEGATIVE, Le(4)] = 1.0


@settings
class Learned:
    kind: Literal["learned"] = "learned"
    dtype: Literal["bfloat16", "float32"] = "bfloat16"


@settings
class Step:
    steps: Annotated[int, Ge(1)] = 3
    guidance: float | None = None
    share: Annotated[float, Gt(0), Lt(1)] = 0.5


@settings
class Whole:
    maker: Annotated[Drawn | Learned, tagged("kind")]
    stage: dict[Literal["source", "target"], Step]
    name: Annotated[str, FILLED]
    sizes: tuple[int, ...] = ()
    shares: Annotated[tuple[Annotated[float, Gt(0), Le(1)], ...], FILLED] = (0.5,)
    seed: int = 0

    @staticmethod
    def _not_five(seed: int) -> Iterator[str]:
        if seed == 5:
            yield "seed = 5: is not to be had"


GOOD = {"maker": {"kind": "drawn"}, "stage": {"source": {}}, "name": "x"}


def mistakes(tables: dict) -> list[str]:
    with pytest.raises(ValueError, match="mistake") as caught:
        resolve(Whole, tables, "my.toml")
    head, *lines = str(caught.value).split("\n")
    assert head == f"my.toml: {len(lines)} mistake" + ("s" if len(lines) > 1 else "")
    return [line.strip() for line in lines]


def test_every_mistake_is_told_at_once() -> None:
    found = mistakes(
        {
            "maker": {"kind": "drawn", "gap": 9, "gapp": 1},
            "stage": {"source": {"steps": 0, "stpes": 1, "guidance": "much"}, "sorce": {}},
            "sizes": [1, "two"],
            "seed": 1.5,
            "nmae": "x",
        }
    )
    assert sorted(found) == sorted(
        [
            "maker.gap = 9: should be less than or equal to 4",
            "maker.gapp = 1: unknown field; did you mean 'gap'?",
            "stage.source.steps = 0: should be greater than or equal to 1",
            "stage.source.stpes = 1: unknown field; did you mean 'steps'?",
            "stage.source.guidance = 'much': should be a valid number",
            "stage.sorce: unknown section; did you mean 'source'?",
            "sizes item 2 = 'two': should be a valid integer",
            "seed = 1.5: should be a valid integer",
            "name: is missing",
            "nmae = 'x': unknown field; did you mean 'name'?",
        ]
    )


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"maker": {"kind": "drown"}}, "maker.kind = 'drown': did you mean 'drawn'?"),
        ({"maker": {}}, "maker.kind: is missing; known here: drawn, learned"),
        ({"maker": 3}, "maker = 3: should be a table of settings"),
        (
            {"maker": {"kind": "learned", "dtype": "bf16"}},
            "maker.dtype = 'bf16': did you mean 'bfloat16'?",
        ),
        ({"stage": {"source": 4}}, "stage.source = 4: should be a table of settings"),
        ({"stage": [1]}, "stage = [1]: should be a table of settings"),
        ({"name": ""}, "name = '': should have at least 1 character"),
        ({"name": 3}, "name = 3: should be a valid string"),
        ({"seed": True}, "seed = True: should be a valid integer"),
        ({"seed": 5}, "seed = 5: is not to be had"),
        ({"seed": "1"}, "seed = '1': should be a valid integer"),
        (
            {"stage": {"source": {"guidance": True}}},
            "stage.source.guidance = True: should be a valid number",
        ),
        ({"sizes": 3}, "sizes = 3: should be a valid array"),
        ({"shares": []}, "shares = []: should have at least 1 item after validation, not 0"),
        ({"shares": [0.5, 2]}, "shares item 2 = 2: should be less than or equal to 1"),
        # Not told again as a list that is too short.
        ({"shares": ["half"]}, "shares item 1 = 'half': should be a valid number"),
        (
            {"maker": {"kind": "drawn", "gap": math.nan}},
            "maker.gap = nan: should be a finite number",
        ),
        (
            {"stage": {"source": {"guidance": math.inf}}},
            "stage.source.guidance = inf: should be a finite number",
        ),
        (
            {"zebra": 1},
            "zebra = 1: unknown field; known here: maker, name, seed, shares, sizes, stage",
        ),
    ],
)
def test_single_mistakes(change: dict, told: str) -> None:
    assert mistakes(GOOD | change) == [told]


def test_what_toml_users_write_is_taken() -> None:
    whole = resolve(
        Whole, GOOD | {"sizes": [1, 2], "stage": {"target": {"guidance": 3}}}, "my.toml"
    )
    assert whole.sizes == (1, 2)
    assert (whole.stage["target"].guidance, whole.stage["target"].steps) == (3.0, 3)
    assert resolve(Whole, as_plain(whole), "again") == whole


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("steps", 0, "steps = 0: should be at least 1"),
        ("share", 0.0, "share = 0.0: should be more than 0"),
        ("share", 1.0, "share = 1.0: should be less than 1"),
    ],
)
def test_code_is_held_to_the_same_ranges(field: str, value: float, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Step(**{field: value})
    with pytest.raises(ValueError, match="gap = 5: should be at most 4"):
        Drawn(gap=5)
    with pytest.raises(ValueError, match="name = '': should be at least 1 long"):
        Whole(maker=Drawn(), stage={}, name="")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none\.toml: cannot be read: No such file"):
        read_toml(tmp_path / "none.toml")
    (tmp_path / "broken.toml").write_text("a = [1,")
    with pytest.raises(ValueError, match=r"broken\.toml: is not TOML: "):
        read_toml(tmp_path / "broken.toml")
    (tmp_path / "latin.toml").write_bytes("a = 'é'".encode("latin-1"))
    with pytest.raises(ValueError, match=r"latin\.toml: is not TOML: "):
        read_toml(tmp_path / "latin.toml")


def test_nearest() -> None:
    assert nearest("tarin", ["train", "test"]) == "did you mean 'train'?"
    assert nearest("zebra", ["b", "a"]) == "known here: a, b"
    assert nearest("zebra", []) == "known here: nothing"


@pytest.mark.parametrize(
    ("shares", "told"),
    [
        ((0.5, 7.0), r"shares item 2 = 7\.0: should be at most 1"),
        ((-1.0,), r"shares item 1 = -1\.0: should be more than 0"),
        ((math.nan,), r"shares item 1 = nan: should be a finite number"),
        ((), r"shares = \(\): should be at least 1 long"),
    ],
)
def test_code_is_held_to_the_ranges_of_items_too(shares: tuple[float, ...], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Whole(maker=Drawn(), stage={}, name="x", shares=shares)


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_what_json_cannot_hold_is_refused_without_a_range_too(value: float) -> None:
    with pytest.raises(ValueError, match=r"guidance = .*: should be a finite number"):
        Step(guidance=value)


def test_what_is_no_table_at_all() -> None:
    with pytest.raises(ValueError, match=r"the whole = \[\]: should be a table of settings"):
        resolve(Whole, [], "run.json")  # type: ignore[arg-type]


STEPS = st.builds(
    Step,
    steps=st.integers(1, 10**9),
    guidance=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    share=st.floats(0, 1, exclude_min=True, exclude_max=True),
)
WHOLES = st.builds(
    Whole,
    maker=st.builds(Drawn, gap=st.floats(0, 4))
    | st.builds(Learned, dtype=st.sampled_from(["bfloat16", "float32"])),
    stage=st.dictionaries(st.sampled_from(["source", "target"]), STEPS),
    name=st.text(min_size=1),
    sizes=st.lists(st.integers(-(2**53), 2**53)).map(tuple),
    seed=st.integers(6, 2**53),
)


@given(WHOLES)
def test_whatever_settings_are_valid_come_back_from_json(whole: Whole) -> None:
    assert resolve(Whole, json.loads(json.dumps(as_plain(whole), allow_nan=False)), "j") == whole


@given(st.builds(dict, steps=st.integers(), share=st.floats(), guidance=st.none() | st.floats()))
def test_code_and_files_draw_the_same_line(fields: dict[str, float]) -> None:
    """What a file may say is what code may build; the two checks are written apart."""

    def accepted(build: Callable[[], object]) -> bool:
        try:
            build()
        except ValueError:
            return False
        return True

    from_file = accepted(lambda: resolve(Step, fields, "file"))
    assert accepted(lambda: Step(**fields)) == from_file  # type: ignore[arg-type]


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Step().steps = 4  # type: ignore[misc]
    with pytest.raises(TypeError, match="positional"):
        Step(4)  # type: ignore[misc]


def test_a_folder_is_no_toml(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be read: Is a directory"):
        read_toml(tmp_path)


def test_rules_need_not_wait_for_other_fields() -> None:
    """A rule is looked at wherever its own fields are right, and beside a guessed tag too."""
    wrong = {"seed": 5, "name": "", "maker": {"kind": "drown", "gap": "wide", "colour": 1}}
    assert mistakes(GOOD | wrong) == [
        "maker.kind = 'drown': did you mean 'drawn'?",
        "name = '': should have at least 1 character",
        "maker.gap = 'wide': should be a valid number",
        "maker.colour = 1: unknown field; known here: gap, kind",
        "seed = 5: is not to be had",
    ]


def test_every_setting_is_described() -> None:
    config = dataset_config(read_preset(Path("configs/demo.toml")), "enhanced", "demo")
    told = descriptions(config)
    assert told["dataset.count"] == (768, "samples before splits are left out")
    assert told["stage.target.strength"][0] == 0.7
    assert all(sentence for _, sentence in told.values())
