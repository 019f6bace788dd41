"""A package of machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xenimage.checks.package.formats import disk_format
from xenimage.cli.text import counted, findings_section, section, size_text, visible, without_secrets, wrap
from xenimage.cli.views import private
from xenimage.cli.views.common import finding_records

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.cli.text import Style
    from xenimage.model.machine import Machine, MachineDisk, Nic, Package, PackageFile, Product

_LINE = 200
"""characters of a longer text that are shown"""


def record(package: Package) -> dict[str, Any]:
    """Return a package for programs."""
    return {
        "path": package.path,
        "kind": package.kind,
        "version": package.version,
        "producer": package.producer,
        "name": package.name,
        "compression": package.compression,
        "machines": [_machine_record(number, each) for number, each in enumerate(package.machines, 1)],
        "files": [
            {
                "id": each.identifier,
                "name": each.name,
                "size": each.size,
                "compression": each.compression,
                "chunk_size": each.chunk_size,
                "encrypted": each.encrypted,
            }
            for each in package.files
        ],
        "networks": [{"name": each.name, "description": each.description} for each in package.networks],
        "deployments": [
            {
                "id": each.identifier,
                "label": each.label,
                "description": each.description,
                "default": each.default,
                "chosen": each.identifier == package.deployment,
            }
            for each in package.deployments
        ],
        "proof": proof_record(package),
        "findings": finding_records(package.findings),
    }


def proof_record(package: Package) -> dict[str, Any]:
    """Return what is known of a package's wholeness for programs."""
    proof = package.proof
    return {
        "manifest": proof.manifest,
        "algorithms": list(proof.algorithms),
        "signature": proof.signature,
        "signer": proof.signer,
        "encryption": proof.encryption,
    }


def _machine_record(number: int, machine: Machine) -> dict[str, Any]:
    return {
        "number": number,
        "id": machine.identifier,
        "name": machine.name,
        "description": machine.description,
        "uuid": machine.uuid,
        "cpus": machine.cpus,
        "cpus_max": machine.cpus_max,
        "cores_per_socket": machine.cores_per_socket,
        "memory": machine.memory,
        "firmware": machine.firmware,
        "secure_boot": machine.secure_boot,
        "tpm": machine.tpm,
        "vm_mode": machine.vm_mode,
        "os_id": machine.os_id,
        "os_name": machine.os_name,
        "hardware": list(machine.virtual_system_types),
        "disks": [_disk_record(place, each) for place, each in enumerate(machine.disks, 1)],
        "nics": [
            {"network": each.network, "label": each.label, "mac": each.mac, "model": each.model, "mtu": each.mtu}
            for each in machine.nics
        ],
        "cdroms": list(machine.cdroms),
        "products": [_product_record(each) for each in machine.products],
        "eulas": list(machine.eulas),
        "settings": {name: private.setting(name, value) for name, value in machine.settings.items()},
        "ignored": list(machine.ignored),
    }


def _disk_record(number: int, disk: MachineDisk) -> dict[str, Any]:
    return {
        "number": number,
        "id": disk.identifier,
        "label": disk.label,
        "capacity": disk.capacity,
        "populated": disk.populated,
        "file": disk.file,
        "format": disk.format,
        "parent": disk.parent,
        "bus": disk.bus,
        "bus_model": disk.bus_model,
        "controller": disk.address[0],
        "unit": disk.address[1],
        "bootable": disk.bootable,
        "read_only": disk.read_only,
    }


def _product_record(product: Product) -> dict[str, Any]:
    return {
        "name": product.name,
        "vendor": product.vendor,
        "version": product.version,
        "url": without_secrets(product.url),
        "properties": [{"key": key, "default": value} for key, value in private.defaults(product)],
    }


def lines(package: Package, style: Style, *, eula: bool = False) -> Iterator[str]:
    """Yield a package for people: what it is, each machine, then what is odd about it.

    :param eula: whether licences are shown whole.
    """
    yield from section("Package", package_pairs(package), style)
    files = {each.identifier: each for each in package.files}
    for number, machine in enumerate(package.machines, 1):
        title = f"Machine {number}" if len(package.machines) > 1 else "Machine"
        yield from section(title, [*_machine_pairs(machine), *_device_pairs(machine, files)], style)
        for product in machine.products:
            yield from section("Product", _product_pairs(product), style)
        settings = [("setting", f"{name}: {private.setting(name, value)}") for name, value in machine.settings.items()]
        yield from section("For Xen alone", settings, style)
        if eula:
            yield from _licences(machine, style)
    yield from findings_section(package.findings, style)
    count = len(package.machines)
    machines = "1 machine" if count == 1 else f"{count} machines"
    yield f"{visible(package.path)}: {machines} ({counted(package.findings)})"


def package_pairs(package: Package) -> list[tuple[str, object]]:
    """Return what a package is as a whole: names and values, which may be empty."""
    proof, size = package.proof, sum(each.size or 0 for each in package.files)
    return [
        ("file", package.path),
        ("kind", f"{package.kind.upper()} {package.version}".rstrip()),
        ("packed with", package.compression),
        ("written by", package.producer),
        ("name", package.name),
        ("files", f"{len(package.files)}, {size_text(size)}" if size else ""),
        ("checksums" if package.kind == "xva" else "manifest", _manifest(package)),
        ("signature", _with(proof.signature, proof.signer)),
        ("encryption", proof.encryption),
        *[("network", _with(each.name, each.description)) for each in package.networks],
        *[
            (
                "option",
                _with(
                    f"{each.identifier}{', chosen' if each.identifier == package.deployment else ''}",
                    each.label,
                    "the default" if each.default else "",
                    each.description,
                ),
            )
            for each in package.deployments
        ],
    ]


def _manifest(package: Package) -> str:
    """Whether there is one, where such packages have one; and whether it was looked at."""
    if not package.proof.manifest:
        return "none" if package.kind in ("ova", "ovf") else ""
    algorithms = ", ".join(package.proof.algorithms)
    return f"{package.proof.manifest} ({algorithms})" if algorithms else package.proof.manifest


def _with(first: str, *others: str) -> str:
    """A text with what else is known of it behind."""
    more = ", ".join(" ".join(each.split()) for each in others if each and each != first)
    return f"{first} ({more})" if more else first


def _machine_pairs(machine: Machine) -> list[tuple[str, object]]:
    processors = str(machine.cpus or "not said")
    if machine.cpus_max and machine.cpus_max != machine.cpus:
        processors += f", at most {machine.cpus_max}"
    if machine.cores_per_socket:
        processors += f", {machine.cores_per_socket} to a socket"
    secure = {True: "on", False: "off", None: ""}[machine.secure_boot]
    return [
        ("name", machine.name),
        ("id", machine.identifier if machine.identifier != machine.name else ""),
        ("uuid", machine.uuid if machine.uuid != machine.identifier else ""),
        ("description", _first_line(machine.description)),
        ("system", machine.os_name or (f"OS type {machine.os_id}" if machine.os_id else "")),
        ("hardware", ", ".join(machine.virtual_system_types)),
        ("processors", processors),
        ("memory", size_text(machine.memory) if machine.memory else "not said"),
        ("firmware", machine.firmware),
        ("secure boot", secure),
        ("TPM", "yes" if machine.tpm else ""),
        ("mode", machine.vm_mode),
    ]


def _device_pairs(machine: Machine, files: dict[str, PackageFile]) -> list[tuple[str, object]]:
    """The disks by the numbers that ``--disk`` takes, and what else there is."""
    drives = [each and files[each].name if each in files else each for each in machine.cdroms]
    return [
        *((f"disk {number}", _disk_text(each, files)) for number, each in enumerate(machine.disks, 1)),
        *((f"CD {number}", name or "empty") for number, name in enumerate(drives, 1)),
        *((f"card {number}", _nic_text(each)) for number, each in enumerate(machine.nics, 1)),
        ("left out", ", ".join(machine.ignored)),
        *((f"licence {number}", _licence_text(each)) for number, each in enumerate(machine.eulas, 1)),
    ]


def _disk_text(disk: MachineDisk, files: dict[str, PackageFile]) -> str:
    """A disk in a line: ``40 GiB, scsi 0:1 (lsilogic), system.vmdk (vmdk streamOptimized)``."""
    file = files.get(disk.file)
    about = [disk_format(disk.format)]
    if file is not None:
        about += [file.compression, "in pieces" if file.chunk_size else "", "encrypted" if file.encrypted else ""]
    name = file.name if file is not None else disk.file or "without content"
    bus = _with(f"{disk.bus} {disk.address[0]}:{disk.address[1]}", disk.bus_model) if disk.bus else ""
    parts = [
        size_text(disk.capacity) if disk.capacity is not None else "size not said",
        disk.label if disk.label != name else "",
        bus,
        _with(name, ", ".join(filter(None, about))),
        f"over {disk.parent}" if disk.parent else "",
        "starts the machine" if disk.bootable else "",
        "read only" if disk.read_only else "",
    ]
    return ", ".join(filter(None, parts))


def _nic_text(nic: Nic) -> str:
    mtu = f"MTU {nic.mtu}" if nic.mtu else ""
    return ", ".join(filter(None, (nic.network or "no network", nic.mac, nic.model, mtu)))


def _product_text(product: Product) -> str:
    name = f"{product.name} {product.version}".strip()
    return f"{name} by {product.vendor}" if name and product.vendor else name or product.vendor or "without a name"


def _product_pairs(product: Product) -> list[tuple[str, object]]:
    return [
        ("name", _product_text(product)),
        ("address", without_secrets(product.url)),
        *(("property", f"{key} = {value}" if value else key) for key, value in private.defaults(product)),
    ]


def _first_line(text: str) -> str:
    first, *others = text.strip().splitlines() or [""]
    return f"{first[:_LINE].rstrip()} ..." if others or len(first) > _LINE else first


def _licence_text(text: str) -> str:
    return f"{_first_line(text)} ({len(text)} characters; --eula shows it)"


def _licences(machine: Machine, style: Style) -> Iterator[str]:
    """Yield the licences whole, their paragraphs as they are."""
    for number, text in enumerate(machine.eulas, 1):
        yield style.paint(f"Licence {number} of {machine.name}", "bold")
        for line in text.splitlines():
            yield from wrap(line, style, "  ")
        yield ""
