"""The tree that VHDs make up: who is whose parent, by uuid, and what is wrong with the links."""

from __future__ import annotations

import datetime
import os
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from xenimage.checks.kinds import KINDS
from xenimage.model.report import ChainNode, LinkState

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from xenimage.model.finding import Finding
    from xenimage.model.report import ChainFile

DIFFERENCING = "differencing"
_DEPTH_MAX = 30
"""disks in a chain: the storage manager of XenServer ends there"""
_NAMED = 5


def link(files: Sequence[ChainFile]) -> list[ChainNode]:
    """Find each file's parent and children among *files*. Linear in their number."""
    by_uuid: dict[str, list[int]] = defaultdict(list)
    by_name: dict[str, list[int]] = defaultdict(list)
    for number, file in enumerate(files):
        if file.vhd is not None:
            by_uuid[file.vhd.uuid].append(number)
            by_name[os.path.basename(file.path)].append(number)
    found = [_parent(file, number, files, by_uuid, by_name) for number, file in enumerate(files)]
    parents = [parent for parent, _ in found]
    states = [state for _, state in found]
    for number in _in_rings(parents):
        states[number] = LinkState.CYCLE
    children: list[list[int]] = [[] for _ in files]
    for number, parent in enumerate(parents):
        if parent is not None and states[number] in (LinkState.LINKED, LinkState.CYCLE):
            children[parent].append(number)
    depths = _depths(parents, states)
    return [
        ChainNode(file=file, state=state, parent=parent, children=tuple(below), depth=depth)
        for file, state, parent, below, depth in zip(files, states, parents, children, depths, strict=True)
    ]


def _parent(
    file: ChainFile,
    number: int,
    files: Sequence[ChainFile],
    by_uuid: Mapping[str, Sequence[int]],
    by_name: Mapping[str, Sequence[int]],
) -> tuple[int | None, LinkState]:
    vhd = file.vhd
    if vhd is None:
        return None, LinkState.UNREADABLE
    if vhd.variant != DIFFERENCING:
        return None, LinkState.ROOT
    if not vhd.parent_uuid:
        return None, LinkState.RAW_PARENT
    same = by_uuid.get(vhd.parent_uuid, ())
    if vhd.parent_uuid == vhd.uuid and number in same:
        return number, LinkState.CYCLE
    if same:
        # Of two with one uuid the one that the disk's own names lead to.
        return next((each for each in same if _leads_to(file, files[each])), same[0]), LinkState.LINKED
    named = [each for name in _base_names(file) for each in by_name.get(name, ()) if each != number]
    return (named[0], LinkState.WRONG_PARENT) if named else (None, LinkState.MISSING)


def _base_names(file: ChainFile) -> list[str]:
    """The bare names under which a disk looks for its parent, each once."""
    paths = [*file.locators, file.vhd.parent_name if file.vhd else ""]
    names = (path.replace("\\", "/").rpartition("/")[2] for path in paths)
    return list(dict.fromkeys(name for name in names if name))


def _leads_to(child: ChainFile, parent: ChainFile) -> bool:
    """Whether a locator of *child* leads to the place of *parent*; without locators, whether its name is right."""
    if not child.locators:
        return os.path.basename(parent.path) in _base_names(child)
    directory = os.path.dirname(child.place)
    return any(os.path.normpath(os.path.join(directory, path)) == parent.place for path in child.locators)


def _in_rings(parents: Sequence[int | None]) -> Iterator[int]:
    """The numbers of all that are their own ancestors."""
    seen = [0] * len(parents)
    for start in range(len(parents)):
        walk: list[int] = []
        number: int | None = start
        while number is not None and not seen[number]:
            seen[number] = start + 1
            walk.append(number)
            number = parents[number]
        # Met again on the same walk: from there on it went around.
        if number is not None and seen[number] == start + 1:
            yield from walk[walk.index(number) :]


def _depths(parents: Sequence[int | None], states: Sequence[LinkState]) -> list[int]:
    """How many disks each chain has, from the disk down to the lowest that is there; 0 in a ring and above one."""
    depths: list[int | None] = [
        None if state is LinkState.LINKED else 0 if state in (LinkState.CYCLE, LinkState.UNREADABLE) else 1
        for state in states
    ]
    for start in range(len(parents)):
        walk = []
        number: int | None = start
        while number is not None and depths[number] is None:
            walk.append(number)
            number = parents[number]
        depth = 0 if number is None else depths[number] or 0
        for each in reversed(walk):
            depth = depth + 1 if depth else 0
            depths[each] = depth
    return [depth or 0 for depth in depths]


def judge_links(nodes: Sequence[ChainNode], directory: str = "", *, whole: bool) -> list[Finding]:
    """Find what is wrong with the links; each finding names its file.

    :param directory: where parents were looked for besides the files, for the messages.
    :param whole: whether all that belongs together is there: then a missing parent is an error, and a hidden disk
        without children an orphan.
    """
    found = list(_duplicates(nodes))
    for node in nodes:
        found += _judge_parent(node, nodes, directory, whole=whole)
        found += _judge_place(node, nodes, whole=whole)
    return found


def _found(node: ChainNode, code: str, case: str = "", **values: Any) -> Finding:
    return KINDS[f"chain.{code}"].found(case, where=node.file.path, **values)


def _some(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(repr(name) for name in names[:_NAMED]) + more


def _duplicates(nodes: Sequence[ChainNode]) -> Iterator[Finding]:
    groups: dict[str, list[ChainNode]] = defaultdict(list)
    for node in nodes:
        if node.file.vhd is not None:
            groups[node.file.vhd.uuid].append(node)
    wanted = Counter(node.file.vhd.parent_uuid for node in nodes if node.file.vhd is not None)
    for uuid, group in groups.items():
        if len(group) > 1:
            names = _some(node.file.path for node in group)
            case = "parent" if wanted[uuid] else ""
            yield _found(group[0], "duplicate", case, count=len(group), uuid=uuid, names=names)


def _judge_parent(node: ChainNode, nodes: Sequence[ChainNode], directory: str, *, whole: bool) -> Iterator[Finding]:
    vhd = node.file.vhd
    if vhd is None:
        return
    name = vhd.parent_name
    match node.state:
        case LinkState.MISSING:
            place = f"in {directory}" if directory else "among the files"
            case = "" if whole else "unknown"
            yield _found(node, "missing", case, name=name, uuid=vhd.parent_uuid, place=place)
        case LinkState.RAW_PARENT:
            yield _found(node, "missing", "raw", name=name)
        case LinkState.WRONG_PARENT if node.parent is not None:
            parent = nodes[node.parent].file
            found = parent.vhd.uuid if parent.vhd else ""
            yield _found(node, "uuid", name=name, uuid=vhd.parent_uuid, parent=parent.path, found=found)
        case LinkState.CYCLE if node.parent is not None:
            yield from _judge_ring(node, nodes)
        case LinkState.LINKED if node.parent is not None:
            yield from _judge_link(node, nodes[node.parent])


def _judge_ring(node: ChainNode, nodes: Sequence[ChainNode]) -> Iterator[Finding]:
    """One finding for each ring, at its first file."""
    ring = [node]
    while (after := ring[-1].parent) is not None and nodes[after] is not node:
        ring.append(nodes[after])
    uuid = node.file.vhd.uuid if node.file.vhd else ""
    if len(ring) == 1:
        yield _found(node, "self", uuid=uuid)
    elif node.file.path == min(each.file.path for each in ring):
        yield _found(node, "cycle", names=_some(each.file.path for each in ring))


def _judge_link(node: ChainNode, parent: ChainNode) -> Iterator[Finding]:
    child, upper, lower = node.file, node.file.vhd, parent.file.vhd
    if upper is None or lower is None:
        return
    name = parent.file.path
    if not _leads_to(child, parent.file):
        yield _found(node, "name", parent=name, names=_some([*child.locators, upper.parent_name]))
    if upper.virtual_size < lower.virtual_size:
        yield _found(node, "smaller", upper=upper.virtual_size, parent=name, lower=lower.virtual_size)
    if child.parent_timestamp and parent.file.mtime > child.parent_timestamp + 1:
        yield _found(
            node,
            "modified",
            parent=name,
            mtime=_moment(parent.file.mtime),
            timestamp=_moment(child.parent_timestamp),
        )


def _moment(seconds: int) -> str:
    try:
        return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, ValueError, OSError):
        return f"second {seconds}"


def _judge_place(node: ChainNode, nodes: Sequence[ChainNode], *, whole: bool) -> Iterator[Finding]:
    if node.file.vhd is None:
        if node.file.problem and whole:
            yield _found(node, "unreadable", reason=node.file.problem)
        return
    if len(node.children) > 1:
        names = _some(nodes[each].file.path for each in node.children)
        yield _found(node, "children", count=len(node.children), names=names)
    if node.depth > _DEPTH_MAX and not node.children:
        yield _found(node, "depth", depth=node.depth)
    if whole and node.file.vhd.hidden == 1 and not node.children:
        yield _found(node, "orphan")
