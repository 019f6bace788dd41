"""Images that are in a cloud: looked at by their head, checked and saved as they come down, never kept as a copy."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from xenimage.checks.bundle import judge
from xenimage.containers.bundle.check import check_bundle
from xenimage.containers.bundle.forward import NotForwardError, open_forward
from xenimage.containers.bundle.reader import is_gzip, open_bundle, open_bundle_disk
from xenimage.engine import readiness
from xenimage.engine.planner import guest_findings
from xenimage.exceptions import UsageError
from xenimage.formats import registry
from xenimage.formats.vhd.facts import front_facts
from xenimage.formats.vhd.reader import open_vhd
from xenimage.model.image import ImageFacts, RecordReport, SaveReport
from xenimage.model.report import CheckReport, Verdict
from xenimage.profiles.properties import contradictions, named
from xenimage.profiles.record import MIN_DISK, judge_record
from xenimage.sinks.file import FileSink
from xenimage.sources.glance import GlanceSource
from xenimage.units import GIB, MIB

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from xenimage.containers.bundle.reader import Bundle
    from xenimage.limits import Limits
    from xenimage.model.finding import Finding
    from xenimage.model.image import ImageRecord, Images
    from xenimage.model.plan import ConvertOptions
    from xenimage.model.profile import Profile
    from xenimage.model.report import ConvertReport, VhdFacts
    from xenimage.model.transfer import Progress

_PIECE = MIB

BUNDLE = "bundle"
STORED = "stored"
"""the format that leaves an image as it is"""


@contextlib.contextmanager
def opened(images: Images, image: str) -> Iterator[tuple[ImageRecord, GlanceSource]]:
    """Open the data of an image.

    :param image: its id, or its name.
    :raises UsageError: there is no such image, or it has no data.
    """
    record = images.get(image)
    if record.status not in ("active", "deactivated") or not record.size:
        raise UsageError(
            f"the image has no data: it is {record.status}", expected="an active image", where=f"image {record.id}"
        )
    algorithm, digest = record.hash_algorithm, record.hash_value
    if not digest:
        algorithm, digest = "md5", record.checksum
    source = GlanceSource(
        lambda offset: images.download(record.id, offset),
        f"image {record.id}",
        record.size,
        algorithm=algorithm,
        digest=digest,
    )
    try:
        yield record, source
    finally:
        source.close()


def look(images: Images, image: str, limits: Limits) -> ImageFacts:
    """Tell what an image holds by its head; only where that does not tell, by all of it."""
    with opened(images, image) as (record, source):
        if not is_gzip(source):
            disk = registry.open_disk(source, limits)
            return _facts(record, source, disk.facts.format, "", None, disk.facts.virtual_size)
        try:
            leaf = open_forward(source, limits).leaf
            vhd = front_facts(leaf.tables, leaf.member.size)
            return _facts(record, source, BUNDLE, leaf.member.name, vhd, vhd.virtual_size)
        except NotForwardError:
            facts = open_bundle(source, limits).facts()
        first = next((each for each in facts.members if each.name in facts.chain), None)
        name, found = (first.name, first.vhd) if first else ("", None)
        return _facts(record, source, BUNDLE, name, found, facts.virtual_size)


def _facts(
    record: ImageRecord, source: GlanceSource, content: str, member: str, vhd: VhdFacts | None, virtual_size: int
) -> ImageFacts:
    return ImageFacts(
        image=record,
        content=content,
        member=member,
        vhd=vhd,
        virtual_size=virtual_size,
        min_disk=-(-virtual_size // GIB),
        read=source.downloaded,
    )


def check(
    images: Images, image: str, profile: Profile, limits: Limits, progress: Progress, *, inspect: bool = True
) -> CheckReport:
    """Check a stored bundle, its guest and its record.

    It comes down once for its stream, and once more for its VHDs; for the guest in pieces.

    :raises TransferError: what comes is not what the cloud recorded.
    :raises FormatError: it is so damaged that nothing can be said of what it holds, or it is no bundle.
    """
    with opened(images, image) as (record, source):
        bundle = open_bundle(source, limits, progress, scattered=inspect)
        report = check_bundle(bundle, profile, limits, int(time.time()))
        of_guest = _guest_findings(bundle, record, profile, limits) if inspect and _is_whole(report) else ()
    size = report.facts.virtual_size if report.facts else 0
    findings = (*report.findings, *judge_record(record, profile, virtual_size=size).findings, *of_guest)
    return CheckReport(
        path=f"image {record.id}",
        profile=profile.name,
        verdict=judge(findings),
        findings=findings,
        facts=report.facts,
    )


def _is_whole(report: CheckReport) -> bool:
    """Whether there is a disk to look at: a bundle whose VHDs are at fault may show another than it should."""
    return report.facts is not None and bool(report.facts.chain) and report.verdict is not Verdict.NOT_READY


def _guest_findings(bundle: Bundle, record: ImageRecord, profile: Profile, limits: Limits) -> tuple[Finding, ...]:
    """What is to be said of the guest, and of properties that say other than it. The bundle stays open."""
    disk = open_bundle_disk(bundle, open_vhd, limits)
    guest = readiness.look([disk], [f"image {record.id}"], profile, limits)
    return (*guest_findings(guest), *contradictions(record.properties, named(profile, guest.suggestions)))


def judge_properties(
    images: Images, image: str, profile: Profile, wishes: Mapping[str, str], limits: Limits, *, fix: bool
) -> RecordReport:
    """Hold the record of an image against *profile*, and mend it if that is wished.

    :raises UsageError: the cloud does not take a value.
    :raises TransferError: the cloud says no.
    """
    facts = look(images, image, limits)
    record = facts.image
    found = judge_record(record, profile, virtual_size=facts.virtual_size, wishes=wishes)
    fixed = fix and bool(found.changes)
    if fixed:
        values: dict[str, object] = {
            each.name: int(each.after) if each.name == MIN_DISK else each.after
            for each in found.changes
            if each.after is not None
        }
        record = images.update(record.id, values, [each.name for each in found.changes if each.after is None])
    left = judge_record(record, profile, virtual_size=facts.virtual_size).findings if fixed else found.findings
    return RecordReport(
        image=record,
        profile=profile.name,
        verdict=judge(left),
        virtual_size=facts.virtual_size,
        findings=left,
        changes=found.changes,
        fixed=fixed,
    )


def copy(record: ImageRecord, source: GlanceSource, options: ConvertOptions, progress: Progress) -> SaveReport:
    """Write an image as it is stored.

    :raises UsageError: the output may not be replaced.
    :raises TransferError: the download failed, or is not what the cloud recorded; nothing is left of the output.
    """
    started = time.monotonic()
    sink = FileSink(options.output, force=options.force)
    progress.start("download", source.size)
    try:
        for offset in range(0, source.size, _PIECE):
            piece = source.read(offset, min(_PIECE, source.size - offset))
            sink.write([piece])
            progress.advance(len(piece))
        sink.flush()
        sink.commit()
    finally:
        progress.stop()
        sink.close()
    return SaveReport(
        image=record,
        path=options.output,
        format=STORED,
        size=source.size,
        downloaded=source.downloaded,
        proved=source.proved,
        conversion=None,
        seconds=time.monotonic() - started,
    )


def saved(record: ImageRecord, source: GlanceSource, conversion: ConvertReport) -> SaveReport:
    """Tell of an image that was converted as it came down."""
    return SaveReport(
        image=record,
        path=conversion.path,
        format=conversion.format,
        size=conversion.output_size,
        downloaded=source.downloaded,
        proved=source.proved,
        conversion=conversion,
        seconds=conversion.seconds,
    )
