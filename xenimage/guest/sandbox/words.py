"""The JSON in the frames: the task on the way to the child, facts on the way back."""

from __future__ import annotations

import dataclasses
import json
from typing import TypeVar

from xenimage.exceptions import FormatError
from xenimage.limits import Limits
from xenimage.model.guest import cloudbase, facts, layout, linux, windows, xendrivers
from xenimage.model.guest.facts import GuestFacts
from xenimage.model.plain import Reader, to_plain

Value = TypeVar("Value")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiskTask:
    """A disk, as far as the child has to know it."""

    name: str
    format: str
    size: int
    """bytes that the guest sees"""
    granularity: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """What the child shall do."""

    parent: int
    """the process that started it"""
    disks: tuple[DiskTask, ...]
    limits: Limits


@dataclasses.dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why a range cannot be read."""

    exit_code: int
    """of the error's class"""
    text: str


NAMES = {
    name: kind
    for module in (cloudbase, facts, layout, linux, windows, xendrivers)
    for name, kind in vars(module).items()
    if isinstance(kind, type)
} | {"Limits": Limits}
READER = Reader(NAMES)


def pack(value: object) -> bytes:
    """*value* as JSON."""
    return json.dumps(to_plain(value), separators=(",", ":")).encode()


def parse(kind: type[Value], body: bytes) -> Value:
    """The value of type *kind* in *body*.

    :raises FormatError: there is none.
    """
    try:
        plain = json.loads(body, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"is no JSON ({error})") from None
    return READER.read(kind, plain)


def parse_facts(body: bytes) -> GuestFacts:
    """The facts in *body*.

    :raises FormatError: it cannot be understood.
    """
    return parse(GuestFacts, body)


def _refuse(name: str) -> float:
    raise ValueError(name)
