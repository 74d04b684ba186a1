"""A LoRA's run: continued after any stop it ends with the very weights of a run without one."""

from __future__ import annotations

import io
import itertools
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from models.adapters.folder import load_adapter, read_adapter
from models.adapters.lora import lora_tensors
from models.stable_diffusion.parts import find_parts, identity_of, load_parts
from models.tiny.write import write
from schemas.caption import CAPTION_SCHEMA, CaptionRecord, CaptionRow, CaptionSettings
from schemas.lora import PAPER_TARGETS, LoraConfig
from schemas.records import to_table
from schemas.settings import as_plain, resolve
from schemas.training import Alarm, EpochEnded, LeftOut, TrainingEnded
from shards.encoding import parquet_bytes
from shards.reader import Reader
from shards.run import read_generator
from tasks.lora.kept_latents import file_shares
from tasks.train_lora import LoraJob
from tasks.training.processes import agree, train_in_processes
from tasks.training.ranks import Ranks
from tasks.training.stand_ins import Unusable
from tasks.training.trainer import Diverged, Training
from tests.training_runs import differing, lines_without_times, state_of, stop_after


@pytest.fixture(scope="session")
def sd15(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write("sd15", tmp_path_factory.mktemp("sd15") / "sd15")


@pytest.fixture
def job(_generated_once: Path, sd15: Path, tmp_path: Path) -> Callable[..., LoraJob]:
    """A LoRA's job on the dataset that all tests share: two phases of 8 and 4, two epochs each."""

    def make(run: str = "run", dataset: Path = _generated_once, **sections: Any) -> LoraJob:
        tables: dict[str, Any] = {
            "seed": 3,
            "model": str(sd15),
            # Of a linear layer and of a convolution: a test of all layers would take longer.
            "adapter": {"rank": 2, "alpha": 4, "dropout": 0.2, "targets": ["to_q", "conv1"]},
            "data": {
                "stage": "target",
                "images": 12,
                "phase_images": 8,
                "phase_epochs": 2,
                "batch_size": 2,
                "accumulation": 2,
                "loader_workers": 0,
                "flip": True,
                "text_dropout": 0.3,
            },
            "optimiser": {"learning_rate": 2e-3, "warmup_steps": 2},
            "preview": {"prompts": []},
            "validation": {"count": 3},
            "numerics": {"precision": "float32", "checkpointing": False},
            "record": {"log_every_steps": 2, "save_every_steps": 1000},
        }
        for name, section in sections.items():
            both = isinstance(section, dict)
            tables[name] = {**tables.get(name, {}), **section} if both else section
        return LoraJob(resolve(LoraConfig, tables, "test"), dataset, tmp_path / run)

    return make


def train(job: LoraJob, stop: Callable[[], bool] = lambda: False) -> list[Any]:
    agree(job, 1)
    return list(Training(job, Ranks(), stop).run())


def assert_same(one: Path, other: Path) -> None:
    # No draw of a LoRA depends on torch's own generator.
    assert differing(one, state_of(other), but="chance") == []
    files = [run / "adapter" / "pytorch_lora_weights.safetensors" for run in (one, other)]
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize("cache", [False, True])
def test_stopped_within_and_between_phases_and_continued(
    cache: bool, job: Callable[..., LoraJob]
) -> None:
    data = {"cache": cache}
    whole = job("whole", data=data)
    told = train(whole)
    assert isinstance(told[-1], TrainingEnded)
    # 2 + 2 steps on the first 8 pictures, 1 + 1 on the other 4.
    assert (told[-1].how, told[-1].steps_done, told[-1].epoch) == ("finished", 6, 4)
    # Within an epoch of the first phase, between the phases, and within the second.
    for step in (3,) if cache else (3, 4, 5):
        stopped = job(f"stopped-{step}", data=data)
        assert train(stopped, stop_after(step))[-1].how == "stopped"
        workers = {"loader_workers": 1 if step == 3 and not cache else 0}
        again = train(job(f"stopped-{step}", data=data | workers))
        assert (again[0].steps_done, again[-1].how) == (step, "finished")
        assert_same(whole.run, stopped.run)
        assert lines_without_times(stopped.run) == lines_without_times(whole.run)


def test_previews_change_nothing_of_the_training(job: Callable[..., LoraJob]) -> None:
    plain = job("plain", data={"images": 8})
    drawn = job("drawn", data={"images": 8}, preview={"prompts": ["a man", "a woman"], "steps": 2})
    train(plain)
    train(drawn)
    assert_same(plain.run, drawn.run)
    names = sorted(path.name for path in (drawn.run / "previews").iterdir())
    assert names == ["before.png", "epoch-0001.png", "epoch-0002.png"]
    before, first, last = (
        np.asarray(Image.open(drawn.run / "previews" / name)).astype(int) for name in names
    )
    # Two prompts, two seeds, 64 px; the adapter shows, and more so later.
    assert before.shape == (128, 128, 3)
    assert 0 < np.abs(first - before).mean() < np.abs(last - before).mean()
    sheet = np.asarray(Image.open(drawn.run / "sheet.png"))
    assert sheet.shape[1] == 2 * 128 + 3 * 8
    assert not (plain.run / "previews").exists()


def test_previews_without_the_adapter_are_those_of_the_model(
    job: Callable[..., LoraJob], sd15: Path
) -> None:
    from diffusers import StableDiffusionPipeline

    ours = job(data={"images": 8}, preview={"prompts": ["a man"], "seeds": [5], "steps": 3})
    train(ours)
    pipeline = StableDiffusionPipeline.from_pretrained(sd15, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)

    def drawn() -> Any:
        return pipeline(
            "a man", num_inference_steps=3, height=64, width=64, guidance_scale=7.5,
            generator=torch.Generator().manual_seed(5),
        ).images[0]  # fmt: skip

    before = Image.open(ours.run / "previews" / "before.png")
    assert np.abs(np.asarray(before).astype(int) - np.asarray(drawn()).astype(int)).max() <= 1
    # And with it, those of whoever loads what was published.
    pipeline.load_lora_weights(ours.run / "adapter")
    after = Image.open(ours.run / "previews" / "epoch-0002.png")
    assert np.abs(np.asarray(after).astype(int) - np.asarray(drawn()).astype(int)).max() <= 1
    assert np.abs(np.asarray(after).astype(int) - np.asarray(before).astype(int)).max() > 1


def test_kept_latents_are_those_of_the_phase_and_of_one_making(
    job: Callable[..., LoraJob],
) -> None:
    ours = job(data={"cache": True})
    train(ours, stop_after(3))
    folder = ours.run / "latents"
    (file,) = folder.rglob("*.safetensors")
    assert file.parent.name == "phase-0000"
    kept = load_file(file)
    assert {name: tuple(one.shape) for name, one in kept.items()} == {
        "plain": (8, 2, 4, 8, 8),
        "mirrored": (8, 2, 4, 8, 8),
    }
    made = file.stat().st_mtime_ns
    train(ours, stop_after(0))
    assert file.stat().st_mtime_ns == made
    # Those of a phase stay until the next one has its own, and none is left at the end.
    train(ours, stop_after(2))
    assert [path.name for path in folder.iterdir()] == ["phase-0001"]
    train(ours)
    assert not folder.exists()
    # Nor when the end was cut off between the last state and this.
    (folder / "phase-0001").mkdir(parents=True)
    assert train(ours)[-1].how == "finished"
    assert not folder.exists()


def test_a_stop_between_files_of_latents_keeps_them(
    job: Callable[..., LoraJob], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.lora.kept_latents._FILE", 3)
    data = {"images": 8, "cache": True}
    whole, ours = job("whole", data=data), job("stopped", data=data)
    train(whole)
    # Of three files two are there, and no step is done.
    ended = train(ours, stop_after(1))[-1]
    assert (ended.how, ended.steps_done) == ("stopped", 0)
    folder = ours.run / "latents" / "phase-0000"
    made = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert sorted(made) == ["process-000-0000.safetensors", "process-000-0001.safetensors"]
    # Asked to stop once more after the files, before a step.
    assert train(ours, stop_after(2))[-1].steps_done == 0
    there = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert sorted(there) == [*sorted(made), "process-000-0002.safetensors"]
    assert made.items() <= there.items()
    assert train(ours)[-1].how == "finished"
    assert_same(whole.run, ours.run)
    assert lines_without_times(ours.run) == lines_without_times(whole.run)


def test_each_picture_is_in_one_file_of_one_process() -> None:
    for count, processes in ((1, 1), (256, 1), (257, 1), (513, 2), (1025, 4), (2000, 3)):
        shares = [file_shares(count, Ranks(rank, processes, 0)) for rank in range(processes)]
        assert len({len(one) for one in shares}) == 1  # or they would wait for each other
        assert max(len(file) for one in shares for file in one) <= 256
        found = [sample for one in shares for file in one for sample in file]
        assert sorted(found) == list(range(count))


def test_a_run_that_converged_leaves_no_latents(job: Callable[..., LoraJob]) -> None:
    still = {"learning_rate": 1e-12, "warmup_steps": 0}
    ours = job(data={"cache": True}, optimiser=still, validation={"patience": 1})
    for _ in range(2):
        assert train(ours)[-1].how == "converged"
        assert not (ours.run / "latents").exists()


def test_two_processes_continue_exactly(job: Callable[..., LoraJob]) -> None:
    sections = {"data": {"images": 8, "accumulation": 1, "cache": True}}
    whole, stopped = job("whole", **sections), job("stopped", **sections)
    for one, stop in ((whole, stop_after(99)), (stopped, stop_after(3)), (stopped, stop_after(99))):
        agree(one, 2)
        ended = list(train_in_processes(one, 2, stop))[-1]
    assert ended.how == "finished"
    assert_same(whole.run, stopped.run)


def test_what_is_published(job: Callable[..., LoraJob], sd15: Path) -> None:
    ours = job()
    train(ours)
    record = read_adapter(ours.run / "adapter")
    assert record.training is not None
    facts = record.training
    assert (facts.profile, facts.texts, facts.num_ids) == ("procedural", "prompts", 12)
    assert (facts.size_px, facts.epochs, facts.images_seen) == (64, 4, 24)
    checkpoint = find_parts(str(sd15))
    parts = load_parts(checkpoint)
    load_adapter(ours.run / "adapter", parts.unet, identity_of(checkpoint))
    saved = state_of(ours.run)
    for name, one in lora_tensors(parts.unet).items():
        assert torch.equal(saved[f"shared.pt/course/lora/{name}"], one)
    assert not any(one.requires_grad for one in parts.unet.parameters())
    assert not parts.unet.training
    card = (ours.run / "adapter" / "README.md").read_text()
    assert "12 samples of the dataset" in card
    assert str(sd15) not in card.split("---")[1]  # no hub knows it


def test_an_adapter_beside_another_model_or_damaged_is_refused(
    job: Callable[..., LoraJob], sd15: Path, tmp_path: Path
) -> None:
    ours = job(data={"images": 8})
    train(ours)
    folder = ours.run / "adapter"
    base = identity_of(find_parts(str(sd15)))
    file = "unet/config.json"
    other = resolve(type(base), {"model": "x", "revision": "y", "weights": {file: "0"}}, "test")
    parts = load_parts(find_parts(str(sd15)))
    with pytest.raises(ValueError, match=f"{file} is another file than that of 'x'"):
        load_adapter(folder, parts.unet, other)
    weights = folder / "pytorch_lora_weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(ValueError, match="its sha256 differs"):
        load_adapter(folder, parts.unet, base)
    weights.unlink()
    with pytest.raises(ValueError, match="is missing; get the adapter again"):
        load_adapter(folder, parts.unet, base)
    for content, told in (
        ('{"format": "relume-head"}', "is of no adapter"),
        ('{"format": "relume-lora", "version": 9}', "version = 9"),
        ("{", "is not JSON"),
    ):
        (folder / "config.json").write_text(content)
        with pytest.raises(ValueError, match=told):
            read_adapter(folder)
    with pytest.raises(ValueError, match="cannot be read"):
        read_adapter(tmp_path / "nowhere")


def test_the_loss_of_validation_falls_over_the_epochs(job: Callable[..., LoraJob]) -> None:
    ours = job(
        adapter={"rank": 8, "alpha": 16, "dropout": 0.0, "targets": list(PAPER_TARGETS)},
        data={"images": 8, "phase_epochs": 10, "text_dropout": 0.0},
        optimiser={"learning_rate": 2e-2},
        validation={"count": 6},
    )
    found = [one.measured["loss"] for one in train(ours) if isinstance(one, EpochEnded)]
    assert len(found) == 10
    assert found[-1] < 0.9 * found[0]
    assert sum(b < a for a, b in itertools.pairwise(found)) >= 7


def test_the_best_adapter_is_kept_where_that_is_asked_for(job: Callable[..., LoraJob]) -> None:
    # A rate that spoils what was learned: the first epoch stays the best.
    spoilt = {"learning_rate": 1.0, "warmup_steps": 5, "clip_norm": None}
    best = job("best", optimiser=spoilt, validation={"publish": "best"})
    last = job("last", optimiser=spoilt)
    epochs = [one for one in train(best) if isinstance(one, EpochEnded)]
    train(last)
    number = max(one.epoch for one in epochs if one.best)
    assert number < 4
    for ours, wanted in ((best, number), (last, 4)):
        facts = read_adapter(ours.run / "adapter").training
        assert facts is not None
        assert facts.epochs == wanted


def test_each_phase_begins_anew_where_that_is_asked_for(job: Callable[..., LoraJob]) -> None:
    each = {"log_every_steps": 1}
    # The last phase has two steps; a schedule longer than its warmup of one fits into each.
    once, anew = (
        job(name, optimiser={"restart": name == "anew", "warmup_steps": 1}, record=each)
        for name in ("once", "anew")
    )
    rates = {}
    for ours in (once, anew):
        train(ours)
        steps = [one for one in lines_without_times(ours.run) if one["kind"] == "step"]
        rates[ours.run.name] = [one["learning_rate"] for one in steps]
    assert rates["anew"][4] == rates["anew"][0] == 2e-3
    assert rates["once"][4] < rates["once"][2]
    assert min(rates["once"]) == rates["once"][-1]


def damage(dataset: Path, split: str, place: int = 0) -> dict[str, Any]:
    """The row of a sample whose target cannot be read any more."""
    row = Reader(dataset, split).row(place)
    tar = dataset / f"{row['shard']}.tar"
    content = bytearray(tar.read_bytes())
    content[row["target_offset"] + 60] ^= 255
    tar.write_bytes(content)
    return row


def test_a_damaged_held_out_picture_stops_or_is_not_measured(
    job: Callable[..., LoraJob], generated: Path
) -> None:
    data = {"images": 8}
    whole = train(job("whole", generated, data=data))[-2].measured["loss"]
    row = damage(generated, "validation")
    with pytest.raises(Unusable, match=f"{row['id']}.*target cannot be read"):
        train(job("stop", generated, data=data))
    told = train(job("skip", generated, data=data | {"damaged": "skip"}))
    assert told[-1].how == "finished"
    # After each of the two epochs.
    alarms = [one.what for one in told if isinstance(one, Alarm)]
    assert alarms == ["1 of 3 pictures of validation cannot be read, and were not measured"] * 2
    assert 0 < told[-2].measured["loss"] != whole
    for place in range(1, len(Reader(generated, "validation"))):
        damage(generated, "validation", place)
    with pytest.raises(ValueError, match="none of 3 pictures of validation can be read"):
        train(job("none", generated, data=data | {"damaged": "skip"}))


def test_a_damaged_picture_stops_or_is_left_out(
    job: Callable[..., LoraJob], generated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So that a file of latents is of nothing but a damaged one.
    monkeypatch.setattr("tasks.lora.kept_latents._FILE", 1)
    row = damage(generated, "train")
    # One epoch on all pictures of train, the damaged one among them.
    data = {"images": None, "phase_images": 1000, "phase_epochs": 1, "batch_size": 4}
    with pytest.raises(ValueError, match=f"{row['id']}.*target cannot be read"):
        train(job("stop", generated, data=data))
    for cache in (False, True):
        ours = job(f"skip-{cache}", generated, data=data | {"damaged": "skip", "cache": cache})
        told = train(ours)
        assert [one.sample for one in told if isinstance(one, LeftOut)] == [row["id"]]
        assert told[-1].left_out >= 1


def test_settings_that_do_not_fit_the_data_are_refused(
    job: Callable[..., LoraJob], tmp_path: Path
) -> None:
    for sections, told in (
        ({"data": {"stage": None}}, "has source, target of each sample; say which"),
        ({"data": {"stage": "teacher"}}, "has no pictures of stage teacher"),
        ({"data": {"images": 10}}, "phase 2 has 2 pictures, which do not fill a step of 4"),
        ({"optimiser": {"warmup_steps": 99}}, "warmup_steps = 99: the run has 6 steps"),
        ({"numerics": {"precision": "float16"}}, 'precision = "float16": no GPU is seen'),
        ({"model": str(tmp_path)}, "has no model_index.json"),
    ):
        with pytest.raises(ValueError, match=told):
            train(job(**sections))
    ours = job()
    train(ours, stop_after(1))
    with pytest.raises(ValueError, match=r"config\.adapter\.rank: 2, now 3"):
        train(job(adapter={"rank": 3}))


def test_another_model_of_the_same_name_is_refused(
    job: Callable[..., LoraJob], sd15: Path, tmp_path: Path
) -> None:
    model = Path(shutil.copytree(sd15, tmp_path / "model"))
    ours = job(model=str(model))
    train(ours, stop_after(1))
    file = model / "unet" / "diffusion_pytorch_model.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"inputs\.model"):
        train(ours)


def test_a_loss_that_is_no_number_stops_and_says_what_is_left(
    job: Callable[..., LoraJob],
) -> None:
    ours = job(record={"save_every_steps": 2})
    agree(ours, 1)
    training = Training(ours, Ranks(), lambda: False)

    def spoil() -> None:
        for number, _ in enumerate(training.run()):
            if number == 5:
                with torch.no_grad():
                    training.course.learner.parameters[0].fill_(float("nan"))

    with pytest.raises(Diverged, match=r"is nan; .*a lower lora\.optimiser\.learning_rate"):
        spoil()


def test_staged_shards_are_enough(job: Callable[..., LoraJob], tmp_path: Path) -> None:
    from tasks.training.stage_dataset import stage_dataset

    whole, ours = job("whole"), job("staged")
    train(whole)
    staged = stage_dataset(ours, tmp_path / "disk")
    agree(ours, 1)
    list(Training(ours.reading(staged.folder), Ranks(), lambda: False).run())
    assert_same(whole.run, ours.run)


def write_captions(root: Path, dataset: Path, refused: int = 0) -> dict[str, str]:
    """The folder of a caption run over train and validation; the first ones were refused."""
    generator = read_generator(dataset)
    assert generator is not None
    record = CaptionRecord(
        name="medium", dataset=generator.fingerprint(), stage="target", photos=None,
        settings=CaptionSettings(model="tiny", question="Who is this?"), weights={}, clip={},
        refusals="1", code="", libraries={},
    )  # fmt: skip
    root.mkdir(exist_ok=True)
    (root / "captions.json").write_text(json.dumps(as_plain(record)))
    texts, rows = {}, []
    for split in ("train", "validation"):
        reader = Reader(dataset, split)
        for number, one in enumerate(reader.rows.column("id").to_pylist()):
            good = split == "validation" or number >= refused
            text = f"{split} {one}" if good else "I cannot say."
            rows.append(
                CaptionRow(
                    id=one,
                    shard="x",
                    path=None,
                    picture_sha256=None,
                    status="ok" if good else "refusal",
                    reason=None if good else "I cannot",
                    caption=text,
                    said=text,
                    num_tokens=3,
                    clip_tokens=None,
                    clip_cut=None,
                    review=None,
                    captioner=record.fingerprint(),
                )
            )
            if good:
                texts[one] = text
    (root / "rows.parquet").write_bytes(parquet_bytes(to_table(rows, CAPTION_SCHEMA)))
    return texts


def test_captions_stand_in_for_prompts_and_missing_ones_are_counted(
    job: Callable[..., LoraJob], tmp_path: Path
) -> None:
    root, all_of_train = tmp_path / "captions", {"images": None, "phase_images": 1000}

    def with_captions(refused: int = 0, **data: Any) -> tuple[LoraJob, dict[str, str]]:
        made = replace(job(data=all_of_train | data), captions=root)
        return made, write_captions(root, made.dataset, refused)

    ours, texts = with_captions()
    samples = ours.samples(Ranks())
    (photos,) = samples.portions
    assert list(photos.texts) == [texts[photos.id(place)] for place in range(len(photos))]
    assert samples.measured.texts[0] == texts[samples.measured.id(0)]
    whole = len(photos)
    before = ours.record(1).inputs
    refused, _ = with_captions(refused=3)
    with pytest.raises(ValueError, match=rf"3 of {whole} pictures have no text \(3 refusal\), for"):
        refused.record(1)
    skipping, texts = with_captions(refused=3, no_text="skip")
    (photos,) = skipping.samples(Ranks()).portions
    assert {photos.id(place) for place in range(len(photos))} <= set(texts)
    assert len(photos) == whole - 3
    assert skipping.samples(Ranks()).without_text() == {"refusal": 3}
    after = skipping.record(1).inputs
    assert before["model"] == after["model"]
    assert before["texts"] != after["texts"]  # a review in between is another training
    silent, _ = with_captions(refused=3, no_text="empty")
    (photos,) = silent.samples(Ranks()).portions
    assert (len(photos), list(photos.texts).count("")) == (whole, 3)


def test_captions_of_other_pictures_of_the_samples_are_refused(
    job: Callable[..., LoraJob], tmp_path: Path
) -> None:
    ours = replace(job(data={"stage": "source"}), captions=tmp_path / "captions")
    write_captions(tmp_path / "captions", ours.dataset)
    with pytest.raises(ValueError, match=r"captions are of the stage 'target', .* are of 'source'"):
        ours.record(1)


def test_pictures_without_prompts_need_captions(job: Callable[..., LoraJob]) -> None:
    from tasks.lora.texts import Texts

    texts = Texts({"a": "x"}, {"b": "without a prompt", "c": "without a prompt"})
    with pytest.raises(ValueError, match=r"here: 2 of 3 pictures .*2 without a prompt.*'b'; cap"):
        texts.settle(["a", "b", "c"], "stop", None, "here")
    # What is not drawn may lack a text.
    assert texts.settle(["a", "b", "c"], "stop", 1, "here") == ["a"]
    assert texts.settle(["b", "a", "c"], "skip", 1, "here") == ["a"]
    assert texts.settle(["b", "a", "c"], "empty", 2, "here") == ["b", "a"]
    assert texts.of("b") == ""


def test_where_nothing_is_held_out_the_loss_says_so(job: Callable[..., LoraJob]) -> None:
    ours = job(data={"images": 8}, validation={"of": "train"})
    measured = [one.measured for one in train(ours) if isinstance(one, EpochEnded)]
    assert [set(one) for one in measured] == [{"loss_of_train"}] * 2
    samples = ours.samples(Ranks())
    assert samples.measured.id(0) in samples.ids()


def test_pictures_come_with_their_own_texts(job: Callable[..., LoraJob]) -> None:
    from tasks.lora.pictures import PhotoBatches

    samples = job().samples(Ranks())
    photos = samples.portions[0]
    order = samples.order(0, 1000)
    batches = PhotoBatches(photos, order, slice(0, 4), damaged="stop")
    batch = batches[(1, 1)]
    assert not isinstance(batch, ValueError)
    assert batch.levels is not None
    reader = Reader(job().dataset, "train")
    for row, slot in enumerate(batch.slots):
        place = reader.position(photos.id(slot.sample))
        picture = np.array(Image.open(io.BytesIO(reader.read(place, "target"))).convert("RGB"))
        levels = torch.from_numpy(picture).permute(2, 0, 1)
        assert torch.equal(batch.levels[row], levels.flip(2) if slot.mirrored else levels)
        assert batch.texts[row] == reader.row(place)["prompt"]
    assert {slot.mirrored for epoch in range(4) for slot in order.batch(epoch, 0)} == {True, False}
