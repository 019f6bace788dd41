"""Whether disks belong together, and what is worth knowing of each: with the file that it is about."""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING

from xenimage.exceptions import UnsafeError, UsageError
from xenimage.formats.base import DiskView
from xenimage.formats.overlay import require_parent
from xenimage.model.finding import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from xenimage.model.disk import Disk

_JSON = "json:"
"""how qemu begins a description that stands in the place of a name"""
_BEFORE = ("/", "\\", ":")
"""what may stand before the bare name: a directory of either kind of system, a protocol"""


class Told(DiskView):
    """*disk* with other findings, and perhaps in a place where reading is cheap in ascending order alone."""

    def __init__(self, disk: Disk, findings: Sequence[Finding], *, sequential: bool = False) -> None:
        facts = disk.facts
        super().__init__(
            disk,
            dataclasses.replace(facts, findings=tuple(findings), sequential=sequential or facts.sequential),
        )


def check_links(chain: Sequence[Disk], paths: Sequence[str]) -> None:
    """Prove that each disk has the parent that it names, and that the last one names none.

    :raises UsageError: a parent too many.
    :raises UnsafeError: a parent too few, or another one than the child was made on.
    """
    for number, (disk, path) in enumerate(zip(chain, paths, strict=True)):
        reference = disk.facts.parent
        parent = chain[number + 1] if number + 1 < len(chain) else None
        if reference is None:
            if parent is not None:
                raise UsageError(f"wants no parent, but {paths[number + 1]} was given", where=path)
        elif parent is None:
            raise UnsafeError(
                f"wants the parent {reference.name!r}, which is not opened on the word of an image",
                expected="a disk that needs no other, or its parent from you",
                where=path,
                tip="Give it with --backing FILE, if you trust both files.",
            )
        else:
            require_parent(disk, path, parent, paths[number + 1])


def chain_findings(chain: Sequence[Disk], paths: Sequence[str]) -> list[Finding]:
    """All findings of a chain, the leaf first: those of its links, and those of its disks with their files' names."""
    found = list(_other_names(chain, paths))
    for disk, path in zip(chain, paths, strict=True):
        found += [_placed(each, path) for each in disk.facts.findings]
    return found


def _placed(finding: Finding, path: str) -> Finding:
    if finding.where.startswith(path):
        return finding
    return dataclasses.replace(finding, where=f"{path}: {finding.where}" if finding.where else path)


def _other_names(chain: Sequence[Disk], paths: Sequence[str]) -> Iterator[Finding]:
    """Doubt each parent of another name, where no identity proves the link."""
    for child, parent, path, parent_path in zip(chain, chain[1:], paths, paths[1:], strict=False):
        reference = child.facts.parent
        if path == parent_path:  # layers of one file: it knows them itself
            continue
        if reference is None or (reference.identity and parent.facts.identity):
            continue
        if reference.name and not means(reference.name, parent_path):
            yield Finding(
                code="source.backing.other-name",
                severity=Severity.WARNING,
                what=f"The image was made on {reference.name!r}, and {parent_path!r} was given for it.",
                why="Nothing in the two files tells whether they belong together; over another parent a disk reads as"
                " garbage.",
                act="Make sure that it is the same disk, moved or renamed.",
                where=path,
            )


def means(stored: str, path: str) -> bool:
    """Whether *stored*, a name inside an image, ends with the bare name of *path*."""
    # As the readers decode names; the path may hold bytes that are no text.
    bare = os.fsencode(os.path.basename(path)).decode("utf-8", "backslashreplace")
    if stored.startswith(_JSON):
        return any(f'{before}{bare}"' in stored for before in (*_BEFORE, '"'))
    return stored == bare or stored.endswith(tuple(before + bare for before in _BEFORE))
