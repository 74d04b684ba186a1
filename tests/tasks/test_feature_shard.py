"""A shard's pictures through tiny networks, staged and published as rows; no Ray."""

from __future__ import annotations

import io
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.features.inception import load_inception
from models.tiny.write import write
from schemas.endings import CannotGoOn
from schemas.lease import Lease
from schemas.measure import (
    FEATURE_SCHEMA,
    ClipIqaSettings,
    CmmdSettings,
    Dinov2Settings,
    FeatureRecord,
    FeatureSettings,
    InceptionSettings,
)
from schemas.records import check_record
from shards import layout
from shards.encoding import read_parquet
from shards.provenance import code_version
from shards.reader import Reader
from shards.run import read_generator, read_run
from tasks.feature_networks import weights_of
from tasks.feature_shard import FeatureConfig, FeatureShard

SHARD = "train/shard-000000"
LEASE = Lease(shard=SHARD, attempt=1, samples=())


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    for kind in ("inception", "dinov2", "clip"):
        write(kind, folder / kind)
    return folder


def settings_of(kind: str, tiny: Path) -> FeatureSettings:
    network = {
        "inception": InceptionSettings(weights=str(tiny / "inception"), taps=(64, 2048)),
        "dinov2": Dinov2Settings(model=str(tiny / "dinov2")),
        "cmmd": CmmdSettings(model=str(tiny / "clip")),
        "clip_iqa": ClipIqaSettings(model=str(tiny / "clip")),
    }[kind]
    return FeatureSettings(network=network, batch_size=3)


def record_of(settings: FeatureSettings, dataset: Path) -> FeatureRecord:
    run, generator = read_run(dataset), read_generator(dataset)
    assert generator is not None
    return FeatureRecord(
        name="small",
        dataset=generator.fingerprint(),
        stages=run.config.dataset.stages,
        settings=settings,
        weights=weights_of(settings),
        procedural=True,
        code=code_version(),
        libraries={},
        processor="",
    )


def taken(root: Path, dataset: Path, record: FeatureRecord):  # type: ignore[no-untyped-def]
    worker = FeatureShard(FeatureConfig(str(root), str(dataset), record))
    worker.setup()
    staged = worker.run(LEASE, nullcontext())
    return staged, read_parquet(Path(staged.folder) / "parquet")


@pytest.mark.parametrize(
    ("kind", "widths"),
    [
        ("inception", {64: 4, 2048: 24}),
        ("dinov2", {0: 32}),
        ("cmmd", {0: 24}),
        ("clip_iqa", {0: 1}),
    ],
)
def test_a_row_for_each_picture_and_tap(
    kind: str, widths: dict[int, int], tiny: Path, finished: Path, tmp_path: Path
) -> None:
    record = record_of(settings_of(kind, tiny), finished)
    staged, table = taken(tmp_path, finished, record)
    check_record(table.schema, FEATURE_SCHEMA, kind)
    made = read_parquet(layout.rows_path(finished, SHARD)).to_pylist()
    rows = table.to_pylist()
    assert len(rows) == 2 * len(made) * len(widths)
    assert {row["tap"]: len(row["features"]) for row in rows} == widths
    assert {(row["id"], row["stage"]) for row in rows} == {
        (one["id"], stage) for one in made for stage in ("source", "target")
    }
    assert {row["status"] for row in rows} == {"ok"}
    assert staged.done.made_by == record.fingerprint()
    assert (staged.done.ok, staged.done.failed) == (len(rows), 0)
    # The same again: the same bytes.
    again, _ = taken(tmp_path, finished, record)
    assert again.done.parquet == staged.done.parquet


def test_they_are_the_networks_own(tiny: Path, finished: Path, tmp_path: Path) -> None:
    record = record_of(settings_of("inception", tiny), finished)
    _, table = taken(tmp_path, finished, record)
    row = table.to_pylist()[-1]
    with Reader(finished) as reader:
        png = reader.read(reader.position(row["id"]), row["stage"])
    levels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
    wanted = load_inception(tiny / "inception").of_levels([levels], "clean", [row["tap"]])
    np.testing.assert_allclose(row["features"], wanted[row["tap"]][0], rtol=1e-4, atol=1e-5)


def test_where_weights_lie_is_no_part_of_a_folder_what_they_are_is(
    tiny: Path, finished: Path, tmp_path: Path
) -> None:
    settings = settings_of("inception", tiny)
    record = record_of(settings, finished)
    moved = replace(record, settings=replace(settings, network=InceptionSettings(taps=(64, 2048))))
    assert moved.fingerprint() == record.fingerprint()
    network = InceptionSettings(taps=(64, 2048), policy="tf1")
    other = replace(record, settings=replace(settings, network=network))
    assert other.fingerprint() != record.fingerprint()
    changed = replace(record, weights={"weights": "other"})
    assert changed.fingerprint() != record.fingerprint()
    with pytest.raises(CannotGoOn, match="other weights than the driver"):
        FeatureShard(FeatureConfig(str(tmp_path), str(finished), changed)).setup()


def test_a_picture_that_is_not_as_published_stops_it(
    tiny: Path, generated: Path, tmp_path: Path
) -> None:
    tar = layout.tar_path(generated, SHARD)
    row = read_parquet(layout.rows_path(generated, SHARD)).to_pylist()[0]
    data = bytearray(tar.read_bytes())
    data[row["source_offset"] + 40] ^= 1
    tar.write_bytes(data)
    record = record_of(settings_of("clip_iqa", tiny), generated)
    with pytest.raises(ValueError, match=r"the source of .* is not as published; relume generate"):
        taken(tmp_path, generated, record)


class Broken:
    """A network whose numbers are none."""

    def prepared(self, picture: np.ndarray) -> np.ndarray:
        return picture

    def features(self, shown: list[np.ndarray]) -> dict[int, np.ndarray]:
        return {0: np.full((len(shown), 2), np.nan, np.float32)}


def test_a_network_that_gives_no_number_is_an_error_of_that_picture(
    tiny: Path, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = record_of(settings_of("dinov2", tiny), finished)
    monkeypatch.setattr("tasks.feature_shard.load_network", lambda settings: Broken())
    staged, table = taken(tmp_path, finished, record)
    assert set(table["status"].to_pylist()) == {"error"}
    assert set(table["features"].to_pylist()) == {None}
    assert staged.failures == {"the network gave what is no number": table.num_rows}


@pytest.mark.parametrize("kind", ["inception", "dinov2", "cmmd", "clip_iqa"])
def test_missing_weights_are_named_with_the_mend(kind: str, tmp_path: Path) -> None:
    network = settings_of(kind, tmp_path).network
    with pytest.raises(ValueError, match=r"missing|has no weights of") as told:
        weights_of(FeatureSettings(network=network))
    assert str(told.value).endswith("get it with: relume fetch --metrics")
    assert str(tmp_path) in str(told.value)


def test_models_of_the_hub_are_looked_for_in_its_cache() -> None:
    with pytest.raises(ValueError, match=r"hub/models--facebook--dinov2-large: has no weights of"):
        weights_of(FeatureSettings(network=Dinov2Settings()))


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
    staged, table = taken(tmp_path, finished, record_of(settings_of("inception", tiny), finished))
    failed = [row for row in table.to_pylist() if row["status"] == "error"]
    assert len(failed) == staged.done.failed == -(-len(met) // 5)
    for row in failed:
        assert row["features"] is None
        assert row["tap"] == 0
        assert row["reason"].startswith("cannot be decoded: ")
    # The others have what they would have had.
    assert staged.done.ok == 2 * (len(met) - len(failed))
