"""A machine of two disks, and packages of OVF with it, for the programs of others that read them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.builders.pattern import pattern
from xenimage.containers.ovf.writer import write_ova, write_ovf
from xenimage.containers.ovf.writing import NewPackage, OvfOptions
from xenimage.engine.diskfiles import DiskFiles, disk_content
from xenimage.formats.raw import open_raw
from xenimage.limits import STRICT
from xenimage.model.machine import Machine, MachineDisk, Nic, Product
from xenimage.model.transfer import Silent
from xenimage.sinks.file import FileSink
from xenimage.sources.file import open_file
from xenimage.units import MIB

if TYPE_CHECKING:
    import pathlib

    from tests.base import TestCase

DISKS = {"root": pattern(0, 4 * MIB) + bytes(12 * MIB), "data": bytes(6 * MIB)}
MACHINE = Machine(
    identifier="web",
    name="web",
    annotation="Made by nobody",
    cpus=2,
    cores_per_socket=2,
    memory=512 * MIB,
    firmware="uefi",
    secure_boot=True,
    os_id=96,
    os_name="debian12_64Guest",
    tpm=True,
    disks=(
        MachineDisk(identifier="root", bus="sata", address=(0, 3), bootable=True),
        MachineDisk(identifier="data", bus="xen"),
    ),
    nics=(Nic(network="LAN", model="E1000", mac="00:16:3e:01:02:03"), Nic(network="DMZ")),
    cdroms=("",),
    products=(Product(name="Web", vendor="Us", version="1.0", properties=(("hostname", "web"),)),),
    eulas=("Be nice",),
    settings={"platform": "nx=true"},
)


def write_package(
    case: TestCase, path: pathlib.Path, machine: Machine = MACHINE, *, form: str = "vmdk", **options: Any
) -> None:
    """Write the machine with disks of that format: as an OVA, or as a directory if the name does not end in .ova.

    The options are those of :class:`OvfOptions`. The content of the disks is left beside it, as ``root.raw`` and so on.
    """
    files = DiskFiles(format=form, jobs=2, timestamp=1577836800, forward=options.get("compress_archive", False))
    contents = {}
    for name, data in DISKS.items():
        raw = path.with_name(f"{name}.raw")
        raw.write_bytes(data)
        disk = open_raw(open_file(raw), STRICT)
        case.addCleanup(disk.close)
        contents[name] = disk_content(disk, files, STRICT, Silent())
    package = NewPackage(machines=[machine], disks=contents)
    chosen = OvfOptions(disk_format=form, **options)
    if path.suffix != ".ova":
        write_ovf(path, package, chosen)
        return
    sink = FileSink(str(path))
    case.addCleanup(sink.close)
    write_ova(sink, package, chosen)
    sink.flush()
    sink.commit()
