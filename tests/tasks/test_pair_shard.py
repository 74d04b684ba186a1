"""One shard of face pairs: what is painted and what stays, reasons as rows, the same bytes."""

from __future__ import annotations

import io
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from models.stable_diffusion.inpainting import Inpainter, Painted
from models.tiny.write import write
from schemas.endings import CannotGoOn
from schemas.facepairs import FacePairSettings, facepair_settings
from schemas.lease import Lease, StagedShard
from shards.encoding import read_parquet
from shards.pair_plan import plan_of_pairs
from shards.plan import planned_samples
from shards.run import publish_run, read_generator, read_planned
from tasks import pair_shard
from tasks.pair_shard import PairConfig, PairShard, pairing_record
from tasks.published_pictures import Undecodable
from tests.face_pictures import SCENES, SIZE_PX, make_faces_dataset, write_preset


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    for kind in ("deepface-onnx", "sd15", "sd15-inpainting"):
        write(kind, folder / kind)
    return folder


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_faces_dataset(tmp_path_factory.mktemp("pictures") / "data")


def config_of(dataset: Path, out: Path, settings: FacePairSettings) -> PairConfig:
    run, plan = read_planned(dataset)
    ours, data = plan_of_pairs(run, plan, settings)
    publish_run(out, ours, data)
    made_from = read_generator(dataset)
    assert made_from is not None
    record = pairing_record(ours, made_from, settings, Inpainter(settings.inpaint))
    return PairConfig(
        root=str(out), dataset=str(dataset), size_px=SIZE_PX, settings=settings, record=record
    )


@pytest.fixture
def config(tiny: Path, dataset: Path, tmp_path: Path) -> PairConfig:
    settings = facepair_settings(write_preset(tmp_path, tiny), {})
    return config_of(dataset, tmp_path / "out", settings)


def lease_of(config: PairConfig) -> Lease:
    _, plan = read_planned(Path(config.root))
    shard, samples = next(planned_samples(plan))
    return Lease(shard=shard, attempt=1, samples=samples)


def ready(config: PairConfig) -> PairShard:
    worker = PairShard(config)
    assert {"code", "processor", "torch"} <= worker.setup().keys()
    return worker


def staged_rows(staged: StagedShard) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = read_parquet(Path(staged.folder) / "parquet").to_pylist()
    return rows


def member(staged: StagedShard, row: dict[str, Any], stage: str) -> bytes:
    tar = (Path(staged.folder) / "tar").read_bytes()
    return tar[row[f"{stage}_offset"] : row[f"{stage}_offset"] + row[f"{stage}_bytes"]]


def levels(staged: StagedShard, row: dict[str, Any], stage: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(member(staged, row, stage))))


def test_a_shard_of_scenes(config: PairConfig, dataset: Path) -> None:
    worker, lease = ready(config), lease_of(config)
    staged, again = (worker.run(lease, nullcontext()) for _ in range(2))
    assert staged.done == again.done
    rows = staged_rows(staged)
    outcome = {
        "whole": [0.4, "no 2nd face"],
        "quarters": [0.2, 0.2],
        "none": ["no face", "no face"],
        "blurred": ["blurred", "no 2nd face"],
    }
    assert [row["reason"] or row["bad_strength"] for row in rows] == [
        one for scene in SCENES for one in outcome[scene]
    ]
    sources = {
        row["id"]: row for row in read_parquet(dataset / f"{lease.shard}.parquet").to_pylist()
    }
    for row in (one for one in rows if one["status"] == "ok"):
        good, bad, mask = (levels(staged, row, stage) for stage in ("good", "bad", "mask"))
        source = sources[row["id"].rpartition("-f")[0]]
        assert row["good_sha256"] == source["source_sha256"]
        assert (row["prompt"], row["good_model"]) == (source["prompt"], "procedural")
        assert mask.shape == good.shape[:2]
        assert set(np.unique(mask)) == {0, 255}
        assert np.array_equal(good[mask == 0], bad[mask == 0])
        assert (good[mask == 255] != bad[mask == 255]).mean() > 0.9
    assert (rows[0]["bad_steps"], rows[0]["bad_guidance"]) == (20, 7.5)
    assert all(row["bad_sha256"] is None for row in rows if row["status"] == "failed")


def test_what_is_not_pasted_went_through_the_vae(config: PairConfig) -> None:
    whole = ready(config).run(lease_of(config), nullcontext())
    settings = replace(config.settings, paste=False, margin=0.25)
    staged = ready(replace(config, settings=settings)).run(lease_of(config), nullcontext())
    row, pasted = staged_rows(staged)[0], staged_rows(whole)[0]
    good, bad, mask = (levels(staged, row, stage) for stage in ("good", "bad", "mask"))
    assert (good[mask == 0] != bad[mask == 0]).mean() > 0.5
    assert (mask == 255).sum() > 2 * (levels(whole, pasted, "mask") == 255).sum()


def test_faults_are_rows_with_their_reasons(
    config: PairConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, lease = ready(config), lease_of(config)
    paint, decode = worker._inpainter.paint, pair_shard.decoded
    calls: list[int] = []

    def broken(pictures: np.ndarray, *asked: Any) -> Painted:
        made = paint(pictures, *asked)
        pixels, given = made.pixels.copy(), pictures / np.float32(255)
        calls.append(len(pictures))
        # Batches come by noise: both quarters, then the whole, filled up.
        if len(calls) == 1:
            pixels[0] = np.nan
            pixels[1] = given[1]
        withheld = [len(calls) == 2, False]
        return Painted(pixels, withheld)

    seen: list[int] = []

    def last_is_cut(data: bytes) -> np.ndarray:
        seen.append(len(data))
        if len(seen) == len(SCENES):
            raise Undecodable("cannot be decoded: cut")
        return decode(data)

    monkeypatch.setattr(worker._inpainter, "paint", broken)
    monkeypatch.setattr(pair_shard, "decoded", last_is_cut)
    staged = worker.run(lease, nullcontext())
    assert staged.failures == {
        "source cannot be decoded: cut": 2,
        "bad is not a number": 1,
        "bad is no other than good": 1,
        "no face": 2,
        "bad was withheld by the safety checker": 1,
        "no 2nd face": 1,
    }
    assert calls == [2, 2]


def test_a_picture_that_failed_has_no_pair(
    config: PairConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rows(path: Path) -> object:
        table = read_parquet(path).to_pylist()
        table[0] |= {"status": "failed", "reason": "source is black"}
        return type("Table", (), {"to_pylist": lambda _: table})()

    monkeypatch.setattr(pair_shard, "read_parquet", rows)
    staged = ready(config).run(lease_of(config), nullcontext())
    assert staged.failures["no source: source is black"] == 2


def test_a_prompt_of_the_settings_is_used_for_every_face(config: PairConfig) -> None:
    settings = replace(config.settings, inpaint=replace(config.settings.inpaint, prompt="A face"))
    worker = ready(replace(config, settings=settings))
    seen: list[str] = []
    paint = worker._inpainter.paint
    worker._inpainter.paint = lambda *asked: (seen.extend(asked[2]), paint(*asked))[1]  # type: ignore[method-assign]
    staged = worker.run(lease_of(config), nullcontext())
    assert set(seen) == {"A face"}
    # What is published is still the picture's own prompt.
    assert staged_rows(staged)[0]["prompt"] == "A portrait of somebody at the sea"


def test_a_node_with_other_models_makes_nothing(config: PairConfig, tiny: Path) -> None:
    inpaint = replace(config.settings.inpaint, model=str(tiny / "sd15"))
    settings = replace(config.settings, inpaint=inpaint)
    with pytest.raises(CannotGoOn, match="sees other models than the driver"):
        PairShard(replace(config, settings=settings)).setup()
    nowhere = replace(config.settings.finder, weights="/nowhere")
    with pytest.raises(ValueError, match=r"retinaface\.onnx: is missing"):
        PairShard(replace(config, settings=replace(config.settings, finder=nowhere))).setup()


def test_weights_are_copied_to_the_node(config: PairConfig, tmp_path: Path) -> None:
    copied = replace(config, weights_to=str(tmp_path / "local"))
    one, other = (
        ready(each).run(lease_of(config), nullcontext()).done for each in (config, copied)
    )
    assert one == other
    assert any((tmp_path / "local").rglob("*.safetensors"))
