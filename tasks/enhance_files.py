"""Putting the pictures of files through a head: decoded ahead, enhanced, encoded behind.

Threads decode and encode, so that the network waits for neither where processors suffice. Yields an
event for each picture; what is wrong with one picture is said of it, and the others go on.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from models.heads.pictures import (
    Levels,
    Prepared,
    opened,
    prepared_file,
    written_picture,
)
from models.heads.tiles import TiledEnhancer
from schemas.enhance import Enhanced, EnhanceSettings, Format
from tasks.enhance.inputs import Item
from tasks.enhance.journal import PictureJournal

# Pixels in memory at once, as given and as enhanced: some 1.5 GB; a larger picture goes alone.
_MOST_PIXELS = 128_000_000


class Stopped(Exception):
    """The run ends, and what is still waiting for room need not be decoded."""


class _Room:
    """Lets pictures into memory as long as there is room, and any single one."""

    def __init__(self, pixels: int) -> None:
        self._most, self._taken, self._stopped = pixels, 0, False
        self._changed = threading.Condition()

    def take(self, pixels: int) -> None:
        with self._changed:
            self._changed.wait_for(
                lambda: self._stopped or not self._taken or self._taken + pixels <= self._most
            )
            if self._stopped:
                raise Stopped
            self._taken += pixels

    def give_back(self, pixels: int) -> None:
        with self._changed:
            self._taken -= pixels
            self._changed.notify_all()

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()


# Compared by identity: arrays have no single answer to whether they are equal.
@dataclass(frozen=True, slots=True, eq=False)
class _Given:
    """A picture out of its file, and the room that it takes."""

    item: Item
    data: bytes
    picture: Prepared
    pixels: int


class EnhanceFiles:
    """Enhances files into a folder."""

    def __init__(
        self,
        enhance: TiledEnhancer,
        settings: EnhanceSettings,
        kind: Format,
        journal: PictureJournal,
        coders: int,
    ) -> None:
        self._enhance, self._settings, self._kind = enhance, settings, kind
        self._journal, self._coders = journal, coders
        self._room = _Room(_MOST_PIXELS)

    def run(self, items: Sequence[Item]) -> Iterator[Enhanced]:
        """What became of each picture, in the order in which they are done."""
        torch.set_num_threads(self._settings.threads)
        waiting = deque(items)
        decoding: set[Future[_Given | Enhanced]] = set()
        encoding: set[Future[Enhanced]] = set()
        ready: list[_Given] = []
        ahead = self._coders + 2 * self._settings.batch_size
        with self._pools() as (decoders, encoders):
            while waiting or decoding or encoding or ready:
                while waiting and len(decoding) + len(ready) < ahead:
                    decoding.add(decoders.submit(self._open, waiting.popleft()))
                if not ready:
                    _wait_for_one(decoding, encoding)
                for opened_one in [one for one in decoding if one.done()]:
                    decoding.remove(opened_one)
                    given = opened_one.result()
                    if isinstance(given, Enhanced):
                        yield given
                    else:
                        ready.append(given)
                for written in [one for one in encoding if one.done()]:
                    encoding.remove(written)
                    yield written.result()
                encoding |= set(self._made(_alike(ready, self._settings.batch_size), encoders))

    @contextmanager
    def _pools(self) -> Iterator[tuple[ThreadPoolExecutor, ThreadPoolExecutor]]:
        """Threads that end with the block, also when it ends early."""
        pools = ThreadPoolExecutor(self._coders), ThreadPoolExecutor(self._coders)
        try:
            yield pools
        finally:
            self._room.stop()
            for pool in pools:
                pool.shutdown(cancel_futures=True)

    def _open(self, item: Item) -> _Given | Enhanced:
        """The picture of a file, or what is to be said of it instead."""
        picture = str(item.picture)
        try:
            if item.why_not is not None:
                raise ValueError(item.why_not)
            if self._journal.is_made(item.picture, item.file):
                return Enhanced(picture=picture, how="there", file=item.file)
            data = item.picture.read_bytes()
            image = opened(data)
            pixels = image.width * image.height
        except OSError as error:
            return _refusal(item, f"cannot be read: {error.strerror}; ask for the permission")
        except ValueError as error:
            return _refusal(item, str(error))
        self._room.take(pixels)
        try:
            return _Given(item, data, prepared_file(image), pixels)
        except BaseException as error:
            self._room.give_back(pixels)
            if isinstance(error, ValueError):
                return _refusal(item, str(error))
            raise

    def _made(
        self, batch: Sequence[_Given], encoders: ThreadPoolExecutor
    ) -> Iterator[Future[Enhanced]]:
        """The pictures of a batch, on their way to becoming files."""
        pictures = [one.picture.levels for one in batch]
        enhanced = self._enhance(pictures, self._settings.batch_size)
        for one, levels in zip(batch, enhanced, strict=True):
            yield encoders.submit(self._write, one, levels)

    def _write(self, one: _Given, levels: Levels) -> Enhanced:
        item, notes = one.item, one.picture.notes
        try:
            data = written_picture(one.picture, levels, self._kind)
            self._journal.publish(item.picture, item.file, data, one.data, notes)
        except FileExistsError:
            return _refusal(item, f"{item.file} was put there by another program; move it away")
        except ValueError as error:
            return _refusal(item, str(error))
        finally:
            self._room.give_back(one.pixels)
        return Enhanced(picture=str(item.picture), how="made", file=item.file, notes=notes)


def _wait_for_one(*begun: Collection[Future[Any]]) -> None:
    wait([one for ones in begun for one in ones], return_when=FIRST_COMPLETED)


def _refusal(item: Item, why: str) -> Enhanced:
    return Enhanced(picture=str(item.picture), how="refused", why=why)


def _alike(ready: list[_Given], most: int) -> list[_Given]:
    """Take the first and those of its size out of the list."""
    size = ready[0].picture.levels.shape if ready else ()
    batch = [one for one in ready if one.picture.levels.shape == size][:most]
    for one in batch:
        ready.remove(one)
    return batch
