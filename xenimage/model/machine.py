"""Virtual machines as packages describe them: OVF, OVA, XVA and VMX in one vocabulary. Frozen values, no I/O."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from xenimage.model.finding import Finding


@dataclasses.dataclass(frozen=True, kw_only=True)
class PackageFile:
    """A file that a package refers to. Sizes in bytes."""

    identifier: str
    """of the reference; unique in the package"""
    name: str
    """within the package, as checked: relative, ``/`` between its parts, never leading out"""
    size: int | None = None
    """as the descriptor says"""
    compression: str = ""
    """``gzip``, or empty"""
    chunk_size: int | None = None
    """of the pieces ``name.000000000`` … that it is split into"""
    encrypted: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class MachineDisk:
    """A disk of a machine. Sizes in bytes."""

    identifier: str
    """the package's own: an OVF's diskId, an XVA's ``Ref:7``, the path in a VMX"""
    label: str = ""
    capacity: int | None = None
    """as the guest sees it; None where the descriptor does not say"""
    populated: int | None = None
    """bytes in use, as the descriptor says"""
    file: str = ""
    """identifier of the :class:`PackageFile`; empty for a disk that comes without content"""
    format: str = ""
    """what the descriptor calls its format, for display: never trusted"""
    parent: str = ""
    """identifier of the disk that a delta disk belongs over"""
    bus: str = ""
    """``ide``, ``scsi``, ``sata``, ``nvme``, ``virtio``, ``xen``; empty where it is not said"""
    bus_model: str = ""
    """the controller in the package's words: ``lsilogic``, ``VirtualSCSI``"""
    address: tuple[int, int] = (0, 0)
    """controller and unit, by which disks are ordered"""
    resource_type: int | None = None
    """what an OVF says that it is: 17, a disk drive, or 19 and others, which some importers pass over"""
    bootable: bool = False
    read_only: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Nic:
    """A network card."""

    network: str
    """name of the network that it belongs to"""
    label: str = ""
    mac: str = ""
    """``00:16:3e:01:02:03`` in lower case; empty where it is not fixed"""
    model: str = ""
    """in the package's words: ``VmxNet3``, ``E1000``"""
    mtu: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProductProperty:
    """What the owner of a machine may, or may not, set in it. Source: DSP0243 1.1, 9.5.1."""

    key: str
    value: str = ""
    """the default"""
    type: str = "string"
    """in the standard's words"""
    qualifiers: str = ""
    """what is a value of it: ``MinLen(3)``"""
    label: str = ""
    description: str = ""
    user_configurable: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Product:
    """What a machine is sold as, with the properties that its owner may set."""

    name: str = ""
    vendor: str = ""
    version: str = ""
    url: str = ""
    key_class: str = ""
    key_instance: str = ""
    """what stands around its keys, between dots, where the guest is told of its properties"""
    properties: tuple[tuple[str, str], ...] = ()
    """(key, default)"""
    declared: tuple[ProductProperty, ...] = ()
    """the same in full, where the package says more of them"""
    passwords: tuple[str, ...] = ()
    """keys of those properties that the package calls passwords"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Machine:
    """A virtual machine. Sizes in bytes."""

    identifier: str
    """unique in the package: an OVF's VirtualSystem id, the uuid of an XVA's VM"""
    name: str
    description: str = ""
    uuid: str = ""
    cpus: int | None = None
    cpus_max: int | None = None
    cores_per_socket: int | None = None
    memory: int | None = None
    memory_number: int | None = None
    """what an OVF says beside the units of it, which some importers pass over"""
    firmware: str = ""
    """``bios``, ``uefi``; empty where it is not said"""
    secure_boot: bool | None = None
    tpm: bool = False
    vm_mode: str = ""
    """``hvm``, ``xen`` (paravirtualised); empty where it is not said"""
    os_id: int | None = None
    """CIM_OperatingSystem.OSType"""
    os_name: str = ""
    """in the package's words: ``debian12_64Guest``, ``Windows Server 2022``"""
    disks: tuple[MachineDisk, ...] = ()
    """the one it starts from first, then by address"""
    nics: tuple[Nic, ...] = ()
    cdroms: tuple[str, ...] = ()
    """identifiers of the files in its drives; empty for an empty drive"""
    products: tuple[Product, ...] = ()
    eulas: tuple[str, ...] = ()
    annotation: str = ""
    virtual_system_types: tuple[str, ...] = ()
    """``vmx-19``, ``hvm-3.0-unknown``, ``virtualbox-2.2``"""
    transport: tuple[str, ...] = ()
    """how properties get into the guest: ``iso``, ``com.vmware.guestInfo``"""
    settings: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """what Xen alone understands, by its name in the XenAPI: ``platform``, ``HVM_boot_params``, ``PV_args`` …"""
    settings_optional: bool = False
    """whether an OVF says that its settings may be passed over by those who do not know them"""
    ignored: tuple[str, ...] = ()
    """hardware that has no place here, a phrase each: ``floppy drive``"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Network:
    """A network that cards of the package belong to."""

    name: str
    description: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Deployment:
    """A size that a package can be deployed in."""

    identifier: str
    label: str = ""
    description: str = ""
    default: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Proof:
    """What is known of a package's wholeness."""

    manifest: str = ""
    """``verified``, ``not verified``, or empty where there is none"""
    algorithms: tuple[str, ...] = ()
    signature: str = ""
    """``standard``, ``citrix``, or empty where there is none"""
    signer: str = ""
    """subject of the certificate"""
    encryption: str = ""
    """``citrix``, or empty"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Package:
    """A package as it was read. What is wrong with it, or odd, is among the findings."""

    path: str
    kind: str
    """``ovf``, ``ova``, ``xva``, ``vmx``"""
    version: str = ""
    """of the format: ``1.1``, ``export 2``"""
    producer: str = ""
    """who wrote it, as far as it shows"""
    name: str = ""
    compression: str = ""
    """of the whole: ``gzip``, ``xz``, ``zstd``"""
    machines: tuple[Machine, ...] = ()
    files: tuple[PackageFile, ...] = ()
    networks: tuple[Network, ...] = ()
    deployments: tuple[Deployment, ...] = ()
    deployment: str = ""
    """identifier of the one that was chosen"""
    proof: Proof = Proof()
    findings: tuple[Finding, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a disk that stands in a package comes from."""

    kind: str
    """of the package: ``ovf``, ``ova``, ``xva``, ``vmx``"""
    machine: Machine
    disk: MachineDisk

    @property
    def title(self) -> str:
        """What people may call it: the machine, and which disk, if it is not the one that the machine starts from."""
        number = self.machine.disks.index(self.disk) + 1
        return self.machine.name if number == 1 else f"{self.machine.name}-{number}"
