"""A byte-stable tar, written as a stream, that knows where each member's bytes begin."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from schemas.lease import FileFacts
from shards.filesystem import HashedFile

DAMAGED = tarfile.TarError
_ZEROS = bytes(tarfile.RECORDSIZE)
_END = bytes(2 * tarfile.BLOCKSIZE)


class TarWriter:
    """Appends members to a new tar in USTAR form, which every reader knows."""

    def __init__(self, path: Path) -> None:
        self._file = HashedFile(path)

    def add(self, name: str, data: bytes) -> int:
        """Append a member; where its bytes begin."""
        self._file.write(_header(name, len(data)))
        offset = self._file.length
        self._file.write(data)
        self._file.write(_ZEROS[: -len(data) % tarfile.BLOCKSIZE])
        return offset

    def finish(self) -> FileFacts:
        """End the tar, bring it to the disk, and say what it is."""
        self._file.write(_END)
        self._file.write(_ZEROS[: -self._file.length % tarfile.RECORDSIZE])
        return self._file.finish()

    def close(self) -> None:
        """Let go of the file, finished or not."""
        self._file.close()


def _header(name: str, num_bytes: int) -> bytes:
    """The block before a member. A TarInfo's own defaults have no time and no owner in them."""
    # Longer ones may be split at a slash into two fields, which not every reader joins again.
    if len(name.encode()) > tarfile.LENGTH_NAME:
        raise ValueError(
            f"{name}: is too long for a name in a tar, which has {tarfile.LENGTH_NAME} bytes for it"
        )
    info = tarfile.TarInfo(name)
    info.size = num_bytes
    return info.tobuf(tarfile.USTAR_FORMAT)


@dataclass(frozen=True, slots=True)
class Member:
    """A member as the tar itself tells it."""

    name: str
    offset: int
    bytes: int


def members(path: Path) -> Iterator[Member]:
    """Walk a tar's members by their headers; tarfile.TarError where it is damaged."""
    with tarfile.open(path, "r:") as tar:
        for info in tar:
            yield Member(name=info.name, offset=info.offset_data, bytes=info.size)
        # tarfile takes a damaged or cut header for the end, unless it is the first.
        with path.open("rb") as file:
            file.seek(tar.offset)
            if file.read(len(_END)) != _END:
                raise tarfile.ReadError(f"neither a member nor the end at byte {tar.offset}")
