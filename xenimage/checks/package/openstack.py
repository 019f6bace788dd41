"""What becomes of a package in an OpenStack cloud on XenServer, where each disk is an image of its own, a bundle.

Sources: nova, virt/xenapi/vm_utils.py (create_vm, and how an image becomes a VDI); os-xenapi, the plugin glance.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xenimage.checks.package.words import ERROR, INFO, WARNING, disks, kind, listed
from xenimage.model.kind import Mend, by_code
from xenimage.units import GIB, MIB, format_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from xenimage.model.finding import Finding
    from xenimage.model.machine import Machine, Package

_VHD_LARGEST = 2040 * GIB
KINDS = (
    kind(
        ERROR,
        "openstack-xenserver.disk.none",
        "No disk to make an image of",
        "Machines without a disk that has content: {machines}.",
        "An image is made of a disk.",
        "Export the machine with its disks.",
        mend=Mend.LOST,
    ),
    kind(
        WARNING,
        "openstack-xenserver.disk.several",
        "Several disks",
        "Machines with several disks: {machines}.",
        "An image holds one disk, and a server starts from one image: the others become images of their own.",
        "Make a bundle of each, with --disk; make volumes of all but the first, and attach them to the server.",
        mend=Mend.CHOICE,
    ),
    kind(
        INFO,
        "openstack-xenserver.disk.empty",
        "Disks without content",
        "Disks that come without content: {disks}.",
        "There is nothing to make an image of.",
        "Attach an empty volume to the server, if the guest wants the disk.",
        mend=Mend.NONE,
    ),
    kind(
        ERROR,
        "openstack-xenserver.disk.size",
        "Disks too large for a VHD",
        "Disks larger than 2040 GiB: {disks}.",
        "A bundle holds VHDs, and none is larger.",
        "Make them smaller in the guest and in their files.",
        mend=Mend.LOST,
        refused_by=("vhd-util",),
    ),
    kind(
        INFO,
        "openstack-xenserver.machines",
        "Several machines",
        "The package has {count} machines.",
        "Each becomes an image of its own; how they belong together, and in which order they start, is lost.",
        "Choose each with --vm.",
        mend=Mend.NONE,
    ),
    kind(
        WARNING,
        "openstack-xenserver.firmware",
        "Machine with UEFI",
        "Machines that start with UEFI: {machines}.",
        "Nova's driver for XenServer starts every guest with a BIOS, whatever hw_firmware_type says: a disk that starts"
        " with UEFI alone does not start.",
        "Look whether the disk starts with a BIOS, too: xenimage guest check. In another cloud say --property"
        " hw_firmware_type=uefi.",
        mend=Mend.CHOICE,
    ),
    kind(
        WARNING,
        "openstack-xenserver.secure-boot",
        "Secure Boot is lost",
        "Machines with Secure Boot: {machines}.",
        "The driver has no Secure Boot, and the property os_secure_boot, which says it to others, no effect.",
        "Nothing, if the guest may go without.",
        mend=Mend.NONE,
    ),
    kind(
        WARNING,
        "openstack-xenserver.tpm",
        "TPM is lost",
        "Machines with a TPM: {machines}.",
        "No package holds what is in a TPM, and an image has no place for it: keys that a disk's encryption keeps there"
        " are lost.",
        "Have the recovery key at hand, or take the encryption off before the export.",
        mend=Mend.CHOICE,
    ),
    kind(
        INFO,
        "openstack-xenserver.nvram",
        "What the firmware stored is lost",
        "Machines with the contents of their NVRAM: {machines}.",
        "An image has no place for them: boot entries and keys of Secure Boot start anew.",
        "Nothing.",
        mend=Mend.NONE,
    ),
    kind(
        WARNING,
        "openstack-xenserver.kernel",
        "Kernel outside of the disk",
        "Machines that start a kernel from outside of their disk: {machines}.",
        "The kernel is not in the package, and an image of a whole disk has none beside it.",
        "Install a boot loader in the guest before the export.",
        mend=Mend.CHOICE,
    ),
    kind(
        INFO,
        "openstack-xenserver.eula",
        "Licences that nobody will show",
        "Machines with licences to be accepted: {machines}.",
        "An image has no place for them.",
        "Read them before you offer the image to others: xenimage package show FILE --eula.",
        mend=Mend.NONE,
    ),
    kind(
        WARNING,
        "openstack-xenserver.properties",
        "Properties that nobody passes on",
        "Machines with properties for their owner to set: {machines}.",
        "A server gets no environment of OVF: its guest finds none of them.",
        "Set in the guest, or by user data if cloud-init or cloudbase-init reads it, what they stand for.",
        mend=Mend.CHOICE,
    ),
    kind(
        INFO,
        "openstack-xenserver.nics",
        "Cards that the server chooses",
        "Cards of the package, with their networks: {networks}.",
        "An image has none: networks and addresses are those of the server's ports.",
        "Connect the server to networks of the cloud; a guest that knows its cards by their MAC has to forget them.",
        mend=Mend.NONE,
    ),
    kind(
        INFO,
        "openstack-xenserver.cdrom",
        "Discs in drives",
        "Machines with a disc in a drive: {machines}.",
        "It does not become part of an image.",
        "Nothing, or make an image of the ISO.",
        mend=Mend.NONE,
    ),
    kind(
        INFO,
        "openstack-xenserver.flavor",
        "Flavor to start it with",
        "What the machines had: {sizes}.",
        "An image does not say it: the flavor decides.",
        "Choose a flavor with as much.",
        mend=Mend.NONE,
    ),
)
_BY_CODE = by_code(KINDS)


def _found(code: str, case: str = "", **values: Any) -> Finding:
    return _BY_CODE[f"package.openstack-xenserver.{code}"].found(case, **values)


def _machines(package: Package, wanted: Callable[[Machine], object]) -> str:
    return listed(repr(each.name) for each in package.machines if wanted(each))


def check(package: Package) -> Iterator[Finding]:
    """Find what would not become part of an image, or would keep one from being made."""
    yield from _check_disks(package)
    if len(package.machines) > 1:
        yield _found("machines", count=len(package.machines))
    yield from _check_start(package)
    yield from _check_rest(package)
    sizes = [text for each in package.machines if (text := _size(each))]
    if sizes:
        yield _found("flavor", sizes=listed(sizes))


def _check_disks(package: Package) -> Iterator[Finding]:
    bare = _machines(package, lambda machine: not any(disk.file for disk in machine.disks))
    if bare:
        yield _found("disk.none", machines=bare)
    several = _machines(package, lambda machine: sum(bool(disk.file) for disk in machine.disks) > 1)
    if several:
        yield _found("disk.several", machines=several)
    empty = disks(package, lambda disk: not disk.file)
    if empty:
        yield _found("disk.empty", disks=empty)
    large = disks(package, lambda disk: (disk.capacity or 0) > _VHD_LARGEST)
    if large:
        yield _found("disk.size", disks=large)


def _check_start(package: Package) -> Iterator[Finding]:
    uefi = _machines(package, lambda machine: machine.firmware == "uefi")
    if uefi:
        yield _found("firmware", machines=uefi)
    secure = _machines(package, lambda machine: machine.secure_boot)
    if secure:
        yield _found("secure-boot", machines=secure)
    tpm = _machines(package, lambda machine: machine.tpm)
    if tpm:
        yield _found("tpm", machines=tpm)
    nvram = _machines(package, lambda machine: machine.settings.get("NVRAM"))
    if nvram:
        yield _found("nvram", machines=nvram)
    kernel = _machines(package, lambda machine: machine.settings.get("PV_kernel"))
    if kernel:
        yield _found("kernel", machines=kernel)


def _check_rest(package: Package) -> Iterator[Finding]:
    licences = _machines(package, lambda machine: machine.eulas)
    if licences:
        yield _found("eula", machines=licences)
    owners = _machines(package, lambda machine: any(each.properties for each in machine.products))
    if owners:
        yield _found("properties", machines=owners)
    networks = [repr(nic.network) for machine in package.machines for nic in machine.nics if nic.network]
    if networks:
        yield _found("nics", networks=listed(networks))
    discs = _machines(package, lambda machine: any(machine.cdroms))
    if discs:
        yield _found("cdrom", machines=discs)


def _size(machine: Machine) -> str:
    """What a flavor has to offer: ``'web' with 2 VCPUs and 512 MiB of RAM``."""
    parts = [f"{machine.cpus} VCPU{'' if machine.cpus == 1 else 's'}" if machine.cpus else ""]
    parts += [f"{format_size(-(-machine.memory // MIB) * MIB)} of RAM"] if machine.memory else []
    text = " and ".join(filter(None, parts))
    return f"{machine.name!r} with {text}" if text else ""
