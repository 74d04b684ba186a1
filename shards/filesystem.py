"""Every call that changes a dataset on disk, for local and shared POSIX filesystems.

Nothing here replaces a published file: `publish_file` links and fails where the name is taken, and
only derived files go through `replace_file`. No other module of this room writes, links or removes,
so an object store can follow, and tests can stop a process at each of these calls.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from schemas.lease import FileFacts

STAGING = ".staging"
# Small pieces are gathered: handing each over by itself would cost more than hashing it.
HANDOVER_BYTES = 1 << 18
# Written but not hashed yet: the hash may lag behind, and catch up while the disk is waited for.
LAG_BYTES = 1 << 26
READ_BYTES = 1 << 20


# What writes a file's bytes, piece by piece: a file need not be in memory whole.
Sink = Callable[[bytes], None]
Content = Callable[[Sink], None]


def plain(data: bytes) -> Content:
    """The content that these bytes are."""
    return lambda write: write(data)


class HashedFile:
    """A new file whose sha256 is computed while it is written, in a thread of its own."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        self._path = path
        self._hash = hashlib.sha256()
        # One thread, because the order of updates is the order of the bytes.
        self._hasher = ThreadPoolExecutor(1)
        self._hashing: deque[tuple[Future[None], int]] = deque()
        self._lag_bytes = 0
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self.length = 0

    def write(self, data: bytes) -> None:
        """Append bytes."""
        self.length += len(data)
        if len(data) >= HANDOVER_BYTES:
            self._flush()
            self._hand_over(data)
            return
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        if self._waiting_bytes >= HANDOVER_BYTES:
            self._flush()

    def finish(self) -> FileFacts:
        """Bring everything to the disk; the facts of the whole file."""
        self._flush()
        with _naming(self._path):
            os.fsync(self._fd)
        self.close()
        return FileFacts(bytes=self.length, sha256=self._hash.hexdigest())

    def close(self) -> None:
        """Let go of the file and the thread, whatever was written."""
        self._hasher.shutdown()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _flush(self) -> None:
        if self._waiting:
            self._hand_over(b"".join(self._waiting))
            self._waiting, self._waiting_bytes = [], 0

    def _hand_over(self, data: bytes) -> None:
        while self._lag_bytes > LAG_BYTES:
            hashing, length = self._hashing.popleft()
            hashing.result()
            self._lag_bytes -= length
        self._hashing.append((self._hasher.submit(self._hash.update, data), len(data)))
        self._lag_bytes += len(data)
        with _naming(self._path):
            _write_all(self._fd, data)

    def __enter__(self) -> HashedFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def make_folder(path: Path) -> None:
    """Make a folder and those above it, unless they are there."""
    path.mkdir(parents=True, exist_ok=True)


def make_new_folder(path: Path) -> None:
    """Make a folder; FileExistsError where the name is taken."""
    path.mkdir()


def write_new(path: Path, data: bytes) -> FileFacts:
    """Write a file that must not exist yet, down to the disk."""
    with HashedFile(path) as file:
        file.write(data)
        return file.finish()


def publish_file(staged: Path, path: Path) -> None:
    """Give a staged file its final name; FileExistsError where the name is taken."""
    os.link(staged, path)


def publish_bytes(folder: Path, path: Path, data: bytes) -> None:
    """A whole file at its final name, or none; FileExistsError where the name is taken."""
    with staged_content(folder, plain(data)) as (staged, _):
        os.link(staged, path)
        sync_folder(path.parent)


def publish_staged(staged: Path, path: Path) -> None:
    """Give a single staged file its final name, or FileExistsError where the name is taken."""
    os.link(staged, path)
    sync_folder(path.parent)


def replace_file(folder: Path, path: Path, content: Content) -> None:
    """Put a derived file in the place of an older one, whole or not at all."""
    with staged_content(folder, content) as (staged, _):
        staged.replace(path)
        sync_folder(path.parent)


def append_line(path: Path, line: bytes, *, sync: bool = False) -> None:
    """Append a line, down to the disk if asked; one that a crash cut short is closed first."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        length = os.fstat(fd).st_size
        torn = length and os.pread(fd, 1, length - 1) != b"\n"
        with _naming(path):
            _write_all(fd, (b"\n" if torn else b"") + line + b"\n")
            if sync:
                os.fsync(fd)
    finally:
        os.close(fd)


def move(path: Path, new: Path) -> None:
    """Rename within the dataset; FileNotFoundError where somebody else was first."""
    path.rename(new)


def remove_file(path: Path) -> None:
    """Remove a staged or temporary file, if it is still there."""
    path.unlink(missing_ok=True)


def remove_staged(folder: Path) -> None:
    """Remove a staging folder with its files, if it is still there.

    A worker of a killed driver may still write into it; then the next start finds the rest.
    """
    try:
        for path in folder.iterdir():
            remove_file(path)
        folder.rmdir()
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno != errno.ENOTEMPTY:
            raise


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def touch(path: Path) -> None:
    """Set a file's time to now, by the clock of the server that holds it."""
    os.utime(path)


def server_time(folder: Path) -> float:
    """Now, by the clock of the server that holds a folder; hosts may disagree with it."""
    with staged_content(folder, plain(b"")) as (probe, _):
        return probe.stat().st_mtime


def same_file(first: Path, second: Path) -> bool:
    """Whether two names are links to one file."""
    try:
        return os.path.samestat(first.stat(), second.stat())
    except FileNotFoundError:
        return False


def remove_old_temporaries(folder: Path, older_than_s: float) -> None:
    """Remove what killed processes left behind while they wrote small files."""
    staging = folder / STAGING
    if not staging.is_dir():
        return
    now = server_time(folder)
    for path in staging.glob("tmp-*"):
        with contextlib.suppress(FileNotFoundError):
            if now - path.stat().st_mtime > older_than_s:
                remove_file(path)


def file_facts(path: Path) -> FileFacts:
    """Length and sha256 of a file, read once in pieces that leave other threads room."""
    digest, length = hashlib.sha256(), 0
    buffer = memoryview(bytearray(READ_BYTES))
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            digest.update(buffer[:count])
            length += count
    return FileFacts(bytes=length, sha256=digest.hexdigest())


def facts_of(content: Content) -> FileFacts:
    """Length and sha256 that a file would have, without writing it."""
    digest, length = hashlib.sha256(), 0

    def take(data: bytes) -> None:
        nonlocal length
        digest.update(data)
        length += len(data)

    content(take)
    return FileFacts(bytes=length, sha256=digest.hexdigest())


@contextlib.contextmanager
def staged_content(folder: Path, content: Content) -> Iterator[tuple[Path, FileFacts]]:
    """A file on the disk, in the dataset's staging folder, and its facts; removed afterwards."""
    staging = folder / STAGING
    make_folder(staging)
    path = staging / f"tmp-{os.getpid()}-{time.time_ns()}-{secrets.token_hex(4)}"
    try:
        with HashedFile(path) as file:
            content(file.write)
            facts = file.finish()
        yield path, facts
    finally:
        remove_file(path)


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Calls on a descriptor do not say which file they failed on; an error should."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
