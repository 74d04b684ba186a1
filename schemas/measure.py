"""What networks make of pictures, kept per shard: settings, looks, and their rows.

A *look* is one set of pictures, changed by a head or a filter or not at all, seen by some networks.
Distances and tables are made from its rows, as often as wanted, without a network.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pyarrow as pa
from annotated_types import Gt, Le, MinLen

from schemas.audit import DeepFaceSettings
from schemas.facescore import PictureScore
from schemas.head import Precision
from schemas.records import column, record_schema
from schemas.sample import Stage
from schemas.settings import FILLED, POSITIVE, as_plain, fingerprint, settings, tagged

Tap = Literal[64, 192, 768, 2048]
ResizePolicy = Literal["tf1", "torchmetrics", "clean"]
FeatureStatus = Literal["ok", "error"]
# The tap of networks that have only one.
ONLY_TAP = 0


@settings
class InceptionSettings:
    """FID's Inception-v3."""

    kind: Literal["inception"] = "inception"
    """the network"""
    policy: ResizePolicy = "clean"
    """how pictures are brought to 299 x 299"""
    taps: Annotated[tuple[Tap, ...], MinLen(1)] = (64, 192, 768, 2048)
    """after which layers features are taken"""
    weights: Annotated[str, FILLED] = "weights"
    """folder of the published file"""

    @staticmethod
    def _no_tap_twice(taps: tuple[Tap, ...]) -> Iterator[str]:
        if list(taps) != sorted(set(taps)):
            yield f"taps = {list(taps)}: give each once, the smallest first"


@settings
class Dinov2Settings:
    """DINOv2's class token."""

    kind: Literal["dinov2"] = "dinov2"
    """the network"""
    model: Annotated[str, FILLED] = "facebook/dinov2-large"
    """folder, or name in the hub's cache"""


@settings
class CmmdSettings:
    """CLIP's embeddings as CMMD sees pictures."""

    kind: Literal["cmmd"] = "cmmd"
    """the network"""
    model: Annotated[str, FILLED] = "openai/clip-vit-large-patch14-336"
    """folder, or name in the hub's cache"""


@settings
class ClipIqaSettings:
    """CLIP-IQA's score of quality, a feature of one number."""

    kind: Literal["clip_iqa"] = "clip_iqa"
    """the network"""
    model: Annotated[str, FILLED] = "openai/clip-vit-base-patch16"
    """folder, or name in the hub's cache"""


@settings
class TextureSettings:
    """Fixed random filters on high-pass pictures: no weights, no published scale, no FID."""

    kind: Literal["texture"] = "texture"
    """the filters, with a feature vector for each place of a picture"""


@settings
class PairsSettings:
    """Each picture beside its own source and target: SSIM, mean square error, LPIPS."""

    kind: Literal["pairs"] = "pairs"
    """pixels, and LPIPS where asked for"""
    lpips: Literal["vgg", "alex"] | None = None
    """which LPIPS; none without it"""
    weights: Annotated[str, FILLED] = "weights"
    """folder of LPIPS' published weights"""


@settings
class DetailSettings:
    """The net-like pattern over a picture, and its fine detail."""

    kind: Literal["detail"] = "detail"
    """spectra"""


@settings
class IdentitySettings:
    """ArcFace's embedding of the largest face."""

    kind: Literal["identity"] = "identity"
    """DeepFace's models"""
    faces: DeepFaceSettings = DeepFaceSettings()
    """what looks for faces and at them"""


@settings
class FaceScoreNetworkSettings:
    """Face Score (paper 3) of the faces in each picture, a feature of one number."""

    kind: Literal["face_score"] = "face_score"
    """the network"""
    model: Annotated[str, FILLED] = "weights/FaceScore"
    """folder with FS_model.pt and med_config.json, or one of `relume facescore train`"""
    faces: DeepFaceSettings = DeepFaceSettings(min_confidence=0.9)
    """what looks for faces; one of which it is less sure than min_confidence is not scored"""
    picture: PictureScore = "largest"
    """which face's score is the picture's own where there are several"""


@settings
class ClipScoreSettings:
    """CLIP-Score of each picture and its prompt."""

    kind: Literal["clip_score"] = "clip_score"
    """the network"""
    model: Annotated[str, FILLED] = "openai/clip-vit-large-patch14"
    """folder, or name in the hub's cache"""


@settings
class ImageRewardSettings:
    """ImageReward of each picture and its prompt."""

    kind: Literal["image_reward"] = "image_reward"
    """the network"""
    model: Annotated[str, FILLED] = "weights/ImageReward"
    """folder with ImageReward.pt, med_config.json and vocab.txt"""


@settings
class HpsSettings:
    """Human Preference Score v2.1 of each picture and its prompt."""

    kind: Literal["hps"] = "hps"
    """the network"""
    model: Annotated[str, FILLED] = "weights/HPS"
    """folder with HPS_v2.1_compressed.pt, vocab.json and merges.txt"""


NetworkSettings = Annotated[
    InceptionSettings
    | Dinov2Settings
    | CmmdSettings
    | ClipIqaSettings
    | TextureSettings
    | PairsSettings
    | DetailSettings
    | IdentitySettings
    | FaceScoreNetworkSettings
    | ClipScoreSettings
    | ImageRewardSettings
    | HpsSettings,
    tagged("kind"),
]
# These see the prompt beside the picture. What they give is a score, and whether they cut the
# prompt off, which is 1 or 0.
PROMPTED = ("clip_score", "image_reward", "hps")
# What a Frechet distance is told of, and what it is called.
FRECHET = {
    "inception": "FID",
    "dinov2": "FD-DINOv2",
    "texture": "texture FD",
}
# Fields that say where something lies, not what it is.
_PLACES = ("weights", "model")


def label_of(network: NetworkSettings) -> str:
    """What a network is called in rows and tables: its kind, and its policy where it has one."""
    return f"inception-{network.policy}" if network.kind == "inception" else network.kind


@settings
class SeenBy:
    """A network down to its weights."""

    network: NetworkSettings
    """its settings"""
    weights: dict[str, str]
    """sha256 of every file of weights by its name; empty where it has none"""

    def what_it_is(self) -> dict[str, Any]:
        """All that features follow from; where weights lie is no part of it."""
        plain = as_plain(self)
        for where in _PLACES:
            plain["network"].pop(where, None)
        faces = plain["network"].get("faces", {})
        for aside in ("weights", "batch_size", "threads"):
            faces.pop(aside, None)
        return plain


@settings
class Unchanged:
    """Pictures as they are."""

    kind: Literal["none"] = "none"
    """no change"""


@settings
class ByHead:
    """Pictures that a head is applied to."""

    kind: Literal["head"] = "head"
    """a head"""
    weights_sha256: Annotated[str, FILLED]
    """of its weights"""
    network: Annotated[str, FILLED]
    """fingerprint of the settings of its network"""
    precision: Precision
    """number format inside the head"""


@settings
class BySharpening:
    """Pictures with an unsharp mask."""

    kind: Literal["unsharp"] = "unsharp"
    """a straw man"""
    amount: Annotated[float, Gt(0)]
    """how much of what a blur leaves out is added"""
    radius_px: Annotated[float, Gt(0)]
    """sigma of the blur"""


@settings
class ByGrain:
    """Pictures with film grain."""

    kind: Literal["grain"] = "grain"
    """a straw man"""
    levels: Annotated[float, Gt(0)]
    """standard deviation of the grain, the same in all channels"""


FilterChange = Annotated[BySharpening | ByGrain, tagged("kind")]
Change = Annotated[Unchanged | ByHead | BySharpening | ByGrain, tagged("kind")]


@settings
class View:
    """One set of pictures: where they come from, and what is done to them before they are seen."""

    pictures: Annotated[str, FILLED]
    """fingerprint of what the dataset was made by, or of the files of a folder"""
    stage: Stage
    """the picture of each sample; of a folder, what its pictures stand for"""
    beside: Annotated[str, FILLED]
    """fingerprint of the dataset whose sources, targets and prompts stand beside them"""
    change: Change = Unchanged()
    """what is done to them"""


@settings
class Look:
    """look.json: a view and the networks that see it, fixed by the first run that looks."""

    record: Literal["look"] = "look"
    """which record this is"""
    version: Literal[1] = 1
    """version of this record"""
    view: View
    """the pictures"""
    seen_by: dict[str, SeenBy]
    """the networks by their labels"""
    code: str
    """hash of Relume's sources that began"""
    libraries: dict[str, str]
    """versions of what began"""
    processor: str
    """processor that began"""

    def must_match(self) -> dict[str, Any]:
        """What a later run may not change."""
        networks = {label: one.what_it_is() for label, one in self.seen_by.items()}
        return {"view": as_plain(self.view), "seen_by": networks}

    def fingerprint(self) -> str:
        """Stands in every done.json for all that may not change."""
        return fingerprint(self.must_match())

    def may_differ(self) -> dict[str, str]:
        """What a later run may change, and has to say so."""
        return {"code": self.code, "processor": self.processor, **self.libraries}


@settings
class FeatureNumerics:
    """How features are computed; another choice may change their last digits, never the key."""

    batch_size: Annotated[int, POSITIVE, Le(4096)] = 16
    """pictures looked at together"""
    threads: Annotated[int, POSITIVE, Le(256)] = 1
    """threads of the processor for each worker"""
    device: Literal["auto", "cuda", "cpu"] = "auto"
    """what looks; auto takes a GPU where there is one, cuda refuses to do without"""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureRow:
    """What a network made of one picture at one tap."""

    id: str
    shard: str
    picture_sha256: str
    status: FeatureStatus
    reason: str | None
    network: str
    tap: int
    places: int
    features: list[float] | None


FEATURE_SCHEMA = record_schema(
    "feature-row",
    2,
    [
        column("id", pa.string(), "sample id"),
        column("shard", pa.string(), "shard of the sample, for example test/shard-000000"),
        column("picture_sha256", pa.string(), "of the file that was read, before any change"),
        column("status", pa.string(), "ok or error"),
        column(
            "reason",
            pa.string(),
            "what the error was, or that there is no prompt; else null",
            nullable=True,
        ),
        column("network", pa.string(), "label of the network, for example inception-clean"),
        column("tap", pa.int32(), "Inception's tap; 0 where a network has only one"),
        column("places", pa.int32(), "places of the picture that features tell of, one by one"),
        column(
            "features",
            pa.list_(pa.float32()),
            "place by place; NaN where nothing is known, null after an error",
            nullable=True,
        ),
    ],
)
