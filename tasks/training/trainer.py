"""The trainer: legs of epochs of steps, saved so that any stop continues exactly.

Takes a callable that says when to stop, yields what happens, and ends with how it ended. What is
learned is a course's; knows neither signals nor Slurm nor a progress bar.
"""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, Literal

import torch

from schemas.endings import CannotGoOn
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
from tasks.training.course import Batch, Job, Leg, Position, Stop
from tasks.training.device_clock import DEVICE_S, DeviceClock
from tasks.training.freed_memory import keep_freed_memory
from tasks.training.interval import Interval, diverged
from tasks.training.log import TrainingLog
from tasks.training.ranks import Ranks, device_of
from tasks.training.state import StateFolder

Events = Generator[TrainingEvent]
How = Literal["finished", "converged", "stopped"]


class Diverged(CannotGoOn):
    """A loss or a gradient that no further step comes back from."""


@dataclass(slots=True)
class _Best:
    """The best measurement so far, and how many came after it."""

    worth: float = -math.inf
    since: int = 0

    def take(self, worth: float) -> bool:
        """Whether this one is better."""
        self.since = 0 if worth > self.worth else self.since + 1
        self.worth = max(worth, self.worth)
        return self.since == 0


class Training:
    """One process of a training run."""

    def __init__(self, job: Job, ranks: Ranks, stop: Stop) -> None:
        self._clock = DeviceClock(ranks.count)
        self._job, self._settings, self._ranks, self._stop = job, job.settings, ranks, stop
        self._device = device_of(self._settings.numerics.device, ranks)
        torch.set_num_threads(self._settings.numerics.threads)
        if self._device.type == "cpu":
            keep_freed_memory()
        torch.manual_seed(self._settings.seed + ranks.rank)
        self.course = job.course(ranks, self._device)
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
            TrainingLog(self._job.run, self._settings.record, self._at.steps_done)
            if self._ranks.first
            else None
        )
        legs = self.course.legs()
        yield self._started(legs[-1].epochs.stop, sum(len(e.epochs) * e.num_steps for e in legs))
        if self._converged():  # and was asked for again
            yield self._ended("converged")
            return
        for leg in legs:
            if self._at.epoch >= leg.epochs.stop:
                continue
            if self._at.epoch == leg.epochs.start and self._at.step == 0:
                self.course.begin(leg)
            how = yield from self._leg(leg)
            if how != "finished":
                yield self._ended(how)
                return
        yield self._ended("finished")

    # --- a leg, an epoch, a step

    def _leg(self, leg: Leg) -> Generator[TrainingEvent, None, How]:
        for _ in self.course.prepare(leg):
            if self._everyone_stops():
                yield from self._save()
                return "stopped"
        epochs = range(max(self._at.epoch, leg.epochs.start), leg.epochs.stop)
        with closing(self.course.batches(leg, epochs, self._at.step)) as ready:
            for epoch in epochs:
                stopped = yield from self._epoch(leg, ready, epoch)
                if stopped:
                    return "stopped"
                converged = yield from self._end_epoch(epoch)
                if converged:
                    return "converged"
        return "finished"

    def _epoch(
        self, leg: Leg, ready: Iterator[Batch], epoch: int
    ) -> Generator[TrainingEvent, None, bool]:
        """The steps of an epoch that are left; whether it was asked to stop."""
        record, begun, images_before = self._settings.record, time.monotonic(), self._at.images_seen
        for step in range(self._at.step, leg.num_steps):
            if self._everyone_stops():
                yield from self._save()
                return True
            self._step(leg, next(ready))
            self._at = Position(
                epoch=epoch,
                step=step + 1,
                steps_done=self._at.steps_done + 1,
                images_seen=self._at.images_seen + leg.images_per_step,
            )
            if self._device.type == "cpu":
                self._refuse_divergence()  # nobody has to be waited for
            yield Progressed(steps_done=self._at.steps_done)
            if self._at.steps_done % record.log_every_steps == 0:
                seconds = time.monotonic() - begun
                yield from self._tell_left_out()
                yield self._stepped((self._at.images_seen - images_before) / seconds)
                begun, images_before = time.monotonic(), self._at.images_seen
            is_last = step + 1 == leg.num_steps
            if self._at.steps_done % record.save_every_steps == 0 and not is_last:
                yield from self._save()
        return False

    def _step(self, leg: Leg, batch: Batch) -> None:
        self._interval.left_out += batch.left_out
        rate = self.course.learning_rate(self._at)
        for optimiser in self.course.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = rate
        self._interval.add(self.course.step(leg, batch))

    def _end_epoch(self, epoch: int) -> Generator[TrainingEvent, None, bool]:
        """Measure what is due, keep what is best, save; whether nothing better will come."""
        self._refuse_divergence()  # before anything is kept
        self._at = replace(self._at, epoch=epoch + 1, step=0)
        found, is_best = self.course.measure(epoch + 1), False
        if found is not None:
            self._refuse_no_number(f"{found.by} of validation", found.values[found.by])
            is_best = self._best.take(found.worth)
            if self._ranks.first:
                self.course.keep(epoch + 1, self._at.images_seen, is_best)
            for alarm in found.alarms:
                yield Alarm(what=alarm)
            if self._log:
                values = found.values | self._clock.told()
                self._log.tell("epoch", self._at.steps_done, epoch + 1, values)
        yield from self._save()
        yield EpochEnded(
            epoch=epoch + 1,
            steps_done=self._at.steps_done,
            measured={} if found is None else found.values,
            best=is_best,
        )
        return self._converged()

    def _converged(self) -> bool:
        patience = self._settings.patience
        return patience is not None and self._best.since >= patience

    # --- what is kept

    def _save(self) -> Events:
        self._refuse_divergence()
        yield from self._tell_left_out()
        # Whatever draws by itself; where a GPU does, its own generator too.
        chance = {"cpu": torch.get_rng_state()}
        if self._device.type == "cuda":
            chance["cuda"] = torch.cuda.get_rng_state(self._device)
        shared: dict[str, Any] = {}
        if self._ranks.first:
            shared = {
                "course": self.course.state(),
                "best": {"worth": self._best.worth, "since": self._best.since},
                "left_out": self._left_out,
                "in_line": self._in_line,
                DEVICE_S: self._clock.spent_s(),
            }
        own = {
            "chance": chance,
            "course": self.course.own_state(),
            "interval": self._interval.state(),
        }
        self._state.save(self._at, shared, own)
        yield StateSaved(steps_done=self._at.steps_done)

    def _resume(self) -> None:
        self._at, shared, own = self._state.load()
        self.course.load_state(shared["course"])
        self._best = _Best(**shared["best"])
        self._left_out, self._in_line = dict(shared["left_out"]), int(shared["in_line"])
        self._clock.go_on_from(shared.get(DEVICE_S))  # older states do not tell
        self._interval.load_state(own["interval"])
        torch.set_rng_state(own["chance"]["cpu"])
        if self._device.type == "cuda" and "cuda" in own["chance"]:
            torch.cuda.set_rng_state(own["chance"]["cuda"], self._device)
        self.course.load_own_state(own["course"])

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
            found = diverged(losses, self._settings.max_gradient_norm)
            if found is not None:
                # Of one process only, so the others are told by their own loss of contact.
                raise Diverged(f"step {self._at.steps_done - later}: {found}; {self._way_back()}")

    def _refuse_no_number(self, name: str, value: float) -> None:
        if not math.isfinite(value):
            at = self._at.steps_done
            raise Diverged(f"after step {at}: {name} is {value:g}; {self._way_back()}")

    def _way_back(self) -> str:
        """What is left of a run that diverged, and what to change."""
        run, section = self._job.run, self._settings.section
        change = f"a lower {section}.optimiser.learning_rate"
        if self._settings.numerics.precision != "float32":
            change += f" or {section}.numerics.precision = 'float32'"
        kept = self._state.steps_done()
        if kept is None:
            return f"no state was saved, so {run} begins again with {change}"
        return f"{run} keeps the state of step {kept}; begin anew in another --out with {change}"

    # --- what is told

    def _stepped(self, images_per_s: float) -> Stepped:
        self._refuse_divergence()
        told = self._ranks.mean(self._interval.means(), self._device)
        # Of the step that was done last.
        rate = next(iter(self.course.optimisers)).param_groups[0]["lr"]
        if self._log:
            extra = {"images_per_s": round(images_per_s, 2), "learning_rate": rate}
            extra["left_out"] = self._in_line
            values = told | extra | self._clock.told()
            self._log.tell("step", self._at.steps_done, self._at.epoch, values)
        self._in_line = 0
        return Stepped(
            epoch=self._at.epoch,
            steps_done=self._at.steps_done,
            images_seen=self._at.images_seen,
            losses=told,
            images_per_s=images_per_s,
            learning_rate=rate,
        )

    def _ended(self, how: How) -> TrainingEnded:
        if how != "stopped":
            self.course.end()
        return TrainingEnded(
            how=how,
            epoch=self._at.epoch,
            steps_done=self._at.steps_done,
            left_out=sum(self._left_out.values()),
        )

    def _started(self, epochs: int, steps: int) -> TrainingStarted:
        return TrainingStarted(
            epoch=self._at.epoch,
            epochs=epochs,
            steps_done=self._at.steps_done,
            steps=steps,
            samples=self.course.num_samples,
            parameters=self.course.num_parameters,
            device=str(self._device),
            outside=self.course.outside,
        )
