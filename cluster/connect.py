"""Joining a Ray cluster, or starting one inside this process; always by an explicit address."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import ray
from ray.exceptions import AuthenticationError

from schemas.endings import CannotGoOn

LOCAL = "local"
PROBE_S = 5.0
_TOKEN = "where RAY_AUTH_MODE=token, RAY_AUTH_TOKEN_PATH has to name the file of its token"


@contextmanager
def connected(address: str | None = None, num_cpus: int | None = None) -> Iterator[str]:
    """A connection to a cluster while the block runs; what it is connected to.

    Without an address it is the cluster of RAY_ADDRESS, which `ray job submit` sets; without that
    it is one of this process alone, with `num_cpus` seats if they are not to be one for each
    processor. A bare `ray.init()` would join whatever runs on a shared node.
    """
    where = address or os.environ.get("RAY_ADDRESS") or LOCAL
    if where.startswith("ray://"):
        raise ValueError(
            f"Ray at {where!r}: a driver far away would not run this tree; submit it with "
            "ray job submit, or name HOST:6379 of the cluster that this machine belongs to"
        )
    _probe(where)
    # Ray warns at every start that it uses a token, which is as it should be.
    logging.getLogger("ray").setLevel(logging.ERROR)
    dashboard = False if where == LOCAL else None
    on_sigterm = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(
            address=where,
            include_dashboard=dashboard,
            num_cpus=num_cpus,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except (ConnectionError, RuntimeError, ValueError, AuthenticationError) as error:
        first = str(error).strip().partition("\n")[0]
        if where == LOCAL:
            raise CannotGoOn(f"Ray did not start on this machine: {first}; {_TOKEN}") from error
        raise ValueError(
            f"Ray at {where!r}: cannot be reached: {first}; check that it runs; {_TOKEN}"
        ) from error
    if threading.current_thread() is threading.main_thread():
        # Ray ends a driver on SIGTERM without a word; who connects decides that for itself.
        signal.signal(signal.SIGTERM, on_sigterm)
    try:
        yield where
    finally:
        ray.shutdown()


def _probe(address: str) -> None:
    """Ask whether anybody listens there: Ray would try for minutes, and then end the process."""
    host, _, port = address.rpartition(":")
    if "://" in address or not host or not port.isdigit():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=PROBE_S).close()
    except OSError as error:
        raise ValueError(
            f"Ray at {address!r}: cannot be reached: {error}; check host, port and that it runs"
        ) from error
