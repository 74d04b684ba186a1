"""How a run can end early without anybody's input being wrong."""

from __future__ import annotations


class CannotGoOn(RuntimeError):
    """The run ended; what is published stays, and the message says why and what to do."""
