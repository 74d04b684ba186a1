"""Our measures against the libraries that papers use, on the same arrays and the same weights.

They run in an environment of their own, since the torchvision that they need breaks ours: `make
test` makes .venv-peers from requirements-peers.lock.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from metrics.frechet import frechet_distance
from metrics.kernels import kid, whole_kid
from metrics.neighbours import precision_recall
from metrics.psnr import psnr
from metrics.ssim import ssim
from models.features.clip import load_clip_iqa, load_clip_score
from models.features.inception import Inception, load_inception
from models.features.inception_layers import TAPS
from models.features.lpips import Net, load_lpips
from models.features.resizing import bicubic_levels, resized
from models.features.vision_hub import normalised
from models.generators.procedural.painter import paint_pairs
from models.generators.procedural.people import draw_people
from models.published_files import MEASURES
from models.tiny.inception import write_inception
from models.tiny.write import write
from shards.provenance import ROOT

PEERS = ROOT / ".venv-peers" / "bin" / "python"
SCRIPT = Path(__file__).with_name("beside_peers.py")


@dataclass(frozen=True)
class Beside:
    """What was given to the peers, and what they answered."""

    given: dict[str, np.ndarray]
    found: dict[str, np.ndarray]
    told: dict[str, float]
    inception: Inception
    folder: Path
    clip: Path


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Beside:
    assert PEERS.exists(), f"{PEERS} is missing: make peers"
    folder = tmp_path_factory.mktemp("peers")
    # With the published widths: the peers' networks know no others.
    write_inception(folder, full_size=True)
    clip = write("clip", folder / "clip")
    people = draw_people([f"A portrait of Name Number{n}" for n in range(120)], range(120))
    sources, targets = paint_pairs(people, range(120), 64)
    rng = np.random.default_rng(3)
    mixing = rng.normal(size=(24, 24))
    given = {
        # Upwards and downwards, uneven, and with detail between the samples.
        "pictures": rng.integers(0, 256, (3, 350, 310, 3), dtype=np.uint8),
        "many": sources,
        "others": targets,
        "small": sources[:6],
        # The last is of more tokens than are read.
        "prompts": np.array(
            [*(f"A portrait of Name Number{n}" for n in range(4)), "a cat", "a face " * 50]
        ),
        "one": (rng.normal(size=(300, 24)) @ mixing).astype(np.float32),
        "other": (0.3 + rng.normal(size=(260, 24)) @ mixing * 0.9).astype(np.float32),
    }
    enlarged = np.kron(sources[0], np.ones((6, 6, 1), np.uint8))
    given["pictures"][1] = enlarged[:350, :310]
    np.savez(folder / "given.npz", **given)
    weights = folder / MEASURES["inception"][0].path
    asked = [PEERS, SCRIPT, folder / "given.npz", weights, clip, folder]
    done = subprocess.run(list(map(str, asked)), capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr[-3000:]
    found = dict(np.load(folder / "found.npz"))
    told = json.loads((folder / "told.json").read_text())
    torch.set_num_threads(1)
    return Beside(given, found, told, load_inception(folder), folder, clip)


@pytest.mark.parametrize("policy", ["tf1", "torchmetrics"])
def test_inception_features_are_theirs(beside: Beside, policy: str) -> None:
    ours = beside.inception.of_levels(list(beside.given["pictures"]), policy)
    for tap in TAPS:
        theirs = beside.found[f"{policy}_{tap}"]
        assert ours[tap].shape == theirs.shape == (3, tap)
        assert theirs.std() > 0.1
        np.testing.assert_allclose(ours[tap], theirs, rtol=1e-5, atol=1e-5)
        if policy == "tf1":
            np.testing.assert_array_equal(ours[tap], theirs)


def test_the_clean_policy_is_clean_fids(beside: Beside) -> None:
    for picture, theirs in zip(beside.given["pictures"], beside.found["clean"], strict=True):
        ours = resized(picture, "clean", 299).permute(1, 2, 0).numpy()
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(("policy", "peer"), [("tf1", "torch_fidelity"), ("torchmetrics",) * 2])
def test_fid_from_pictures(beside: Beside, policy: str, peer: str) -> None:
    one, other = (
        beside.inception.of_levels(list(beside.given[name]), policy, [64])[64]
        for name in ("many", "others")
    )
    theirs = beside.told[f"{peer}_fid"]
    assert theirs > 0
    assert frechet_distance(one, other) == pytest.approx(theirs, rel=1e-4)


def test_distances_of_given_features(beside: Beside) -> None:
    one, other = beside.given["one"], beside.given["other"]
    ours = frechet_distance(one, other)
    assert ours == pytest.approx(beside.told["features_fid"], rel=1e-6)
    assert ours == pytest.approx(beside.told["clean_fid"], rel=1e-6)
    size = min(len(one), len(other))
    exact = whole_kid(one[:size], other[:size])
    assert exact == pytest.approx(beside.told["kid"], rel=1e-4)
    assert exact == pytest.approx(beside.told["torchmetrics_kid"], rel=1e-9)
    drawn = kid(one[:size], other[:size], subsets=1, subset_size=size)
    assert drawn.value == pytest.approx(exact, rel=1e-9)
    near = precision_recall(one, other)
    assert (near.precision, near.recall) == pytest.approx(
        (beside.told["precision"], beside.told["recall"]), abs=1e-7
    )
    assert 0.1 < near.precision < 1
    assert 0.1 < near.recall < 1


@pytest.mark.parametrize("net", ["vgg", "alex"])
def test_lpips(beside: Beside, net: Net) -> None:
    one, other = (
        torch.from_numpy(each.copy()).permute(0, 3, 1, 2).float() / 127.5 - 1
        for each in (beside.given["small"], beside.given["small"][::-1])
    )
    with torch.inference_mode():
        ours = load_lpips(net, beside.folder)(one, other).numpy()
    assert ours.min() > 1e-4
    np.testing.assert_allclose(ours, beside.found[f"lpips_{net}"], rtol=1e-5, atol=1e-7)


def test_ssim_and_psnr(beside: Beside) -> None:
    pairs = list(zip(beside.given["small"], beside.given["small"][::-1], strict=True))
    np.testing.assert_allclose([ssim(*pair) for pair in pairs], beside.found["ssim"], atol=1e-9)
    np.testing.assert_allclose([psnr(*pair) for pair in pairs], beside.found["psnr"], rtol=1e-7)


def test_clip_iqa_in_the_right_range(beside: Beside) -> None:
    ours = load_clip_iqa(str(beside.clip)).of_levels(list(beside.given["small"]))[:, 0]
    np.testing.assert_allclose(ours, beside.found["clip_iqa_once"], rtol=1e-4, atol=1e-6)
    # As documented, levels in 0..1 are divided by 255 again: pictures can no longer be told apart.
    assert np.ptp(ours) > 20 * np.ptp(beside.found["clip_iqa_twice"])


def test_clip_score(beside: Beside) -> None:
    network = load_clip_score(str(beside.clip))
    shown = [network.prepared(picture) for picture in beside.given["small"]]
    ours = network.of_prepared(shown, beside.given["prompts"].tolist())
    assert ours[:, 1].tolist() == [0, 0, 0, 0, 0, 1]
    assert ours[:, 0].max() > 10
    np.testing.assert_allclose(ours[:5, 0], beside.found["clip_score"][:5], rtol=1e-4, atol=1e-3)
    # Theirs is cut without an end token, and read at another place.
    assert abs(ours[5, 0] - beside.found["clip_score"][5]) > 0.1


def test_dinov2_sees_what_its_authors_show(beside: Beside) -> None:
    shown = normalised(
        [bicubic_levels(one, 224, 224) for one in beside.given["pictures"]],
        (0.485, 0.456, 0.406),
        (0.229, 0.224, 0.225),
    )
    np.testing.assert_allclose(shown.numpy(), beside.found["dinov2"], rtol=0, atol=1e-5)
