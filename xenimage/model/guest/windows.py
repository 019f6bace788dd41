"""What was seen of a Windows system."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class WindowsFacts:
    """A Windows installation."""

    place: str
    """where it lies: ``disk 0, partition 2``"""
    root: str = "Windows"
    """its directory on that volume"""
