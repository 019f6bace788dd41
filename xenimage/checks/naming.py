"""Which members of a bundle the consumers take for VHDs, and in which order.

Source: os-xenapi, dom0 plugins, utils.py: _handle_old_style_images, _validate_sequenced_vhds, import_vhds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from xenimage.model.report import Member

SUFFIX = ".vhd"
OLD_NAMES = ("snap.vhd", "image.vhd", "base.vhd")
SWAP = "swap.vhd"


def bare_name(name: str) -> str:
    """The name as it comes out of ``tar -x``: without leading slashes and dots. Empty for the directory itself."""
    return "/".join(part for part in name.split("/") if part not in ("", "."))


def listing(members: Iterable[Member]) -> dict[str, Member | None]:
    """What lies in the directory after the extraction: the last of each name; None for directories by implication."""
    found: dict[str, Member | None] = {}
    for member in members:
        name = bare_name(member.name)
        top, below, _ = name.partition("/")
        if below:
            found.setdefault(top, None)
        elif name:
            found[name] = member
    return found


def sequence(members: Iterable[Member]) -> dict[str, Member | None]:
    """The directory once the consumers have renamed what they rename: old names, and a VHD that is alone."""
    found = listing(members)
    olds = [name for name in OLD_NAMES if name in found]
    for number, name in enumerate(olds):
        found[f"{number}{SUFFIX}"] = found.pop(name)
    if len(found) == 1:
        name, member = next(iter(found.items()))
        if name.endswith(SUFFIX):
            return {f"0{SUFFIX}": member}
    return found


def counted(names: Iterable[str]) -> list[str]:
    """The names that the consumers count as VHDs, which must then be 0.vhd up to the last without a gap."""
    return [name for name in names if name.endswith(SUFFIX) and name != SWAP]


def numbered(members: Iterable[Member]) -> list[Member]:
    """The chain as the consumers walk it: 0.vhd, the leaf, up to the first number that is missing."""
    found = sequence(members)
    chain: list[Member] = []
    while (member := found.get(f"{len(chain)}{SUFFIX}")) is not None and member.kind == "file":
        chain.append(member)
    return chain
