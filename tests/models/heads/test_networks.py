"""The networks: sizes, counts, first weights, edges, gradients."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor, nn

from models.heads.blocks import HeadNetwork, InstanceNorm
from models.heads.build import build_discriminator, build_network
from schemas.head import NetworkSettings, PatchganSettings, ResnetSettings, UnetSettings

SMALL: dict[str, NetworkSettings] = {
    "cyclegan": ResnetSettings(width=8, num_blocks=2),
    "esa on branches": ResnetSettings(width=8, num_blocks=2, attention="esa"),
    "esa on blocks": ResnetSettings(width=8, num_blocks=2, attention="esa", attention_at="block"),
    "esa once": ResnetSettings(width=8, num_blocks=2, attention="esa", attention_at="bottleneck"),
    "cbam": ResnetSettings(width=8, num_blocks=2, attention="cbam", upsampling="resize"),
    "no norm": ResnetSettings(width=8, num_blocks=2, norm="none"),
    "group norm": ResnetSettings(width=8, num_blocks=2, norm="group"),
    "detail shown": ResnetSettings(width=8, num_blocks=2, halvings=1, detail_gain=8),
    "unet": UnetSettings(width=8, levels=3),
    "plain unet": UnetSettings(width=8, levels=3, attention="none", upsampling="transposed"),
    "two blocks": UnetSettings(width=8, levels=2, blocks_per_level=2, norm="instance"),
}


def count(network: nn.Module) -> int:
    return sum(one.numel() for one in network.parameters())


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def residual(settings: NetworkSettings) -> NetworkSettings:
    plain = {name: getattr(settings, name) for name in settings.__dataclass_fields__}
    return type(settings)(**{**plain, "residual_output": True})


def test_parameters_are_those_of_the_papers() -> None:
    # Without the 5,248 and 896 biases before instance norms, which the references count.
    assert count(build_network(ResnetSettings(), 0)) == 11_378_179 - 5_248
    assert count(build_discriminator(PatchganSettings(), 0)) == 2_764_737 - 896
    with_biases = build_network(ResnetSettings(norm="none"), 0)
    assert count(with_biases) == 11_378_179
    assert count(build_discriminator(PatchganSettings(norm="none"), 0)) == 2_764_737
    esa = build_network(ResnetSettings(attention="esa"), 0)
    assert count(esa) == 11_378_179 - 5_248 + 9 * 184_960


def test_the_unet_has_six_sizes() -> None:
    network = build_network(UnetSettings(width=8), 0)
    assert (network.divisor, network.min_side_px) == (32, 64)
    seen: list[int] = []
    for encode in network.encode:
        encode.register_forward_hook(lambda _, __, out: seen.append(out.shape[-1]))
    network(noise(1, 3, 64, 96))
    assert seen == [96, 48, 24, 12, 6, 3]


def test_without_halvings_every_side_goes_through() -> None:
    network = build_network(ResnetSettings(width=8, num_blocks=1, halvings=0), 3)
    assert (network.divisor, network.min_side_px) == (1, 4)
    assert network(noise(1, 3, 4, 7)).shape == (1, 3, 4, 7)
    with pytest.raises(ValueError, match=r"3 x 7 px: .* at least 4 px"):
        network(noise(1, 3, 7, 3))


def test_faint_grain_is_not_rounded_away_before_it_is_shown() -> None:
    """In bfloat16 half a level next to white is nothing, but not what is left without the white."""
    network = build_network(ResnetSettings(width=8, halvings=0, detail_gain=50), 3).bfloat16()
    flat = torch.full((1, 3, 32, 32), 0.8984375)
    grain = 0.001 * noise(1, 3, 32, 32)
    assert torch.equal((flat + grain).bfloat16(), flat.bfloat16())
    with torch.no_grad():
        assert (network(flat + grain) - network(flat)).abs().mean() > 0.01


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("size", [(64, 64), (64, 96), (100, 60)], ids=str)
def test_pictures_come_out_as_large_as_they_went_in(name: str, size: tuple[int, int]) -> None:
    network = build_network(SMALL[name], 3)
    x = noise(2, 3, *size)
    out = network(x)
    assert out.shape == x.shape
    assert out.dtype == torch.float32
    assert out.abs().max() <= 1
    assert out.std() > 0


@pytest.mark.parametrize("name", SMALL)
def test_the_smallest_side_works_and_smaller_ones_are_refused(name: str) -> None:
    network = build_network(SMALL[name], 3)
    least, step = network.min_side_px, network.divisor
    network(noise(1, 3, least, least))
    with pytest.raises(ValueError, match=rf"{least} x {least - step} px: .* at least {least} px"):
        network(noise(1, 3, least - step, least))
    with pytest.raises(ValueError, match=rf"{least + 1} x {least} px: .* multiples of {step}"):
        network(noise(1, 3, least, least + 1))


@pytest.mark.parametrize("name", SMALL)
def test_a_residual_output_begins_as_the_identity_and_learns_at_once(name: str) -> None:
    network = build_network(residual(SMALL[name]), 3)
    x = noise(2, 3, 64, 64)
    assert torch.equal(network(x), x)
    (network(x) - noise(2, 3, 64, 64, seed=1)).square().mean().backward()
    gradient = network.last.weight.grad
    assert gradient is not None
    assert gradient.abs().max() > 0
    with torch.no_grad():
        network.last.weight.sub_(0.01 * gradient / gradient.abs().max())
    assert not torch.equal(network(x), x)


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("level", [-1.0, 0.0, 1.0])
def test_flat_pictures_give_finite_gradients(name: str, level: float) -> None:
    network = build_network(SMALL[name], 3)
    x = torch.full((1, 3, 64, 64), level, requires_grad=True)
    (network(x) - noise(1, 3, 64, 64)).abs().mean().backward()
    for parameter in (x, *network.parameters()):
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()


@pytest.mark.parametrize("name", SMALL)
def test_every_weight_has_a_part_in_the_outcome(name: str) -> None:
    network = build_network(SMALL[name], 3)
    network(noise(2, 3, 64, 64)).square().mean().backward()
    for told, parameter in network.named_parameters():
        assert parameter.grad is not None, told
        assert parameter.grad.abs().max() > 0, told


@pytest.mark.parametrize("name", SMALL)
def test_pictures_do_not_see_their_neighbours(name: str) -> None:
    network = build_network(SMALL[name], 3)
    x = noise(3, 3, 64, 64)
    with torch.no_grad():
        one_by_one = torch.cat([network(one[None]) for one in x])
        torch.testing.assert_close(network(x), one_by_one, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", SMALL)
def test_the_fast_path_is_the_same_function(name: str) -> None:
    network = build_network(SMALL[name], 3)
    x = noise(1, 3, 64, 64)
    with torch.no_grad():
        wanted = network(x)
        network = network.to(memory_format=torch.channels_last)
        x = x.to(memory_format=torch.channels_last)
        torch.testing.assert_close(network(x), wanted, rtol=0, atol=1e-5)
        with torch.autocast("cpu", torch.bfloat16):
            autocast = network(x)
        cast = network.bfloat16()(x)
    for other in (autocast, cast):
        assert other.dtype == torch.float32
        # Measured: 0.01 to 0.03 at random weights.
        assert 0 < (other - wanted).abs().mean() < 0.05


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last], ids=str)
def test_the_norm_is_instance_norm_forward_and_backward(
    count: int, memory_format: torch.memory_format
) -> None:
    x = 3 * noise(count, 16, 12, 10) + 5
    weights = noise(count, 16, 12, 10, seed=1)
    plain = x.clone().requires_grad_()
    wanted = nn.InstanceNorm2d(16)(plain)
    (wanted * weights).sum().backward()
    ours = x.clone(memory_format=memory_format).requires_grad_()
    found = InstanceNorm(16)(ours)
    (found * weights).sum().backward()
    assert found.is_contiguous(memory_format=memory_format)
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5)
    torch.testing.assert_close(ours.grad, plain.grad, rtol=0, atol=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        assert InstanceNorm(16)(ours.bfloat16()).dtype == torch.bfloat16


def test_features_stay_channels_last() -> None:
    network = build_network(SMALL["cyclegan"], 3).to(memory_format=torch.channels_last)
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module is not network.last:
            module.register_forward_hook(channels_last)
    network(noise(1, 3, 64, 64).to(memory_format=torch.channels_last))


def channels_last(module: nn.Module, given: tuple[Tensor], out: Tensor) -> None:
    assert given[0].is_contiguous(memory_format=torch.channels_last)
    assert out.is_contiguous(memory_format=torch.channels_last)


def test_first_weights_follow_the_seed_and_disturb_nobody() -> None:
    settings = ResnetSettings(attention="esa", num_blocks=2)
    torch.manual_seed(1)
    wanted = torch.rand(1)
    torch.manual_seed(1)
    one, same, other = (build_network(settings, seed) for seed in (4, 4, 5))
    assert equal(one, same)
    assert not equal(one, other)
    spread = torch.cat([p.flatten() for p in one.parameters() if p.ndim == 4]).detach().std()
    assert abs(float(spread) - 0.02) < 1e-4
    assert all(not p.any() for name, p in one.named_parameters() if name.endswith("bias"))
    assert torch.equal(torch.rand(1), wanted), "others' randomness was disturbed"


def equal(one: nn.Module, other: nn.Module) -> bool:
    pairs = itertools.zip_longest(one.parameters(), other.parameters())
    return all(torch.equal(a, b) for a, b in pairs)


def test_a_score_sees_70_by_70_pixels() -> None:
    network = build_discriminator(PatchganSettings(width=4, norm="none"), 0)
    x = noise(1, 3, 256, 256).requires_grad_()
    scores = network(x)
    assert scores.shape == (1, 1, 30, 30)
    scores[0, 0, 15, 15].backward()
    assert x.grad is not None
    rows, columns = x.grad.abs().sum((0, 1)).nonzero().T
    assert (int(rows.max() - rows.min()) + 1, int(columns.max() - columns.min()) + 1) == (70, 70)


def test_the_discriminator_says_what_it_cannot_judge() -> None:
    plain = build_discriminator(PatchganSettings(width=4), 0)
    pairs = build_discriminator(PatchganSettings(width=4, conditional=True), 0)
    assert plain(noise(1, 3, 24, 24)).shape == (1, 1, 1, 1)
    assert pairs(noise(1, 6, 64, 32)).shape == (1, 1, 6, 2)
    with pytest.raises(ValueError, match=r"64 x 23 px: .* at least 24 px"):
        plain(noise(1, 3, 23, 64))
    with pytest.raises(ValueError, match=r"3 channels: .* judges 6; put the source before"):
        pairs(noise(1, 3, 64, 64))
    with pytest.raises(ValueError, match=r"6 channels: .* judges 3; give it RGB"):
        plain(noise(1, 6, 64, 64))


def test_a_head_can_be_exported() -> None:
    network: HeadNetwork = build_network(SMALL["esa on branches"], 0)
    exported = torch.export.export(network.eval(), (noise(1, 3, 64, 64),))
    x = noise(1, 3, 64, 64, seed=2)
    torch.testing.assert_close(exported.module()(x), network(x))
