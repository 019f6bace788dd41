"""What a qcow2 image says of itself, for people."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from xenimage.formats.qcow2 import layout
from xenimage.model.disk import DiskFacts, ParentReference
from xenimage.model.finding import Finding, Severity
from xenimage.units import SECTOR, format_size

if TYPE_CHECKING:
    from xenimage.formats.qcow2.layout import Header
    from xenimage.formats.qcow2.snapshots import Snapshot


@dataclasses.dataclass(kw_only=True)
class Described:
    """What opening gathers, piece by piece."""

    header: Header
    size: int
    """bytes of the file"""
    virtual_size: int = 0
    """bytes of the disk that is shown: whole sectors"""
    backing_name: str = ""
    backing_format: str = ""
    data_file: str = ""
    crypto_header: bool = False
    feature_names: dict[tuple[int, int], str] = dataclasses.field(default_factory=dict)
    """(type, bit) to name, as the image itself calls its features"""
    snapshots: tuple[Snapshot, ...] = ()
    opened: Snapshot | None = None
    """the snapshot that is shown instead of the active state"""


def describe(described: Described) -> DiskFacts:
    """Make the facts. *compressed* is always true: only a walk through all tables could tell that nothing is."""
    parent = None
    if described.backing_name:
        parent = ParentReference(name=described.backing_name, format=described.backing_format)
    return DiskFacts(
        format="qcow2",
        variant=f"v{described.header.version}",
        virtual_size=described.virtual_size,
        granularity=described.header.granularity,
        stored_size=described.size,
        compressed=True,
        parent=parent,
        details=_details(described),
        findings=_findings(described),
    )


def _details(described: Described) -> tuple[tuple[str, str], ...]:
    header = described.header
    details = [
        ("cluster size", format_size(header.cluster_size)),
        ("compression type", layout.COMPRESSION_TYPES.get(header.compression, str(header.compression))),
        ("refcount bits", str(1 << header.refcount_order)),
        ("lazy refcounts", _yes(header.compatible & layout.LAZY_REFCOUNTS)),
        ("extended L2", _yes(header.extended_l2)),
    ]
    if described.backing_name:
        details.append(("backing file", described.backing_name))
        details.append(("backing format", described.backing_format or "not recorded"))
    if header.encryption or described.crypto_header:
        details.append(("encryption", layout.ENCRYPTION_METHODS.get(header.encryption, str(header.encryption))))
    if header.incompatible & layout.EXTERNAL_DATA:
        details.append(("external data file", described.data_file or "not recorded"))
    if described.opened is not None:
        details.append(("opened snapshot", str(described.opened)))
    details += [("snapshot", str(snapshot)) for snapshot in described.snapshots]
    return tuple(details)


def _yes(value: object) -> str:
    return "yes" if value else "no"


def _findings(described: Described) -> tuple[Finding, ...]:
    header = described.header
    findings = []
    if header.incompatible & layout.CORRUPT:
        findings.append(
            Finding(
                code="qcow2.corrupt",
                severity=Severity.WARNING,
                what="The image is marked as corrupt.",
                why="QEMU found overlapping or broken metadata in it: data that is read from it may be wrong.",
                act="Use another copy, or repair a copy with qemu-img check -r all and compare the content.",
            )
        )
    if header.incompatible & layout.DIRTY:
        findings.append(
            Finding(
                code="qcow2.dirty",
                severity=Severity.WARNING,
                what="The image was not closed cleanly: its reference counts may be out of date.",
                why="It may be in use by a running guest, or that guest was killed; its last writes may be missing.",
                act="Make sure that nothing writes to it; qemu-img check -r all brings the counts up to date.",
            )
        )
    active = described.opened.virtual_size if described.opened else header.virtual_size
    if active % SECTOR:
        findings.append(
            Finding(
                code="qcow2.size",
                severity=Severity.WARNING,
                what=f"The virtual size of {active} bytes is no whole number of sectors.",
                why="QEMU cuts the last sector off; here it is kept.",
                act="Nothing, unless the disk's size must agree with what QEMU shows.",
            )
        )
    return tuple(findings)
