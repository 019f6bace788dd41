"""A tree of VHDs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xenimage.cli.text import counted, findings_section, visible
from xenimage.cli.views.common import finding_records, vhd_record
from xenimage.model.report import LinkState
from xenimage.units import format_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from xenimage.cli.text import Style
    from xenimage.model.report import ChainNode, ChainReport

_INDENT_MAX = 40
"""levels of the tree that are drawn; deeper ones stand below each other"""


def record(report: ChainReport) -> dict[str, Any]:
    """Return a tree for programs: the files, each with the path of its parent and those of its children."""
    paths = [node.file.path for node in report.nodes]
    return {
        "files": [_node_record(node, paths) for node in report.nodes],
        "findings": finding_records(report.findings),
    }


def _node_record(node: ChainNode, paths: Sequence[str]) -> dict[str, Any]:
    there = node.parent is not None and node.state in (LinkState.LINKED, LinkState.CYCLE)
    return {
        "path": node.file.path,
        "state": node.state.value,
        "parent": paths[node.parent] if there and node.parent is not None else None,
        "children": [paths[child] for child in node.children],
        "depth": node.depth,
        "locators": list(node.file.locators),
        "problem": node.file.problem,
        "vhd": node.file.vhd and vhd_record(node.file.vhd),
    }


def lines(report: ChainReport, style: Style) -> Iterator[str]:
    """Yield a tree for people: each base with what is on it, then the findings."""
    nodes = report.nodes
    for number, node in enumerate(nodes):
        if node.state is not LinkState.LINKED:
            yield from _texts(node, style, "", "   ")
            yield from _branches(number, nodes, style)
    if nodes:
        yield ""
    yield from findings_section(report.findings, style)
    yield f"{len(nodes)} files ({counted(report.findings)})"


def _branches(root: int, nodes: Sequence[ChainNode], style: Style) -> Iterator[str]:
    """Draw what is on *root*. Without recursion: a chain may be as long as a directory."""
    tee, corner, bar = ("├─ ", "└─ ", "│  ") if style.unicode else ("|- ", "`- ", "|  ")
    waiting = [("", 1, child, not index) for index, child in enumerate(reversed(_above(nodes[root], nodes)))]
    while waiting:
        lead, level, number, last = waiting.pop()
        below = lead + ("   " if last else bar) if level < _INDENT_MAX else lead
        yield from _texts(nodes[number], style, lead + (corner if last else tee), below)
        above = reversed(_above(nodes[number], nodes))
        waiting += [(below, level + 1, child, not index) for index, child in enumerate(above)]


def _above(node: ChainNode, nodes: Sequence[ChainNode]) -> list[int]:
    """The children; those in a ring stand on their own."""
    return [child for child in node.children if nodes[child].state is not LinkState.CYCLE]


def _texts(node: ChainNode, style: Style, lead: str, below: str) -> Iterator[str]:
    """One line for a file, and one more where its parent is not found."""
    name, vhd = style.paint(node.file.path, "bold"), node.file.vhd
    if vhd is None:
        yield f"{lead}{name}  {style.paint(node.state.value, 'error')}"
        return
    hidden = ", hidden" if vhd.hidden else ""
    yield f"{lead}{name}  {vhd.variant}, {format_size(vhd.virtual_size)}{hidden}, {vhd.uuid}"
    if node.state not in (LinkState.ROOT, LinkState.LINKED):
        state = style.paint(node.state.value, "error")
        yield f"{below}{state}: its parent is {visible(vhd.parent_name)!r} {vhd.parent_uuid}".rstrip()
