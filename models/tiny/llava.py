"""LLaVA 1.5 in miniature, as transformers' folder with the files and tensor names of the hub's."""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any

from models.tiny.weights import seeded

_WORD = "\u2581"
_END = "</s>"
# Enough that captions read like words, and that a refusal could be one.
_WORDS = (
    "a", "an", "the", "of", "with", "and", "in", "portrait", "professional", "person", "woman",
    "man", "face", "smile", "eyes", "hair", "short", "long", "curly", "grey", "brown", "blue",
    "light", "soft", "background", "looking", "wearing", "glasses", "shirt", "young", "old", "warm",
)  # fmt: skip
_SIDE, _PATCH = 56, 14
_CHAT = (
    "{% for message in messages %}{{ message['role'] | upper }}: "
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}<image>\n"
    "{% else %}{{ part['text'] }}{% endif %}{% endfor %} {% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)


def write_llava(folder: Path) -> None:
    """Write model, tokenizer and both processors' settings into a folder."""
    from transformers import GenerationConfig

    tokenizer = llava_tokenizer()
    model = llava_model(tokenizer)
    model.generation_config = GenerationConfig(
        bos_token_id=1, eos_token_id=2, pad_token_id=tokenizer.pad_token_id
    )
    # Several files and an index, as those of seven billion parameters are.
    model.save_pretrained(folder, max_shard_size="200KB")
    _name_as_published(folder)
    tokenizer.save_pretrained(folder)
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    shown = {
        "image_processor_type": "CLIPImageProcessor",
        "processor_class": "LlavaProcessor",
        "size": {"shortest_edge": _SIDE},
        "crop_size": {"height": _SIDE, "width": _SIDE},
        "resample": 3,
        "rescale_factor": 1 / 255,
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711],
        **{
            f"do_{step}": True
            for step in ("resize", "center_crop", "rescale", "normalize", "convert_rgb")
        },
    }
    told = {
        "image_token": "<image>",
        "num_additional_image_tokens": 1,
        "patch_size": _PATCH,
        "processor_class": "LlavaProcessor",
        "vision_feature_select_strategy": "default",
    }
    for name, facts in (
        ("preprocessor_config.json", shown),
        ("processor_config.json", told),
        ("chat_template.json", {"chat_template": _CHAT}),
    ):
        (folder / name).write_text(json.dumps(facts, indent=2))


def llava_tokenizer() -> Any:
    """A Llama tokenizer of bytes, letters and a few whole words; <image> and <pad> come last."""
    from transformers import LlamaTokenizer

    letters = string.ascii_letters + string.digits + string.punctuation
    pieces = ["<unk>", "<s>", _END, *(f"<0x{byte:02X}>" for byte in range(256)), _WORD, *letters]
    pieces += [_WORD + word for word in _WORDS if _WORD + word not in pieces]
    tokenizer = LlamaTokenizer(
        vocab={piece: number for number, piece in enumerate(pieces)},
        merges=[],
        # The published tokenizer has no side of its own worth trusting: whoever batches sets it.
        padding_side="right",
        model_max_length=2048,
        add_bos_token=True,
    )
    tokenizer.add_special_tokens({"additional_special_tokens": ["<image>"]})
    tokenizer.add_special_tokens({"pad_token": "<pad>"})
    return tokenizer


def llava_model(tokenizer: Any) -> Any:
    """The model with random weights, which speaks the tokenizer's whole words alone."""
    import torch
    from transformers import (
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
    )

    # Rounded up, as the published 32,064 for 32,002 tokens.
    vocab_size = -(-len(tokenizer) // 64) * 64
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=3,
            num_attention_heads=2,
            image_size=_SIDE,
            patch_size=_PATCH,
            projection_dim=24,
        ).to_dict(),
        text_config=LlamaConfig(
            hidden_size=64,
            intermediate_size=96,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=4,
            max_position_embeddings=512,
            rms_norm_eps=1e-5,
            vocab_size=vocab_size,
            initializer_range=0.3,
            pad_token_id=tokenizer.pad_token_id,
        ).to_dict(),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        image_seq_length=(_SIDE // _PATCH) ** 2,
        projector_hidden_act="gelu",
        vision_feature_select_strategy="default",
        vision_feature_layer=-2,
        pad_token_id=tokenizer.pad_token_id,
    )
    with seeded(71):
        model = LlavaForConditionalGeneration(config).eval()
        head = model.lm_head.weight
        spoken = [tokenizer.convert_tokens_to_ids(_WORD + word) for word in _WORDS] + [2]
        with torch.no_grad():
            kept = head[spoken].clone()
            head.zero_()  # so that words are said, and no bytes
            head[spoken] = kept
            for part in model.model.vision_tower.parameters():
                part.mul_(4)  # so that pictures are seen
    return model


def _name_as_published(folder: Path) -> None:
    """The vision tower's tensors have one more word in their names on the hub."""
    from safetensors.torch import load_file, save_file

    def published(name: str) -> str:
        return name.replace("vision_tower.", "vision_tower.vision_model.", 1)

    for file in sorted(folder.glob("model-*.safetensors")):
        save_file({published(k): v for k, v in load_file(file).items()}, file, {"format": "pt"})
    index = folder / "model.safetensors.index.json"
    told = json.loads(index.read_text())
    told["weight_map"] = {published(name): file for name, file in told["weight_map"].items()}
    index.write_text(json.dumps(told, indent=2, sort_keys=True) + "\n")
