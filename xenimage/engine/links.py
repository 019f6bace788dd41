"""What is worth knowing of a disk and its parents: each with the file that it is about."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from xenimage.exceptions import XenimageError
    from xenimage.model.disk import Disk, DiskFacts
    from xenimage.model.extent import Extent
    from xenimage.model.finding import Finding


class Told:
    """*disk* with other findings."""

    def __init__(self, disk: Disk, findings: Sequence[Finding]) -> None:
        self._disk = disk
        self.facts: DiskFacts = dataclasses.replace(disk.facts, findings=tuple(findings))

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """See :meth:`xenimage.model.disk.Disk.read_into`."""
        self._disk.read_into(offset, buffer)

    def extents(self, offset: int, length: int) -> Iterator[Extent]:
        """See :meth:`xenimage.model.disk.Disk.extents`."""
        return self._disk.extents(offset, length)

    def unreadable(self) -> XenimageError | None:
        """See :meth:`xenimage.model.disk.Disk.unreadable`."""
        return self._disk.unreadable()

    def close(self) -> None:
        """Close the disk."""
        self._disk.close()


def chain_findings(chain: Sequence[Disk], paths: Sequence[str]) -> list[Finding]:
    """All findings of a chain, the leaf first, with their files' names."""
    found: list[Finding] = []
    for disk, path in zip(chain, paths, strict=True):
        found += [_placed(each, path) for each in disk.facts.findings]
    return found


def _placed(finding: Finding, path: str) -> Finding:
    if finding.where.startswith(path):
        return finding
    return dataclasses.replace(finding, where=f"{path}: {finding.where}" if finding.where else path)
