"""Settings: every mistake at once, with path, value and the nearest right name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import pytest
from annotated_types import Ge, Gt, Le, Lt

from schemas.settings import (
    FILLED,
    NON_NEGATIVE,
    as_plain,
    nearest,
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
    seed: int = 0

    def __post_init__(self) -> None:
        if self.seed == 5:
            raise ValueError("seed = 5: is not to be had")


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
            "sizes.1 = 'two': should be a valid integer",
            "seed = 1.5: should be a valid integer",
            "name: is missing",
            "nmae = 'x': unknown field; did you mean 'name'?",
        ]
    )


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"maker": {"kind": "drown"}}, "maker.kind = 'drown': did you mean 'drawn'?"),
        ({"maker": {}}, "maker.kind = None: known here: drawn, learned"),
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
        ({"zebra": 1}, "zebra = 1: unknown field; known here: maker, name, seed, sizes, stage"),
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
