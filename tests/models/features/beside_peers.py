# ruff: noqa: E402 - what torchvision lacks is told before anything imports it.
"""Lets torch-fidelity, torchmetrics, lpips and clean-fid measure the same arrays, in .venv-peers.

Run there with an .npz of arrays, Inception's weights, CLIP's folder, and a folder for its answers.
It knows nothing of Relume.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import warnings
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"
warnings.simplefilter("ignore")

import numpy as np
import torch

# There is no torchvision for this torch without CUDA; what it lacks is told before it is imported,
# and none of what is asked of it here needs these two.
missing = torch.library.Library("torchvision", "DEF")
for name in ("nms", "qnms"):
    missing.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

import lpips
from cleanfid import fid as clean_fid
from cleanfid.resize import build_resizer
from PIL import Image
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric
from torchmetrics.functional.image import (
    peak_signal_noise_ratio,
    structural_similarity_index_measure,
)
from torchmetrics.functional.multimodal import clip_image_quality_assessment, clip_score
from torchmetrics.image.fid import FrechetInceptionDistance, NoTrainInceptionV3
from torchmetrics.image.kid import poly_mmd
from torchvision.transforms import Compose, InterpolationMode, Normalize, Resize, ToTensor
from transformers import CLIPModel, CLIPProcessor

TAPS = ["64", "192", "768", "2048"]


def tensor(pictures: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous()


def features(weights: str, pictures: np.ndarray, found: dict[str, np.ndarray]) -> None:
    shown = tensor(pictures)
    theirs = FeatureExtractorInceptionV3("x", list(TAPS), feature_extractor_weights_path=weights)
    metric = NoTrainInceptionV3("x", list(TAPS), weights)
    for policy, answers in (
        ("tf1", theirs(shown)),
        ("torchmetrics", metric._torch_fidelity_forward(shown)),
    ):
        for tap, one in zip(TAPS, answers, strict=True):
            found[f"{policy}_{tap}"] = one.numpy()


def whole_fid(weights: str, one: np.ndarray, other: np.ndarray, told: dict[str, float]) -> None:
    """From pictures to a distance, at the smallest tap."""
    extractor = FeatureExtractorInceptionV3("x", ["64"], feature_extractor_weights_path=weights)
    stats = [fid_features_to_statistics(extractor(tensor(each))[0]) for each in (one, other)]
    told["torch_fidelity_fid"] = fid_statistics_to_metric(*stats, False)[
        "frechet_inception_distance"
    ]
    network = NoTrainInceptionV3("x", ["64"], weights)
    network.num_features = 64
    metric = FrechetInceptionDistance(feature=network)
    metric.update(tensor(one), real=True)
    metric.update(tensor(other), real=False)
    told["torchmetrics_fid"] = float(metric.compute())


def distances(one: np.ndarray, other: np.ndarray, told: dict[str, float]) -> None:
    """Of features that are given."""
    a, b = torch.from_numpy(one), torch.from_numpy(other)
    stats = [fid_features_to_statistics(each) for each in (a, b)]
    told["features_fid"] = fid_statistics_to_metric(*stats, False)["frechet_inception_distance"]
    told["clean_fid"] = float(clean_fid.fid_from_feats(one, other))
    size = min(len(one), len(other))
    whole = {"kid_subsets": 1, "kid_subset_size": size, "verbose": False}
    told["kid"] = kid_features_to_metric(a[:size], b[:size], **whole)[
        "kernel_inception_distance_mean"
    ]
    told["torchmetrics_kid"] = float(poly_mmd(a[:size].double(), b[:size].double()))
    near = prc_features_to_metric(a, b, verbose=False, save_cpu_ram=False)
    told |= {name: near[name] for name in ("precision", "recall")}


def lpips_of(out: Path, one: np.ndarray, other: np.ndarray, found: dict[str, np.ndarray]) -> None:
    """With the linear weights that lpips ships, and a random backbone, which is written too."""
    a, b = (tensor(each).float() / 127.5 - 1 for each in (one, other))
    for net, file in (("vgg", "vgg16-397923af.pth"), ("alex", "alexnet-owt-7be5be79.pth")):
        torch.manual_seed(5)
        model = lpips.LPIPS(net=net, pnet_rand=True, verbose=False).eval()
        backbone = {
            f"features.{name.split('.', 1)[1]}": weight
            for name, weight in model.net.state_dict().items()
            if name.startswith("slice")
        }
        torch.save(backbone, out / file)
        linear = out / "lpips" / "v0.1" / f"{net}.pth"
        linear.parent.mkdir(parents=True, exist_ok=True)
        shipped = Path(lpips.__file__).parent / "weights" / "v0.1" / f"{net}.pth"
        linear.write_bytes(shipped.read_bytes())
        with torch.inference_mode():
            found[f"lpips_{net}"] = model(a, b).flatten().numpy()


def seen_by_clip(
    folder: str, pictures: np.ndarray, prompts: list[str], found: dict[str, np.ndarray]
) -> None:
    """CLIP-IQA with levels that are divided once; and as it is documented, twice. CLIP-Score."""
    model, processor = CLIPModel.from_pretrained(folder), CLIPProcessor.from_pretrained(folder)
    # torchmetrics expects the embeddings themselves, which transformers 5 puts into an object.
    whole = model.get_image_features, model.get_text_features
    model.get_image_features = lambda *given: whole[0](*given).pooler_output
    model.get_text_features = lambda *given: whole[1](*given).pooler_output
    shown = tensor(pictures).float()
    for name, levels, data_range in (("once", shown, 1.0), ("twice", shown / 255, 1.0)):
        scores = clip_image_quality_assessment(
            levels, lambda: (model.eval(), processor), data_range=data_range
        )
        found[f"clip_iqa_{name}"] = scores.numpy()
    # It gives the mean of what it is given, so each picture by itself.
    found["clip_score"] = np.array(
        [
            clip_score(one, prompt, lambda: (model.eval(), processor)).item()
            for one, prompt in zip(tensor(pictures), prompts, strict=True)
        ]
    )


def resizes(pictures: np.ndarray, found: dict[str, np.ndarray]) -> None:
    clean = build_resizer("clean")
    found["clean"] = np.stack([clean(picture) for picture in pictures])
    # What FD-DINOv2's authors show the network.
    dino = Compose(
        [
            Resize((224, 224), InterpolationMode.BICUBIC),
            ToTensor(),
            Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )
    found["dinov2"] = np.stack([dino(Image.fromarray(one)).numpy() for one in pictures])


def main(arrays: str, weights: str, clip: str, out: str) -> None:
    torch.set_num_threads(1)
    given: Any = np.load(arrays)
    told: dict[str, float] = {}
    found: dict[str, np.ndarray] = {}
    folder = Path(out)
    with contextlib.redirect_stdout(sys.stderr), torch.inference_mode():
        features(weights, given["pictures"], found)
        whole_fid(weights, given["many"], given["others"], told)
        distances(given["one"], given["other"], told)
        resizes(given["pictures"], found)
        seen_by_clip(clip, given["small"], given["prompts"].tolist(), found)
    lpips_of(folder, given["small"], given["small"][::-1].copy(), found)
    a, b = (tensor(each).double() for each in (given["small"], given["small"][::-1].copy()))
    _, places = structural_similarity_index_measure(
        a, b, data_range=255.0, reduction="none", return_full_image=True
    )
    # torchmetrics also counts places whose window reaches over the edge, which it mirrors.
    found["ssim"] = places[:, :, 5:-5, 5:-5].mean((1, 2, 3)).numpy()
    dimensions = (1, 2, 3)
    ratio = peak_signal_noise_ratio(a, b, data_range=255.0, dim=dimensions, reduction="none")
    found["psnr"] = ratio.numpy()
    np.savez(folder / "found.npz", **found)
    (folder / "told.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
