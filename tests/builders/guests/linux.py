"""A small Linux in any state: the files that an inspection reads, to be changed at will, and disks made of them.

Nothing of it boots. For a real system see tests/functional/debian.py.
"""

from __future__ import annotations

import bz2
import dataclasses
import gzip
import lzma
import os
import pathlib
import shutil
import struct
import subprocess
import tempfile
from typing import TYPE_CHECKING

import lz4.block
import lz4.frame
import zstandard

from tests.builders.guests import files as trees
from tests.builders.guests import lvm as groups
from tests.builders.guests.files import Link

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from tests.builders.guests.files import Files

VERSION = "6.1.0-42-amd64"
UUID = "0b3f4a52-6f0e-4a77-9a53-6a0c2f0f6c11"
ESP_UUID = "4F1A-22C7"
INSTANCE = "i-0000002a"
MACHINE_ID = "0123456789abcdef0123456789abcdef"
MIB = 1 << 20
SECTOR = 512
GPT_LINUX, GPT_LVM = "0FC63DAF-8483-4772-8E79-3D69D8477DE4", "E6D6D379-F507-44C2-A23C-238F2A3DF928"
PROGRAMS: Mapping[str, pathlib.Path | None] = {"EFI/BOOT/BOOTX64.EFI": None, "EFI/debian/grubx64.efi": None}
GROUP, LOGICAL = "vg", "root"
PROGRAM_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
OS_RELEASE = """PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
NAME="Debian GNU/Linux"
VERSION_ID="12"
VERSION="12 (bookworm)"
VERSION_CODENAME=bookworm
ID=debian
"""
ELF_X86_64 = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHI", 2, 62, 1) + bytes(40)
UNITS = "usr/lib/systemd/system"
WANTED = "etc/systemd/system"


def cpio(names: Iterable[str], *, content: bytes = b"", magic: bytes = b"070701") -> bytes:
    """An archive in the newc format: files of these names, all with the same content."""
    out = b""
    for number, name in enumerate([*names, "TRAILER!!!"]):
        text = name.encode() + b"\0"
        data = content if name != "TRAILER!!!" else b""
        fields = (number + 1, 0o100644, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(text), 0)
        out += magic + b"".join(b"%08X" % field for field in fields) + text
        out += bytes(-len(out) % 4) + data
        out += bytes(-len(out) % 4)
    return out + bytes(-len(out) % 512)


def lz4_legacy(data: bytes) -> bytes:
    """As ``lz4 -l`` packs: blocks of 8 MiB, no end."""
    out = b"\x02\x21\x4c\x18"
    for start in range(0, len(data), 8 * MIB):
        block = lz4.block.compress(data[start : start + 8 * MIB], store_size=False)
        out += struct.pack("<I", len(block)) + block
    return out


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "xz": lambda data: lzma.compress(data, check=lzma.CHECK_CRC32),  # the check that the kernel understands
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
    "bzip2": bz2.compress,
    "zstd": lambda data: zstandard.ZstdCompressor(write_checksum=True).compress(data),
    "lz4": lz4_legacy,
    "lz4 frame": lz4.frame.compress,
    "plain": bytes,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class State:
    """What the system is like. The defaults are a good image, prepared for a config drive."""

    version: str = VERSION
    blkfront: str = "initrd"
    """where xen-blkfront is: initrd, builtin, missing"""
    fallback: bool = True
    """whether the initrd holds the drivers of emulated disks"""
    packing: str = "zstd"
    root: str = f"UUID={UUID}"
    resume: str = ""
    cloud_init: str = "good"
    """good, default (no list of data sources), disabled, none"""
    used: bool = False
    """whether it was started"""
    efi: bool = False


GOOD = State()


def files(state: State = GOOD) -> dict[str, bytes | str | Link | None]:
    """Every file of a system in that state."""
    return dict([*kernel(state), *_system(state), *_cloud_init(state), *(_leftovers() if state.used else ())])


def kernel(state: State) -> Iterator[tuple[str, bytes | str | Link]]:
    """The files of one kernel."""
    version = state.version
    modules = f"usr/lib/modules/{version}/kernel/"
    emulated = [f"{modules}drivers/ata/ata_piix.ko", f"{modules}drivers/nvme/host/nvme.ko"] if state.fallback else []
    names = ["init", "scripts/local", *emulated]
    config = {
        "XEN": "y",
        "XEN_PVHVM": "y",
        "XEN_BLKDEV_FRONTEND": "y" if state.blkfront == "builtin" else "m",
        "XEN_NETDEV_FRONTEND": "m",
        "BLK_DEV_NVME": "m",
        "ATA_PIIX": "m",
    }
    if state.blkfront == "initrd":
        names.append(f"{modules}drivers/block/xen-blkfront.ko")
    yield f"boot/config-{version}", "".join(f"CONFIG_{name}={value}\n" for name, value in config.items())
    yield f"boot/vmlinuz-{version}", b"MZ" + bytes(510)
    yield f"boot/initrd.img-{version}", initrd(names, state.packing)
    yield f"{modules}drivers/net/xen-netfront.ko", b"module"
    yield f"{modules}drivers/block/xen-blkfront.ko", b"module"


def initrd(names: Iterable[str], packing: str = "zstd") -> bytes:
    """Microcode, plain, and the rest, packed."""
    microcode = cpio(["kernel/x86/microcode/GenuineIntel.bin"], content=b"microcode" * 500)
    return microcode + PACKERS[packing](cpio(sorted(names), content=b"some code " * 40))


def _system(state: State) -> Iterator[tuple[str, bytes | str | Link]]:
    arguments = f"root={state.root} ro console=hvc0{f' resume={state.resume}' if state.resume else ''}"
    yield "usr/lib/os-release", OS_RELEASE
    yield "etc/os-release", Link("../usr/lib/os-release")
    yield "usr/bin/sh", ELF_X86_64
    yield "bin", Link("usr/bin")
    yield "lib", Link("usr/lib")
    yield "sbin", Link("usr/sbin")
    efi = f"UUID={ESP_UUID} /boot/efi vfat umask=0077 0 1\n" if state.efi else ""
    yield "etc/fstab", f"# a comment\n{state.root} / ext4 errors=remount-ro 0 1\n{efi}"
    yield "etc/default/grub", 'GRUB_CMDLINE_LINUX_DEFAULT="quiet"\nGRUB_CMDLINE_LINUX="console=hvc0"\n'
    yield f"boot/grub/{'x86_64-efi' if state.efi else 'i386-pc'}/normal.mod", b"module"
    yield (
        "boot/grub/grub.cfg",
        f"menuentry 'Debian' --class debian $menuentry_id_option 'simple' {{\n"
        f"\tlinux /boot/vmlinuz-{state.version} {arguments}\n\tinitrd /boot/initrd.img-{state.version}\n}}\n",
    )
    yield "usr/sbin/sshd", ELF_X86_64
    yield "etc/ssh/sshd_config", "Include /etc/ssh/sshd_config.d/*.conf\nPasswordAuthentication no\n"
    yield f"{UNITS}/ssh.service", "[Service]\nExecStart=/usr/sbin/sshd -D\n"
    yield f"{WANTED}/multi-user.target.wants/ssh.service", Link("/lib/systemd/system/ssh.service")
    yield "etc/hostname", "localhost\n"
    yield "etc/machine-id", f"{MACHINE_ID}\n" if state.used else ""


def _cloud_init(state: State) -> Iterator[tuple[str, bytes | str | Link]]:
    if state.cloud_init == "none":
        return
    yield "usr/bin/cloud-init", "#!/usr/bin/python3\n"
    yield "usr/lib/python3/dist-packages/cloudinit/version.py", '__VERSION__ = "22.4.2"\n'
    yield "usr/lib/cloud-init/ds-identify", "#!/bin/sh\n"
    yield "etc/cloud/cloud.cfg", "users:\n   - default\nsystem_info:\n  default_user:\n    name: debian\n"
    yield "etc/cloud/cloud.cfg.d/05_logging.cfg", "# nothing\n"
    for unit in ("cloud-init-local", "cloud-init", "cloud-config", "cloud-final"):
        yield f"{UNITS}/{unit}.service", "[Unit]\n"
        yield f"{WANTED}/cloud-init.target.wants/{unit}.service", Link(f"/lib/systemd/system/{unit}.service")
    if state.cloud_init == "good":
        yield "etc/cloud/cloud.cfg.d/90_datasources.cfg", "datasource_list: [ ConfigDrive, OpenStack, None ]\n"
    if state.cloud_init == "disabled":
        yield "etc/cloud/cloud-init.disabled", ""


def _leftovers() -> Iterator[tuple[str, bytes | str | Link]]:
    yield "etc/ssh/ssh_host_ed25519_key", "not a key\n"
    yield f"var/lib/cloud/instances/{INSTANCE}/datasource", "DataSourceConfigDrive\n"
    yield "var/lib/cloud/instance", Link(f"/var/lib/cloud/instances/{INSTANCE}")
    yield "root/.bash_history", "ls\n"


# What follows makes real disks of a directory, by the tools of the system, without root and without mounts.


def run(*command: str | os.PathLike[str], data: str = "") -> str:
    """Run a tool; its output. One that fails is an error with all that it said."""
    words = [os.fspath(word) for word in command]
    environment = {**os.environ, "PATH": PROGRAM_PATH, "MTOOLS_SKIP_CHECK": "1", "LC_ALL": "C"}
    done = subprocess.run(words, input=data, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise AssertionError(f"{words}: {done.stdout}{done.stderr}")
    return done.stdout


def make_volume(
    path: pathlib.Path, folder: pathlib.Path, kind: str, size: int, *, uuid: str = UUID, prefix: tuple[str, ...] = ()
) -> None:
    """A file system of *kind* with everything in *folder*; *size* in MiB. XFS has 300 MiB or more.

    :param prefix: of the command, where it needs somebody else's rights to read the files.
    """
    with path.open("wb") as file:
        file.truncate(size * MIB)
    if kind == "xfs":
        prototype = path.with_suffix(".proto")
        prototype.write_text("".join(f"{line}\n" for line in _prototype(folder)))
        run(*prefix, "mkfs.xfs", "-q", "-L", "root", "-m", f"uuid={uuid}", "-p", prototype, path)
        prototype.unlink()
    else:
        run(*prefix, "mke2fs", "-q", "-F", "-t", kind, "-U", uuid, "-L", "root", "-d", folder, path)


def _prototype(folder: pathlib.Path) -> Iterator[str]:
    """The file from which mkfs.xfs fills a volume. It cannot express names with white space: they are left out."""
    yield from ("-", "0 0", "d--755 0 0")
    yield from _described(os.fspath(folder.resolve()))
    yield "$"


def _described(folder: str) -> Iterator[str]:
    for entry in sorted(os.scandir(folder), key=lambda each: each.name):
        status = entry.stat(follow_symlinks=False)
        mode = f"{'u' if status.st_mode & 0o4000 else '-'}{'g' if status.st_mode & 0o2000 else '-'}"
        what = f"{mode}{status.st_mode & 0o777:03o} {status.st_uid} {status.st_gid}"
        if any(char.isspace() for char in entry.path):
            continue
        if entry.is_symlink():
            yield f"{entry.name} l{what} {os.readlink(entry.path)}"
        elif entry.is_dir():
            yield f"{entry.name} d{what}"
            yield from _described(entry.path)
            yield "$"
        elif entry.is_file():
            yield f"{entry.name} -{what} {entry.path}"


def make_esp(path: pathlib.Path, programs: Mapping[str, pathlib.Path | None], size: int = 64) -> None:
    """A FAT volume with boot loaders at these paths, as ``EFI/BOOT/BOOTX64.EFI``; None for one that does nothing."""
    with path.open("wb") as file:
        file.truncate(size * MIB)
    run("mkfs.vfat", "-F", "32", "-n", "EFI", "-i", ESP_UUID.replace("-", ""), path)
    with tempfile.NamedTemporaryFile(dir=path.parent) as program:
        program.write(b"MZ" + bytes(62))
        program.flush()
        made: set[str] = set()
        for each, content in programs.items():
            parts = each.split("/")
            for end in range(1, len(parts)):
                folder = "/".join(parts[:end])
                if folder not in made:
                    run("mmd", "-i", path, f"::/{folder}")
                    made.add(folder)
            run("mcopy", "-i", path, content or program.name, f"::/{each}")


def place(volume: pathlib.Path, disk: pathlib.Path, start: int) -> None:
    """Copy a volume to *start* MiB of a disk; holes stay holes."""
    run("dd", f"if={volume}", f"of={disk}", "bs=1M", f"seek={start}", "conv=notrunc,sparse", "status=none")


def make_physical(path: pathlib.Path, volume: pathlib.Path) -> None:
    """A physical volume of LVM with one logical volume, :data:`GROUP`/:data:`LOGICAL`, of this content."""
    size = volume.stat().st_size
    logical = groups.Logical(name=LOGICAL, segments=[groups.Segment(count=size // groups.EXTENT)])
    identifier = "p" * 32
    with path.open("wb") as file:
        file.truncate(groups.START + size)
        for offset, data in groups.physical_volume(identifier, groups.text(GROUP, [identifier], [logical]), {}).items():
            file.seek(offset)
            file.write(data)
    place(volume, path, groups.START // MIB)


def make_mbr(disk: pathlib.Path, volume: pathlib.Path, type_: str = "83", *, code: bool = True) -> None:
    """A disk with one active partition up to its end, and something where a BIOS starts."""
    size = volume.stat().st_size // MIB
    with disk.open("wb") as file:
        file.truncate((size + 1) * MIB)
    table = f"label: dos\nlabel-id: 0x12345678\nstart=2048,size={size * 2048},type={type_},bootable\n"
    run("sfdisk", "-q", disk, data=table)
    if code:
        with disk.open("r+b") as file:
            file.write(b"\xeb\x63\x90")
    place(volume, disk, 1)


def make_gpt(
    disk: pathlib.Path,
    volume: pathlib.Path,
    programs: Mapping[str, pathlib.Path | None] = PROGRAMS,
    type_: str = GPT_LINUX,
) -> None:
    """A disk with an EFI system partition and another one."""
    size = volume.stat().st_size // MIB
    with disk.open("wb") as file:
        file.truncate((size + 66) * MIB)
    esp = disk.with_suffix(".esp")
    make_esp(esp, programs)
    table = (
        "label: gpt\nlabel-id: 6F1D8E52-8B0E-4A0F-9C1B-7D3A5E2B4C61\n"
        "start=2048,size=131072,type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B\n"
        f"start=133120,size={size * 2048},type={type_}\n"
    )
    run("sfdisk", "-q", disk, data=table)
    place(esp, disk, 1)
    place(volume, disk, 65)
    esp.unlink()


def make_disk(
    disk: pathlib.Path, state: State = GOOD, *, kind: str = "ext4", lvm: bool = False, changes: Files | None = None
) -> pathlib.Path:
    """A disk with that system: MBR for a BIOS, GPT for UEFI. *changes*: files by path, over those of the state."""
    folder = pathlib.Path(tempfile.mkdtemp(dir=disk.parent))
    volume = disk.with_suffix(".volume")
    try:
        trees.write({**files(state), **(changes or {})}, folder)
        make_volume(volume, folder, kind, 320 if kind == "xfs" else 32)
        if lvm:
            make_physical(disk, volume)
            disk.replace(volume)
        if state.efi:
            make_gpt(disk, volume, type_=GPT_LVM if lvm else GPT_LINUX)
        else:
            make_mbr(disk, volume, "8e" if lvm else "83")
    finally:
        shutil.rmtree(folder)
        volume.unlink(missing_ok=True)
    return disk
