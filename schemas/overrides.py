"""Settings given on a command line, as tables that are merged into those of a preset.

`--dataset.count 1000 --fractions 0.1 0.2` stands for `count = 1000` in `[dataset]`, and so on. What
comes out is checked with the preset itself, so a mistake reads the same wherever it was made.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

from schemas.mistakes import bare, kind_at
from schemas.settings import Settings, read_toml, resolve


def parse_overrides(cls: type, words: Sequence[str]) -> dict[str, Any]:
    """Tables of settings of this class out of `--path value` and `--path=value`."""
    tables: dict[str, Any] = {}
    for path, texts in _options(words):
        kind = kind_at(cls, path)
        many = get_origin(bare(kind)) in (tuple, list)
        if not many and len(texts) != 1:
            raise ValueError(f"--{'.'.join(path)}: takes one value, {len(texts)} are given")
        item = get_args(bare(kind))[0] if many else kind
        values = [_value(item, text) for text in texts]
        _set(tables, path, values if many else values[0])
    return tables


def merged(tables: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Tables with some of their values replaced."""
    result = dict(tables)
    for key, value in over.items():
        before = result.get(key)
        nested = isinstance(before, Mapping) and isinstance(value, Mapping)
        result[key] = merged(before, value) if nested else value  # type: ignore[arg-type]
    return result


def read_section(
    cls: type[Settings], path: Path, section: str, over: Mapping[str, Any], preset: str
) -> Settings:
    """A section of a preset with what a command line says otherwise; a ValueError lists mistakes.

    `preset` is named to who gave a file without the section.
    """
    tables = read_toml(path).get(section)
    if not isinstance(tables, dict):
        raise ValueError(f"{path}: has no [{section}] section; use {preset}, or write one")
    origin = f"{path} [{section}]" + (" with what the command line sets" if over else "")
    return resolve(cls, merged(tables, over), origin)


def paths(tables: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """The path of every value in tables."""
    for key, value in tables.items():
        if isinstance(value, Mapping):
            yield from ((key, *rest) for rest in paths(value))
        else:
            yield (key,)


def _options(words: Sequence[str]) -> Iterator[tuple[list[str], list[str]]]:
    """Each option's path, and the texts that follow it."""
    if words and not words[0].startswith("--"):
        raise ValueError(f"{words[0]!r}: belongs to no option; settings are given as --path value")
    path: list[str] = []
    texts: list[str] = []
    for word in words:
        if not word.startswith("--"):
            texts.append(word)
            continue
        if path:
            yield path, texts
        option, equals, text = word.removeprefix("--").partition("=")
        path, texts = option.replace("-", "_").split("."), [text] if equals else []
    if path:
        yield path, texts


def _value(kind: Any, text: str) -> Any:
    """A text as its setting's type would stand in TOML; what does not fit is told with the rest."""
    plain = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    if NoneType in get_args(plain) and text.lower() == "none":
        return None
    if bare(kind) is str or get_origin(bare(kind)) is Literal:
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _set(tables: dict[str, Any], path: Sequence[str], value: Any) -> None:
    for part in path[:-1]:
        inner = tables.setdefault(part, {})
        if not isinstance(inner, dict):
            raise ValueError(f"--{'.'.join(path)}: {part} has a value already")
        tables = inner
    tables[path[-1]] = value
