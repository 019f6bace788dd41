"""Choices that both configurations offer, with what each one means."""

from __future__ import annotations

COMPRESSIONS = (
    ("store", "not at all"),
    ("fast", "for speed"),
    ("balanced", "smaller at half the speed or less"),
    ("best", "as small as it gets"),
)
SIZE_POLICIES = (("exact", "the next 2 MiB, the block of a VHD"), ("gib", "the next GiB, the unit of flavors"))
