"""Parts of presets that tests of several rooms begin with."""

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

# Of a LoRA beside a tiny model: two phases, of 16 and 8 pictures, of two epochs each.
LORA = """
[lora]
model = "{model}"
[lora.adapter]
rank = 2
alpha = 4
targets = ["to_q", "conv1"]
[lora.data]
stage = "target"
images = 24
phase_images = 16
phase_epochs = 2
batch_size = 2
accumulation = 2
loader_workers = 0
[lora.optimiser]
learning_rate = 1e-3
warmup_steps = 2
[lora.preview]
prompts = ["a portrait"]
steps = 2
[lora.validation]
count = 2
[lora.numerics]
precision = "float32"
checkpointing = false
[lora.record]
save_every_steps = 1
"""
