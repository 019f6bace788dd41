"""Sound disks of every kind that an inspection knows: tables, file systems, systems."""

from __future__ import annotations

import pathlib
import shutil
import tempfile
from typing import TYPE_CHECKING

from tests.builders.guests import files, linux, lvm, windows
from tests.builders.guests.linux import State

if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 1 << 20
_PV = "1" * 32


def _windows(firmware: str) -> Callable[[pathlib.Path], object]:
    return lambda path: shutil.copyfile(windows.disk(windows.State(firmware=firmware)), path)


def _linux(kind: str, *, efi: bool = False, packing: str = "zstd") -> Callable[[pathlib.Path], object]:
    return lambda path: linux.make_disk(path, State(efi=efi, packing=packing), kind=kind)


def _old_xfs(path: pathlib.Path) -> None:
    """XFS of version 4, which has no checksums."""
    with tempfile.TemporaryDirectory(dir=path.parent) as name:
        folder, volume = pathlib.Path(name) / "tree", pathlib.Path(name) / "volume"
        folder.mkdir()
        files.write(linux.files(State(packing="gzip")), folder)
        prototype = volume.with_suffix(".proto")
        prototype.write_text("".join(f"{line}\n" for line in linux._prototype(folder)))
        with volume.open("wb") as file:
            file.truncate(320 * MIB)
        linux.run("mkfs.xfs", "-q", "-m", "crc=0", "-p", prototype, volume)
        linux.make_mbr(path, volume)


def _lvm(path: pathlib.Path) -> None:
    """A Linux on a logical volume that is in two pieces, on a partition."""
    with tempfile.TemporaryDirectory(dir=path.parent) as name:
        folder, volume = pathlib.Path(name) / "tree", pathlib.Path(name) / "volume"
        folder.mkdir()
        files.write(linux.files(State(root="/dev/vg/root")), folder)
        linux.make_volume(volume, folder, "ext4", 32)
        count = 32 * MIB // lvm.EXTENT
        half = count // 2
        pieces = (lvm.Segment(count=half, extent=half + 5), lvm.Segment(count=half, extent=3))
        described = lvm.text("vg", [_PV], [lvm.Logical(name="root", segments=pieces)])
        described = described.replace("pe_count = 64", f"pe_count = {count + 64}")
        content = volume.read_bytes()
        extents = {
            3: content[half * lvm.EXTENT :],
            half + 5: content[: half * lvm.EXTENT],
        }
        with volume.open("wb") as file:
            file.truncate(40 * MIB)
            for offset, data in lvm.physical_volume(_PV, described, extents).items():
                file.seek(offset)
                file.write(data)
        linux.make_mbr(path, volume, "8e")


MAKERS: dict[str, Callable[[pathlib.Path], object]] = {
    "windows-bios": _windows("bios"),
    "windows-uefi": _windows("uefi"),
    "ext4": _linux("ext4"),
    "ext2": _linux("ext2", packing="gzip"),
    "ext4-uefi": _linux("ext4", efi=True, packing="lz4"),
    "xfs": _linux("xfs", packing="xz"),
    "xfs4": _old_xfs,
    "lvm": _lvm,
}
