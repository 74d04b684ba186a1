"""The trainer: continued after any stop it ends with the very weights of a run without one."""

from __future__ import annotations

import io
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from models.heads.head import Head
from models.tiny.lpips import write_lpips
from schemas.endings import CannotGoOn
from schemas.settings import resolve
from schemas.train import TrainConfig
from schemas.training import (
    EpochEnded,
    LeftOut,
    StateSaved,
    Stepped,
    TrainingEnded,
    TrainingStarted,
)
from shards.reader import Reader
from tasks.heads.validation import Validation
from tasks.train_head import HeadCourse, TrainJob, learning_rate
from tasks.training import processes as training_processes
from tasks.training.course import Position
from tasks.training.device_clock import DeviceClock, device_seconds
from tasks.training.pictures import Batch, TrainingPictures, _is_flat
from tasks.training.processes import agree, train_in_processes
from tasks.training.ranks import Ranks
from tasks.training.stand_ins import Unusable
from tasks.training.state import StateFolder
from tasks.training.trainer import Diverged, Training
from tests.training_runs import (
    differing,
    lines_of,
    lines_without_times,
    state_of,
    stop_after,
)

RESNET = {
    "kind": "resnet",
    "width": 4,
    "num_blocks": 1,
    "attention": "esa",
    "residual_output": True,
}
UNET = {"kind": "unet", "width": 4, "levels": 3, "residual_output": True}
JUDGE = {"width": 4, "num_layers": 2}
OBJECTIVES: dict[str, dict[str, Any]] = {
    "cyclegan": {
        "network": RESNET,
        "objective": {
            "kind": "cyclegan",
            "lambda_identity": 0.5,
            "pool": 3,
            "discriminator": JUDGE,
        },
        "data": {"pairing": "shuffled", "loader_workers": 0},
    },
    "paired": {"network": UNET, "objective": {"kind": "paired", "perceptual": "alex"}},
    "pix2pix": {
        "network": UNET,
        "objective": {"kind": "pix2pix", "discriminator": {**JUDGE, "conditional": True}},
    },
}


def config(kind: str = "cyclegan", **sections: Any) -> TrainConfig:
    tables = {
        "seed": 3,
        "phase": [{"epochs": 1, "crop_px": 60, "batch_size": 4, "accumulation": 2}, {"epochs": 1}],
        "data": {"loader_workers": 0},
        "optimiser": {"decay_epochs": 1, "ema_half_life_images": 20},
        "validation": {"count": 3, "grid": 2},
        "record": {"log_every_steps": 2, "save_every_steps": 1000},
        **OBJECTIVES[kind],
    }
    for name, section in sections.items():
        both = isinstance(section, dict) and isinstance(tables.get(name), dict)
        tables[name] = {**tables[name], **section} if both else section
    return resolve(TrainConfig, tables, "test")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    write_lpips(folder)
    return folder


@pytest.fixture
def job(_generated_once: Path, weights: Path, tmp_path: Path) -> Callable[..., TrainJob]:
    """A training job on the dataset that all tests share; it is only read."""

    def make(kind: str = "cyclegan", run: str = "run", **sections: Any) -> TrainJob:
        return TrainJob(config(kind, **sections), _generated_once, tmp_path / run, weights=weights)

    return make


def gone(*_: object) -> None:
    """What a process does that cannot begin."""
    os._exit(7)


def train(job: TrainJob, stop: Callable[[], bool] = lambda: False) -> list[Any]:
    agree(job, 1)
    return list(Training(job, Ranks(), stop).run())


def assert_same(one: Path, other: Path) -> None:
    assert differing(one, state_of(other)) == []


@pytest.mark.parametrize("kind", OBJECTIVES)
def test_stopped_after_some_step_and_continued(kind: str, job: Callable[..., TrainJob]) -> None:
    whole = job(kind, "whole")
    told = train(whole)
    steps = told[-1].steps_done
    assert isinstance(told[-1], TrainingEnded)
    assert told[-1].how == "finished"
    for step in {1, steps // 3, steps - 1}:
        stopped = job(kind, f"stopped-{step}")
        assert train(stopped, stop_after(step))[-1].how == "stopped"
        # Whoever reads the pictures ahead: nothing is drawn on the way.
        data = {**OBJECTIVES[kind].get("data", {}), "loader_workers": 2 if step == 1 else 0}
        again = train(job(kind, f"stopped-{step}", data=data))
        assert isinstance(again[0], TrainingStarted)
        assert again[0].steps_done == step
        assert again[-1].how == "finished"
        assert_same(whole.run, stopped.run)
        assert lines_without_times(stopped.run) == lines_without_times(whole.run)
    # What is finished is not trained again.
    assert [type(event) for event in train(whole)] == [TrainingStarted, TrainingEnded]
    assert_same(whole.run, stopped.run)


def test_it_tells_how_long_it_held_its_devices(
    job: Callable[..., TrainJob], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a clock that only steps move: ten seconds each, whatever was done before or is lost."""

    class Clocked(HeadCourse):
        steps = 1000

        def step(self, *arguments: Any) -> Any:
            Clocked.steps += 1
            return super().step(*arguments)

    monkeypatch.setattr("tasks.training.device_clock.monotonic", lambda: 10.0 * Clocked.steps)
    monkeypatch.setattr("tasks.train_head.HeadCourse", Clocked)
    phase = {"phase": [{"epochs": 2, "crop_px": 60, "batch_size": 8}]}
    ours = job(record={"log_every_steps": 1, "save_every_steps": 2}, **phase)
    assert train(ours, stop_after(1))[-1].how == "stopped"
    assert device_seconds(ours.run / "metrics.jsonl") == 10
    # Killed after its third step: what came after the second one is lost.
    agree(ours, 1)
    for event in Training(ours, Ranks(), lambda: False).run():
        if isinstance(event, Stepped) and event.steps_done == 3:
            break
    assert device_seconds(ours.run / "metrics.jsonl") == 30
    steps = train(ours)[-1].steps_done
    told = {line["step"]: line["device_s"] for line in lines_of(ours.run)}
    assert told == {step: 10 * step for step in range(1, steps + 1)}
    # What is finished and asked for again spends nothing more.
    train(ours)
    assert device_seconds(ours.run / "metrics.jsonl") == 10 * steps
    with (ours.run / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "st')
    assert device_seconds(ours.run / "metrics.jsonl") == 10 * steps


def test_two_processes_hold_two_devices_and_an_older_state_tells_of_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [5.0]
    monkeypatch.setattr("tasks.training.device_clock.monotonic", lambda: now[0])
    clock = DeviceClock(2)
    clock.go_on_from(100.0)
    now[0] += 7
    assert clock.told() == {"device_s": 114.0}
    clock.go_on_from(None)
    assert (clock.spent_s(), clock.told()) == (None, {})


def test_stopped_between_two_epochs_of_a_phase(job: Callable[..., TrainJob]) -> None:
    phase = {"phase": [{"epochs": 2, "crop_px": 60, "batch_size": 8}]}
    told = train(job(run="whole", **phase))
    stopped = job(run="stopped", **phase)
    # The pools of earlier pictures go on from one epoch to the next.
    assert train(stopped, stop_after(told[-1].steps_done // 2))[-1].epoch == 1
    train(stopped)
    assert_same(job(run="whole").run, stopped.run)


def test_what_has_converged_is_not_trained_again(job: Callable[..., TrainJob]) -> None:
    phase = {"phase": [{"epochs": 9, "crop_px": 60, "batch_size": 8}]}
    patient = job(**phase, validation={"count": 3, "grid": 2, "patience": 1})
    ended = train(patient)[-1]
    assert ended.how == "converged"
    assert ended.epoch < 9
    assert train(patient)[1:] == [ended]


def test_threads_are_as_asked_for_whoever_reads(
    job: Callable[..., TrainJob], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the trainer itself, where no process reads for it, and beside two that do."""
    phase = {"phase": [{"epochs": 1, "crop_px": 60, "batch_size": 8}]}
    step, seen, before = HeadCourse.step, set(), torch.get_num_threads()

    def watched(*arguments: Any) -> Any:
        seen.add(torch.get_num_threads())
        return step(*arguments)

    monkeypatch.setattr(HeadCourse, "step", watched)
    try:
        for workers in (0, 2):
            data = {"pairing": "shuffled", "loader_workers": workers}
            run = job(run=f"workers-{workers}", data=data, numerics={"threads": 2}, **phase)
            train(run)
    finally:
        torch.set_num_threads(before)
    assert seen == {2}
    assert_same(job(run="workers-0").run, job(run="workers-2").run)


@pytest.mark.parametrize(
    ("kind", "count", "threads"),
    [
        ("cyclegan", 2, 1),
        ("paired", 2, 2),
        ("pix2pix", 2, 1),
        ("cyclegan", 4, 1),
        ("paired", 4, 1),
    ],
)
def test_several_processes_continue_exactly(
    kind: str, count: int, threads: int, job: Callable[..., TrainJob]
) -> None:
    sections = {
        "phase": [{"epochs": 1, "crop_px": 60, "batch_size": 2}],
        "data": {**OBJECTIVES[kind].get("data", {}), "loader_workers": 2 if count == 2 else 0},
        "numerics": {"threads": threads},
    }
    whole, stopped = job(kind, "whole", **sections), job(kind, "stopped", **sections)
    for one, stop in ((whole, stop_after(99)), (stopped, stop_after(3)), (stopped, stop_after(99))):
        agree(one, count)
        ended = list(train_in_processes(one, count, stop))[-1]
    assert ended.how == "finished"
    assert_same(whole.run, stopped.run)
    shared = {name for name in state_of(whole.run) if name.startswith("process-")}
    assert {name.partition(".")[0] for name in shared} == {f"process-{n:03d}" for n in range(count)}
    with pytest.raises(ValueError, match=f"state of {count} processes, these are 1"):
        list(Training(whole, Ranks(), lambda: False).run())


def test_a_process_that_ends_before_it_begins_is_not_waited_for(
    job: Callable[..., TrainJob], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = job()
    agree(ours, 2)
    monkeypatch.setattr(training_processes, "_follow", gone)
    with pytest.raises(CannotGoOn, match="process 1 ended with 7 before it began"):
        list(train_in_processes(ours, 2, lambda: False))


def test_what_is_kept(job: Callable[..., TrainJob]) -> None:
    told = train(job(record={"save_every_steps": 2, "log_every_steps": 1}))
    run = job().run
    kinds = {type(event) for event in told}
    assert {TrainingStarted, Stepped, StateSaved, EpochEnded, TrainingEnded} <= kinds
    assert sorted(path.name for path in run.iterdir() if path.name != ".staging") == [
        "grids",
        "head",
        "metrics.jsonl",
        "run.json",
        "state",
    ]
    with pytest.raises(ValueError, match=f"is a training run; its head is {run / 'head'}"):
        Head.from_pretrained(run)
    head = Head.from_pretrained(run / "head")
    reader = Reader(job().dataset, "train")
    assert head.overlap(reader.rows["id"].to_pylist()) == reader.rows["id"].to_pylist()
    assert head.overlap(Reader(job().dataset, "test").rows["id"].to_pylist()) == []
    assert head.training is not None
    assert (head.training.profile, head.training.method) == ("procedural", "cyclegan")
    picture = np.zeros((64, 64, 3), np.uint8)
    assert head.apply([picture])[0].shape == picture.shape
    assert len(list((run / "state").glob("step-*"))) == 1
    epochs = [event for event in told if isinstance(event, EpochEnded)]
    assert len(epochs) == len(list((run / "grids").glob("*.png"))) == 2
    assert epochs[0].best
    assert set(epochs[0].measured) == {"closure", "ssim_cycle", "ssim_source"}


def test_another_config_is_named(job: Callable[..., TrainJob]) -> None:
    first = job()
    train(first, stop_after(1))
    for sections, told in [
        ({"seed": 4}, "config.seed: 3, now 4"),
        ({"optimiser": {"learning_rate": 1e-3}}, "learning_rate: 0.0002, now 0.001"),
    ]:
        with pytest.raises(ValueError, match=told):
            train(job(**sections))
    with pytest.raises(ValueError, match="processes: 1, now 2"):
        agree(first, 2)
    # How often it is saved may change.
    assert train(job(record={"save_every_steps": 1}))[-1].how == "finished"


@pytest.mark.parametrize(
    ("sections", "told"),
    [
        ({"phase": [{"epochs": 1, "batch_size": 60}]}, "do not fill a batch of 60"),
        ({"phase": [{"epochs": 1, "crop_px": 128}]}, "the dataset's pictures are 64 px"),
        ({"phase": [{"epochs": 1, "crop_px": 8}]}, "sides of at least"),
    ],
)
def test_what_cannot_be_trained_on(
    sections: dict[str, Any], told: str, job: Callable[..., TrainJob]
) -> None:
    with pytest.raises(ValueError, match=told):
        train(job(**sections))


def test_a_loss_that_is_no_number_stops_and_keeps_the_state(job: Callable[..., TrainJob]) -> None:
    ours = job(record={"save_every_steps": 2})
    agree(ours, 1)
    training = Training(ours, Ranks(), lambda: False)

    def spoil_once_saved() -> None:
        for event in training.run():
            if isinstance(event, StateSaved):
                with torch.no_grad():
                    next(training.course.learner.head.parameters()).fill_(float("nan"))

    with pytest.raises(
        Diverged, match=r"step 3: .* is nan; .* keeps the state of step 2; begin"
    ) as told:
        spoil_once_saved()
    assert "float32" not in str(told.value)  # it is on
    assert all(bool(torch.isfinite(one).all()) for one in state_of(ours.run).values())
    assert train(ours)[-1].how == "finished"


def test_a_measurement_that_is_no_number_is_no_patience(
    job: Callable[..., TrainJob], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Validation, "measure", lambda *_: {"closure": float("nan")})
    phase = [{"epochs": 1, "crop_px": 60, "batch_size": 8}]
    ours = job(phase=phase, numerics={"precision": "bfloat16"})
    told = "closure of validation is nan; no state was saved, so .* a lower .*'float32'"
    with pytest.raises(Diverged, match=told):
        train(ours)
    assert not (ours.run / "head").exists()


def test_a_state_that_would_run_code_is_refused(job: Callable[..., TrainJob]) -> None:
    ours = job()
    train(ours, stop_after(1))
    folder = next((ours.run / "state").glob("step-*"))
    marker = ours.run / "executed"

    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (marker,))

    torch.save({"learner": Evil()}, folder / "shared.pt")
    with pytest.raises(ValueError, match="might run code"):
        train(ours)
    assert not marker.exists()


def damaged(job: TrainJob, sample: int, folder: Path) -> TrainJob:
    """A copy of the dataset with one source's bytes changed."""
    shutil.copytree(job.dataset, folder)
    reader = Reader(folder, "train")
    row = reader.row(sample)
    tar = folder / f"{row['shard']}.tar"
    data = bytearray(tar.read_bytes())
    data[row["source_offset"] + row["source_bytes"] // 2] ^= 1
    tar.write_bytes(data)
    return replace(job, dataset=folder)


def test_a_damaged_picture_in_an_epoch(job: Callable[..., TrainJob], tmp_path: Path) -> None:
    phase = {"phase": [{"epochs": 1, "batch_size": 4}]}
    ours = damaged(job(**phase), 5, tmp_path / "copy")
    name = Reader(ours.dataset, "train").row(5)["id"]
    with pytest.raises(ValueError, match=f"{name}: the source cannot be read"):
        train(ours)
    data = {**OBJECTIVES["cyclegan"]["data"], "damaged": "skip"}
    skipping = damaged(job(run="skip", data=data, **phase), 5, tmp_path / "second")
    told = train(skipping)
    assert {event.sample for event in told if isinstance(event, LeftOut)} == {name}
    assert told[-1].how == "finished"


@pytest.mark.parametrize(("rank", "damage"), [(1, "skip"), (1, "stop"), (0, "stop")])
def test_a_damaged_picture_of_any_process(
    rank: int, damage: str, job: Callable[..., TrainJob], tmp_path: Path
) -> None:
    ours = job(
        phase=[{"epochs": 1, "batch_size": 4}],
        data={"pairing": "shuffled", "loader_workers": 2, "damaged": damage},
        record={"log_every_steps": 1},
        validation={"count": 2, "grid": 1},
    )
    samples, phase = ours.samples(Ranks(rank, 2, rank)), ours.config.phase[0]
    order = samples.order(phase)
    slot = order.batch(0, 0)[Ranks(rank, 2, rank).share(4)][1]
    place = int(samples.pictures(phase, order)._positions[slot.source])
    name = Reader(ours.dataset, "train").row(place)["id"]
    ours = damaged(ours, place, tmp_path / "copy")
    agree(ours, 2)
    if damage == "stop":
        whose = "process 1: " if rank else ""
        with pytest.raises(ValueError, match=f"^{whose}{name}: the source cannot be read"):
            list(train_in_processes(ours, 2, lambda: False))
        return
    told = list(train_in_processes(ours, 2, lambda: False))
    assert [event.sample for event in told if isinstance(event, LeftOut)] == [name]
    counted = sum(line["left_out"] for line in lines_of(ours.run) if line["kind"] == "step")
    assert told[-1].left_out == counted == 1


def test_a_disjoint_side_keeps_to_itself_where_pictures_are_left_out(
    job: Callable[..., TrainJob], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = {"pairing": "disjoint", "loader_workers": 0}
    ours = job(phase=[{"epochs": 1, "batch_size": 4}], data=data)
    samples, phase = ours.samples(Ranks()), ours.config.phase[0]
    order = samples.order(phase)
    pictures = samples.pictures(phase, order)
    decoded, read = TrainingPictures._decoded, {"source": set[int](), "target": set[int]()}

    def first_is_bad(this: TrainingPictures, sample: int, stage: Any) -> Any:
        read[stage].add(sample)
        if sample in (order.sources[-1], order.targets[0]):
            raise Unusable(str(sample), "shows nothing: it has one colour alone")
        return decoded(this, sample, stage)

    monkeypatch.setattr(TrainingPictures, "_decoded", first_is_bad)
    for step in range(order.num_steps):
        batch = pictures[0, step]
        assert isinstance(batch, Batch)
        assert len(batch.sources) == 4
    assert read["source"] <= set(order.sources.tolist())
    assert read["target"] <= set(order.targets.tolist())


def test_a_start_that_came_to_nothing_binds_nobody(job: Callable[..., TrainJob]) -> None:
    with pytest.raises(ValueError, match="sides of at least"):
        train(job(phase=[{"epochs": 1, "crop_px": 8}]))
    mended = job(phase=[{"epochs": 1, "crop_px": 60, "batch_size": 8}])
    assert train(mended, stop_after(1))[-1].how == "stopped"


def test_one_colour_alone_shows_nothing() -> None:
    crop = np.full((40, 40, 3), (200, 60, 30), np.uint8)
    assert _is_flat(crop)
    crop[33, 35, 1] += 3
    assert not _is_flat(crop)


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"{}", "LAST: is damaged: does not say"), (b"[1]", "LAST: is damaged: does not say")],
)
def test_a_damaged_pointer_is_one_line(
    content: bytes, told: str, job: Callable[..., TrainJob]
) -> None:
    state = job().run / "state"
    state.mkdir(parents=True)
    (state / "LAST").write_bytes(content)
    with pytest.raises(ValueError, match=told):
        StateFolder(job().run, Ranks()).load()


@pytest.mark.parametrize(
    ("content", "told"),
    [({"learner": {}}, "lacks best, course"), (b"\x00random", "is damaged"), ([], "lacks ")],
)
def test_a_damaged_state_is_one_line(content: Any, told: str, job: Callable[..., TrainJob]) -> None:
    folder = StateFolder(job().run, Ranks())
    folder.save(Position(epoch=0, step=1, steps_done=1, images_seen=4), {}, {})
    path = next((job().run / "state").glob("step-*")) / "shared.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(ValueError, match=rf"shared.pt: is damaged.*{told}|shared.pt: {told}"):
        folder.load()


def test_what_a_killed_save_left_is_removed(job: Callable[..., TrainJob]) -> None:
    folder = StateFolder(job().run, Ranks())
    at = Position(epoch=0, step=1, steps_done=1, images_seen=4)
    folder.save(at, {}, {})
    left = job().run / "state/.staging/tmp-left"
    left.write_bytes(b"half")
    os.utime(left, (0, 0))
    folder.save(at, {}, {})
    assert not left.exists()


def test_the_flattest_picture_is_counted_and_left_out(
    job: Callable[..., TrainJob], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is flat is set so high that one picture of the dataset is."""
    phase = {"phase": [{"epochs": 1, "batch_size": 4}]}
    reader = Reader(job().dataset, "train")
    spans = {
        reader.row(place)["id"]: min(span(reader.read(place, s)) for s in ("source", "target"))
        for place in range(len(reader))
    }
    flattest, second = sorted(spans, key=spans.__getitem__)[:2]
    monkeypatch.setattr("tasks.training.pictures.FLAT_LEVELS", spans[second])
    told = train(job(**phase))
    left_out = [event for event in told if isinstance(event, LeftOut)]
    assert {event.sample for event in left_out} == {flattest}
    assert all("shows nothing" in event.why for event in left_out)
    assert told[-1].how == "finished"
    monkeypatch.setattr("tasks.training.pictures.FLAT_LEVELS", 256)
    with pytest.raises(ValueError, match=r"shows nothing: .* and so with 7 before it"):
        train(job(run="all flat", **phase))


def span(png: bytes) -> int:
    levels = np.asarray(Image.open(io.BytesIO(png)))
    return int(np.ptp(levels, axis=(0, 1)).max())


def test_an_incomplete_dataset_is_refused(job: Callable[..., TrainJob], tmp_path: Path) -> None:
    ours = job()
    folder = tmp_path / "incomplete"
    shutil.copytree(ours.dataset, folder)
    done = sorted(folder.glob("train/*.done.json"))
    done[-1].unlink()
    there = len(list(folder.glob("*/*.done.json")))
    told = f"{there} of {there + 1} shards exist; finish it with relume generate {folder}"
    with pytest.raises(ValueError, match=re.escape(told)):
        train(replace(ours, dataset=folder))


def test_the_rate_falls_in_a_line_to_zero_after_the_last_epoch() -> None:
    made = config(
        phase=[{"epochs": 4}, {"epochs": 2}],
        optimiser={"learning_rate": 1.0, "decay_epochs": 3},
    )
    assert [round(learning_rate(made, epoch), 3) for epoch in range(6)] == [
        1,
        1,
        1,
        0.75,
        0.5,
        0.25,
    ]
