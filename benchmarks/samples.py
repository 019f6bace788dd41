"""The disks that are measured: an ext4 file system of this machine's own files, in every source format."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess

from xenimage.formats.vhd import layout
from xenimage.formats.vhd.writer import NewVhd

GIB = 1 << 30
_LAYER_UNIT = 1 << 21
"""layers of a chain begin at multiples of 2 MiB"""
_TREES = ("/usr/lib", "/usr/share", "/usr/bin", "/usr/include", "/usr/local")


def stage_files(directory: pathlib.Path, wanted: int) -> int:
    """Bring real files together until they have *wanted* bytes; how many they have.

    Files are taken evenly over all trees, so that programs, libraries, texts and archives are mixed as on a system.
    """
    files = [path for tree in _TREES for path in sorted(pathlib.Path(tree).rglob("*")) if _is_plain(path)]
    total = sum(path.stat().st_size for path in files)
    step = min(1.0, wanted / max(total, 1))
    have, due = 0, 0.0
    for path in files:
        size = path.stat().st_size
        due += size * step
        if have + size > due + GIB // 64 or have + size > wanted:
            continue
        target = directory / str(path).lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        have += size
    return have


def _is_plain(path: pathlib.Path) -> bool:
    return path.is_file() and not path.is_symlink() and os.access(path, os.R_OK)


def make(directory: pathlib.Path, wanted: int) -> dict[str, pathlib.Path]:
    """Make all sources in *directory* unless they are there already; name to path."""
    paths = {
        name: directory / name for name in ("disk.raw", "plain.qcow2", "compressed.qcow2", "stream.vmdk", "large.qcow2")
    }
    if all(path.exists() for path in paths.values()):
        return paths
    stage = directory / "stage"
    stage.mkdir()
    have = stage_files(stage, wanted)
    raw = paths["disk.raw"]
    with raw.open("wb") as file:
        file.truncate(have + have // 3 + GIB // 8)
    _run("mkfs.ext4", "-q", "-F", "-m", "0", "-d", str(stage), str(raw))
    shutil.rmtree(stage)
    os.truncate(raw, 10 * GIB)
    _run("qemu-img", "convert", "-O", "qcow2", str(raw), str(paths["plain.qcow2"]))
    _run("qemu-img", "convert", "-c", "-O", "qcow2", str(raw), str(paths["compressed.qcow2"]))
    _run("qemu-img", "convert", "-O", "vmdk", "-o", "subformat=streamOptimized", str(raw), str(paths["stream.vmdk"]))
    shutil.copyfile(paths["plain.qcow2"], paths["large.qcow2"])
    _run("qemu-img", "resize", "-q", str(paths["large.qcow2"]), "2039G")
    return paths


def make_chain(directory: pathlib.Path, layers: int = 4) -> list[pathlib.Path]:
    """The data of ``disk.raw`` spread over qcow2 images that lie over each other, the base first; kept once made."""
    paths = [directory / f"layer{number}.qcow2" for number in range(layers)]
    if all(path.exists() for path in paths):
        return paths
    raw = directory / "disk.raw"
    size = raw.stat().st_size
    used = _end_of_data(raw)
    share = used // layers // _LAYER_UNIT * _LAYER_UNIT
    part = directory / "part.raw"
    for number, path in enumerate(paths):
        stop = used if number == layers - 1 else (number + 1) * share
        with part.open("wb") as file:
            file.truncate(size)
        _run(
            "dd", f"if={raw}", f"of={part}", "bs=1M", f"skip={number * share >> 20}", f"seek={number * share >> 20}",
            f"count={-(-(stop - number * share) >> 20)}", "conv=notrunc,sparse", "status=none",
        )  # fmt: skip
        _run("qemu-img", "convert", "-O", "qcow2", str(part), str(path))
        if number:
            below = paths[number - 1].name
            _run("qemu-img", "rebase", "-u", "-b", below, "-F", "qcow2", str(path))
    part.unlink()
    return paths


def _end_of_data(path: pathlib.Path) -> int:
    """Where the last data of a sparse file ends, in bytes."""
    end = 0
    with path.open("rb") as file:
        while True:
            try:
                start = os.lseek(file.fileno(), end, os.SEEK_DATA)
            except OSError:
                return end
            end = os.lseek(file.fileno(), start, os.SEEK_HOLE)


def make_full_vhd(directory: pathlib.Path) -> pathlib.Path:
    """A VHD of 2040 GiB with every block in its BAT, nothing stored but its metadata; kept once made."""
    path = directory / "full.img"
    if not path.exists():
        vhd = NewVhd(virtual_size=layout.SIZE_MAX, timestamp=layout.EPOCH)
        blocks = range(vhd.entries)
        with path.open("wb") as file:
            file.write(vhd.head(b"full disk of 2TB", blocks, partial=blocks))
            file.seek(vhd.footer_offset(len(blocks)))
            file.write(vhd.footer(b"full disk of 2TB"))
    return path


_DESCRIPTOR = """<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
 xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData">
 <References>{files}</References><DiskSection><Info/>{disks}</DiskSection>
 <VirtualSystem ovf:id="two"><Info/><Name>two</Name><VirtualHardwareSection><Info/>
 <Item><rasd:InstanceID>1</rasd:InstanceID><rasd:ResourceType>6</rasd:ResourceType></Item>{items}
 </VirtualHardwareSection></VirtualSystem></Envelope>"""


def make_ova(directory: pathlib.Path) -> None:
    """Make ``two.ova``, as ovftool packs a machine: a descriptor and two streamOptimized VMDKs.

    The second disk holds a part of the first one's files.
    """
    if (directory / "two.ova").exists():
        return
    stage = directory / "stage"
    stage.mkdir()
    have = stage_files(stage, 256 << 20)
    raw = directory / "second.raw"
    with raw.open("wb") as file:
        file.truncate(have + have // 3 + GIB // 8)
    _run("mkfs.ext4", "-q", "-F", "-m", "0", "-d", str(stage), str(raw))
    shutil.rmtree(stage)
    os.truncate(raw, 2 * GIB)
    stream = ("qemu-img", "convert", "-O", "vmdk", "-o", "subformat=streamOptimized")
    _run(*stream, str(raw), str(directory / "second.vmdk"))
    names = ("stream.vmdk", "second.vmdk")
    sizes = (10 * GIB, 2 * GIB)
    (directory / "two.ovf").write_text(
        _DESCRIPTOR.format(
            files="".join(
                f'<File ovf:id="f{place}" ovf:href="{name}" ovf:size="{(directory / name).stat().st_size}"/>'
                for place, name in enumerate(names)
            ),
            disks="".join(
                f'<Disk ovf:diskId="d{place}" ovf:fileRef="f{place}" ovf:capacity="{size}"/>'
                for place, size in enumerate(sizes)
            ),
            items="".join(
                f"<Item><rasd:InstanceID>{place + 2}</rasd:InstanceID><rasd:ResourceType>17</rasd:ResourceType>"
                f"<rasd:HostResource>ovf:/disk/d{place}</rasd:HostResource><rasd:Parent>1</rasd:Parent>"
                f"<rasd:AddressOnParent>{place}</rasd:AddressOnParent></Item>"
                for place in range(2)
            ),
        ),
        "utf-8",
    )
    _run("tar", "--format=ustar", "-cf", "two.ova", "two.ovf", *names, cwd=directory)


def _run(*command: str, cwd: pathlib.Path | None = None) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=cwd)
