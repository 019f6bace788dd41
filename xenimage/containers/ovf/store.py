"""What the files of a package lie in: a directory, or an archive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xenimage.containers.ovf.kinds import Notes
    from xenimage.model.disk import ByteSource


class Store(Protocol):
    """Files by name. Names are those of :func:`xenimage.containers.ovf.names.safe_name`."""

    path: str
    """what messages call the package"""
    kind: str
    """``ovf``, ``ova``"""
    compression: str
    """of the whole, where it is an archive"""
    descriptor: str
    """name of the descriptor"""

    def find(self, name: str) -> str | None:
        """How the file is really spelt; None if it is not there.

        :raises UnsafeError: it is a link, or no regular file.
        """

    def open(self, name: str) -> ByteSource:
        """Open a file by its real spelling. The caller closes it.

        :raises FormatError: it is not there.
        :raises UnsafeError: it is a link, or no regular file.
        """

    def others(self, suffix: str, /) -> list[str]:
        """Names of the files beside the descriptor that end in *suffix*, in any case, and can belong to no other."""

    def judge(self, files: Sequence[str], notes: Notes) -> None:
        """Note what is odd about how the files lie.

        :param files: real names of those that the descriptor refers to, in its order.
        """

    def close(self) -> None:
        """Close what the store was opened on. Idempotent."""
