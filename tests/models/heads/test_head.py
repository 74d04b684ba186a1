"""A head at rest: saved, found again to the bit, pushed, refused where it is broken."""

from __future__ import annotations

import inspect
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from huggingface_hub import HfApi, ModelCard
from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

from models.heads import folder as folder_module
from models.heads.build import build_network
from models.heads.head import Head
from models.heads.training_ids import TrainingIds
from schemas.endings import CannotGoOn
from schemas.head import (
    NetworkSettings,
    PictureMaker,
    ResnetSettings,
    TrainingFacts,
    UnetSettings,
)

ESA = ResnetSettings(width=8, num_blocks=1, attention="esa", residual_output=True)
IDS = TrainingIds.of(f"enhanced-{number:06d}" for number in range(100))


def facts(**changes: object) -> TrainingFacts:
    told = {
        "dataset": "demo",
        "method": "cyclegan",
        "profile": "procedural",
        "source": PictureMaker(model="procedural", revision="3"),
        "target": PictureMaker(model="procedural", revision="3"),
        "num_ids": 100,
        "ids_sha256": IDS.sha256,
        "size_px": 64,
        "images_seen": 5000,
        "config_sha256": "0" * 64,
    }
    return TrainingFacts(**{**told, **changes})


def trained(settings: NetworkSettings = ESA) -> Head:
    network = build_network(settings, seed=3)
    torch.nn.init.normal_(network.last.weight, generator=torch.Generator().manual_seed(4))
    return Head(network, settings, facts(), IDS)


def pictures(*sizes: tuple[int, int]) -> list[np.ndarray]:
    chance = np.random.default_rng(0)
    return [chance.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    trained().save(tmp_path / "head")
    return tmp_path / "head"


@pytest.mark.parametrize("settings", [ESA, UnetSettings(width=8, levels=3)], ids=lambda s: s.kind)
def test_it_comes_back_to_the_bit(settings: NetworkSettings, tmp_path: Path) -> None:
    head = trained(settings)
    head.save(tmp_path / "head")
    again = Head.from_pretrained(tmp_path / "head")
    assert (again.settings, again.training) == (head.settings, head.training)
    weights = again.network.state_dict()
    assert all(torch.equal(one, weights[name]) for name, one in head.network.state_dict().items())
    one, other = (each.apply(pictures((60, 60), (77, 101))) for each in (head, again))
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    again.save(tmp_path / "again")
    for path in (tmp_path / "head").iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


def test_its_folder_holds_what_the_hub_knows(saved: Path) -> None:
    names = [
        "README.md",
        "config.json",
        "head.py",
        "model.safetensors",
        "training_ids.safetensors",
    ]
    assert sorted(path.name for path in saved.iterdir()) == names
    card = ModelCard.load(saved / "README.md")
    assert card.data.pipeline_tag == "image-to-image"
    assert "procedural" in card.data.tags
    assert "**Procedural pictures**" in card.text
    assert "| `residual_output` | True |" in card.text
    assert facts().ids_sha256 in card.text
    trained_on_flux = Head(build_network(ESA, 0), ESA, facts(profile="exact"), IDS)
    trained_on_flux.save(saved)
    assert "rocedural pictures" not in (saved / "README.md").read_text()


def test_a_head_is_a_copy_and_stays_as_it_is() -> None:
    network = build_network(ESA, 0)
    head = Head(network, ESA)
    before = head.apply(pictures((64, 64)))[0]
    torch.nn.init.ones_(network.last.weight)
    assert network.last.weight.requires_grad
    assert np.array_equal(head.apply(pictures((64, 64)))[0], before)


def test_it_remembers_what_it_was_trained_on(saved: Path, tmp_path: Path) -> None:
    head = Head.from_pretrained(saved)
    assert head.overlap(["test-1", "enhanced-000042", "enhanced-000100"]) == ["enhanced-000042"]
    assert len(TrainingIds.of(["a", "b", "a"])) == 2
    assert TrainingIds.of(["a", "b"]).sha256 == TrainingIds.of(["b", "a"]).sha256
    Head(build_network(ESA, 0), ESA).save(tmp_path / "imported")
    imported = Head.from_pretrained(tmp_path / "imported")
    assert "Unknown" in (tmp_path / "imported" / "README.md").read_text()
    with pytest.raises(ValueError, match="no overlap can be ruled out"):
        imported.overlap(["a"])
    with pytest.raises(ValueError, match="give both or none"):
        Head(build_network(ESA, 0), ESA, facts())
    with pytest.raises(ValueError, match="ids_sha256 = 'x'"):
        Head(build_network(ESA, 0), ESA, facts(ids_sha256="x"), IDS)


def refusal(place: Path | str) -> str:
    with pytest.raises(ValueError, match=r".") as caught:
        Head.from_pretrained(place)
    return str(caught.value)


def changed(folder: Path, change: Callable[[dict], object]) -> None:
    path = folder / "config.json"
    told = json.loads(path.read_text())
    path.write_text(json.dumps(change(told)))


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "no config": (
        lambda head: (head / "config.json").unlink(),
        "config.json: is missing; get the head again",
    ),
    "half a config": (
        lambda head: (head / "config.json").write_text('{"format'),
        "config.json: is not JSON",
    ),
    "another's config": (
        lambda head: (head / "config.json").write_text('{"model_type": "bert"}'),
        "is of no head of Relume",
    ),
    "a list": (lambda head: (head / "config.json").write_text("[]"), "is of no head of Relume"),
    "a later version": (
        lambda head: changed(head, lambda told: {**told, "version": 2}),
        "version = 2: this Relume reads 1",
    ),
    "an unknown field": (
        lambda head: changed(head, lambda told: {**told, "nmae": 2}),
        "nmae = 2: unknown field",
    ),
    "another network": (
        lambda head: changed(head, lambda told: {**told, "network": {"kind": "unet"}}),
        "model.safetensors: 'blocks.0.branch.0.conv.weight' belongs to no layer",
    ),
    "more blocks": (
        lambda head: changed(
            head, lambda told: {**told, "network": {**told["network"], "num_blocks": 2}}
        ),
        "model.safetensors: 'blocks.1.branch.0.conv.weight' is missing",
    ),
    "another width": (
        lambda head: changed(
            head, lambda told: {**told, "network": {**told["network"], "width": 16}}
        ),
        "model.safetensors: 'blocks.0.branch.0.conv.weight' is torch.float32 (32, 32, 3, 3), "
        "its network has torch.float32 (64, 64, 3, 3)",
    ),
    "no weights": (
        lambda head: (head / "model.safetensors").unlink(),
        "model.safetensors: is missing; get the head again",
    ),
    "pickled weights": (
        lambda head: (head / "model.safetensors").rename(head / "pytorch_model.bin"),
        "pytorch_model.bin is not read: it could execute code",
    ),
    "half the weights": (
        lambda head: os.truncate(head / "model.safetensors", 5000),
        "model.safetensors: is not the file that config.json is of",
    ),
    "no ids": (
        lambda head: (head / "training_ids.safetensors").unlink(),
        "training_ids.safetensors: is missing",
    ),
    "broken ids": (
        lambda head: os.truncate(head / "training_ids.safetensors", 20),
        "training_ids.safetensors: holds no hashes",
    ),
    "other ids": (
        lambda head: changed(
            head, lambda told: {**told, "training": {**told["training"], "ids_sha256": "0"}}
        ),
        "training_ids.safetensors: training.ids_sha256 = '0'",
    ),
    "a folder for weights": (
        lambda head: ((head / "model.safetensors").unlink(), (head / "model.safetensors").mkdir()),
        "model.safetensors: cannot be read",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_folder_is_refused(saved: Path, what: str) -> None:
    damage, told = BROKEN[what]
    damage(saved)
    found = refusal(saved)
    assert told in found
    assert found.startswith(str(saved))
    assert "\n" not in found or "mistake" in found.split("\n")[0]


def test_weights_that_are_no_safetensors(saved: Path) -> None:
    (saved / "model.safetensors").write_bytes(b"junk")
    sum_of_junk = folder_module.sha256(b"junk")
    changed(saved, lambda told: {**told, "weights_sha256": sum_of_junk})
    assert "is no safetensors file" in refusal(saved)


def test_places_that_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mend = "no such folder of a head; name the RUN/head that relume train made"
    assert refusal(tmp_path / "nowhere") == f"{tmp_path}/nowhere: {mend}, or give a hub id"
    assert refusal("./user/head").startswith(f"{Path.cwd()}/user/head: {mend}")
    (tmp_path / "file").touch()
    assert "is a file and no folder of a head; name" in refusal(tmp_path / "file")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    told = refusal("user/head")
    assert told.startswith(f"{Path.cwd()}/user/head: {mend}; if the hub's user/head is meant")
    assert "hf download user/head --revision main" in told
    assert str(tmp_path / "cache") in told


def test_a_head_in_the_hubs_cache_is_found(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached = tmp_path / "cache" / "models--user--head"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs" / "main").write_text("a" * 40)
    (cached / "snapshots").mkdir()
    saved.rename(cached / "snapshots" / ("a" * 40))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    assert Head.from_pretrained("user/head").settings == ESA


def test_saving_again_replaces_a_head_and_nothing_else(saved: Path, tmp_path: Path) -> None:
    settings = UnetSettings(width=8, levels=2)
    (saved / "old").write_text("gone afterwards")
    Head(build_network(settings, 0), settings).save(saved)
    assert Head.from_pretrained(saved).settings == settings
    assert sorted(path.name for path in saved.iterdir()) == [
        "README.md",
        "config.json",
        "head.py",
        "model.safetensors",
    ]
    (tmp_path / "mine").mkdir()
    trained().save(tmp_path / "mine")
    (tmp_path / "mine" / "config.json").write_text('{"model_type": "bert"}')
    for taken in (tmp_path / "mine", tmp_path / "mine" / "README.md"):
        with pytest.raises(ValueError, match="is there and is no head"):
            trained().save(taken)
    (tmp_path / "mine" / "config.json").write_text("{")
    with pytest.raises(ValueError, match="is there and is no head"):
        trained().save(tmp_path / "mine")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["head", "mine"]


@pytest.mark.parametrize("failing", ["write", "rename"])
def test_a_full_disk_leaves_the_earlier_head(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    before = {path.name: path.read_bytes() for path in saved.iterdir()}

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    if failing == "write":
        monkeypatch.setattr("os.fsync", full)
    else:
        rename = Path.rename

        def second_fails(one: Path, other: Path) -> Path:
            return full() or one if other == saved and one.suffix != ".old" else rename(one, other)

        monkeypatch.setattr(Path, "rename", second_fails)
    with pytest.raises(OSError, match="No space left"):
        Head(build_network(ESA, 0), ESA).save(saved)
    monkeypatch.undo()
    assert {path.name: path.read_bytes() for path in saved.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["head"]


Calls = list[tuple[str, dict[str, object]]]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """The hub's calls with their arguments, each checked against the real signature."""
    calls: Calls = []

    def recorded(name: str) -> Callable[..., object]:
        signature = inspect.signature(getattr(HfApi, name))

        def call(*given: object, **named: object) -> object:
            arguments = dict(signature.bind(*given, **named).arguments)
            if "folder_path" in arguments:
                folder = Path(str(arguments["folder_path"]))
                arguments["head"] = Head.from_pretrained(folder)
            calls.append((name, arguments))
            return SimpleNamespace(commit_url="https://huggingface.co/user/head/commit/1")

        return call

    for name in ("create_repo", "create_branch", "upload_folder"):
        monkeypatch.setattr(HfApi, name, recorded(name))
    return calls


def test_pushing_uploads_a_whole_head(hub: Calls) -> None:
    head = trained()
    address = head.push_to_hub("user/head")
    assert address == "https://huggingface.co/user/head/commit/1"
    (first, made), (second, sent) = hub
    assert (first, made["repo_id"], made["private"]) == ("create_repo", "user/head", True)
    assert (second, sent["repo_id"], sent["revision"]) == ("upload_folder", "user/head", None)
    pushed = sent["head"]
    assert isinstance(pushed, Head)
    one, other = (each.apply(pictures((60, 64)))[0] for each in (head, pushed))
    assert np.array_equal(one, other)
    hub.clear()
    head.push_to_hub("user/head", private=False, revision="best")
    assert [name for name, _ in hub] == ["create_repo", "create_branch", "upload_folder"]
    assert (hub[1][1]["branch"], hub[2][1]["revision"]) == ("best", "best")


def test_pushing_says_why_it_could_not(hub: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="'head': no hub id; give it as user/head"):
        trained().push_to_hub("head")
    assert not hub

    def refuse(error: Exception) -> None:
        def call(*_: object, **__: object) -> None:
            raise error

        monkeypatch.setattr(HfApi, "create_repo", call)

    refuse(LocalTokenNotFoundError("none"))
    with pytest.raises(ValueError, match="no token to push with; set HF_TOKEN"):
        trained().push_to_hub("user/head")
    refuse(
        HfHubHTTPError(
            "403 Forbidden.\nAnd more.", response=SimpleNamespace(headers={}, request=None)
        )
    )
    with pytest.raises(CannotGoOn, match="was not pushed: 403 Forbidden; check"):
        trained().push_to_hub("user/head")


def test_a_hub_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    # The real client, and a port that nobody listens on.
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{unused.getsockname()[1]}"
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", endpoint)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    with pytest.raises(CannotGoOn, match=r"'user/head': was not pushed: .*refused"):
        trained().push_to_hub("user/head")
