"""A shard's pictures and their prompts through tiny networks, staged as rows; no Ray."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from models.facescore.image_reward import load_image_reward
from models.features.clip import load_clip_score
from models.features.hps import load_hps
from models.straw_men import filtered
from models.tiny.write import write
from schemas.lease import Lease
from schemas.measure import (
    PROMPTED,
    ByGrain,
    ClipScoreSettings,
    FeatureNumerics,
    HpsSettings,
    ImageRewardSettings,
    Look,
    NetworkSettings,
    SeenBy,
    TextureSettings,
    Unchanged,
    View,
    label_of,
)
from shards import layout
from shards.encoding import read_parquet
from shards.reader import Reader
from shards.run import read_generator
from tasks.evaluation.dataset import read_dataset
from tasks.evaluation.rows import Row
from tasks.feature_shard import FeatureConfig, FeatureShard
from tasks.features.beside import Beside
from tasks.features.networks import weights_of
from tasks.features.places import LookPlace
from tasks.features.prompted_networks import PromptedNetwork
from tasks.features.store import stored_shard
from workflows import generate

SHARD, KEY = "test/shard-000000", "0123456789abcdef"
LEASE = Lease(shard=stored_shard(KEY, SHARD), attempt=1, samples=())


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    folder = tmp_path_factory.mktemp("prompted")
    for kind in ("clip", "hps", "imagereward"):
        write(kind, folder / kind)
    return [
        ClipScoreSettings(model=str(folder / "clip")),
        ImageRewardSettings(model=str(folder / "imagereward")),
        HpsSettings(model=str(folder / "hps")),
    ]


def place_of(
    dataset: Path, networks: list[NetworkSettings], change: Any = None, **more: str
) -> LookPlace:
    generator = read_generator(dataset)
    assert generator is not None
    made_by = generator.fingerprint()
    look = Look(
        view=View(pictures=made_by, stage="source", beside=made_by, change=change or Unchanged()),
        seen_by={label_of(one): SeenBy(network=one, weights=weights_of(one)) for one in networks},
        code="",
        libraries={},
        processor="",
    )
    return LookPlace(look, dataset=str(dataset), beside=str(dataset), **more)


def taken(root: Path, place: LookPlace, batch_size: int = 3) -> tuple[Any, list[dict[str, Any]]]:
    numerics = FeatureNumerics(batch_size=batch_size)
    worker = FeatureShard(FeatureConfig(str(root), {KEY: place}, numerics))
    worker.setup()
    staged = worker.run(LEASE, nullcontext())
    return staged, read_parquet(Path(staged.folder) / "parquet").to_pylist()


def with_prompts(dataset: Path, prompts: Callable[[int], str]) -> list[dict[str, Any]]:
    """The rows of the shard, whose prompts are others now."""
    path = layout.rows_path(dataset, SHARD)
    table = pq.read_table(path)
    made = pa.array([prompts(number) for number in range(table.num_rows)])
    at = table.schema.get_field_index("prompt")
    table = table.set_column(at, table.schema.field("prompt"), made)
    pq.write_table(table, path)
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def source_of(dataset: Path, sample: str) -> np.ndarray[Any, Any]:
    with Reader(dataset) as reader:
        data = reader.read(reader.position(sample), "source")
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def test_each_picture_is_scored_with_its_own_prompt(
    asked: list[Any], generated: Path, tmp_path: Path
) -> None:
    said = ["A portrait of Anna", "a cat", "portrait " * 90, "three dogs", "x"]
    rows = with_prompts(generated, lambda number: said[number % len(said)])
    place = place_of(generated, [TextureSettings(), *asked])
    staged, found = taken(tmp_path, place)
    assert (staged.done.ok, staged.done.failed) == (4 * len(rows), 0)
    one_by_one = taken(tmp_path, place, batch_size=1)[1]
    networks = {
        "clip_score": load_clip_score(asked[0].model),
        "image_reward": load_image_reward(Path(asked[1].model)),
        "hps": load_hps(Path(asked[2].model)),
    }
    for label, network in networks.items():
        mine = [row for row in found if row["network"] == label]
        assert [row["id"] for row in mine] == [row["id"] for row in rows]
        seen = np.array([row["features"] for row in mine])
        assert seen[:, 1].tolist() == [float(number % 5 == 2) for number in range(len(rows))]
        alone = [row["features"] for row in one_by_one if row["network"] == label]
        np.testing.assert_allclose(np.array(alone), seen, atol=1e-4)
        for number in (0, 3):
            picture = network.prepared(source_of(generated, rows[number]["id"]))
            wanted = network.of_prepared([picture], [said[number]])
            np.testing.assert_allclose(seen[number], wanted[0], atol=1e-4)
        assert {(row["status"], row["reason"]) for row in mine} == {("ok", None)}


def test_a_picture_without_a_prompt_is_a_finding_and_no_failure(
    asked: list[Any], generated: Path, tmp_path: Path
) -> None:
    rows = with_prompts(generated, lambda number: " " if number == 1 else "a face")
    staged, found = taken(tmp_path, place_of(generated, [TextureSettings(), *asked]))
    assert staged.done.failed == 0
    assert not staged.failures
    for row in found:
        lacks = row["id"] == rows[1]["id"] and row["network"] in PROMPTED
        assert row["status"] == "ok"
        assert row["reason"] == ("has no prompt" if lacks else None)
        assert np.isnan(row["features"]).all() if lacks else np.isfinite(row["features"]).all()


def test_none_has_a_prompt(asked: list[Any]) -> None:
    for settings in asked:
        network = PromptedNetwork(settings, "cpu")
        shown = [network.prepared(np.zeros((64, 64, 3), np.uint8), Beside(" \n"))]
        assert np.isnan(network.features(shown)[0]).all()
        assert network.features(shown)[0].shape == (1, 2)


def test_numbers_that_are_none_stay_errors_where_there_is_a_prompt(
    asked: list[Any], finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(self: object, shown: list[Any]) -> dict[int, Any]:
        return {0: np.full((len(shown), 2), np.nan)}

    monkeypatch.setattr(PromptedNetwork, "features", nothing)
    staged, found = taken(tmp_path, place_of(finished, asked[2:]))
    assert {row["reason"] for row in found} == {"the network gave what is no number"}
    assert staged.done.failed == len(found)


def test_changed_pictures_and_those_of_a_folder_have_the_samples_prompts(
    asked: list[Any], generated: Path, tmp_path: Path
) -> None:
    rows = with_prompts(generated, lambda number: "a cat" if number % 2 else "a portrait")
    hps = asked[2:]
    change = ByGrain(levels=4.0)
    _, grained = taken(tmp_path, place_of(generated, hps, change))
    network = load_hps(Path(asked[2].model))
    picture = filtered(change, source_of(generated, rows[1]["id"]), rows[1]["id"])
    wanted = network.of_prepared([network.prepared(picture)], ["a cat"])
    np.testing.assert_allclose(grained[1]["features"], wanted[0], atol=1e-4)
    folder = tmp_path / "folder"
    folder.mkdir()
    for row in rows:
        Image.new("RGB", (40, 64), (200, 40, 90)).save(folder / f"{row['id']}.png")
    _, same = taken(tmp_path, place_of(generated, hps, folder=str(folder)))
    scores = [row["features"][0] for row in same]
    np.testing.assert_allclose(scores[::2], scores[0], atol=1e-4)
    np.testing.assert_allclose(scores[1::2], scores[1], atol=1e-4)
    assert abs(scores[0] - scores[1]) > 0.1


def test_where_weights_lie_is_no_part_of_a_look_and_prompts_are(
    asked: list[Any], planned: Callable[..., Path], tmp_path: Path
) -> None:
    """A folder's pictures under other prompts are another look."""
    for settings in asked:
        sums = weights_of(settings)
        assert len(sums) > 1, "the tokenizer's files are told too"
        there = SeenBy(network=settings, weights=sums)
        elsewhere = SeenBy(network=type(settings)(), weights=sums)
        assert there.what_it_is() == elsewhere.what_it_is()
    folder = tmp_path / "pictures"
    keys = []
    for name, prompt in (("one", "A portrait"), ("other", "A drawing")):
        dataset = planned("small", "--dataset.prompt", prompt, folder=name)
        assert generate.main(["--here", str(dataset)]) == 0
        beside = read_dataset(dataset, "train", ["source"])
        row = Row(
            name="theirs",
            kind="folder",
            dataset=beside,
            stage="source",
            pictures="the same files",
            folder=folder,
            facts={},
        )
        keys.append(row.view(beside))
    assert keys[0] != keys[1]
