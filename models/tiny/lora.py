"""A tiny LoRA for the FLUX source, in the one file that such adapters are published as."""

from __future__ import annotations

from pathlib import Path

from models.tiny.flux import flux_transformer
from models.tiny.weights import seeded

FILE = "pytorch_lora_weights.safetensors"


def write_lora(folder: Path) -> None:
    """Write it into a folder."""
    import torch
    from diffusers import FluxPipeline
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

    transformer = flux_transformer("schnell")
    with seeded(6):
        transformer.add_adapter(
            LoraConfig(r=4, lora_alpha=4, target_modules=["to_q", "to_k", "to_v", "to_out.0"])
        )
        layers = get_peft_model_state_dict(transformer)
        # A new adapter changes nothing, as half of its matrices are zero.
        layers = {name: torch.randn_like(layer) for name, layer in sorted(layers.items())}
    FluxPipeline.save_lora_weights(folder, transformer_lora_layers=layers, safe_serialization=True)
