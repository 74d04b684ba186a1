"""Options of a verb that take one of several words: a wrong one is told in one line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints


def refuse_unknown_choices(arguments: type, verb: str, argv: Sequence[str]) -> None:
    """ValueError where an option is given a word that it does not take, or none."""
    hints = get_type_hints(arguments)
    for field in fields(arguments):
        if is_dataclass(hints[field.name]):  # whose options have no prefix
            refuse_unknown_choices(hints[field.name], verb, argv)
        choices = _choices(hints[field.name])
        if not choices:
            continue
        option = f"--{field.name.replace('_', '-')}"
        wanted = f"should be {', '.join(choices[:-1])} or {choices[-1]}"
        for words in _given(option, argv):
            if not words:
                raise ValueError(f"relume {verb}: {option}: is given no word; {wanted}")
            several = get_origin(hints[field.name]) is tuple
            for word in words if several else words[:1]:
                if word not in choices:
                    raise ValueError(f"relume {verb}: {option} {word}: {wanted}")


def _choices(hint: Any) -> tuple[str, ...]:
    """The words of a Literal, of one that may be left out, or of several; none of other types."""
    if get_origin(hint) is Literal:
        return get_args(hint) if all(isinstance(one, str) for one in get_args(hint)) else ()
    if get_origin(hint) in (Union, UnionType, tuple):
        return next(filter(None, map(_choices, get_args(hint))), ())
    return ()


def _given(option: str, argv: Sequence[str]) -> Iterator[list[str]]:
    """The words that follow each mention of an option."""
    for place, word in enumerate(argv):
        name, equals, value = word.partition("=")
        if name.replace("_", "-") != option:
            continue
        if equals:
            yield [value] if value else []
            continue
        after = argv[place + 1 :]
        end = next((n for n, one in enumerate(after) if one.startswith("--")), len(after))
        yield list(after[:end])
