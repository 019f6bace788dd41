"""Frozen values as what JSON knows, and back with every field checked: for what comes from a process not trusted.

Known are dataclasses, enumerations, tuples, mappings with text keys, texts, numbers, truth values and None.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import math
import sys
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from xenimage.exceptions import FormatError

Value = TypeVar("Value")

_INTEGER_BITS = 128
"""more than any number on a disk has"""


def to_plain(value: object) -> Any:
    """Return *value* as dictionaries, lists and simple values.

    :raises TypeError: it holds something that is not known here.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, (tuple, list)):
        return [to_plain(each) for each in value]
    if isinstance(value, Mapping):
        return {str(name): to_plain(each) for name, each in value.items()}
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    raise TypeError(f"{type(value).__name__} has no plain form")


class Reader:
    """Builds values from their plain form.

    :param names: types by the names that annotations use for them: what a module imports for typing alone cannot be
        found from the module.
    """

    def __init__(self, names: Mapping[str, type]) -> None:
        self._names = dict(names)
        self.hints = functools.cache(self._hints)
        """the types of the fields of a dataclass, by name"""

    def _hints(self, kind: type) -> dict[str, Any]:
        return typing.get_type_hints(kind, localns=self._names | vars(sys.modules[kind.__module__]))

    def read(self, kind: type[Value], plain: object) -> Value:
        """Return the value of type *kind* that *plain* is the form of.

        :raises FormatError: it is none: a field is missing, unknown, or of another type.
        """
        value: Value = self._read(kind, plain)
        return value

    def _read(self, kind: Any, plain: object) -> Any:
        if dataclasses.is_dataclass(kind):
            return self._record(kind, plain)
        if isinstance(kind, type) and issubclass(kind, enum.Enum):
            return _member(kind, plain)
        origin = typing.get_origin(kind)
        if origin in (typing.Union, types.UnionType):
            return self._optional(kind, plain)
        if origin is tuple:
            return self._items(typing.get_args(kind), plain)
        if origin is not None and issubclass(origin, Mapping):
            return self._mapping(typing.get_args(kind)[1], plain)
        return _simple(kind, plain)

    def _record(self, kind: Any, plain: object) -> Any:
        if not isinstance(plain, dict):
            raise _wrong(plain, f"an object for {kind.__name__}")
        hints = self.hints(kind)
        names = [field.name for field in dataclasses.fields(kind)]
        if plain.keys() != set(names):
            odd = min(plain.keys() ^ set(names))
            raise FormatError(f"has fields that differ at {odd!r}", expected=f"those of {kind.__name__}")
        return kind(**{name: self._within(name, hints[name], plain[name]) for name in names})

    def _within(self, place: str, kind: Any, plain: object) -> Any:
        try:
            return self._read(kind, plain)
        except FormatError as error:
            raise error.within(place) from None

    def _optional(self, kind: Any, plain: object) -> Any:
        options = [each for each in typing.get_args(kind) if each is not types.NoneType]
        if len(options) != 1:
            raise TypeError(f"{kind} is a choice that its plain form does not tell")
        return None if plain is None else self._read(options[0], plain)

    def _items(self, kinds: tuple[Any, ...], plain: object) -> tuple[Any, ...]:
        if not isinstance(plain, list):
            raise _wrong(plain, "a list")
        if kinds[-1:] == (Ellipsis,):
            kinds = kinds[:1] * len(plain)
        if len(kinds) != len(plain):
            raise FormatError(f"is a list of {len(plain)}", expected=f"{len(kinds)} values")
        return tuple(self._within(f"[{at}]", kinds[at], each) for at, each in enumerate(plain))

    def _mapping(self, kind: Any, plain: object) -> dict[str, Any]:
        if not isinstance(plain, dict):
            raise _wrong(plain, "an object")
        return {_text(name): self._within(repr(name), kind, each) for name, each in plain.items()}


def _member(kind: type[enum.Enum], plain: object) -> enum.Enum:
    try:
        return kind(plain)
    except (ValueError, TypeError):
        raise _wrong(plain, f"a {kind.__name__}") from None


def _simple(kind: Any, plain: object) -> Any:
    if kind not in (str, bool, int, float):
        raise TypeError(f"{kind} has no plain form")
    if kind is float and type(plain) is int:
        plain = float(plain) if plain.bit_length() <= _INTEGER_BITS else math.inf
    if type(plain) is not kind:
        raise _wrong(plain, {str: "text", bool: "true or false", int: "a whole number", float: "a number"}[kind])
    if isinstance(plain, str):
        return _text(plain)
    if isinstance(plain, int) and plain.bit_length() > _INTEGER_BITS:
        raise FormatError(f"is a number of {plain.bit_length()} bits", expected=f"at most {_INTEGER_BITS}")
    if isinstance(plain, float) and not math.isfinite(plain):
        raise _wrong(plain, "a finite number")
    return plain


def _text(text: str) -> str:
    """*text* without halves of a surrogate pair, which nothing can print."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _wrong(plain: object, expected: str) -> FormatError:
    return FormatError(f"is {type(plain).__name__}", expected=expected)
