"""Chains of differencing VHDs, the leaf first, as a bundle holds them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.builders import vhd as build

if TYPE_CHECKING:
    from collections.abc import Sequence

MIB = 1 << 20
BLOCK = 2 * MIB
SIZE = 4 * BLOCK


def chain(length: int, *, leaf_size: int = SIZE, locators: bool = True) -> list[build.Image]:
    """Members 0 to *length* - 1, the leaf perhaps larger than the others.

    Each holds a full block, a few sectors over that of its parent, and one run; a larger leaf its last sector too.
    What they say of their parents' names and uuids is wrong: an import writes it anew.
    """
    blocks = SIZE // BLOCK
    members = []
    for index in range(length):
        child = index < length - 1
        above = length - 1 - index
        present: dict[int, Sequence[int]] = {
            above % blocks: range(4096),
            (above + 1) % blocks: [above, 100 + above, 4095],
            (above + 2) % blocks: range(10 * above, 10 * above + 25),
        }
        size = SIZE if index else leaf_size
        if size > SIZE:
            present[size // BLOCK - 1] = [4095]
        image = build.Vhd(
            size=size,
            kind=build.DIFFERENCING if child else build.DYNAMIC,
            blocks=present,
            identity=bytes([0x40 + index]) * 16,
            parent=b"wrong but rewritten"[:16] if child else bytes(16),
            parent_name="base.vhd",
            locators=build.blktap_locators("base.vhd") if child and locators else (),
            seed=index + 1,
        ).build()
        image.footer("hidden", int(index > 0))
        members.append(image)
    return members


def shown(members: Sequence[build.Image]) -> bytes:
    """What the guest of the leaf sees."""
    content = b""
    for image in reversed(members):
        content = image.content(content)
    return content
