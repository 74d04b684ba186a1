"""What is wrong with settings, each mistake in one line: the path, the value, and the mend."""

from __future__ import annotations

import copy
import dataclasses
import difflib
import inspect
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le, Lt, MinLen

Rule = Callable[..., Iterator[str]]
_MISSING = object()


def every_mistake(cls: type, tables: Mapping[str, Any]) -> list[str]:
    """All mistakes in tables that do not make settings of this class."""
    return [*_wrong_fields(cls, tables), *_broken_rules(cls, tables, "")]


def nearest(word: str, known: Sequence[str]) -> str:
    """Asks whether the nearest known word was meant, or lists what is known here."""
    close = _close(word, known)
    if close:
        return f"did you mean {close!r}?"
    return "known here: " + (", ".join(sorted(known)) or "nothing")


def rules_of(cls: type) -> list[tuple[Sequence[str], Rule]]:
    """The rules of a settings class, each with the fields that it takes."""
    rules = [value.__func__ for value in vars(cls).values() if isinstance(value, staticmethod)]
    return [(list(inspect.signature(rule).parameters), rule) for rule in rules]


def out_of_range(settings: Any) -> Iterator[str]:
    """What the ranges in the annotations of a settings class do not allow."""
    hints = get_type_hints(type(settings), include_extras=True)
    for field in dataclasses.fields(settings):
        kind, value = hints[field.name], getattr(settings, field.name)
        for where, one, bounds in _bounded(field.name, kind, value):
            if isinstance(one, float) and not math.isfinite(one):
                yield f"{where} = {one!r}: should be a finite number"
                continue
            for bound in bounds:
                wanted = _broken_bound(bound, one)
                if wanted:
                    yield f"{where} = {one!r}: should be {wanted}"


def kind_at(kind: Any, path: Sequence[str]) -> Any:
    """The type that a path leads to; None where it leads nowhere."""
    for part in path:
        tagged = _tagged(kind)
        steps = [_step(member, part)[1] for member in tagged.values()] or [_step(kind, part)[1]]
        kind = next((step for step in steps if step is not None), None)
    return kind


def bare(kind: Any) -> Any:
    """A type without its annotations and without None."""
    if get_origin(kind) is Annotated:
        return bare(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        members = [member for member in get_args(kind) if member is not NoneType]
        return bare(members[0]) if len(members) == 1 else kind
    return kind


def _close(word: str, known: Sequence[str]) -> str | None:
    return next(iter(difflib.get_close_matches(word, known, n=1, cutoff=0.6)), None)


def _wrong_fields(cls: type, tables: Mapping[str, Any]) -> list[str]:
    """Unknown, missing, mistyped and out-of-range fields."""
    from pydantic import TypeAdapter, ValidationError

    try:
        TypeAdapter(cls).validate_json(json.dumps(tables))
    except ValidationError as error:
        found = error.errors()
        # Rules are looked for by themselves, so that they need not wait for all else to be right.
        told = [one for one in found if not _echo(one) and one["type"] != "value_error"]
        mistakes = [_explain(cls, mistake) for mistake in told]
        guessed = _with_guessed_tags(tables, found)
        if guessed is not None:
            mistakes += [one for one in _wrong_fields(cls, guessed) if one not in mistakes]
        return mistakes
    return []


def _with_guessed_tags(tables: Mapping[str, Any], mistakes: Sequence[Any]) -> Any:
    """The tables as if each mistyped tag were the nearest one: what stands beside it is checked."""
    guessed = None
    for mistake in mistakes:
        if mistake["type"] != "union_tag_invalid":
            continue
        tag = mistake["ctx"]["discriminator"].strip("'")
        known = [word.strip(" '") for word in mistake["ctx"]["expected_tags"].split(",")]
        close = _close(str(mistake["input"][tag]), known)
        if close:
            guessed = guessed or copy.deepcopy(dict(tables))
            table = guessed
            for part in mistake["loc"]:
                table = table[part]
            table[tag] = close
    return guessed


def _broken_rules(kind: Any, value: Any, path: str) -> Iterator[str]:
    """What fields say about each other, wherever the fields that a rule takes are valid."""
    kind = bare(kind)
    tagged = _tagged(kind)
    if tagged and isinstance(value, dict):
        kind = tagged.get(str(value.get("kind")))
    if dataclasses.is_dataclass(kind) and isinstance(value, dict):
        hints = get_type_hints(kind, include_extras=True)
        defaults = {field.name: field.default for field in dataclasses.fields(kind)}
        for fields, rule in rules_of(kind):  # type: ignore[arg-type]
            given = {name: _valid(hints[name], value, name, defaults[name]) for name in fields}
            if _MISSING not in given.values():
                yield from (f"{path}{wrong}" for wrong in rule(**given))
        for name, hint in hints.items():
            yield from _broken_rules(hint, value.get(name), f"{path}{name}.")
    elif get_origin(kind) is dict and isinstance(value, dict):
        for key, inner in value.items():
            yield from _broken_rules(get_args(kind)[1], inner, f"{path}{key}.")
    elif get_origin(kind) is tuple and isinstance(value, list):
        for number, inner in enumerate(value, 1):
            where = f"{path.removesuffix('.')} item {number}."
            yield from _broken_rules(get_args(kind)[0], inner, where)


def _valid(hint: Any, table: Mapping[str, Any], name: str, default: Any) -> Any:
    """A field's value if it is a right one by itself."""
    from pydantic import TypeAdapter, ValidationError

    if name not in table:
        return _MISSING if default is dataclasses.MISSING else default
    try:
        return TypeAdapter(hint).validate_json(json.dumps(table[name]), strict=True)
    except ValidationError:
        return _MISSING


def _bounded(where: str, kind: Any, value: Any) -> Iterator[tuple[str, Any, Sequence[object]]]:
    """A value and the items in it, each with its path and the bounds of its annotation."""
    yield where, value, getattr(kind, "__metadata__", ())
    if isinstance(value, tuple):
        item_kind = get_args(bare(kind))[0]
        for number, item in enumerate(value, 1):
            yield f"{where} item {number}", item, getattr(item_kind, "__metadata__", ())


def _broken_bound(bound: object, value: Any) -> str | None:
    """What a bound asks for, if the value does not hold to it."""
    match bound:
        case MinLen(min_length=least) if value is not None and len(value) < least:
            return f"at least {least} long"
        case Ge(ge=least) if value is not None and not value >= least:
            return f"at least {least}"
        case Gt(gt=least) if value is not None and not value > least:
            return f"more than {least}"
        case Le(le=most) if value is not None and not value <= most:
            return f"at most {most}"
        case Lt(lt=most) if value is not None and not value < most:
            return f"less than {most}"
    return None


def _echo(mistake: Any) -> bool:
    """Whether a list is too short only because its items are mistakes, told by themselves."""
    if mistake["type"] != "too_short":
        return False
    given, valid = len(mistake["input"]), int(mistake["ctx"]["actual_length"])
    return given > valid


def _explain(cls: type, mistake: Any) -> str:
    """One line for one of pydantic's errors: the field's path, the value, and the mend."""
    known: Sequence[str] = ()
    kind: Any = cls
    where = last = ""
    for part in mistake["loc"]:
        if part == "[key]":
            break
        known, kind, shown = _step(kind, part)
        if shown:
            last = str(part)
            step = f" item {part + 1}" if isinstance(part, int) else f".{part}"
            where = (where + step).removeprefix(".")
    where, value = where or "the whole", mistake["input"]
    match mistake["type"]:
        case "missing":
            return f"{where}: is missing"
        case "unexpected_keyword_argument":
            return f"{where} = {value!r}: unknown field; {nearest(last, known)}"
        case "literal_error" if mistake["loc"][-1] == "[key]":
            return f"{where}: unknown section; {nearest(last, known)}"
        case "literal_error":
            return f"{where} = {value!r}: {nearest(str(value), _choices(kind))}"
        case "union_tag_not_found":
            tag = mistake["ctx"]["discriminator"].strip("'")
            return f"{where}.{tag}: is missing; {nearest('', list(_tagged(kind)))}"
        case "union_tag_invalid":
            tag = mistake["ctx"]["discriminator"].strip("'")
            return (
                f"{where}.{tag} = {value[tag]!r}: {nearest(str(value[tag]), list(_tagged(kind)))}"
            )
        case "dataclass_type" | "dict_type" | "model_attributes_type" | "dataclass_exact_type":
            return f"{where} = {value!r}: should be a table of settings"
    # pydantic begins with what the value is: Input, String, Tuple.
    should = mistake["msg"].partition("should ")[2]
    return f"{where} = {value!r}: should {should}" if should else f"{where}: {mistake['msg']}"


def _step(kind: Any, part: str | int) -> tuple[Sequence[str], Any, bool]:
    """One step down a path: names known there, the type it leads to, whether users see it."""
    kind = bare(kind)
    if dataclasses.is_dataclass(kind):
        hints = get_type_hints(kind, include_extras=True)
        names = [field.name for field in dataclasses.fields(kind)]
        return names, hints.get(str(part)), True
    if get_origin(kind) is dict:
        key, inner = get_args(kind)
        return list(get_args(bare(key))), inner, True
    tagged = _tagged(kind)
    if part in tagged:
        return (), tagged[str(part)], False
    if get_origin(kind) in (tuple, list):
        return (), get_args(kind)[0], True
    return (), None, True


def _tagged(kind: Any) -> dict[str, Any]:
    """The members of a tagged union by their tag; a tag is a Literal field called kind."""
    members = get_args(bare(kind))
    return {
        tag: member
        for member in members
        if dataclasses.is_dataclass(member)
        for tag in _choices(get_type_hints(member).get("kind"))
    }


def _choices(kind: Any) -> list[str]:
    found = bare(kind)
    return [str(choice) for choice in get_args(found)] if get_origin(found) is Literal else []
