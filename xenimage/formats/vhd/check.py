"""All opinions on one VHD: what vhd-util, tapdisk, XAPI, Xen Orchestra or qemu would refuse, or get wrong unnoticed."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Literal

from xenimage.formats.vhd.checks import bat, batmap, blocks, footer, header, parent
from xenimage.formats.vhd.checks.tables import read_tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.formats.vhd.checks.tables import Tables
    from xenimage.limits import Limits
    from xenimage.model.disk import ByteSource
    from xenimage.model.finding import Finding

    Role = Literal["only", "leaf", "middle", "base", "alone"]
    """the place in a chain: what the guest sees, a disk between, the lowest. ``only``: a leaf that needs no parents.
    ``alone``: nobody says whether it has children or parents"""


def check_vhd(source: ByteSource, limits: Limits, *, now: int, role: Role) -> list[Finding]:
    """Find all faults of one VHD, also behind the first.

    Reads the tables, then the bitmaps in file order, and the data of partly written blocks only: a source that is
    cheap to read forward is read once.

    :param now: Unix seconds that timestamps are compared with.
    :param role: the disk's place in its chain, see ``Role``.
    :raises TransferError: the source failed. Damage is never an error here.
    """
    tables = read_tables(source, limits)
    return [dataclasses.replace(found, where=source.name) for found in _judge(tables, limits, now, role)]


def _judge(tables: Tables, limits: Limits, now: int, role: Role) -> Iterator[Finding]:
    yield from footer.check_copies(tables)
    yield from footer.check_fields(tables, now)
    yield from footer.check_role(tables, role)
    yield from header.check_creator(tables)
    yield from header.check_sizes(tables)
    yield from header.check_header(tables, limits)
    yield from batmap.check_batmap(tables)
    yield from parent.check_parent(tables, role, now)
    yield from bat.check_bat(tables)
    yield from bat.check_alignment(tables)
    yield from blocks.check_blocks(tables)
