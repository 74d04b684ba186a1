"""How the processes of a job on several hosts find each other: no port is fixed beforehand.

The first process listens on a port that the system chooses and writes it into a file that all see;
so two jobs on one host never want the same port. Knows no scheduler.
"""

from __future__ import annotations

import time
from datetime import timedelta

from torch._C._distributed_c10d import TCPStore

from schemas.endings import CannotGoOn
from schemas.place import Place
from shards import filesystem

_POLL_S = 0.1


def meet(place: Place, patience_s: float = 900.0) -> TCPStore:
    """The store through which the processes of a place find each other."""
    patience = timedelta(seconds=patience_s)
    folder = place.meeting.parent
    if place.rank == 0:
        store = TCPStore(place.host, 0, place.count, True, patience, wait_for_workers=False)
        filesystem.make_folder(folder)
        told = f"{place.host} {store.port}\n".encode()
        filesystem.replace_file(folder, place.meeting, filesystem.plain(told))
        return store
    limit = time.monotonic() + patience_s
    while time.monotonic() < limit:
        # A listing is asked of the server; whether a name is missing may be told from memory.
        if folder.is_dir() and any(one.name == place.meeting.name for one in folder.iterdir()):
            host, port = place.meeting.read_text().split()
            return TCPStore(host, int(port), place.count, False, patience)
        time.sleep(_POLL_S)
    raise CannotGoOn(
        f"{place.meeting}: did not appear in {patience_s:.0f} s, so the first process is not here "
        f"or {place.host} does not see its folder"
    )
