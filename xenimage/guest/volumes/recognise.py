"""Tell what stands in a volume, and what it says of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.guest.volumes import layout
from xenimage.model.guest.layout import Volume
from xenimage.units import KIB

if TYPE_CHECKING:
    from xenimage.guest.window import Readable

_ZFS_LABEL = 256 * KIB
_PAGE = 4 * KIB


def recognise(source: Readable) -> Volume:
    """Describe what stands in *source*; a volume of kind "" where nothing is known of it.

    :raises FormatError: the image is damaged there.
    """
    start = source.read(0, _PAGE)
    if not any(start) and not any(source.read(_PAGE, layout.HEAD - _PAGE)):
        return _at_end(source) or Volume(kind="")
    head = (start + source.read(_PAGE, layout.HEAD - _PAGE)).ljust(layout.HEAD, b"\0")
    # A RAID of version 1.0 or 0.90 hides behind the file system that it mirrors: asked first, as Linux does.
    found = _at_end(source)
    if found is not None:
        return found
    for reader in layout.READERS:
        found = reader(head)
        if found is not None:
            return found
    return layout.zfs(head + source.read(len(head), _ZFS_LABEL - len(head))) or Volume(kind="")


def _at_end(source: Readable) -> Volume | None:
    """A member of a software RAID whose superblock stands at the end: versions 1.0 and 0.90."""
    newer = (source.size // 512 - 16) // 8 * 8 * 512
    older = source.size // (64 * KIB) * (64 * KIB) - 64 * KIB
    found = layout.md_superblock(source.read(newer, 256)) if newer > 0 else None
    return found or (layout.md_old_superblock(source.read(older, 256)) if older > 0 else None)
