"""Which format a file is of, told by its content alone, and the way to its reader.

The table is closed on purpose: its entries parse hostile bytes. A file counts as raw only if it is of no other format,
known here or foreign; a file that two formats match is refused, for another program may take it for the other one.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, NamedTuple

from xenimage.exceptions import FormatError, UnsafeError, UnsupportedError, UsageError
from xenimage.formats.qcow2.opening import open_qcow2
from xenimage.formats.raw import open_raw
from xenimage.formats.vhd import layout as vhd
from xenimage.formats.vhd.reader import open_vhd
from xenimage.formats.vmdk.reader import open_vmdk
from xenimage.units import KIB, SECTOR

if TYPE_CHECKING:
    from collections.abc import Callable

    from xenimage.limits import Limits
    from xenimage.model.disk import ByteSource, Disk

RAW = "raw"
NAMES = ("qcow2", "vmdk", "vhd", RAW)
"""the formats that are read, as options name them"""

_VMDK_MAGICS = (b"KDMV", b"COWD", b"\xbe\xba\xfe\xca\0\0\0\0")
"""hosted sparse, ESX 2 sparse, and seSparse, whose magic is 0xcafebabe as a little-endian 64-bit number"""
_VMDK_DESCRIPTOR = b"disk descriptorfile"
_VHD_COOKIES = (b"conectix", b"v_poison")
_HEAD_MIN = 4 * KIB
"""bytes that are looked at, whatever the limit scratch says: with fewer, a disk of any format would pass for raw"""
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def _is_qcow2(head: bytes, _tail: bytes, _size: int) -> bool:
    # Version 1 too: its reader says better than anyone here why it does not read it.
    return head.startswith(b"QFI\xfb")


def _is_vmdk(head: bytes, _tail: bytes, _size: int) -> bool:
    if head.startswith(_VMDK_MAGICS):
        return True
    for line in head[: 4 * KIB].removeprefix(_BYTE_ORDER_MARK).splitlines():
        text = line.strip()
        if text and not text.startswith(b"#"):
            return False
        if text[1:].strip().lower().startswith(_VMDK_DESCRIPTOR):
            return True
    return False


def _is_vhd(head: bytes, tail: bytes, size: int) -> bool:
    if head.startswith(_VHD_COOKIES) or tail.startswith(_VHD_COOKIES):
        return True
    # Old Virtual PC left the last byte of the footer out.
    return size % SECTOR == SECTOR - 1 and tail[1:].startswith(_VHD_COOKIES)


_MATCHERS: dict[str, Callable[[bytes, bytes, int], bool]] = {"qcow2": _is_qcow2, "vmdk": _is_vmdk, "vhd": _is_vhd}


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Foreign:
    """A format that is recognised to be refused."""

    name: str
    magic: bytes
    offset: int = 0
    tip: str


_CONVERT = "Convert it first, for example: qemu-img convert -O qcow2 {name} disk.qcow2."
_UNPACK = "Unpack it, and give the disk image inside."
_FOREIGN = (
    _Foreign(name="VHDX", magic=b"vhdxfile", tip=_CONVERT),
    _Foreign(name="VDI", magic=b"\x7f\x10\xda\xbe", offset=0x40, tip=_CONVERT),
    _Foreign(name="QED", magic=b"QED\0", tip=_CONVERT),
    _Foreign(name="Parallels", magic=b"WithoutFreeSpace", tip=_CONVERT),
    _Foreign(name="Parallels", magic=b"WithouFreSpacExt", tip=_CONVERT),
    _Foreign(
        name="LUKS",
        magic=b"LUKS\xba\xbe",
        tip="Decrypt it, or use --source-format raw if the guest itself is to unlock it.",
    ),
    _Foreign(
        name="gzip", magic=b"\x1f\x8b\x08", tip="Use disk convert if it is a bundle; if not, unpack it with gzip -d."
    ),
    _Foreign(name="xz", magic=b"\xfd7zXZ\0", tip="Unpack it with xz -d."),
    _Foreign(name="zstd", magic=b"\x28\xb5\x2f\xfd", tip="Unpack it with zstd -d."),
    _Foreign(name="bzip2", magic=b"1AY&SY", offset=4, tip="Unpack it with bzip2 -d."),
    _Foreign(name="zip", magic=b"PK\x03\x04", tip=_UNPACK),
    _Foreign(name="7z", magic=b"7z\xbc\xaf\x27\x1c", tip=_UNPACK),
    _Foreign(name="tar", magic=b"ustar", offset=257, tip=_UNPACK),
)


def _foreign(head: bytes) -> _Foreign | None:
    return next((one for one in _FOREIGN if head.startswith(one.magic, one.offset)), None)


def foreign(head: bytes) -> str | None:
    """Name of the format that *head*, the first kilobyte of a file or more, shows and that is not read here."""
    found = _foreign(head)
    return found.name if found else None


class Shown(NamedTuple):
    """A format that a file shows."""

    name: str
    tip: str = ""
    """what to do with a file of a format that is not read here"""


def _shown(source: ByteSource, limits: Limits) -> tuple[list[str], _Foreign | None]:
    """The formats of :data:`NAMES` that *source* shows, raw not among them, and the one that is not read here."""
    head = source.read(0, min(source.size, max(limits.scratch, _HEAD_MIN)))
    tail = source.read(max(0, source.size - SECTOR), min(source.size, SECTOR))
    return [name for name, matches in _MATCHERS.items() if matches(head, tail, source.size)], _foreign(head)


def shown(source: ByteSource, limits: Limits) -> tuple[Shown, ...]:
    """All formats that *source* shows, also such as are not read here; none for raw, and for nothing at all.

    For messages about a file that should be something else. Reads as :func:`detect`.
    """
    known, other = _shown(source, limits)
    foreign = [Shown(other.name, other.tip.format(name=source.name))] if other else []
    return (*(Shown(name) for name in known), *foreign)


def detect(source: ByteSource, limits: Limits) -> str:
    """Tell the format of *source*: one of :data:`NAMES`. Reads its start and its last 512 bytes.

    :raises FormatError: the file is empty.
    :raises UnsupportedError: it is of a known format that is not read here, or is packed.
    :raises UnsafeError: two formats match.
    """
    if source.size == 0:
        raise FormatError("is empty", expected="a disk image", where=source.name)
    known, other = _shown(source, limits)
    names = known + ([other.name] if other else [])
    if len(names) > 1:
        raise UnsafeError(
            f"is {' and '.join(names)} at once",
            expected="one format",
            where=source.name,
            tip=f"If you trust the file, say what it is: --source-format {known[0]}.",
        )
    if other:
        raise UnsupportedError(
            f"is of the format {other.name}",
            expected=f"one of {', '.join(NAMES)}",
            where=source.name,
            tip=other.tip.format(name=source.name),
        )
    return known[0] if known else RAW


def _refuse_headless(source: ByteSource) -> None:
    """Refuse a VHD that has lost both footers: taken for raw, its tables would become the start of the guest's disk."""
    place = vhd.FOOTER_SIZE
    if source.size >= place + vhd.HEADER_SIZE and source.read(place, len(vhd.HEADER_COOKIE)) == vhd.HEADER_COOKIE:
        raise FormatError(
            f"has the header of a VHD at {place:#x} and no footer",
            expected="a footer at its start or end",
            where=source.name,
            tip="Mend it: xenimage disk repair FILE --output NEW. If it is raw all the same: --source-format raw.",
        )


def open_disk(
    source: ByteSource,
    limits: Limits,
    *,
    format: str | None = None,  # noqa: A002
    snapshot: str | None = None,
    open_extent: Callable[[str], ByteSource] | None = None,
) -> Disk:
    """Open *source* as a disk, which closes it; if this raises, the caller closes it.

    :param format: one of :data:`NAMES`, in place of detection.
    :param snapshot: id or name of an internal snapshot of a qcow2.
    :param open_extent: opens a further file of a VMDK, given its bare name.
    :raises UsageError: no such format, or a snapshot of a format that has none.
    :raises FormatError: *source* is not of the format given, or breaks its rules. Else as :func:`detect`, and as the
        readers: UnsupportedError, UnsafeError, TransferError.
    """
    if format is not None and format not in NAMES:
        raise UsageError(f"{format!r} is no format", expected=f"one of {', '.join(NAMES)}")
    name = format or detect(source, limits)
    if format is None and name == RAW:
        _refuse_headless(source)
    if snapshot is not None and name != "qcow2":
        raise UsageError(
            f"the snapshot {snapshot!r} of a {name} is asked for", expected="a qcow2 image", where=source.name
        )
    match name:
        case "qcow2":
            return open_qcow2(source, limits, snapshot=snapshot)
        case "vmdk":
            return open_vmdk(source, limits, open_extent=open_extent)
        case "vhd":
            return open_vhd(source, limits)
        case _:
            return open_raw(source, limits)
