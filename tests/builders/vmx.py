"""VMX files as VMware writes them, and delta disks as its snapshots make them. Shares nothing with the reader."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.builders import vmdk

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Mapping

MACHINE = {
    ".encoding": "UTF-8",
    "config.version": "8",
    "virtualHW.version": "19",
    "displayName": "Web server",
    "guestOS": "debian11-64",
    "memsize": "2048",
    "numvcpus": "4",
    "cpuid.coresPerSocket": "2",
    "firmware": "efi",
    "uefi.secureBoot.enabled": "TRUE",
    "annotation": "First line|0A|22quoted|22",
    "uuid.bios": "56 4d ee 3c 52 06 a3 de-be 4a 73 9c cc 99 15 1f",
    "scsi0.present": "TRUE",
    "scsi0.virtualDev": "pvscsi",
    "scsi0:0.present": "TRUE",
    "scsi0:0.fileName": "web.vmdk",
    "ethernet0.present": "TRUE",
    "ethernet0.virtualDev": "vmxnet3",
    "ethernet0.networkName": "VM Network",
    "ethernet0.addressType": "generated",
    "ethernet0.generatedAddress": "00:0C:29:99:15:1F",
    "ide1:0.present": "TRUE",
    "ide1:0.deviceType": "cdrom-raw",
    "ide1:0.fileName": "auto detect",
}
"""a machine with nothing odd; its disk is ``web.vmdk``"""


def text(keys: Mapping[str, str | None] | None = None, *, encoding: str = "utf-8", newline: str = "\n") -> bytes:
    """The VMX of :data:`MACHINE` with other *keys*; None leaves one out."""
    merged = {**MACHINE, **(keys or {})}
    lines = ["#!/usr/bin/vmware", *(f'{key} = "{value}"' for key, value in merged.items() if value is not None)]
    return (newline.join(lines) + newline).encode(encoding)


def disk(
    grains: vmdk.Grains, sectors: int = 1024, *, cid: str = "0000aaaa", parent: str = "ffffffff", hint: str = ""
) -> bytes:
    """A monolithicSparse VMDK; over a parent, if *parent*, its content id, is given, and *hint*, its name."""
    extents = [f'RW {sectors} SPARSE "any.vmdk"']
    described = vmdk.descriptor("monolithicSparse", extents, cid=cid, parent=parent, hint=hint)
    return bytes(vmdk.hosted(grains, sectors, text=described).data)


def write(folder: pathlib.Path, keys: Mapping[str, str | None] | None = None, **disks: bytes) -> pathlib.Path:
    """Write a folder: ``web.vmx``, and disks by the stems of their names."""
    path = folder / "web.vmx"
    path.write_bytes(text(keys))
    for stem, data in disks.items():
        (folder / f"{stem}.vmdk").write_bytes(data)
    return path
