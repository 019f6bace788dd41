"""What the user wants, and what will be done about it: decided before the first byte is moved."""

from __future__ import annotations

import dataclasses
import enum
from typing import TYPE_CHECKING

from xenimage.model.finding import Severity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from xenimage.model.check import Readiness
    from xenimage.model.disk import DiskFacts
    from xenimage.model.finding import Finding
    from xenimage.model.guest.free import FreeSpace
    from xenimage.model.machine import Origin
    from xenimage.model.profile import Profile


DIGESTS = ("md5", "sha256", "sha512")
"""what Glance stores (md5 as checksum, sha512 as os_hash_value) and what people publish"""

CONTRADICTS = ".contradicts"
"""ends the code of a finding that the user says other than the guest"""

CONVERT_FORMATS = ("raw", "vhd", "qcow2", "vmdk")
"""what a disk can be written anew as"""
COMPRESSIONS = ("none", "zlib", "zstd")
"""of the clusters of a qcow2"""
ADAPTER_TYPES = ("lsilogic", "buslogic", "ide")
"""of a VMDK"""


class Compression(enum.Enum):
    """How the bundle is deflated, from the fastest to the smallest."""

    STORE = "store"
    FAST = "fast"
    BALANCED = "balanced"
    BEST = "best"


class SizePolicy(enum.Enum):
    """What the source's size is rounded up to."""

    EXACT = "exact"
    """the next 2 MiB, the block of a VHD"""
    GIB = "gib"
    """the next GiB, the unit of flavors"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PackageChoice:
    """How a package of machines is opened, and what of it is meant."""

    machine: str = ""
    """identifier, name, uuid or number (from 1) of a machine; empty where there is only one"""
    disk: str = ""
    """identifier, label or number (from 1) of a disk of it; empty where there is only one"""
    deployment: str = ""
    """id of a deployment option (OVF); empty for the default"""
    password: str | None = dataclasses.field(default=None, repr=False)
    """of an encrypted package"""
    verify: bool = True
    """whether what is read is held against the manifest first, if there is one"""
    damaged: bool = False
    """whether of an archive that was cut or breaks a rule what can be read is better than nothing"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SourceOptions:
    """A disk as the user names it."""

    path: str
    format: str | None = None
    """overrides detection; needed where two formats match"""
    snapshot: str | None = None
    """id or name of an internal snapshot (qcow2)"""
    backing: tuple[str, ...] = ()
    """the parents' paths, from the nearest on; names inside images are never followed"""
    follow: str | None = None
    """directory in which parents that are not given are looked up, by the bare names that the images say"""
    snapshots: tuple[str, ...] = ()
    """ids or names of internal snapshots (qcow2) that become layers below the disk, or ``all``; only for chains"""
    alone: bool = False
    """whether the disk must be this one file: for a file of a stranger, beside which others lie that are not his"""
    choice: PackageChoice = PackageChoice()
    """of a disk in a package"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CheckOptions:
    """Disks to be checked. VHDs among them are taken together as far as their uuids link them."""

    paths: tuple[str, ...]
    format: str | None = None
    """overrides detection, for all of them"""
    choice: PackageChoice = PackageChoice()
    """of those that are packages: the disk that is meant"""
    directory: str = ""
    """where the parents of VHDs are looked for by uuid; empty: among *paths* only"""
    profile: str = "nova-xenapi"
    """who shall read them"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class GuestOptions:
    """A guest that is to be judged."""

    sources: tuple[SourceOptions, ...]
    """its disks, the one that it starts from first"""
    profile: str = "nova-xenapi"
    """who shall run it"""
    properties: tuple[tuple[str, str], ...] = ()
    """image properties that the user has in mind"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PackageCheckOptions:
    """A package of machines that is to be judged."""

    source: SourceOptions
    """of its choice all but the disk is regarded"""
    target: str = ""
    """who shall take it: a name of the command's ``--for``; empty to judge it as it is"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class BundleOptions:
    """A bundle as the user wants it."""

    source: SourceOptions
    output: str
    """path, or ``-`` for standard output"""
    profile: str = "nova-xenapi"
    vm_mode: str | None = None
    os_type: str | None = None
    properties: tuple[tuple[str, str], ...] = ()
    """image properties of the user's own: they win over the profile's"""
    size: int | None = None
    """bytes that the guest shall see; not below the source's size"""
    size_policy: SizePolicy = SizePolicy.EXACT
    compression: Compression = Compression.FAST
    jobs: int | None = None
    """threads; by default the CPUs that this process may use"""
    random_uuid: bool = False
    timestamp: int | None = None
    """Unix seconds for the VHD and the tar (SOURCE_DATE_EPOCH); by default 2000-01-01, so that bytes repeat"""
    digests: tuple[str, ...] = DIGESTS
    """which digests of the bundle are taken; each costs a pass over it"""
    chain: bool = False
    """whether each layer becomes a VHD of its own; otherwise they are flattened into one"""
    dedup_parent: bool = False
    """whether a child leaves out the sectors that are equal to its parent's"""
    whole_blocks: bool = False
    """whether the blocks of a child are completed from its parent, for tools that ignore bitmaps"""
    force: bool = False
    """whether an existing output is replaced"""
    temporary: str | None = None
    """path of the output while it is written, in its directory; by default a hidden name that is free"""
    verify: bool = False
    """whether the finished bundle is read back, checked and compared with the source"""
    drop_free_space: bool = False
    """whether what the guest's file systems do not use reads as zeros; they must have been closed"""
    inspect: bool = True
    """whether the guest is looked at: what is found there sets properties, and may keep the bundle from being made"""
    allow_not_ready: bool = False
    """whether a bundle is made of a guest that the target would not run"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConvertOptions:
    """A disk to be written anew. What is None is decided by the format; what the format does not have is refused."""

    source: SourceOptions
    output: str
    format: str
    """one of :data:`CONVERT_FORMATS`; ``raw`` has holes where there are zeros"""
    subformat: str | None = None
    """vhd: ``dynamic`` (the default) or ``fixed``; vmdk: ``streamOptimized``"""
    compression: str | None = None
    """qcow2: ``none`` (the default), ``zlib`` or ``zstd``"""
    cluster_size: int | None = None
    """qcow2: bytes, a power of two from 4 KiB to 2 MiB; by default 64 KiB"""
    adapter: str | None = None
    """vmdk: ``lsilogic`` (the default), ``buslogic`` or ``ide``"""
    jobs: int | None = None
    random_uuid: bool = False
    """vhd, vmdk: a new identity each time, instead of one that is the same for the same content"""
    timestamp: int | None = None
    """vhd: as :attr:`BundleOptions.timestamp`"""
    drop_free_space: bool = False
    """as :attr:`BundleOptions.drop_free_space`; not with layers"""
    layers: bool = False
    """qcow2: whether the layers of a chain are kept; *output* is then a directory"""
    force: bool = False
    temporary: str | None = None
    """as :attr:`BundleOptions.temporary`; not with layers"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class GuestNeed:
    """What the guest on the disk will need where the disk goes, as an image property."""

    name: str
    value: str | None
    """None: not known"""
    reason: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConvertPlan:
    """Everything that is decided about a disk that is to be written anew. Sizes in bytes."""

    options: ConvertOptions
    source: DiskFacts
    subformat: str
    """empty where the format has but one"""
    compression: str
    """empty where the format leaves no choice"""
    cluster_size: int
    """0 where the format has none"""
    virtual_size: int
    """what the guest sees: that of the source, or more where the format asks for whole blocks"""
    chs_size: int | None
    """what the geometry of the VHD that is written multiplies to; None where it says nothing of the size"""
    blocks: tuple[tuple[int, int], ...]
    """(first, behind the last) 2 MiB blocks that may hold data, in order"""
    data_size: int
    """bytes of these blocks: an upper bound of what is read and stored"""
    output_size_max: int
    """bytes: the file is not larger"""
    jobs: int
    timestamp: int
    """Unix seconds"""
    needs: tuple[GuestNeed, ...]
    findings: tuple[Finding, ...]
    free: FreeSpace | None = None
    """what is left out because nobody uses it; None where nobody looked"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RepairOptions:
    """A VHD to be repaired."""

    path: str
    output: str = ""
    """where the repaired disk goes; empty only where it is mended in place"""
    in_place: bool = False
    """whether the footers alone are mended, where they stand"""
    size: int | None = None
    """bytes that the disk has, where the file does not say it any more"""
    accept_loss: bool = False
    """whether a disk is written of which parts are lost"""
    keep_hidden: bool = False
    """whether a hidden disk stays hidden: it has children"""
    jobs: int | None = None
    timestamp: int | None = None
    """Unix seconds that replace those which cannot be right; by default 2000-01-01"""
    force: bool = False
    """whether an existing output is replaced; in place, whether a disk is mended that looks as if it were in use"""
    dry_run: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class RepairBundleOptions:
    """A bundle made by others that is to be made anew."""

    bundle: BundleOptions
    """the new bundle; its source is the old one. Whether it is a chain is found in the old one"""
    accept_loss: bool = False
    """whether a bundle is written of whose disks parts are lost"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RebaseOptions:
    """A differencing VHD that is to be linked to another file."""

    path: str
    parent: str
    raw: bool = False
    """whether the parent is a raw disk"""
    force: bool = False
    """whether it is linked to a parent that cannot be proven to be its own"""
    dry_run: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Property:
    """An image property that the image shall have, and why."""

    name: str
    value: str
    reason: str
    evidence: str = ""
    """where in the guest it was seen; empty where it does not come from there"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Layer:
    """One VHD of a bundle, and what it is made of. Sizes in bytes."""

    name: str
    """of the member: ``0.vhd`` is the leaf"""
    path: str
    """of the source"""
    source: DiskFacts
    virtual_size: int
    """what the guest would see: a multiple of 2 MiB"""
    blocks: tuple[tuple[int, int], ...]
    """(first, behind the last) 2 MiB blocks that may hold data, in order"""
    data_size: int
    """bytes of these blocks: an upper bound of what is read and of what the VHD holds"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that is decided about a bundle. Sizes in bytes. After it nobody asks "should I?"."""

    options: BundleOptions
    profile: Profile
    layers: tuple[Layer, ...]
    """the leaf first"""
    min_disk: int
    """GiB: the smallest flavor that the image fits"""
    output_size_max: int
    """bytes: no bundle of this plan is larger"""
    jobs: int
    timestamp: int
    """Unix seconds, within the bounds that the consumers accept"""
    properties: tuple[Property, ...]
    findings: tuple[Finding, ...]
    guest: Readiness | None = None
    """None where the guest was not looked at"""
    free: FreeSpace | None = None
    """as :attr:`ConvertPlan.free`"""
    origin: Origin | None = None
    """None where the source stands in no package"""

    @property
    def refused(self) -> bool:
        """Whether findings keep the bundle from being made."""
        return is_refused(self.findings, self.guest, allowed=self.options.allow_not_ready)

    @property
    def source(self) -> DiskFacts:
        """The disk that the user named."""
        return self.layers[0].source

    @property
    def virtual_size(self) -> int:
        """What the guest sees: a multiple of 2 MiB."""
        return self.layers[0].virtual_size

    @property
    def data_size(self) -> int:
        """Bytes of all blocks that may hold data."""
        return sum(layer.data_size for layer in self.layers)


def is_refused(findings: Iterable[Finding], guest: Readiness | None, *, allowed: bool) -> bool:
    """Whether findings keep something from being made: errors, but for those of the guest if that is allowed.

    :param allowed: whether it is made of a guest that is not ready, too.
    """
    of_guest = frozenset(each.code for each in guest.findings) if guest else frozenset()
    return any(
        finding.severity is Severity.ERROR
        and not (allowed and (finding.code in of_guest or finding.code.endswith(CONTRADICTS)))
        for finding in findings
    )
