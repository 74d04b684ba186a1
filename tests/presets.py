"""The part of a preset that every procedural dataset of the tests begins with."""

from __future__ import annotations

from models.generators.procedural.painter import PAINTER_REVISION

PROCEDURAL = f"""
[generator]
kind = "procedural"

[stage.source]
model = "procedural"
revision = "{PAINTER_REVISION}"

[stage.target]
model = "procedural"
revision = "{PAINTER_REVISION}"
strength = 0.7
"""
