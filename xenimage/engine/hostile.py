"""Images that must be refused: small, and each with one thing wrong that has been used, or could be, against a cloud.

None does harm by lying there; what harms is a program that believes it. References: CVE-2022-47951 (flat VMDK),
CVE-2024-32498 (qcow2 data file), CVE-2015-5163 (backing file).
"""

from __future__ import annotations

import gzip
import io
import tarfile
from typing import TYPE_CHECKING

from xenimage.formats.qcow2 import layout
from xenimage.formats.qcow2.writer import NewQcow2, Qcow2Writer, Run
from xenimage.sinks.file import FileSink
from xenimage.streams.compress import deflate_raw
from xenimage.units import GIB, MIB, SECTOR

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET = "/etc/passwd"  # noqa: S105
"""the file of the host that images name: it exists everywhere, and its content is easily recognised"""
BOMB_SIZE = 8 * GIB
_CLUSTER = 2 * MIB

_FLAT = f"""\
# Disk DescriptorFile
version=1
CID=fffffffe
parentCID=ffffffff
createType="monolithicFlat"

# Extent description
RW {{sectors}} FLAT "{SECRET}" 0

# The Disk Data Base
#DDB
ddb.virtualHWVersion = "4"
ddb.geometry.cylinders = "1"
ddb.geometry.heads = "16"
ddb.geometry.sectors = "63"
ddb.adapterType = "ide"
"""


def backing_file(sample: bytes) -> bytes:
    """A qcow2 image that is a layer over a file of the host."""
    head = layout.pack_header(layout.parse_header(sample), SECRET.encode(), b"raw")
    return head + sample[len(head) :]


def data_file(sample: bytes) -> bytes:
    """A qcow2 image whose clusters stand in a file of the host."""
    name = SECRET.encode()
    extension = layout.DATA_FILE_NAME.to_bytes(4, "big") + len(name).to_bytes(4, "big") + name.ljust(16, b"\0")
    head = bytearray(sample[: layout.HEADER_WRITTEN])
    head[79] |= layout.EXTERNAL_DATA
    rest = sample[layout.HEADER_WRITTEN :]
    # The extension goes in front of the others, and as many zeros of the first cluster are left out behind them.
    end = (1 << layout.parse_header(sample).cluster_bits) - layout.HEADER_WRITTEN
    return bytes(head) + extension + rest[: end - len(extension)] + rest[end:]


def flat_vmdk(sample: bytes) -> bytes:
    """A VMDK that is a text, and names a file of the host as its data."""
    return _FLAT.format(sectors=layout.parse_header(sample).virtual_size // SECTOR).encode()


def cut_short(sample: bytes) -> bytes:
    """The first half: an upload that broke off."""
    return sample[: len(sample) // 2]


def entry_outside(sample: bytes) -> bytes:
    """A qcow2 image whose L1 table leads far beyond the end of the file."""
    at = layout.parse_header(sample).l1_offset
    return sample[:at] + (layout.COPIED | 1 << 45).to_bytes(8, "big") + sample[at + layout.ENTRY :]


def unchanged(sample: bytes) -> bytes:
    """The sample itself, to be declared as something that it is not."""
    return sample


def linked_bundle(_sample: bytes) -> bytes:
    """A bundle whose disk is a link to a file of the host."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        member = tarfile.TarInfo("0.vhd")
        member.type, member.linkname = tarfile.SYMTYPE, SECRET
        archive.addfile(member)
    return gzip.compress(packed.getvalue(), mtime=0)


def bomb(path: str) -> int:
    """Write a qcow2 image that claims four hundred times the data that it has; its size in bytes."""
    packed = deflate_raw(memoryview(b"\xaa" * _CLUSTER))
    sink = FileSink(path)
    try:
        writer = Qcow2Writer(sink, NewQcow2(virtual_size=BOMB_SIZE, cluster_size=_CLUSTER, compression="zlib"))
        for number in range(BOMB_SIZE // _CLUSTER):
            writer.add([Run(number, packed, packed=True)])
        writer.finish()
        sink.flush()
        sink.commit()
        return sink.size
    finally:
        sink.close()


MAKERS: dict[str, Callable[[bytes], bytes]] = {
    "qcow2-backing-file": backing_file,
    "qcow2-data-file": data_file,
    "qcow2-cut-short": cut_short,
    "qcow2-entry-outside": entry_outside,
    "qcow2-as-raw": unchanged,
    "qcow2-as-vmdk": unchanged,
    "qcow2-as-bundle": unchanged,
    "vmdk-flat": flat_vmdk,
    "bundle-link": linked_bundle,
}
"""by the name in the kit: from the bytes of the sample, a sound qcow2 image, to those of the hostile one"""
