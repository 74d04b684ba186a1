"""Trains a head: phases of epochs of steps, saved so that any stop continues exactly.

Takes a callable that says when to stop, yields what happens, and ends with how it ended. Knows
neither signals nor Slurm nor a progress bar.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, Literal

import torch

from models.features.lpips import load_lpips
from models.heads.enhancer import to_unit
from schemas.endings import CannotGoOn
from schemas.train import PairedObjective, Phase, TrainConfig
from schemas.training import (
    Alarm,
    EpochEnded,
    LeftOut,
    Progressed,
    StateSaved,
    Stepped,
    TrainingEnded,
    TrainingEvent,
    TrainingStarted,
)
from tasks.kept_head import keep_grid, keep_head
from tasks.learners import Learner, build_learner
from tasks.moving_average import MovingAverage
from tasks.ranks import Ranks, device_of
from tasks.sampling import Order
from tasks.training_interval import Interval, diverged
from tasks.training_log import TrainingLog
from tasks.training_pictures import Batch, batches
from tasks.training_samples import TrainingSamples, TrainJob
from tasks.training_state import Position, StateFolder
from tasks.validation import Validation

Events = Generator[TrainingEvent]


class Diverged(CannotGoOn):
    """A loss or a gradient that no further step comes back from."""


@dataclass(slots=True)
class _Best:
    """The best measurement so far, and how many came after it."""

    value: float = -math.inf
    since: int = 0

    def take(self, value: float) -> bool:
        """Whether this one is better."""
        self.since = 0 if value > self.value else self.since + 1
        self.value = max(value, self.value)
        return self.since == 0


class Training:
    """One process of a training run."""

    def __init__(self, job: TrainJob, ranks: Ranks, stop: Callable[[], bool]) -> None:
        self._job, self._config, self._ranks, self._stop = job, job.config, ranks, stop
        self._device = device_of(job.config.numerics.device, ranks)
        torch.set_num_threads(job.config.numerics.threads)
        torch.manual_seed(job.config.seed + ranks.rank)
        self._samples = TrainingSamples(job, ranks)
        self._validation = Validation(job.dataset, job.config, ranks, self._device)
        self._learner = self._build_learner()
        half_life = job.config.optimiser.ema_half_life_images
        self._average = MovingAverage(self._learner.head, half_life)
        self._state = StateFolder(job.run, ranks)
        self._best = _Best()
        self._interval = Interval()
        self._left_out: dict[str, int] = {}
        self._in_line = 0
        self._at = Position(epoch=0, step=0, steps_done=0, images_seen=0)

    def run(self) -> Events:
        """Train from where the state is, or from the beginning, to the end."""
        if self._state.exists():
            self._resume()
        self._log = (
            TrainingLog(self._job.run, self._config.record, self._at.steps_done)
            if self._ranks.first
            else None
        )
        yield self._started()
        if self._converged():  # and was asked for again
            yield self._ended("converged")
            return
        for phase, epochs in self._samples.phases():
            if self._at.epoch >= epochs.stop:
                continue
            if self._at.epoch == epochs.start and self._at.step == 0:
                for pool in self._learner.pools.values():
                    pool.clear()  # pictures of another size
            how = yield from self._phase(
                phase, range(max(self._at.epoch, epochs.start), epochs.stop)
            )
            if how != "finished":
                yield self._ended(how)
                return
        yield self._ended("finished")

    # --- a phase, an epoch, a step

    def _phase(self, phase: Phase, epochs: range) -> Generator[TrainingEvent, None, Any]:
        order = self._samples.order(phase)
        pictures = self._samples.pictures(phase, order)
        with closing(batches(pictures, order, self._config.data, epochs, self._at.step)) as ready:
            for epoch in epochs:
                self._set_learning_rate(epoch)
                stopped = yield from self._epoch(phase, order, ready, epoch)
                if stopped:
                    return "stopped"
                converged = yield from self._end_epoch(epoch)
                if converged:
                    return "converged"
        return "finished"

    def _epoch(
        self, phase: Phase, order: Order, ready: Iterator[Batch], epoch: int
    ) -> Generator[TrainingEvent, None, bool]:
        """The steps of an epoch that are left; whether it was asked to stop."""
        record, begun, images_before = self._config.record, time.monotonic(), self._at.images_seen
        for step in range(self._at.step, order.num_steps):
            if self._everyone_stops():
                yield from self._save()
                return True
            batch = next(ready)
            self._interval.left_out += batch.left_out
            self._step(batch, phase)
            self._at = Position(
                epoch=epoch,
                step=step + 1,
                steps_done=self._at.steps_done + 1,
                images_seen=self._at.images_seen + order.batch_size,
            )
            if self._device.type == "cpu":
                self._refuse_divergence()  # nobody has to be waited for
            yield Progressed(steps_done=self._at.steps_done)
            if self._at.steps_done % record.log_every_steps == 0:
                seconds = time.monotonic() - begun
                yield from self._tell_left_out()
                yield self._stepped((self._at.images_seen - images_before) / seconds)
                begun, images_before = time.monotonic(), self._at.images_seen
            is_last = step + 1 == order.num_steps
            if self._at.steps_done % record.save_every_steps == 0 and not is_last:
                yield from self._save()
        return False

    def _step(self, batch: Batch, phase: Phase) -> None:
        sources, targets = (
            to_unit(levels.to(self._device, non_blocking=True))
            for levels in (batch.sources, batch.targets)
        )
        self._interval.add(self._learner.step(sources, targets, phase.accumulation))
        self._average.follow(len(sources) * self._ranks.count)

    def _end_epoch(self, epoch: int) -> Generator[TrainingEvent, None, bool]:
        """Measure what is due, keep what is best, save; whether nothing better will come."""
        self._refuse_divergence()  # before a head is kept
        self._at = replace(self._at, epoch=epoch + 1, step=0)
        settings = self._config.validation
        due = (epoch + 1) % settings.every_epochs == 0 or epoch + 1 == self._config.epochs
        measured: dict[str, float] = {}
        is_best = False
        if due:
            measured = self._validation.measure(self._learner, self._average.head)
            paired = isinstance(self._config.objective, PairedObjective)
            judge = "loss" if paired else "closure"
            self._refuse_no_number(f"{judge} of validation", measured[judge])
            is_best = self._best.take(-measured[judge] if paired else measured[judge])
            if self._ranks.first:
                grid = self._validation.grid(self._average.head)
                keep_grid(self._job.run, epoch + 1, grid)
                if is_best:
                    head = self._average.head
                    keep_head(self._job, self._samples, head, self._at.images_seen)
            if measured.get("ssim_cycle", 1.0) < settings.ssim_alarm:
                yield Alarm(
                    what=f"the full cycle's SSIM is {measured['ssim_cycle']:.3f}, below "
                    f"{settings.ssim_alarm}: pictures do not come back as they were"
                )
            if self._log:
                self._log.tell("epoch", self._at.steps_done, epoch + 1, measured)
        yield from self._save()
        yield EpochEnded(
            epoch=epoch + 1, steps_done=self._at.steps_done, measured=measured, best=is_best
        )
        return self._converged()

    def _converged(self) -> bool:
        patience = self._config.validation.patience
        return patience is not None and self._best.since >= patience

    # --- what is kept

    def _save(self) -> Events:
        self._refuse_divergence()
        yield from self._tell_left_out()
        # Whatever draws by itself; where a GPU does, its own generator too.
        chance = {"cpu": torch.get_rng_state()}
        if self._device.type == "cuda":
            chance["cuda"] = torch.cuda.get_rng_state(self._device)
        pools = {side: pool.state_dict() for side, pool in self._learner.pools.items()}
        shared: dict[str, Any] = {}
        if self._ranks.first:
            shared = {
                "learner": self._learner.state(),
                "average": self._average.state(),
                "best": {"value": self._best.value, "since": self._best.since},
                "left_out": self._left_out,
                "in_line": self._in_line,
            }
        own = {"chance": chance, "pools": pools, "interval": self._interval.state()}
        self._state.save(self._at, shared, own)
        yield StateSaved(steps_done=self._at.steps_done)

    def _resume(self) -> None:
        self._at, shared, own = self._state.load()
        self._learner.load_state(shared["learner"])
        self._average.load_state(shared["average"])
        self._best = _Best(**shared["best"])
        self._left_out, self._in_line = dict(shared["left_out"]), int(shared["in_line"])
        self._interval.load_state(own["interval"])
        torch.set_rng_state(own["chance"]["cpu"])
        if self._device.type == "cuda" and "cuda" in own["chance"]:
            torch.cuda.set_rng_state(own["chance"]["cuda"], self._device)
        for side, pool in self._learner.pools.items():
            pool.load_state_dict(own["pools"][side], self._device)

    # --- what is asked of all processes

    def _everyone_stops(self) -> bool:
        if self._ranks.count == 1:
            return self._stop()
        # Between processors, so that no GPU is waited for.
        return self._ranks.most([float(self._stop())], torch.device("cpu"))[0] > 0

    def _tell_left_out(self) -> Events:
        """Name each sample that others stood in for once, whichever process met it."""
        for sample, why in chain(*self._ranks.gathered(self._interval.taken_left_out())):
            self._in_line += 1
            self._left_out[sample] = self._left_out.get(sample, 0) + 1
            if self._left_out[sample] == 1:
                yield LeftOut(sample=sample, why=why)

    def _refuse_divergence(self) -> None:
        for later, losses in self._interval.read():
            found = diverged(losses, self._config.optimiser.max_gradient_norm)
            if found is not None:
                # Of one process only, so the others are told by their own loss of contact.
                raise Diverged(f"step {self._at.steps_done - later}: {found}; {self._way_back()}")

    def _refuse_no_number(self, name: str, value: float) -> None:
        if not math.isfinite(value):
            at = self._at.steps_done
            raise Diverged(f"after step {at}: {name} is {value:g}; {self._way_back()}")

    def _way_back(self) -> str:
        """What is left of a run that diverged, and what to change."""
        run, numerics = self._job.run, self._config.numerics
        change = "a lower train.optimiser.learning_rate"
        if numerics.precision != "float32":
            change += " or train.numerics.precision = 'float32'"
        kept = self._state.steps_done()
        if kept is None:
            return f"no state was saved, so {run} begins again with {change}"
        return f"{run} keeps the state of step {kept}; begin anew in another --out with {change}"

    def _set_learning_rate(self, epoch: int) -> None:
        for optimiser in self._learner.optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(self._config, epoch)

    def _stepped(self, images_per_s: float) -> Stepped:
        self._refuse_divergence()
        told = self._ranks.mean(self._interval.means(), self._device)
        rate = learning_rate(self._config, self._at.epoch)
        if self._log:
            extra = {"images_per_s": round(images_per_s, 2), "learning_rate": rate}
            extra["left_out"] = self._in_line
            self._log.tell("step", self._at.steps_done, self._at.epoch, told | extra)
        self._in_line = 0
        return Stepped(
            epoch=self._at.epoch,
            steps_done=self._at.steps_done,
            images_seen=self._at.images_seen,
            losses=told,
            images_per_s=images_per_s,
            learning_rate=rate,
        )

    def _ended(self, how: Literal["finished", "converged", "stopped"]) -> TrainingEnded:
        return TrainingEnded(
            how=how,
            epoch=self._at.epoch,
            steps_done=self._at.steps_done,
            left_out=sum(self._left_out.values()),
        )

    # --- what it begins with

    def _build_learner(self) -> Learner:
        perceptual = None
        if isinstance(self._config.objective, PairedObjective):
            perceptual = load_lpips(self._config.objective.perceptual, self._job.weights)
            perceptual.to(self._device)
        return build_learner(self._config, self._ranks, self._device, perceptual)

    def _started(self) -> TrainingStarted:
        return TrainingStarted(
            epoch=self._at.epoch,
            epochs=self._config.epochs,
            steps_done=self._at.steps_done,
            steps=self._samples.num_steps(),
            samples=len(self._samples.ids),
            parameters=sum(one.numel() for one in self._learner.head.parameters()),
            device=str(self._device),
            outside=self._samples.outside,
        )


def learning_rate(config: TrainConfig, epoch: int) -> float:
    """Constant, then a line that would reach 0 one epoch after the last."""
    settings = config.optimiser
    decayed = max(0, epoch + 1 - (config.epochs - settings.decay_epochs))
    return settings.learning_rate * (1 - decayed / (settings.decay_epochs + 1))
