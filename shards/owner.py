"""Who may publish into a dataset now.

The right to a part of a dataset passes on in generations: owners/{part}-{generation}.json, each
created exclusively, so two drivers can never both get the same one. The highest generation of a
part holds it until it writes the next one itself, released, or until another driver finds it dead
and does. A driver that was only asleep sees a higher generation and stops.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from schemas.endings import CannotGoOn
from schemas.part import WHOLE, Part
from schemas.settings import resolve, settings
from shards import filesystem, layout
from shards.encoding import json_bytes

HEARTBEAT_S = 10.0
SILENT_S = 120.0
_FILE = re.compile(r"(?:all|(\d+)-of-(\d+))-(\d{6})\.json")


@settings
class Holder:
    """What a driver says of itself."""

    host: str
    """name of the machine"""
    machine: str
    """boot and process namespace, within which a process id means one process"""
    pid: int
    """process id"""
    started: str
    """when the process started, against reuse of its id"""
    job: str
    """Slurm job, empty outside one"""
    restarts: int
    """how often Slurm has restarted that job"""
    released: bool
    """whether the part is free again"""


@dataclass(frozen=True, slots=True)
class _Claim:
    part: Part
    generation: int
    path: Path
    holder: Holder


class Held(ValueError):
    """Another driver writes, or was killed so lately that it might."""


class OwnerLost(CannotGoOn):
    """Another driver took this one for dead and publishes in its place."""


class Owner:
    """The right to publish into a part of a dataset, kept alive while the block runs."""

    def __init__(self, dataset: Path, part: Part = WHOLE, *, silent_s: float = SILENT_S) -> None:
        """Take the right; Held tells who has it."""
        self.part = part
        self.took_over: list[Holder] = []
        self._dataset, self._silent_s = dataset, silent_s
        self._folder = dataset / layout.OWNERS
        filesystem.make_folder(self._folder)
        self._claim = self._acquire()
        self._ended = threading.Event()
        self._heart = threading.Thread(target=self._beat, name="owner-heartbeat", daemon=True)
        self._heart.start()

    @property
    def sign(self) -> Path:
        """A file that this driver has just made: who sees it shares the dataset's filesystem."""
        return self._claim.path

    def check(self) -> None:
        """OwnerLost when another driver has taken over."""
        generations = [
            generation for part, generation, _ in _files(self._folder) if part == self.part
        ]
        if max(generations, default=0) != self._claim.generation:
            raise OwnerLost(
                f"{self._dataset}: {_whole_or_part(self.part)}was taken over by another driver, "
                "because this one "
                "gave no sign of life; nothing is lost, and that driver goes on"
            )

    def release(self) -> None:
        """Give the right back."""
        self._ended.set()
        self._heart.join()
        # Where another driver has taken over, there is nothing to give back. Where the disk is
        # full, the next driver finds this process gone, which is as good.
        with contextlib.suppress(OSError):
            self._write(self.part, self._claim.generation + 1, _myself(released=True))

    def __enter__(self) -> Owner:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _acquire(self) -> _Claim:
        while True:
            self._refuse_living()
            newest = _newest(_read_claims(self._folder)).get(self.part)
            generation = newest.generation + 1 if newest else 1
            claim = self._write(self.part, generation, _myself(released=False))
            if claim is None:
                continue  # another driver was faster: look again who it is
            try:
                self._refuse_living(but=claim)
            except Held:
                self._write(self.part, generation + 1, _myself(released=True))
                raise
            return claim

    def _refuse_living(self, but: _Claim | None = None) -> None:
        """Held if a living driver has a part that overlaps; dead ones lose theirs."""
        for claim in _newest(_read_claims(self._folder)).values():
            if claim.holder.released or not claim.part.overlaps(self.part):
                continue
            if but is not None and claim.path == but.path:
                continue
            silent_s = filesystem.server_time(self._dataset) - claim.path.stat().st_mtime
            if not _is_gone(claim.holder) and silent_s < self._silent_s:
                raise Held(self._who_holds(claim, silent_s))
            if self._write(claim.part, claim.generation + 1, _myself(released=True)):
                self.took_over.append(claim.holder)

    def _who_holds(self, claim: _Claim, silent_s: float) -> str:
        return (
            f"{self._dataset}: {_whole_or_part(claim.part)}is being written by "
            f"{_name(claim.holder)}; "
            f"its last sign of life is {max(silent_s, 0):.0f} s old. "
            f"Stop it, or wait: after {self._silent_s:.0f} s of silence it is taken over"
        )

    def _write(self, part: Part, generation: int, holder: Holder) -> _Claim | None:
        path = self._folder / f"{part.label}-{generation:06d}.json"
        try:
            filesystem.publish_bytes(self._dataset, path, json_bytes(asdict(holder)))
        except FileExistsError:
            return None
        return _Claim(part, generation, path, holder)

    def _beat(self) -> None:
        while not self._ended.wait(HEARTBEAT_S):
            try:
                filesystem.touch(self._claim.path)
            except OSError:
                # A hiccup of the file server; silence for too long is for `check` to find.
                continue


def writers(dataset: Path) -> list[str]:
    """Who holds a part of a dataset now, as a person reads it; the silent ones are left out."""
    folder = dataset / layout.OWNERS
    if not folder.is_dir():
        return []
    now = time.time()
    try:
        claims = _newest(_read_claims(folder)).values()
    except ValueError as error:
        return [str(error)]
    return [
        f"{_whole_or_part(claim.part)}{_name(claim.holder)}"
        for claim in claims
        if not claim.holder.released
        and not _is_gone(claim.holder)
        and now - claim.path.stat().st_mtime < SILENT_S
    ]


def _name(holder: Holder) -> str:
    job = f", Slurm job {holder.job}" if holder.job else ""
    return f"process {holder.pid} on {holder.host}{job}"


def _whole_or_part(part: Part) -> str:
    return "" if part == WHOLE else f"part {part} "


def _read_claims(folder: Path) -> list[_Claim]:
    claims = []
    for part, generation, path in _files(folder):
        try:
            holder = resolve(Holder, json.loads(path.read_bytes()), str(path))
        except ValueError as error:
            raise ValueError(
                f"{path}: is damaged; remove it once no driver writes this dataset"
            ) from error
        claims.append(_Claim(part, generation, path, holder))
    return claims


def _files(folder: Path) -> Iterator[tuple[Part, int, Path]]:
    for path in folder.iterdir():
        matched = _FILE.fullmatch(path.name)
        if matched:
            part = Part(int(matched[1]), int(matched[2])) if matched[1] else WHOLE
            yield part, int(matched[3]), path


def _newest(claims: list[_Claim]) -> dict[Part, _Claim]:
    newest: dict[Part, _Claim] = {}
    for claim in claims:
        if claim.part not in newest or claim.generation > newest[claim.part].generation:
            newest[claim.part] = claim
    return newest


def _is_gone(holder: Holder) -> bool:
    """Whether a driver certainly runs no more; a driver elsewhere may only be silent."""
    me = _myself(released=False)
    if holder.job and holder.job == me.job and holder.restarts < me.restarts:
        return True
    if holder.machine != me.machine:
        return False
    return _started(holder.pid) != holder.started


def _myself(*, released: bool) -> Holder:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    job = os.environ.get("SLURM_JOB_ID", "")
    return Holder(
        host=socket.gethostname(),
        machine=f"{boot} {Path('/proc/self/ns/pid').readlink()}",
        pid=os.getpid(),
        started=_started(os.getpid()),
        job=job,
        restarts=int(os.environ.get("SLURM_RESTART_COUNT", "0")),
        released=released,
    )


def _started(pid: int) -> str:
    """Clock tick at which a process started, empty when there is none or only its remains."""
    try:
        # Fields follow the command in parentheses, which may hold anything, from the third on.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if fields[0] == "Z" else fields[19]
