"""What every package of machines offers, whichever way it is packed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from xenimage.model.disk import ByteSource, Disk
    from xenimage.model.finding import Finding
    from xenimage.model.machine import MachineDisk, Package, Proof
    from xenimage.model.transfer import Progress


class Container(Protocol):
    """A package, opened. Nothing of it was unpacked, and nothing is."""

    package: Package

    def disk(self, disk: MachineDisk) -> Disk:
        """Open a disk of one of the machines; over its parents, where it is a delta disk.

        The caller closes it, before the container. Several may be open at once.

        :raises FormatError: its file is missing or damaged.
        :raises UnsupportedError: it comes without content, or in a format that is not read here.
        :raises UnsafeError: its file's name leads outside of the package.
        """

    def file(self, identifier: str) -> ByteSource:
        """Open a file that the package refers to, as it is stored: neither decrypted, joined nor inflated."""

    def prove(self, progress: Progress) -> tuple[Proof, tuple[Finding, ...]]:
        """Read everything that a manifest or checksums cover, and compare; verify a signature."""

    def prove_disks(self, disks: Collection[MachineDisk], progress: Progress) -> tuple[Finding, ...]:
        """Prove what describes the package, and what these disks are read from, before they are.

        Costs nothing where checksums are looked at whenever a disk is read.
        """

    def parts(self) -> Iterator[str]:
        """Names of what the package consists of: members, or files beside the descriptor."""

    def close(self) -> None:
        """Close the files. Idempotent."""
