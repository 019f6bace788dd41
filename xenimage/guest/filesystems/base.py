"""What the rest of the inspection knows of a file system: entries by path, names, bytes. Nothing is ever followed."""

from __future__ import annotations

import dataclasses
import enum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xenimage.model.guest.facts import Unread
    from xenimage.model.guest.layout import Volume


class Kind(enum.Enum):
    """What an entry is."""

    FILE = "file"
    DIRECTORY = "directory"
    LINK = "link"
    """a symbolic link; a reparse point of NTFS is a file or a directory"""
    OTHER = "other"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
    """A file, directory or link."""

    path: str
    """with ``/`` between its parts and none in front: ``etc/os-release``; empty for the root"""
    kind: Kind
    size: int = 0
    """bytes of its content"""
    target: str = ""
    """of a link, as stored"""
    mode: int = 0
    """permission bits; 0 where the file system has none"""

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]


class FileSystem(Protocol):
    """A volume's files. Every method raises FormatError where the volume is damaged, LimitError where one is passed."""

    volume: Volume
    """what it says of itself"""
    ignores_case: bool
    has_links: bool
    """whether there may be symbolic links in it"""
    losses: list[Unread]
    """entries that were left out of :meth:`names` because they are damaged; a bounded number"""

    def entry(self, path: str) -> Entry | None:
        """The entry at *path*, of which no part before the last may be a link; None if there is none."""

    def names(self, path: str) -> Sequence[str]:
        """The names in the directory at *path*, without ``.`` and ``..``, sorted; empty if it is not there."""

    def read(self, path: str, length: int, offset: int = 0) -> bytes:
        """At most *length* bytes of the file at *path* from *offset* on; fewer only at its end.

        :raises FormatError: there is no such file, or it is damaged.
        """

    def close(self) -> None:
        """Forget the volume. Idempotent."""
