"""The kernels of a system, each with its drivers and its initrd."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from xenimage.exceptions import FormatError, LimitError, UnsupportedError
from xenimage.guest.linux import drivers
from xenimage.guest.linux.initrd import list_modules
from xenimage.model.guest.linux import Initrd, Kernel, Presence
from xenimage.streams.forward import Forward
from xenimage.units import KIB

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.guest.linux.initrd import Allowance
    from xenimage.guest.linux.root import Root
    from xenimage.limits import Limits
    from xenimage.model.guest.linux import CommandLine, Driver

KERNELS_MAX = 16
"""kernels that are looked into; the newest"""

_IMAGE = re.compile(r"^(?:vmlinuz|vmlinux|kernel|bzImage|Image|linux)-(?P<version>.+)$")
_NO_IMAGE = (".old", ".sig", ".hmac", ".gz", ".xz", ".bak", ".sha512", ".dpkg-new")
_INITRDS = ("initrd.img-{}", "initramfs-{}.img", "initrd-{}", "initramfs-{}", "initrd-{}.img")
_RESCUE = re.compile(r"(?:^|-)rescue(?:-|$)")
_MACHINE = re.compile(r"[0-9a-f]{32}")
_CHUNK = 512 * KIB

# Linux, Documentation/arch/x86/boot.rst: "HdrS" at 0x202, and at 0x20e where the version stands, less 0x200.
_HEADER_MAGIC = b"HdrS"
_HEADER = 0x202
_VERSION_AT = 0x20E
_HEAD = 64 * KIB


def kernels(root: Root, lines: tuple[CommandLine, ...], limits: Limits, allowance: Allowance) -> Iterator[Kernel]:
    """Yield every kernel, the one that starts first, then the newest.

    :param allowance: what may be unpacked of their initrds.
    """
    images = sorted(set(_images(root)), key=lambda each: natural(each[0]), reverse=True)
    if not images:
        return
    started = _started(images, lines)
    # Rescue kernels have names that sort anywhere.
    images.sort(key=lambda each: (each[1] != started, bool(_RESCUE.search(each[0]))))
    for image in images[:KERNELS_MAX]:
        yield _kernel(root, image, started, lines, limits, allowance)


def natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """A key that sorts numbers in a text by their value."""
    parts = re.findall(r"\d+|[^\d]+", text)
    return tuple((1, int(part[:18]), "") if part[0].isdigit() else (0, 0, part) for part in parts)


def _images(root: Root) -> Iterator[tuple[str, str]]:
    """(suffix or version, path) of what looks like a kernel: in /boot, else where newer distributions have them."""
    found = False
    for name in root.names("boot"):
        match = _IMAGE.match(name)
        if match and not name.endswith(_NO_IMAGE) and root.is_file(f"boot/{name}"):
            found = True
            yield match["version"], f"boot/{name}"
    if not found:
        for path in _elsewhere(root):
            if root.is_file(path):
                yield path.split("/")[-2], path


def _elsewhere(root: Root) -> Iterator[str]:
    for version in root.names("lib/modules"):
        yield f"lib/modules/{version}/vmlinuz"
    # By the Boot Loader Specification, a directory named for the machine.
    for folder in ("boot", "boot/efi", "efi"):
        for machine in root.names(folder):
            if _MACHINE.fullmatch(machine):
                for version in root.names(f"{folder}/{machine}"):
                    yield f"{folder}/{machine}/{version}/linux"


def _started(images: list[tuple[str, str]], lines: tuple[CommandLine, ...]) -> str:
    """The path of the kernel that starts: as the boot loader says, else the newest."""
    by_name = {_tail(path): path for _, path in images}
    for line in lines:
        if line.default and line.kernel and _tail(line.kernel) in by_name:
            return by_name[_tail(line.kernel)]
    usual = [path for suffix, path in images if not _RESCUE.search(suffix)]
    return (usual or [images[0][1]])[0]


def _tail(path: str) -> str:
    """What tells a kernel's path from others', whatever directory a boot loader counts from."""
    parts = path.rsplit("/", 2)
    return "/".join(parts[-2:]) if parts[-1] in ("linux", "vmlinuz") else parts[-1]


def _kernel(
    root: Root,
    image: tuple[str, str],
    started: str,
    lines: tuple[CommandLine, ...],
    limits: Limits,
    allowance: Allowance,
) -> Kernel:
    suffix, path = image
    version = suffix
    if not root.names(f"lib/modules/{suffix}"):
        version = _version_inside(root, path) or suffix
    found = drivers.drivers(root, version)
    where = _initrd_path(root, suffix, version, path, lines)
    return Kernel(
        version=version,
        path=f"/{path}",
        drivers=found,
        initrd=_initrd(root, where, found, limits, allowance) if where else None,
        default=path == started,
        rescue=bool(_RESCUE.search(suffix)),
    )


def _version_inside(root: Root, path: str) -> str:
    """The release that an x86 kernel says of itself; empty for others."""
    head = root.head(path, _HEAD)
    if head[_HEADER : _HEADER + 4] != _HEADER_MAGIC:
        return ""
    at = 0x200 + int.from_bytes(head[_VERSION_AT : _VERSION_AT + 2], "little")
    words = head[at : at + 128].partition(b"\0")[0].decode("ascii", "replace").split()
    return words[0] if words and "/" not in words[0] else ""


def _initrd_path(root: Root, suffix: str, version: str, path: str, lines: tuple[CommandLine, ...]) -> str:
    folder = path.rpartition("/")[0]
    for line in lines:
        if line.initrd and line.kernel and _tail(line.kernel) == _tail(path):
            named = line.initrd.strip("/").removeprefix("boot/")
            found = root.first(f"boot/{named}", f"{folder}/{_tail(named)}", f"boot/efi/{named}", f"efi/{named}")
            if found:
                return found
    names = [each.format(name) for name in dict.fromkeys((suffix, version)) for each in _INITRDS]
    return root.first(*(f"boot/{name}" for name in names), f"{folder}/initrd", f"{folder}/initramfs.img")


def _initrd(root: Root, path: str, found: tuple[Driver, ...], limits: Limits, allowance: Allowance) -> Initrd:
    def read(length: int, offset: int) -> bytes:
        # A hole in the file asks nothing of the disk, which would look at the clock.
        allowance.check()
        return root.tree.part(path, offset, length) or b""

    entry = root.entry(path)
    size = entry.size if entry else 0
    if any(each.name == drivers.BLKFRONT and each.presence is Presence.BUILTIN for each in found):
        return Initrd(path=f"/{path}", size=size)
    try:
        limits.require("guest_file", size, "the size of the initrd")
        listing = list_modules(Forward(read, _CHUNK), drivers.MODULES, frozenset({drivers.BLKFRONT}), allowance)
    except (FormatError, UnsupportedError, LimitError) as error:
        root.notes.add(root.called(path), str(error))
        return Initrd(path=f"/{path}", size=size, unread=str(error))
    return Initrd(path=f"/{path}", size=size, modules=tuple(sorted(listing.modules)), complete=listing.complete)
