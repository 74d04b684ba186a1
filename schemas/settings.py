"""How settings are declared, read from TOML, and refused: with every mistake at once.

A settings class is a frozen, keyword-only, slotted dataclass whose ranges stand in its annotations.
The same ranges are checked by pydantic when a file is read, and by the class itself when code or
the command line builds one.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    TypeVar,
    Union,
    dataclass_transform,
    get_args,
    get_origin,
    get_type_hints,
)

from annotated_types import Ge, Gt, Le, Lt, MinLen

Settings = TypeVar("Settings")

NON_NEGATIVE = Ge(0)
POSITIVE = Gt(0)
FILLED = MinLen(1)


@dataclass_transform(kw_only_default=True, frozen_default=True)
def settings(cls: type[Settings]) -> type[Settings]:
    """Make a settings class: unknown fields forbidden, nothing converted, ranges checked."""
    own_check = cls.__dict__.get("__post_init__")

    def __post_init__(self: Any) -> None:
        _check_ranges(self)
        if own_check is not None:
            own_check(self)

    cls.__post_init__ = __post_init__  # type: ignore[attr-defined]
    made = dataclasses.dataclass(frozen=True, slots=True, kw_only=True)(cls)
    # Neither is JSON, so run.json could not hold them.
    finite = {"allow_inf_nan": False}
    made.__pydantic_config__ = {"extra": "forbid", "strict": True, **finite}  # type: ignore[attr-defined]
    return made


def tagged(field: str) -> Any:
    """Marks a union of settings classes that is told apart by one field of theirs."""
    from pydantic import Field

    return Field(discriminator=field)


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file; an error names the file that is missing or malformed."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"{path}: is not TOML: {error}") from error


def resolve(cls: type[Settings], tables: Mapping[str, Any], origin: str) -> Settings:
    """Settings of this class out of parsed TOML or JSON; a ValueError lists every mistake."""
    from pydantic import TypeAdapter, ValidationError

    # Strict JSON takes arrays as tuples and whole numbers as floats, as users write them in TOML.
    text = json.dumps(tables, default=str)
    try:
        return TypeAdapter(cls).validate_json(text)
    except ValidationError as error:
        mistakes = [_explain(cls, mistake) for mistake in error.errors() if not _echo(mistake)]
        count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        raise ValueError("\n  ".join([f"{origin}: {count}", *mistakes])) from None


def as_plain(settings: Any) -> dict[str, Any]:
    """Settings as plain JSON values, to be stored with everything that they made."""
    plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(settings)))
    return plain


def nearest(word: str, known: Sequence[str]) -> str:
    """Asks whether the nearest known word was meant, or lists what is known here."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return "known here: " + (", ".join(sorted(known)) or "nothing")


def _check_ranges(settings: Any) -> None:
    hints = get_type_hints(type(settings), include_extras=True)
    for field in dataclasses.fields(settings):
        kind, value = hints[field.name], getattr(settings, field.name)
        for where, one, bounds in _bounded(field.name, kind, value):
            if isinstance(one, float) and not math.isfinite(one):
                raise ValueError(f"{where} = {one!r}: should be a finite number")
            for bound in bounds:
                wanted = _broken(bound, one)
                if wanted:
                    raise ValueError(f"{where} = {one!r}: should be {wanted}")


def _bounded(where: str, kind: Any, value: Any) -> Iterator[tuple[str, Any, Sequence[object]]]:
    """A value and the items in it, each with its path and the bounds of its annotation."""
    yield where, value, getattr(kind, "__metadata__", ())
    if isinstance(value, tuple):
        item_kind = get_args(_bare(kind))[0]
        for number, item in enumerate(value):
            yield f"{where}.{number}", item, getattr(item_kind, "__metadata__", ())


def _broken(bound: object, value: Any) -> str | None:
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
    path: list[str] = []
    for part in mistake["loc"]:
        if part == "[key]":
            break
        known, kind, shown = _step(kind, part)
        if shown:
            path.append(str(part))
    where, value = ".".join(path) or "the whole", mistake["input"]
    match mistake["type"]:
        case "missing":
            return f"{where}: is missing"
        case "unexpected_keyword_argument":
            return f"{where} = {value!r}: unknown field; {nearest(path[-1], known)}"
        case "literal_error" if mistake["loc"][-1] == "[key]":
            return f"{where}: unknown section; {nearest(path[-1], known)}"
        case "literal_error":
            return f"{where} = {value!r}: {nearest(str(value), _choices(kind))}"
        case "union_tag_invalid" | "union_tag_not_found":
            tag = mistake["ctx"]["discriminator"].strip("'")
            given = value.get(tag)
            return f"{where}.{tag} = {given!r}: {nearest(str(given), list(_tagged(kind)))}"
        case "dataclass_type" | "dict_type" | "model_attributes_type" | "dataclass_exact_type":
            return f"{where} = {value!r}: should be a table of settings"
        case "value_error":  # raised by a class's own check, whose message begins with the field
            return ".".join([*path, mistake["msg"].removeprefix("Value error, ")])
    # pydantic begins with what the value is: Input, String, Tuple.
    should = mistake["msg"].partition("should ")[2]
    return f"{where} = {value!r}: should {should}" if should else f"{where}: {mistake['msg']}"


def _step(kind: Any, part: str | int) -> tuple[Sequence[str], Any, bool]:
    """One step down a path: names known there, the type it leads to, whether users see it."""
    kind = _bare(kind)
    if dataclasses.is_dataclass(kind):
        hints = get_type_hints(kind, include_extras=True)
        names = [field.name for field in dataclasses.fields(kind)]
        return names, hints.get(str(part)), True
    if get_origin(kind) is dict:
        key, inner = get_args(kind)
        return list(get_args(_bare(key))), inner, True
    tagged = _tagged(kind)
    if part in tagged:
        return (), tagged[str(part)], False
    if get_origin(kind) in (tuple, list):
        return (), get_args(kind)[0], True
    return (), None, True


def _bare(kind: Any) -> Any:
    """A type without its annotations and without None."""
    if get_origin(kind) is Annotated:
        return _bare(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        members = [member for member in get_args(kind) if member is not NoneType]
        return _bare(members[0]) if len(members) == 1 else kind
    return kind


def _tagged(kind: Any) -> dict[str, Any]:
    """The members of a tagged union by their tag; a tag is a Literal field called kind."""
    members = get_args(_bare(kind))
    return {
        tag: member
        for member in members
        if dataclasses.is_dataclass(member)
        for tag in _choices(get_type_hints(member).get("kind"))
    }


def _choices(kind: Any) -> list[str]:
    bare = _bare(kind)
    return [str(choice) for choice in get_args(bare)] if get_origin(bare) is Literal else []
