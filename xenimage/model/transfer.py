"""What is told while and after bytes are moved."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence


class Progress(Protocol):
    """Somebody who watches long work. Called from one thread."""

    def start(self, what: str, total: int) -> None:
        """A stage begins: *what* in a word or two, *total* bytes of work."""

    def advance(self, count: int) -> None:
        """*count* more bytes of the stage are done."""

    def stop(self) -> None:
        """The stage ended, well or not."""


class PatchSink(Protocol):
    """Where a file goes that is not written from its start to its end: see :class:`xenimage.sinks.file.FileSink`."""

    @property
    def size(self) -> int:
        """Bytes written and skipped so far."""

    def write(self, parts: Sequence[bytes | bytearray | memoryview]) -> None:
        """Put bytes behind what was written and skipped."""

    def skip(self, length: int) -> None:
        """Leave *length* bytes out: for :meth:`patch`, or to stay zeros."""

    def patch(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        """Write at *offset*, in front of the end. Safe to call from several threads."""


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
