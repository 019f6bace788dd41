"""A package that is to be written, and what became of it. Frozen values, no I/O."""

from __future__ import annotations

import dataclasses
import enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xenimage.model.finding import Finding
    from xenimage.model.machine import Machine, Product
    from xenimage.model.plan import SourceOptions
    from xenimage.model.report import BundleReport, LostRange

PACKAGE_OUTPUTS = ("ovf", "ova", "xva", "bundle")
"""what a package can be written as"""
PACKAGE_DIGESTS = ("sha256", "sha512", "sha1")
"""of an OVF's manifest; the first is the default"""
PACKAGE_DISKS = ("vmdk", "vhd")
"""formats of the disks of an OVF; the first is the default"""
PACKAGE_SUMS = ("sha1", "xxhash")
"""of the chunks of an XVA; the first is the default"""
PACKAGE_COMPRESSIONS = ("none", "gzip", "zstd")
"""xva: of the whole; ova: of the whole, gzip alone; ovf: of each disk, gzip alone; the first is the default"""


class OnDiskError(enum.Enum):
    """What is done about a disk that cannot be read, wholly or in parts."""

    FAIL = "fail"
    """nothing is written"""
    SKIP = "skip"
    """it is left out"""
    SALVAGE = "salvage"
    """what cannot be read becomes zeros; a disk of which nothing can be read is left out"""


class DiskState(enum.Enum):
    """What becomes of a disk of the source."""

    KEPT = "kept"
    EMPTY = "empty"
    """it has no content in the source, and none in the package"""
    DESCRIBED = "described"
    """it is described, and its content left out as was asked for"""
    REPLACED = "replaced"
    """another image is in its place"""
    SKIPPED = "skipped"
    """it is left out"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class MachineWishes:
    """What shall be otherwise than the source says; what is empty or None stays as it is. Sizes in bytes."""

    name: str = ""
    memory: int | None = None
    cpus: int | None = None
    firmware: str = ""
    """``bios`` or ``uefi``"""
    networks: tuple[tuple[str, str], ...] = ()
    """(name in the source, new name)"""
    eulas: tuple[str, ...] = ()
    """texts, behind those that are there"""
    annotation: str = ""
    product: Product | None = None
    """in place of the first that is there"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PackagingOptions:
    """A package as the user wants it."""

    sources: tuple[SourceOptions, ...]
    """packages, whose machines come together; or disk images, for each of which a machine is made up"""
    output: str
    to: str
    """one of :data:`PACKAGE_OUTPUTS`"""
    wishes: MachineWishes = MachineWishes()
    metadata_only: bool = False
    """whether the disks are described, and their content left out"""
    skip: tuple[str, ...] = ()
    """disks to leave out: identifier, label or number from 1, through all machines"""
    replace: tuple[tuple[str, str], ...] = ()
    """(disk, path of the image that takes its place)"""
    on_disk_error: OnDiskError = OnDiskError.FAIL
    sum: str = PACKAGE_SUMS[0]
    """xva"""
    compression: str = PACKAGE_COMPRESSIONS[0]
    digest: str = PACKAGE_DIGESTS[0]
    """ovf, ova"""
    disk_format: str = PACKAGE_DISKS[0]
    """ovf, ova"""
    chunk_size: int | None = None
    """ovf, ova: bytes of the pieces that the files of disks are split into"""
    sign: tuple[str, str] | None = None
    """ovf, ova: paths of a private key and its certificate, PEM"""
    jobs: int | None = None
    """threads; by default the CPUs that this process may use"""
    timestamp: int | None = None
    """Unix seconds for what has a time; by default 2000-01-01, so that bytes repeat"""
    resume: bool = False
    """ovf, ova: whether finished disks are kept until the package is whole, and those of an earlier run taken over"""
    force: bool = False
    """whether an existing output is replaced"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PackagedDiskReport:
    """What became of one disk. Sizes in bytes."""

    machine: str
    """its name"""
    identifier: str
    """in the source"""
    label: str
    number: int
    """from 1, through all machines of the source"""
    state: DiskState
    source: str
    """the package or file that its content comes from"""
    virtual_size: int | None
    """None where nobody knows it"""
    why: str = ""
    """why it was left out"""
    lost: tuple[LostRange, ...] = ()
    """what could not be read, and is zeros now"""

    @property
    def lost_size(self) -> int:
        """Bytes of the guest that are zeros now, whatever they were."""
        return sum(each.length for each in self.lost)


@dataclasses.dataclass(frozen=True, kw_only=True)
class WrittenFile:
    """A file of the new package."""

    path: str
    size: int
    """bytes"""
    digest: str = ""
    """hexadecimal, as the manifest has it; empty where it stands in none"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PackagingReport:
    """A package was written, or would be."""

    sources: tuple[str, ...]
    path: str
    kind: str
    written: bool
    """not in a dry run"""
    machines: tuple[Machine, ...]
    disks: tuple[PackagedDiskReport, ...]
    """all of the machines that were asked for, those too that are left out"""
    files: tuple[WrittenFile, ...] = ()
    findings: tuple[Finding, ...] = ()
    details: tuple[tuple[str, str], ...] = ()
    """how it is written: (name, value)"""
    lost_list: str = ""
    """path of the file that lists the lost ranges; empty where nothing was lost"""
    bundles: tuple[BundleReport, ...] = ()
    seconds: float = 0.0

    @property
    def lost_size(self) -> int:
        """Bytes that could not be read, of all disks."""
        return sum(each.lost_size for each in self.disks)

    @property
    def with_loss(self) -> bool:
        """Whether something of the source is missing for its damage, which the user allowed."""
        return self.lost_size > 0 or any(each.state is DiskState.SKIPPED for each in self.disks)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SplitReport:
    """A package was taken apart: one for each of its machines."""

    source: str
    directory: str
    packages: tuple[PackagingReport, ...]
