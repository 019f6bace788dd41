"""Which members of a bundle by others are the layers of its disk, and in which order: the leaf first.

The links between the VHDs count, which are proof. Where they do not make up a chain, the names count as the consumers
take them, with the old names and a VHD that is alone under any name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.checks.naming import OLD_NAMES, SWAP, bare_name
from xenimage.exceptions import FormatError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xenimage.containers.bundle.reader import Bundle
    from xenimage.model.report import Member

_SUFFIX = ".vhd"
_BY_LINKS = "the order of the layers is that of their links; by their names it was another"
_BY_NAMES = "the links between the VHDs do not make up one chain: the order is that of their names"


def layers(bundle: Bundle) -> tuple[list[Member], tuple[str, ...], tuple[str, ...]]:
    """The layers, the names of all other members, and what had to be decided.

    :raises FormatError: there is no VHD, or neither links nor names make up a chain.
    """
    members = bundle.facts().members
    found = {bare_name(each.name): each for each in members if _is_layer(each)}  # the last of each name counts
    if not found:
        raise FormatError("there is no VHD in it", expected="a plain file called *.vhd", where=bundle.path)
    named, linked = _by_names(found), _by_links(list(found.values()))
    chain = linked or named
    if chain is None:
        raise FormatError(
            f"neither the links nor the names of {', '.join(sorted(found))} make up a chain",
            expected="each VHD the parent of one other, or 0.vhd, 1.vhd, ...",
            where=bundle.path,
        )
    notes = (_BY_NAMES,) if linked is None else (_BY_LINKS,) if named is not None and named != linked else ()
    taken = {id(each) for each in chain}
    return chain, tuple(each.name for each in members if id(each) not in taken), notes


def _is_layer(member: Member) -> bool:
    name = bare_name(member.name)
    return member.kind == "file" and name.endswith(_SUFFIX) and name.rpartition("/")[2] != SWAP and _own(name)


def _own(name: str) -> bool:
    """Whether it is no file that macOS puts beside another (AppleDouble)."""
    return not name.rpartition("/")[2].startswith("._")


def _by_links(members: Sequence[Member]) -> list[Member] | None:
    """The one chain of all *members*, by the uuids; None where there is none."""
    if len(members) == 1:
        return list(members)
    by_uuid = {each.vhd.uuid: each for each in members if each.vhd}
    wanted = [each.vhd.parent_uuid for each in members if each.vhd and each.vhd.variant == "differencing"]
    leaves = [each for each in members if each.vhd and each.vhd.uuid not in wanted]
    if len(by_uuid) != len(members) or len(leaves) != 1:
        return None
    chain = leaves
    while (last := chain[-1].vhd) and last.variant == "differencing" and len(chain) <= len(members):
        following = by_uuid.get(last.parent_uuid)
        if following is None:
            return None
        chain.append(following)
    return chain if len(chain) == len(members) else None


def _by_names(found: dict[str, Member]) -> list[Member] | None:
    """The members in the order of their numbers, or of the old names; None where they have no such names."""
    if len(found) == 1:
        return list(found.values())
    bare = {name.rpartition("/")[2]: member for name, member in found.items()}
    if len(bare) != len(found):
        return None
    olds = [name for name in OLD_NAMES if name in bare]
    names = olds if len(olds) == len(bare) else [f"{number}{_SUFFIX}" for number in range(len(bare))]
    return [bare[name] for name in names] if all(name in bare for name in names) else None
