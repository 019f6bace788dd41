"""What is told while and after bytes are moved."""

from __future__ import annotations

import dataclasses
from typing import Protocol


class Progress(Protocol):
    """Somebody who watches long work. Called from one thread."""

    def start(self, what: str, total: int) -> None:
        """A stage begins: *what* in a word or two, *total* bytes of work."""

    def advance(self, count: int) -> None:
        """*count* more bytes of the stage are done."""

    def stop(self) -> None:
        """The stage ended, well or not."""


class Silent:
    """Nobody watches."""

    def start(self, what: str, total: int) -> None:
        """Do nothing."""

    def advance(self, count: int) -> None:
        """Do nothing."""

    def stop(self) -> None:
        """Do nothing."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Receipt:
    """What a sink holds after all went well."""

    path: str
    """where it is; ``-`` for standard output"""
    size: int
    """bytes"""
    md5: str = ""
    sha256: str = ""
    sha512: str = ""
    """hexadecimal digests; empty where they were not asked for"""
