"""Settings of heads: what may be said, and what is told of the rest."""

from __future__ import annotations

import pytest

from schemas.head import HeadConfig, ResnetSettings, UnetSettings
from schemas.settings import as_plain, descriptions, resolve

WEIGHTS = {"weights_sha256": "0" * 64}


@pytest.mark.parametrize(
    "network",
    [ResnetSettings(), ResnetSettings(attention="esa", residual_output=True), UnetSettings()],
    ids=lambda network: network.kind,
)
def test_a_config_comes_back_as_it_was(network: ResnetSettings | UnetSettings) -> None:
    config = HeadConfig(network=network, **WEIGHTS)
    assert resolve(HeadConfig, as_plain(config), "config.json") == config


@pytest.mark.parametrize(
    ("network", "told"),
    [
        ({"kind": "resnett"}, "network.kind = 'resnett': did you mean 'resnet'?"),
        ({"kind": "resnet", "attention": "edge_sa"}, "network.attention = 'edge_sa'"),
        ({"kind": "unet", "attention": "esa"}, "network.attention = 'esa'"),
        ({"kind": "unet", "levels": 1}, "network.levels = 1"),
        ({"kind": "resnet", "width": 0}, "network.width = 0"),
        (
            {"kind": "resnet", "num_blocks": 0, "attention": "esa"},
            "network.attention = 'esa': there are no blocks to put it on",
        ),
    ],
)
def test_what_is_wrong_is_told(network: dict, told: str) -> None:
    with pytest.raises(ValueError, match="1 mistake") as caught:
        resolve(HeadConfig, {"network": network, **WEIGHTS}, "config.json")
    assert told in str(caught.value)


def test_every_setting_has_its_sentence() -> None:
    assert set(descriptions(ResnetSettings())) == set(ResnetSettings.__dataclass_fields__)
    assert ResnetSettings(num_blocks=0, attention="esa", attention_at="bottleneck")
