"""The contract of a disk: facts, positioned reads, extents. No cursor, so readers never disturb each other."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.exceptions import XenimageError
    from xenimage.model.extent import Extent
    from xenimage.model.finding import Finding


class ByteSource(Protocol):
    """Bytes with positions: a file, a block device, a member of an archive. Safe to use from several threads."""

    @property
    def name(self) -> str:
        """What messages call it."""

    @property
    def size(self) -> int:
        """Bytes."""

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill *buffer* with the bytes from *offset* on.

        :raises FormatError: the range does not lie within the source (a table points outside).
        :raises TransferError: the source failed, or became shorter while it was read.
        """

    def read(self, offset: int, length: int) -> bytes:
        """Return *length* bytes from *offset* on; raises like :meth:`read_into`. Bound *length* before the call."""

    def data(self, offset: int, length: int) -> Iterator[tuple[int, int]]:
        """Yield the (offset, length) within the range that are no holes, in order. A source may not know: all of it."""

    def close(self) -> None:
        """Give the file back. Idempotent."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ParentReference:
    """What an image says of its parent. A hint for messages and for proving a link: never opened."""

    name: str
    """the name as stored, decoded for display"""
    identity: str = ""
    """the parent's uuid or content id, in the format's own spelling; empty where the format has none"""
    format: str = ""
    """the parent's format, where the image says so"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiskFacts:
    """What is known of a disk without reading its data."""

    format: str
    """``raw``, ``qcow2``, ``vmdk``, ``vhd``"""
    variant: str = ""
    """the kind within the format: ``v3``, ``streamOptimized``, ``dynamic``"""
    virtual_size: int
    """bytes that the guest sees"""
    chs_size: int | None = None
    """bytes that the geometry of a VHD multiplies to, which some programs take for its size; None where it says nothing
    of the size"""
    granularity: int
    """bytes: the smallest unit that the format allocates"""
    stored_size: int
    """bytes of all files of this disk (its parents not counted)"""
    occupied: int | None = None
    """bytes of these that are no holes, where a limit depends on it; None: as many as are stored"""
    compressed: bool = False
    """whether data may be stored deflated, so that it can be larger than what is stored"""
    sequential: bool = False
    """whether reads are cheap only in ascending order and by one thread: the disk stands in a deflated stream"""
    identity: str = ""
    """what a child's :attr:`ParentReference.identity` is compared with: a VHD's uuid, a VMDK's content id"""
    parent: ParentReference | None = None
    details: tuple[tuple[str, str], ...] = ()
    """what else a reader of ``disk show`` wants to know: (name, value), in order of interest"""
    findings: tuple[Finding, ...] = ()
    """what deserves a word: dirty and corrupt bits, a size that others will read otherwise"""


class Disk(Protocol):
    """A read-only view of a disk image."""

    @property
    def facts(self) -> DiskFacts:
        """What is known without reading data."""

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill *buffer* (format ``B``, contiguous) with the disk's content from *offset* on.

        Ranges that are zero or absent are filled with zeros. The range lies within the disk. Safe to call from several
        threads at once.

        :raises FormatError: the image breaks its format's rules there.
        :raises TransferError: the source failed.
        """

    def extents(self, offset: int, length: int) -> Iterator[Extent]:
        """Yield what stands in the range: ordered, gapless, adjacent ones of different kind."""

    def unreadable(self) -> XenimageError | None:
        """Why this disk cannot be read, known without reading data; None if it can. For the caller to raise."""

    def close(self) -> None:
        """Close what the disk was opened on. Idempotent."""
