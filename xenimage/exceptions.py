"""The errors of the project and the exit code that each one ends a command with.

Every error carries what was found, what was expected instead, and where. The place is added on the way out by the code
that knows it (:meth:`XenimageError.within`); one place at the edge turns the error into a message and an exit code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

if TYPE_CHECKING:
    from collections.abc import Sequence


class XenimageError(Exception):
    """Base of the family.

    :param found: what was found, a phrase without a full stop.
    :param expected: what would have been right instead; empty where nothing sensible can be said.
    :param where: the place: a file, a member of a file, a field. Outer places are put in front by :meth:`within`.
    :param tip: one act that helps, an imperative sentence.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, found: str, *, expected: str = "", where: str = "", tip: str = "") -> None:
        super().__init__(found)
        self.found = found
        self.expected = expected
        self.where = where
        self.tip = tip

    def within(self, place: str) -> Self:
        """Put an outer place in front of the present one, and give the error back for raising."""
        self.where = f"{place}: {self.where}" if self.where else place
        return self

    def __str__(self) -> str:
        text = f"{self.where}: {self.found}" if self.where else self.found
        return f"{text}, expected {self.expected}" if self.expected else text


class UsageError(XenimageError):
    """The caller asked for something that makes no sense, or a file that it takes is missing; known before any work."""

    exit_code = 2


class PasswordError(UsageError):
    """What was asked for is encrypted, and nobody gave a password."""


class ConfigError(XenimageError):
    """A configuration file cannot be used as it is."""

    exit_code = 2


class ExtensionError(XenimageError):
    """An extension that was asked for cannot be loaded."""

    exit_code = 2


class FormatError(XenimageError):
    """Bytes break the rules of their own format."""

    exit_code = 3


class UnsupportedError(XenimageError):
    """The file is sound as far as can be seen, but uses something that is not read here."""

    exit_code = 4


class UnsafeError(XenimageError):
    """Refused on purpose: a name that leads outside, two formats in one file, and the like."""

    exit_code = 5


class LimitError(UnsafeError):
    """A number from the file passes one of the :class:`xenimage.limits.Limits`."""


class NotReadyError(XenimageError):
    """Checks failed.

    :param findings: all findings of the check (:class:`xenimage.model.finding.Finding`), not only the failing ones.
    """

    exit_code = 6

    def __init__(
        self, found: str, *, findings: Sequence[object] = (), expected: str = "", where: str = "", tip: str = ""
    ) -> None:
        super().__init__(found, expected=expected, where=where, tip=tip)
        self.findings = tuple(findings)


class TransferError(XenimageError):
    """A source or a sink failed while bytes were moved.

    :param done: bytes that were moved before it failed.
    """

    exit_code = 7

    def __init__(
        self, found: str, *, done: int | None = None, expected: str = "", where: str = "", tip: str = ""
    ) -> None:
        super().__init__(found, expected=expected, where=where, tip=tip)
        self.done = done

    def __str__(self) -> str:
        text = super().__str__()
        return text if self.done is None else f"{text}, after {self.done} bytes"
