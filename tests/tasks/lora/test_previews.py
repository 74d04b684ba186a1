"""The sheet of previews: every prompt can be read whole."""

from __future__ import annotations

import numpy as np

from tasks.lora.previews import sheet

LONG = "a portrait photo of an old woman with glasses who stands in the evening light of a harbour"


def test_a_long_prompt_takes_lines_and_pushes_what_follows() -> None:
    before, after = np.full((128, 64, 3), 10, np.uint8), np.full((128, 64, 3), 200, np.uint8)
    short, long = (sheet(before, after, [prompt, "second"]) for prompt in ("first", LONG))
    assert long.width == short.width
    assert long.height >= short.height + 3 * 12
    levels = np.asarray(long)
    # All of the pictures are there, below their prompts; ink reaches no edge.
    assert (levels == 10).all(-1).sum() == (levels == 200).all(-1).sum() == 128 * 64
    assert (levels[:, -8:] == levels[0, -1]).all()
