"""Reads files of tensors that others published, and runs nothing that is in them."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor


def read_tensors(path: Path, missing: str, inside: str | None = None) -> Mapping[str, Tensor]:
    """The tensors in a .pth file by name; `missing` says how to get a file that is not there.

    `inside` is the key under which they lie, where the file holds other things beside them.
    """
    try:
        with warnings.catch_warnings():
            # What it warns of is refused below.
            warnings.simplefilter("ignore")
            found = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ValueError(f"{path}: is missing; {missing}") from None
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror}; {missing}") from None
    except pickle.UnpicklingError:
        raise ValueError(
            f"{path}: refused, and nothing of it was run: it is damaged, or holds more than "
            "tensors and could execute code; "
            "use a file that torch.save(network.state_dict(), ...) wrote"
        ) from None
    except (EOFError, RuntimeError, ValueError, KeyError, TypeError) as error:
        why = str(error).strip().split("\n")[0].rstrip(".") or type(error).__name__
        raise ValueError(f"{path}: is damaged: {why}; {missing}") from None
    if inside is not None:
        if not isinstance(found, dict) or inside not in found:
            raise ValueError(f"{path}: has no {inside}; use the file as its publisher wrote it")
        found = found[inside]
    if not isinstance(found, dict) or not all(isinstance(one, Tensor) for one in found.values()):
        raise ValueError(
            f"{path}: holds no plain table of tensors; use a file that "
            "torch.save(network.state_dict(), ...) wrote"
        )
    return {str(name): one for name, one in found.items()}
