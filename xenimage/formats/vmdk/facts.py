"""What is told of a VMDK: its facts and the findings that opening it gave."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.formats.base import occupied
from xenimage.formats.vmdk.layout import FLAG_COMPRESSED
from xenimage.model.disk import DiskFacts, ParentReference
from xenimage.model.finding import Finding, Severity
from xenimage.units import SECTOR, format_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xenimage.formats.vmdk.descriptor import Descriptor
    from xenimage.formats.vmdk.layout import SparseHeader
    from xenimage.formats.vmdk.parts import Part
    from xenimage.model.disk import ByteSource

_KEYS = (
    ("content id", "cid"),
    ("parent content id", "parentcid"),
    ("adapter type", "ddb.adaptertype"),
    ("hardware version", "ddb.virtualhwversion"),
    ("tools version", "ddb.toolsversion"),
    ("tools install type", "ddb.toolsinstalltype"),
    ("thin provisioned", "ddb.thinprovisioned"),
    ("long content id", "ddb.longcontentid"),
    ("uuid", "ddb.uuid"),
    ("change track file", "changetrackpath"),
)


def disk_facts(
    descriptor: Descriptor | None,
    virtual_size: int,
    parts: Sequence[Part],
    sources: Sequence[ByteSource],
    *,
    variant: str = "",
    findings: Sequence[Finding] = (),
) -> DiskFacts:
    """Put the facts together; *parts* is empty for a disk that is not read, *variant* stands in for a createType."""
    granularity = min((part.granularity for part in parts), default=SECTOR)
    return DiskFacts(
        format="vmdk",
        variant=descriptor.create_type if descriptor else variant,
        virtual_size=virtual_size,
        granularity=granularity,
        stored_size=sum(source.size for source in sources),
        occupied=sum(map(occupied, sources)) if any(part.compressed for part in parts) else None,
        compressed=any(part.compressed for part in parts),
        identity=descriptor.content_id if descriptor else "",
        parent=_parent(descriptor) if descriptor else None,
        details=_details(descriptor, granularity, len(parts)),
        findings=tuple(findings),
    )


def _parent(descriptor: Descriptor) -> ParentReference | None:
    if not descriptor.parent_id:
        return None
    name = descriptor.values.get("parentfilenamehint", "")
    return ParentReference(name=name, identity=descriptor.parent_id, format="vmdk")


def _details(descriptor: Descriptor | None, granularity: int, parts: int) -> tuple[tuple[str, str], ...]:
    details: list[tuple[str, str]] = []
    if descriptor:
        details.append(("create type", descriptor.create_type))
        details += [(name, descriptor.values[key]) for name, key in _KEYS if descriptor.values.get(key)]
        details.append(("extents", str(len(descriptor.extents))))
    if parts and granularity > SECTOR:
        details.append(("grain size", format_size(granularity)))
    return tuple(details)


def header_variant(header: SparseHeader) -> str:
    """What a hosted sparse extent without a descriptor is called."""
    return "streamOptimized" if header.flags & FLAG_COMPRESSED else "monolithicSparse"


def no_descriptor(source: ByteSource) -> Finding:
    """The finding for a bare sparse extent."""
    return Finding(
        code="vmdk.no-descriptor",
        severity=Severity.WARNING,
        what="The file is a sparse extent without a descriptor.",
        why="It may be one piece of a larger disk or a delta whose parent has the rest; alone it looks whole.",
        act="Open the descriptor, a small text file beside it, instead.",
        where=source.name,
    )


def other_capacity(source: ByteSource, header: SparseHeader, descriptor: Descriptor) -> Finding:
    """The finding for a descriptor whose extents do not add up to the header's capacity."""
    return Finding(
        code="vmdk.capacity",
        severity=Severity.WARNING,
        what=f"The descriptor tells of {descriptor.sectors} sectors, the header of {header.capacity}; "
        "the header was believed.",
        why="Programs that believe the descriptor show the disk with another size.",
        act="Check that the disk has the size that its guest expects.",
        where=source.name,
    )
