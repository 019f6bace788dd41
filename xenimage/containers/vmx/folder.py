"""The files beside a VMX, by names that may not lead out of its directory."""

from __future__ import annotations

import os
import re
import unicodedata
from typing import TYPE_CHECKING

from xenimage.exceptions import FormatError, UnsafeError, UsageError
from xenimage.sources.file import open_within

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.model.disk import ByteSource

_WINDOWS_DRIVE = re.compile(r"[A-Za-z]:")
_LONGEST = 255
"""bytes that a part of a name has at most"""
_DEEPEST = 16
"""parts"""


def safe_name(said: str) -> str:
    """Check the name of a file as a VMX gives it, and return it with ``/`` between its parts.

    :raises UnsafeError: it leads, or could lead, out of the directory.
    """
    # On Windows the parts have a backslash between them.
    name = said.replace("\\", "/")
    parts = [part for part in name.split("/") if part != "."]
    strange = any(unicodedata.category(character) in ("Cc", "Cs") for character in name[: _LONGEST * _DEEPEST])
    if strange or len(parts) > _DEEPEST or any(_too_long(part) for part in parts):
        raise UnsafeError(
            f"names a file in {len(name)} characters that are no name",
            expected=f"parts of at most {_LONGEST} bytes that can be printed",
        )
    if not parts or "" in parts or ".." in parts or _WINDOWS_DRIVE.match(name):
        raise UnsafeError(
            f"names the file {said!r}",
            expected="a file in the directory of the VMX, or below",
            tip="If you trust it, put that file beside the VMX, and write its bare name into the VMX.",
        )
    return "/".join(parts)


def _too_long(part: str) -> bool:
    try:
        return len(os.fsencode(part)) > _LONGEST
    except UnicodeEncodeError:
        return True


def _spellings(name: str) -> Iterator[str]:
    """Yield the names that *name* may stand for: file systems disagree on whether an accent is a character."""
    yield from dict.fromkeys((name, unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name)))


class Folder:
    """The directory of a VMX. No link is followed in it, neither of a file nor of a directory."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._directory, self.descriptor = os.path.split(path)
        self.opened: dict[str, None] = {}
        """names of all files that were opened, in order"""

    @property
    def locked(self) -> bool:
        """Whether VMware says that it uses the machine now: it makes a directory for its locks."""
        return os.path.lexists(f"{self.path}.lck")

    def has(self, name: str) -> bool:
        """Whether there is such a file.

        :raises UnsafeError: it is a link, or no regular file.
        """
        try:
            self._open(name).close()
        except FormatError:
            return False
        return True

    def open(self, name: str) -> ByteSource:
        """Open a file by its checked name.

        :raises FormatError: it is missing or cannot be read.
        :raises UnsafeError: it is a link, or no regular file.
        """
        source = self._open(name)
        self.opened[name] = None
        return source

    def _open(self, name: str) -> ByteSource:
        reasons = []
        for spelling in _spellings(name):
            try:
                return open_within(self._directory, spelling)
            except UsageError as error:
                reasons.append(error)
        raise FormatError(
            reasons[0].found, expected="every file of the machine beside its VMX", where=reasons[0].where
        ) from reasons[0]
