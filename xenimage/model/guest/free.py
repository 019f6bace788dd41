"""What the file systems of a guest do not use, and what became of it. Sizes in bytes."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class FreeVolume:
    """A volume that was looked at for what is free in it."""

    place: str
    """``partition 2``, ``logical volume debian/root``, ``the whole disk``"""
    kind: str
    """``ext4``, ``ntfs``, ``swap``; empty where it is not known"""
    size: int
    free_size: int = 0
    """what reads as zeros now: free blocks, swap space, page files"""
    dropped_size: int = 0
    """so much of that is stored in the source, and is left out"""
    why: str = ""
    """why it was left as it is, a clause; empty where it was not"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class FreeSpace:
    """What was found on a disk and left out of it."""

    volumes: tuple[FreeVolume, ...]
    """in the order of the disk, logical volumes last"""

    @property
    def free_size(self) -> int:
        """Of all volumes."""
        return sum(volume.free_size for volume in self.volumes)

    @property
    def dropped_size(self) -> int:
        """Of all volumes."""
        return sum(volume.dropped_size for volume in self.volumes)
