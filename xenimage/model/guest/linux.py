"""What was seen of a Linux system."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class LinuxFacts:
    """A Linux installation."""

    place: str
    """where its root lies: ``disk 0, partition 1``, ``vg/root``"""
