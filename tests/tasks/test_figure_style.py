from __future__ import annotations

from typing import Literal

import matplotlib
import pytest

from tasks.figure_style import new_figure, plain_axes, styled


@pytest.mark.parametrize(("grid", "gone"), [("x", "left"), ("y", "bottom")])
def test_axes_keep_the_side_that_values_are_read_from(
    grid: Literal["x", "y"], gone: Literal["left", "bottom"]
) -> None:
    axes = new_figure(2).subplots()
    plain_axes(axes, grid=grid)
    sides = ("left", "right", "top", "bottom")
    hidden = {side for side in sides if not axes.spines[side].get_visible()}
    assert hidden == {"right", "top", gone}


def test_the_style_ends_with_its_block() -> None:
    before = matplotlib.rcParams["font.size"]
    with styled():
        assert matplotlib.rcParams["svg.hashsalt"] == "relume"
    assert matplotlib.rcParams["font.size"] == before
