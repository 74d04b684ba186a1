"""How settings are declared, read from TOML, and refused: with every mistake at once.

A settings class is a frozen, keyword-only, slotted dataclass whose ranges stand in its annotations.
What one field says about another are its rules: static methods that take fields by their names and
yield what is wrong. pydantic checks the ranges of a file; the class itself checks ranges and rules
when code builds one.
"""

from __future__ import annotations

import ast
import dataclasses
import hashlib
import inspect
import json
import textwrap
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, dataclass_transform

from annotated_types import Ge, Gt, MinLen

from schemas.mistakes import every_mistake, out_of_range, rules_of

if TYPE_CHECKING:
    from pydantic import TypeAdapter

Settings = TypeVar("Settings")

NON_NEGATIVE = Ge(0)
POSITIVE = Gt(0)
FILLED = MinLen(1)


@dataclass_transform(kw_only_default=True, frozen_default=True)
def settings(cls: type[Settings]) -> type[Settings]:
    """Make a settings class: unknown fields forbidden, nothing converted, ranges checked."""

    def __post_init__(self: Any) -> None:
        wrong = list(out_of_range(self))
        for fields, rule in rules_of(cls):
            wrong += rule(**{field: getattr(self, field) for field in fields})
        if wrong:
            raise ValueError("; ".join(wrong))

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
    from pydantic import ValidationError

    # Strict JSON takes arrays as tuples and whole numbers as floats, as users write them in TOML.
    # TOML knows dates, which no setting is.
    text = json.dumps(tables, default=lambda value: {type(value).__name__: str(value)})
    reader: TypeAdapter[Settings] = _reader_of(cls)  # type: ignore[arg-type]
    try:
        return reader.validate_json(text)
    except ValidationError:
        mistakes = every_mistake(cls, json.loads(text))
        count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        raise ValueError("\n  ".join([f"{origin}: {count}", *mistakes])) from None


@cache
def _reader_of(cls: Any) -> TypeAdapter[Any]:
    # Once for each class, as making one takes longer than to read many records by it.
    from pydantic import TypeAdapter

    return TypeAdapter(cls)


def as_plain(settings: Any) -> dict[str, Any]:
    """Settings as plain JSON values, to be stored with everything that they made."""
    plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(settings)))
    return plain


def fingerprint(plain: Mapping[str, Any]) -> str:
    """One number for plain settings, whatever the order of their fields."""
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def descriptions(settings: Any, path: str = "") -> dict[str, tuple[Any, str]]:
    """Every setting by its path, with its value and the sentence under its field."""
    if isinstance(settings, dict):
        inner = [descriptions(value, f"{path}{key}.") for key, value in settings.items()]
        return {key: told for one in inner for key, told in one.items()}
    sentences = _sentences(type(settings))
    found: dict[str, tuple[Any, str]] = {}
    for field in dataclasses.fields(settings):
        value, where = getattr(settings, field.name), f"{path}{field.name}"
        if dataclasses.is_dataclass(value) or isinstance(value, dict):
            found |= descriptions(value, f"{where}.")
        else:
            found[where] = (value, sentences[field.name])
    return found


def _sentences(cls: type) -> dict[str, str]:
    body = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    assert isinstance(body, ast.ClassDef)
    return {
        field.target.id: text.value.value
        for field, text in zip(body.body, body.body[1:], strict=False)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }
