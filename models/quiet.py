"""Keeps the bars and the advice of the model libraries off the terminal, which is not theirs."""

from __future__ import annotations


def quiet() -> None:
    """Let diffusers and transformers speak of errors only, in this process."""
    from transformers.utils import logging

    # Before diffusers is imported: it advises while it is.
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    import diffusers

    diffusers.logging.set_verbosity_error()
    diffusers.logging.disable_progress_bar()
