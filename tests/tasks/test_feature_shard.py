"""A shard's pictures through tiny networks, staged and published as rows; no Ray."""

from __future__ import annotations

import io
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from metrics.pattern import net_pattern
from metrics.ssim import ssim
from models.features.inception import load_inception
from models.features.texture import TextureFeatures
from models.heads.build import build_network
from models.heads.folder import read_config
from models.heads.head import Head
from models.straw_men import grained, sharpened
from models.tiny.write import write
from schemas.audit import DeepFaceSettings
from schemas.endings import CannotGoOn
from schemas.head import ResnetSettings
from schemas.lease import Lease
from schemas.measure import (
    FEATURE_SCHEMA,
    ByGrain,
    ByHead,
    BySharpening,
    ClipIqaSettings,
    CmmdSettings,
    DetailSettings,
    Dinov2Settings,
    FaceScoreNetworkSettings,
    FeatureNumerics,
    IdentitySettings,
    InceptionSettings,
    Look,
    NetworkSettings,
    PairsSettings,
    SeenBy,
    TextureSettings,
    Unchanged,
    View,
    label_of,
)
from schemas.records import check_record
from shards import layout
from shards.encoding import read_parquet
from shards.reader import Reader
from shards.run import read_generator
from tasks.feature_shard import FeatureConfig, FeatureShard
from tasks.features.networks import DETAIL, PAIRS, PAIRS_LPIPS, device_of, load_network, weights_of
from tasks.features.places import LookPlace
from tasks.features.store import looked_at, stored_shard

SHARD = "test/shard-000000"
KEY = "0123456789abcdef"
LEASE = Lease(shard=stored_shard(KEY, SHARD), attempt=1, samples=())
NUMERICS = FeatureNumerics(batch_size=3)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    for kind in ("inception", "dinov2", "clip", "lpips", "facescore", "deepface-onnx"):
        write(kind, folder / kind)
    return folder


def settings_of(kind: str, tiny: Path) -> NetworkSettings:
    known: dict[str, NetworkSettings] = {
        "inception": InceptionSettings(weights=str(tiny / "inception"), taps=(64, 2048)),
        "dinov2": Dinov2Settings(model=str(tiny / "dinov2")),
        "cmmd": CmmdSettings(model=str(tiny / "clip")),
        "clip_iqa": ClipIqaSettings(model=str(tiny / "clip")),
        "texture": TextureSettings(),
        "pairs": PairsSettings(),
        "lpips": PairsSettings(lpips="vgg", weights=str(tiny / "lpips")),
        "detail": DetailSettings(),
        "face_score": FaceScoreNetworkSettings(
            model=str(tiny / "facescore"),
            faces=DeepFaceSettings(weights=str(tiny / "deepface-onnx"), min_confidence=0.9),
        ),
    }
    return known[kind]


def look_of(dataset: Path, *networks: NetworkSettings, change: Any = None, stage: Any = "source"):  # type: ignore[no-untyped-def]
    generator = read_generator(dataset)
    assert generator is not None
    made_by = generator.fingerprint()
    return Look(
        view=View(pictures=made_by, stage=stage, beside=made_by, change=change or Unchanged()),
        seen_by={label_of(one): SeenBy(network=one, weights=weights_of(one)) for one in networks},
        code="",
        libraries={},
        processor="",
    )


def place_of(look: Look, dataset: Path, **more: str) -> LookPlace:
    return LookPlace(look, dataset=str(dataset), beside=str(dataset), **more)


def taken(root: Path, place: LookPlace):  # type: ignore[no-untyped-def]
    worker = FeatureShard(FeatureConfig(str(root), {KEY: place}, NUMERICS))
    worker.setup()
    staged = worker.run(LEASE, nullcontext())
    return staged, read_parquet(Path(staged.folder) / "parquet")


def pictures_of(dataset: Path, sample: str) -> dict[str, np.ndarray]:
    with Reader(dataset) as reader:
        return {
            stage: np.asarray(
                Image.open(io.BytesIO(reader.read(reader.position(sample), stage))).convert("RGB")
            )
            for stage in ("source", "target")
        }


@pytest.mark.parametrize(
    ("kind", "widths"),
    [
        ("inception", {64: 4, 2048: 24}),
        ("dinov2", {0: 32}),
        ("cmmd", {0: 24}),
        ("clip_iqa", {0: 1}),
        ("texture", {0: 4 * 80}),
        ("pairs", {0: len(PAIRS)}),
        ("lpips", {0: len(PAIRS) + len(PAIRS_LPIPS)}),
        ("detail", {0: len(DETAIL)}),
        ("face_score", {0: 1}),
    ],
)
def test_a_row_for_each_picture_and_tap(
    kind: str, widths: dict[int, int], tiny: Path, finished: Path, tmp_path: Path
) -> None:
    look = look_of(finished, settings_of(kind, tiny), stage="target")
    staged, table = taken(tmp_path, place_of(look, finished))
    check_record(table.schema, FEATURE_SCHEMA, kind)
    made = read_parquet(layout.rows_path(finished, SHARD)).to_pylist()
    rows = table.to_pylist()
    assert len(rows) == len(made) * len(widths)
    assert {row["tap"]: len(row["features"]) for row in rows} == widths
    assert {row["id"]: row["picture_sha256"] for row in rows} == {
        one["id"]: one["target_sha256"] for one in made
    }
    assert {(row["status"], row["shard"]) for row in rows} == {("ok", SHARD)}
    assert {row["places"] for row in rows} == {4 if kind == "texture" else 1}
    assert staged.done.made_by == look.fingerprint()
    assert (staged.done.ok, staged.done.failed) == (len(rows), 0)
    assert not staged.told
    # The same again: the same bytes.
    again, _ = taken(tmp_path, place_of(look, finished))
    assert again.done.parquet == staged.done.parquet


def test_they_are_the_networks_own(tiny: Path, finished: Path, tmp_path: Path) -> None:
    """Several networks look at once, and each sees what it would see alone."""
    kinds = ("inception", "texture", "pairs", "detail")
    look = look_of(finished, *(settings_of(kind, tiny) for kind in kinds))
    _, table = taken(tmp_path, place_of(look, finished))
    rows = [row for row in table.to_pylist() if row["id"] == table["id"][-1].as_py()]
    seen = {(row["network"], row["tap"]): np.array(row["features"]) for row in rows}
    there = pictures_of(finished, rows[0]["id"])
    source, target = there["source"], there["target"]
    wanted = load_inception(tiny / "inception").of_levels([source], "clean", [64])[64][0]
    np.testing.assert_allclose(seen["inception-clean", 64], wanted, rtol=1e-4, atol=1e-5)
    texture = TextureFeatures().of_levels([source]).ravel()
    np.testing.assert_allclose(seen["texture", 0], texture, rtol=1e-5)
    error = np.square(source.astype(float) - target).mean()
    np.testing.assert_allclose(seen["pairs", 0], [1, 0, ssim(source, target), error], rtol=1e-6)
    assert seen["detail", 0][0] == pytest.approx(net_pattern(source, source).share)


def test_where_weights_lie_is_no_part_of_a_look_what_they_are_is(
    tiny: Path, finished: Path, tmp_path: Path
) -> None:
    look = look_of(finished, settings_of("inception", tiny))
    (label, seen), *_ = look.seen_by.items()

    def with_network(**other: Any) -> Look:
        return replace(look, seen_by={label: replace(seen, **other)})

    moved = InceptionSettings(taps=(64, 2048))
    assert with_network(network=moved).fingerprint() == look.fingerprint()
    policy = InceptionSettings(taps=(64, 2048), policy="tf1")
    assert with_network(network=policy).fingerprint() != look.fingerprint()
    changed = with_network(weights={"weights": "other"})
    assert changed.fingerprint() != look.fingerprint()
    head = ByHead(weights_sha256="a", network="b", precision="float32")
    headed = replace(look, view=replace(look.view, change=head))
    assert headed.fingerprint() != look.fingerprint()
    assert look.may_differ() == {"code": "", "processor": ""}
    with pytest.raises(CannotGoOn, match="other weights of inception-clean than the driver"):
        taken(tmp_path, place_of(changed, finished))
    assert looked_at(stored_shard(KEY, SHARD)) == (KEY, SHARD)


@pytest.fixture
def head(tmp_path: Path) -> Path:
    """A head that changes every picture a little."""
    settings = ResnetSettings(width=8, halvings=0, num_blocks=1)
    Head(build_network(settings, seed=1), settings).save(tmp_path / "head")
    return tmp_path / "head"


def by_head(head: Path) -> ByHead:
    found = read_config(head).weights_sha256
    return ByHead(weights_sha256=found, network="resnet", precision="float32")


def test_a_head_is_applied_before_anything_looks(
    finished: Path, head: Path, tmp_path: Path
) -> None:
    change = by_head(head)
    look = look_of(finished, TextureSettings(), PairsSettings(), change=change)
    place = place_of(look, finished, head=str(head))
    staged, table = taken(tmp_path, place)
    row = table.to_pylist()[0]
    there = pictures_of(finished, row["id"])
    (made,) = Head.from_pretrained(head).apply([there["source"]])
    np.testing.assert_allclose(
        row["features"], TextureFeatures().of_levels([made]).ravel(), rtol=1e-4, atol=1e-4
    )
    assert staged.told["changed"] == 8
    assert staged.told["change_s"] > 0
    other = replace(change, weights_sha256="another")
    look = look_of(finished, TextureSettings(), change=other)
    with pytest.raises(CannotGoOn, match="another head than when this began"):
        taken(tmp_path, place_of(look, finished, head=str(head)))


@pytest.mark.parametrize("change", [BySharpening(amount=0.5, radius_px=1.0), ByGrain(levels=2.0)])
def test_a_filter_is_applied_the_same_way(change: Any, finished: Path, tmp_path: Path) -> None:
    look = look_of(finished, TextureSettings(), change=change)
    _, table = taken(tmp_path, place_of(look, finished))
    row = table.to_pylist()[3]
    source = pictures_of(finished, row["id"])["source"]
    made = (
        sharpened(source, 0.5, 1.0)
        if isinstance(change, BySharpening)
        else grained(source, 2.0, row["id"])
    )
    np.testing.assert_allclose(
        row["features"], TextureFeatures().of_levels([made]).ravel(), rtol=1e-5
    )


def test_a_folder_of_pictures(finished: Path, tmp_path: Path) -> None:
    """Pictures of any size and kind are looked at; what is no picture is a row with its reason."""
    folder = tmp_path / "folder"
    folder.mkdir()
    ids = read_parquet(layout.rows_path(finished, SHARD))["id"].to_pylist()
    rng = np.random.default_rng(0)
    for number, one in enumerate(ids):
        picture = Image.fromarray(rng.integers(0, 256, (64, 96, 3), np.uint8))
        if number == 1:
            (folder / f"{one}.png").write_bytes(b"")
        elif number == 2:
            picture.convert("CMYK").save(folder / f"{one}.jpg")
        elif number == 3:
            frames = [picture, picture.rotate(90)]
            frames[0].save(folder / f"{one}.webp", save_all=True, append_images=frames[1:])
        elif number == 4:
            Image.new("RGB", (1, 1)).save(folder / f"{one}.png")
        else:
            picture.save(folder / f"{one}.png")
    look = look_of(finished, TextureSettings(), PairsSettings())
    place = place_of(look, finished, folder=str(folder))
    staged, table = taken(tmp_path, place)
    by_id = {row["id"]: row for row in table.to_pylist() if row["network"] == "texture"}
    assert by_id[ids[0]]["places"] == 2 * 3
    assert by_id[ids[1]]["reason"].startswith("cannot be decoded")
    assert by_id[ids[2]]["status"] == "ok"
    assert by_id[ids[3]]["reason"] == "is an animation; give one picture a sample"
    assert "take larger pictures" in by_id[ids[4]]["reason"]
    # Of another size than the sources: compared with nobody, and no error.
    pairs = [row for row in table.to_pylist() if row["network"] == "pairs"]
    assert np.isnan(pairs[0]["features"]).all()
    assert staged.done.failed == 2 * 3
    (folder / f"{ids[0]}.png").unlink()
    with pytest.raises(CannotGoOn, match="is gone; put it back"):
        taken(tmp_path, place)


def test_a_picture_that_is_not_as_published_stops_it(
    tiny: Path, generated: Path, tmp_path: Path
) -> None:
    tar = layout.tar_path(generated, SHARD)
    row = read_parquet(layout.rows_path(generated, SHARD)).to_pylist()[0]
    data = bytearray(tar.read_bytes())
    data[row["source_offset"] + 40] ^= 1
    tar.write_bytes(data)
    look = look_of(generated, settings_of("clip_iqa", tiny))
    with pytest.raises(ValueError, match=r"the source of .* is not as published; relume generate"):
        taken(tmp_path, place_of(look, generated))


class Broken:
    """A network whose numbers are none."""

    def prepared(self, picture: np.ndarray, beside: object) -> np.ndarray:
        return picture

    def features(self, shown: list[np.ndarray]) -> dict[int, np.ndarray]:
        return {0: np.full((len(shown), 2), np.nan, np.float32)}


def test_a_network_that_gives_no_number_is_an_error_of_that_picture(
    tiny: Path, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = look_of(finished, settings_of("dinov2", tiny))
    monkeypatch.setattr("tasks.feature_shard.load_network", lambda *_: Broken())
    staged, table = taken(tmp_path, place_of(look, finished))
    assert set(table["status"].to_pylist()) == {"error"}
    assert set(table["features"].to_pylist()) == {None}
    assert staged.failures == {"the network gave what is no number": table.num_rows}


@pytest.mark.parametrize("kind", ["inception", "dinov2", "cmmd", "clip_iqa"])
def test_missing_weights_are_named_with_the_mend(kind: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"missing|has no weights of") as told:
        weights_of(settings_of(kind, tmp_path))
    assert str(told.value).endswith("get it with: relume fetch --metrics")
    assert str(tmp_path) in str(told.value)


def test_missing_weights_of_lpips_and_of_faces_are_named_too(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"get it with: relume fetch --lpips vgg"):
        weights_of(settings_of("lpips", tmp_path))
    faces = IdentitySettings(faces=DeepFaceSettings(weights=str(tmp_path)))
    with pytest.raises(ValueError, match="get it with: relume fetch --faces"):
        weights_of(faces)


def test_a_gpu_that_is_asked_for_has_to_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert device_of(FeatureNumerics()) == "cpu"
    with pytest.raises(ValueError, match=r'evaluate.device = "cuda": this machine has no GPU'):
        device_of(FeatureNumerics(device="cuda"))


def test_models_of_the_hub_are_looked_for_in_its_cache() -> None:
    with pytest.raises(ValueError, match=r"hub/models--facebook--dinov2-large: has no weights of"):
        weights_of(Dinov2Settings())


def test_taps_are_given_once_and_in_order() -> None:
    with pytest.raises(ValueError, match=r"taps = \[192, 64\]: give each once, the smallest first"):
        InceptionSettings(taps=(192, 64))


def test_a_picture_that_cannot_be_decoded_is_a_row_of_its_own(
    tiny: Path, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, met = Image.open, []

    def every_fifth_is_cut(file: io.BytesIO) -> Image.Image:
        met.append(file)
        return real(io.BytesIO(file.getvalue()[:200]) if len(met) % 5 == 1 else file)

    monkeypatch.setattr("tasks.published_pictures.Image.open", every_fifth_is_cut)
    look = look_of(finished, settings_of("inception", tiny))
    staged, table = taken(tmp_path, place_of(look, finished))
    failed = [row for row in table.to_pylist() if row["status"] == "error"]
    assert len(failed) == staged.done.failed == -(-len(met) // 5)
    for row in failed:
        assert row["features"] is None
        assert row["tap"] == 0
        assert row["reason"].startswith("cannot be decoded: ")
    # The others have what they would have had.
    assert staged.done.ok == 2 * (len(met) - len(failed))


def test_a_picture_without_a_face_has_no_face_score(tiny: Path) -> None:
    network = load_network(settings_of("face_score", tiny), NUMERICS)
    grey = network.prepared(np.full((64, 64, 3), 90, np.uint8), None)
    assert np.isnan(network.features([grey])[0]).all()
    with pytest.raises(ValueError, match="picture 1: is float64"):
        network.features([grey, np.zeros((4, 4, 3))])
