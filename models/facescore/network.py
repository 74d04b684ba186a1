"""Face Score's network: BLIP's two transformers out of transformers, and a linear MLP on [CLS].

One number for a face and a short text. Finds no face and reads no file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from schemas.facescore import ScorerShape

# Widths between [CLS] and the score, and the dropouts after the first three. There is no activation
# between them: it is one linear map, in ImageReward's released code as here.
_WIDTHS = (1024, 128, 64, 16, 1)
_DROPOUTS = (0.2, 0.2, 0.1)
# BLIP drops whole branches of its large vision transformer, ever more often towards the last layer.
_LAST_DROP_PATH = 0.1
_LARGE = 1024


@dataclass(frozen=True, slots=True)
class Tokens:
    """Texts as the network takes them: ids and which of them are real, (N, tokens)."""

    ids: Tensor
    mask: Tensor

    def repeated(self, count: int) -> Tokens:
        """One text for so many pictures."""
        return Tokens(self.ids.expand(count, -1), self.mask.expand(count, -1))

    def to(self, device: torch.device) -> Tokens:
        """The same on a device."""
        return Tokens(self.ids.to(device), self.mask.to(device))


class FaceScorer(nn.Module):
    """Pixels and a text to a raw score: higher is better, and no scale but its own."""

    def __init__(self, shape: ScorerShape) -> None:
        super().__init__()
        self.shape = shape
        self.vision, self.text = _vision(shape), _text(shape)
        self.mlp = _mlp(shape.text_width)
        if shape.vision_width >= _LARGE:
            self.drop_paths(_LAST_DROP_PATH)

    def forward(self, pixels: Tensor, tokens: Tokens) -> Tensor:
        """Raw scores (N,) of pixels (N, 3, side, side), each with its text."""
        seen = self.vision(pixel_values=pixels).last_hidden_state
        told = self.text(
            tokens.ids,
            attention_mask=tokens.mask,
            encoder_hidden_states=seen,
            # Built with cross-attention as a decoder is, run as an encoder: every token sees all.
            is_decoder=False,
        ).last_hidden_state
        scores: Tensor = self.mlp(told[:, 0].float())[:, 0]
        return scores

    def drop_paths(self, last: float) -> None:
        """Drop branches of the vision layers in training, linearly from 0 up to this share."""
        layers = self.vision.encoder.layers
        for number, layer in enumerate(layers):
            share = last * number / max(1, len(layers) - 1)
            if share:
                layer.self_attn.register_forward_hook(_DropPath(share))
                layer.mlp.register_forward_hook(_DropPath(share))

    def frozen_layers(self, share: float) -> tuple[range, range]:
        """The first layers of vision and of text that stay as they are at this share."""
        # As ImageReward's --fix_rate rounds: down. 0.7 of 24 and 12 are 16 and 8.
        return range(int(self.shape.vision_layers * share)), range(
            int(self.shape.text_layers * share)
        )

    def freeze(self, share: float) -> list[str]:
        """Freeze the first layers of both transformers and what lies before; names that learn."""
        for parameter in self.parameters():
            parameter.requires_grad_(True)
        if share > 0:
            vision, text = self.frozen_layers(share)
            for part in (
                self.vision.embeddings,
                *(self.vision.encoder.layers[number] for number in vision),
                self.text.embeddings,
                *(self.text.encoder.layer[number] for number in text),
            ):
                part.requires_grad_(False)
        return [name for name, one in self.named_parameters() if one.requires_grad]


class _DropPath:
    """A forward hook that drops a branch for some of the pictures, and strengthens the others."""

    def __init__(self, share: float) -> None:
        self._keep = 1 - share

    def __call__(self, module: nn.Module, _: Sequence[Any], output: Any) -> Any:
        if not module.training:
            return output
        branch = output[0] if isinstance(output, tuple) else output
        kept = torch.rand(len(branch), 1, 1, device=branch.device) < self._keep
        branch = branch * (kept / self._keep).to(branch.dtype)
        return (branch, *output[1:]) if isinstance(output, tuple) else branch


def build_scorer(shape: ScorerShape) -> FaceScorer:
    """A scorer with random weights, as ImageReward begins: small normal ones in the MLP."""
    return FaceScorer(shape)


def _vision(shape: ScorerShape) -> Any:
    from transformers import BlipVisionConfig, BlipVisionModel

    return BlipVisionModel(
        BlipVisionConfig(
            hidden_size=shape.vision_width,
            intermediate_size=shape.vision_inner,
            num_hidden_layers=shape.vision_layers,
            num_attention_heads=shape.vision_heads,
            image_size=shape.image_px,
            patch_size=shape.patch_px,
            # transformers' default of 1e-5 is not what BLIP's own vision transformer adds.
            layer_norm_eps=1e-6,
            initializer_range=0.02,
        )
    )


def _text(shape: ScorerShape) -> Any:
    from transformers import BlipTextConfig, BlipTextModel

    config = BlipTextConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.text_width,
        encoder_hidden_size=shape.vision_width,
        intermediate_size=shape.text_inner,
        num_hidden_layers=shape.text_layers,
        num_attention_heads=shape.text_heads,
        max_position_embeddings=shape.positions,
        layer_norm_eps=shape.text_norm_eps,
        hidden_dropout_prob=shape.text_dropout,
        attention_probs_dropout_prob=shape.text_dropout,
        # Without it there is no cross-attention, and its weights would be left out in silence.
        is_decoder=True,
        # Of texts that are generated; beyond a tiny vocabulary they would be warned of.
        bos_token_id=None,
        eos_token_id=None,
        sep_token_id=None,
    )
    return BlipTextModel(config, add_pooling_layer=False)


def _mlp(width: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    before = width
    for place, after in enumerate(_WIDTHS):
        layer = nn.Linear(before, after)
        nn.init.normal_(layer.weight, std=1 / (width + 1))
        nn.init.zeros_(layer.bias)
        layers.append(layer)
        if place < len(_DROPOUTS):
            layers.append(nn.Dropout(_DROPOUTS[place]))
        before = after
    return nn.Sequential(*layers)
