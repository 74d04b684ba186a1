"""How many tokens Stable Diffusion 1.5 reads of a text: its tokenizer alone, without weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from models.checksums import sha256_of
from models.quiet import quiet

# With the tokens that begin and end a text.
MOST_TOKENS = 77
_FILES = ("vocab.json", "merges.txt", "tokenizer.json", "tokenizer_config.json")


class ClipLength:
    """Counts CLIP's tokens."""

    def __init__(self, folder: Path) -> None:
        quiet()
        from transformers import CLIPTokenizer

        self._tokenizer: Any = CLIPTokenizer.from_pretrained(folder, local_files_only=True)

    def __call__(self, texts: Sequence[str]) -> list[int]:
        """The tokens of each text, with the two that begin and end it, however many these are."""
        if not texts:
            return []
        ids = self._tokenizer(list(texts), truncation=False, padding=False)["input_ids"]
        return [len(one) for one in ids]


def clip_tokenizer_folder(model: str) -> Path:
    """Where the tokenizer of a model lies: in its folder, as a folder, or in the hub's cache.

    ValueError where there is none.
    """
    for folder in (Path(model) / "tokenizer", Path(model), _in_cache(model)):
        if (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
            return folder
    raise ValueError(
        f"--clip-tokenizer {model}: has no vocab.json and merges.txt, nor in tokenizer/, nor in "
        "the hub's cache; name the folder of a Stable Diffusion 1.5"
    )


def _in_cache(model: str) -> Path:
    """The tokenizer's folder of a model in the hub's cache; the model's own name where not."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(model, "tokenizer/vocab.json")
    except HFValidationError:
        found = None
    return Path(found).parent if isinstance(found, str) else Path(model)


def clip_tokenizer_files(folder: Path) -> Mapping[str, str]:
    """The sha256 of every file that is read."""
    files = [folder / name for name in _FILES if (folder / name).is_file()]
    return {path.name: digits for path, digits in sha256_of(files).items()}
