"""Bounds on every number that is read from a file before it becomes a seek, an allocation or a loop."""

from __future__ import annotations

import dataclasses

from xenimage.exceptions import LimitError
from xenimage.units import GIB, KIB, MIB, TIB


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
    """What a file may ask of us. The defaults are strict; an operator may set others in the configuration."""

    virtual_size: int = 16 * TIB
    """bytes that a disk may show to its guest"""
    table_size: int = 64 * MIB
    """bytes of one table that is held in memory: a BAT, an L1 table, a grain directory"""
    descriptor_size: int = 1 * MIB
    """bytes of a text descriptor"""
    xml_size: int = 10 * MIB
    """bytes of an XML descriptor: an OVF's envelope, an XVA's ``ova.xml``"""
    xml_nodes: int = 400_000
    """elements and attributes of one, which take about 250 bytes of memory each"""
    xml_depth: int = 64
    """elements of one that stand within each other"""
    cluster_size: int = 2 * MIB
    """bytes of one cluster, grain or block after inflating"""
    chain_depth: int = 32
    """disks in a chain, the leaf included"""
    extents: int = 4096
    """files that one disk may consist of"""
    snapshots: int = 4096
    """internal snapshots of one disk"""
    members: int = 64
    """members of a bundle"""
    ova_members: int = 16384
    """tar headers of an OVA: one or two for each file, or for each piece of one"""
    xva_members: int = 1 << 23
    """tar headers of an XVA: two for each mebibyte that it stores, so for 4 TiB"""
    keepalives: int = 65536
    """empty chunks of an XVA, one for every five seconds that its writer had nothing to say"""
    expansion: int = 1100
    """bytes of guest data for one stored byte; deflate itself ends at 1032"""
    inflation: int = 64
    """bytes of guest data for one byte of a disk with compressed clusters, where these are more than a few GiB"""
    ranges: int = 500_000
    """ranges of data and of none, in turn, that a disk may consist of: the work of walking over it"""
    blocks: int = 1 << 21
    """blocks that a VHD may store: as many as its largest size has of 1 MiB, half of the usual"""
    holes: int = 65536
    """tables of a disk that may stand in holes of its file, where they cost nothing and say nothing"""
    scratch: int = 64 * KIB
    """bytes that are read to tell one format from another"""
    bundle_size: int = 16 * 2048 * GIB
    """bytes of a bundle after inflating"""
    guest_time: int = 30
    """seconds that looking into a guest's disks may take"""
    guest_memory: int = 512 * MIB
    """bytes of memory, as addresses, for the process that looks into a guest's disks"""
    guest_bytes: int = 256 * MIB
    """bytes that are read of a guest's disks to look into them"""
    guest_file: int = 300 * MIB
    """bytes of one file of a guest: a registry hive, an initrd"""
    guest_entries: int = 100_000
    """names in one directory of a guest"""
    guest_links: int = 40
    """symbolic links on the way to one file of a guest"""

    def require(self, name: str, value: int, what: str) -> int:
        """Give *value* back if it keeps the bound called *name*.

        :param what: what the number counts, for the message.
        :raises LimitError: it does not; the text names the limit and its value.
        """
        bound: int = getattr(self, name)
        if value > bound:
            raise LimitError(
                f"{what} is {value}",
                expected=f"at most {bound} (limit {name})",
                tip=f"If you trust the file, raise {name} in the [limits] section of the configuration.",
            )
        return value


STRICT = Limits()
