"""What the child does with one image, through the library's door."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import threading
from importlib import metadata
from typing import TYPE_CHECKING, Any, Protocol

from xenimage import api, conf
from xenimage.checks.guest.inspection import NOTHING
from xenimage.exceptions import NotReadyError, TransferError, XenimageError
from xenimage.glance import confinement, mbr, properties, texts
from xenimage.glance.errors import RefusedError, UnusableError
from xenimage.glance.policy import Action
from xenimage.model.finding import Severity
from xenimage.model.plan import (
    CONTRADICTS,
    BundleOptions,
    Compression,
    ConvertOptions,
    GuestOptions,
    SizePolicy,
    SourceOptions,
)
from xenimage.model.report import Verdict
from xenimage.model.transfer import Progress
from xenimage.units import GIB, MIB, format_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from xenimage.glance.request import Request
    from xenimage.limits import Limits
    from xenimage.model.finding import Finding
    from xenimage.model.plan import Plan
    from xenimage.model.profile import Profile
    from xenimage.model.report import CheckReport

_GZIP = b"\x1f\x8b\x08"
_JOBS_MAX = 4
"""threads by default: a service does not take all CPUs of its host for one image"""
_RATIO_FROM = 4 * GIB
"""bytes of data below which no ratio counts"""


class Room(Progress, Protocol):
    """Who watches, and is asked before anything is written."""

    def ask_room(self, needed: int) -> None:
        """Return if *needed* bytes may be written."""


def perform(request: Request, room: Room) -> dict[str, Any]:
    """Do it; what the record of the image shall say afterwards.

    :raises RefusedError: the image is not taken.
    :raises UnusableError: the operator's configuration makes no sense.
    """
    limits = _limits(request)
    with _told(request):
        match Action(request.action):
            case Action.BUNDLE:
                return _bundle(request, limits, room)
            case Action.CHECK:
                return _check(request, limits, room)
            case _:
                return _extract(request, limits, room)


@contextlib.contextmanager
def _told(request: Request) -> Iterator[None]:
    """Turn what the library raises into a refusal."""
    try:
        yield
    except XenimageError as error:
        raise texts.refusal(error, request.source, request.output) from error


def _limits(request: Request) -> Limits:
    """Put the operator's limits for imports over those of the library's own configuration file."""
    try:
        limits = conf.load().limits
        find_profile(request)
    except XenimageError as error:
        raise UnusableError(str(error)) from error
    return dataclasses.replace(
        limits,
        virtual_size=min(limits.virtual_size, request.settings.max_virtual_size),
        inflation=request.settings.max_ratio,
    )


def find_profile(request: Request) -> Profile:
    """Return the target.

    :raises UsageError: there is none of that name. Else as :func:`xenimage.api.profiles`.
    """
    return api.profile(request.settings.profile)


def _bundle(request: Request, limits: Limits, room: Room) -> dict[str, Any]:
    _refuse_packed(request)
    source = SourceOptions(path=request.source, alone=True)
    found = api.show_disk(source, limits=limits)
    if found.format != request.disk_format:
        raise RefusedError(
            f"The image is declared as {request.disk_format}, but its content is {found.format}. Set disk_format to"
            " what it is, and upload it again."
        )
    settings = request.settings
    wanted = properties.wishes(find_profile(request), request.properties, settings)
    options = BundleOptions(
        source=source,
        output=request.output,
        temporary=request.temporary,
        profile=settings.profile,
        properties=tuple(wanted.items()),
        size_policy=SizePolicy(settings.size_policy),
        compression=Compression(settings.compression),
        jobs=_jobs(request),
        digests=(),
        inspect=settings.inspect,
        allow_not_ready=settings.on_not_ready != "fail",
    )
    plan = api.plan_bundle(options, limits=limits)
    _refuse_unready(plan)
    _prepare(request, room, plan.data_size, plan.output_size_max, plan.output_size_max)
    with _source_digest(request) as digest:
        report = api.create_bundle(options, guest=plan.guest, limits=limits, progress=room)
    changed = properties.changed(request.properties, plan.properties)
    changed |= _provenance(found.format, digest, plan.findings) | {"xenimage_profile": settings.profile}
    return {
        "attributes": {
            "disk_format": plan.profile.disk_format,
            "container_format": plan.profile.container_format,
            "size": report.receipt.size,
            "virtual_size": plan.virtual_size,
        },
        "properties": changed,
        "notes": _notes(plan.findings),
    }


def _refuse_unready(plan: Plan) -> None:
    """Refuse before anything is written what the library would refuse when it begins to."""
    if plan.refused:
        raise NotReadyError(f"cannot be a bundle for {plan.profile.name}", findings=plan.findings)


def _refuse_packed(request: Request) -> None:
    if _head(request.source).startswith(_GZIP):
        raise RefusedError(
            f"The image is declared as {request.disk_format}, but it is packed with gzip. Unpack it and upload it"
            " again; if it is a bundle for XenServer, declare it as disk_format vhd and container_format ovf."
        )


def _head(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(mbr.SECTOR)


def _jobs(request: Request) -> int:
    return request.settings.jobs or min(_JOBS_MAX, api.usable_cpus())


def _prepare(request: Request, room: Room, data_size: int, output_size: int, needed: int) -> None:
    """Hold the plan against the operator's bounds, ask for room, and let no file become larger than planned.

    :param output_size: bytes of the largest result.
    :param needed: bytes of it that are no holes.
    """
    stored = os.stat(request.source).st_size
    if data_size > _RATIO_FROM and data_size > request.settings.max_ratio * stored:
        raise RefusedError(
            f"The image holds {format_size(data_size)} of data in a file of {format_size(stored)}; this server allows"
            f" {request.settings.max_ratio} times its size. This is a guard against harmful images. If yours is none,"
            " ask the operator of the cloud."
        )
    most = request.settings.max_output_size
    if most is not None and output_size > most:
        raise RefusedError(
            f"The converted image could become {format_size(output_size)} large; this server allows"
            f" {format_size(most)}. Free and zero unused space in the guest before you export it, or ask the operator"
            " of the cloud."
        )
    room.ask_room(needed)
    confinement.limit_output(max(output_size, MIB))


@contextlib.contextmanager
def _source_digest(request: Request) -> Iterator[list[str]]:
    """Take the source's SHA-256 in a thread of its own while it is converted: the list holds it afterwards.

    A second reading, since a conversion reads neither all of a file nor in its order; what one of the two has read the
    other finds in memory.
    """
    digest: list[str] = []

    def take() -> None:
        with open(request.source, "rb") as file:
            digest.append(hashlib.file_digest(file, "sha256").hexdigest())

    # A daemon: after a refusal nobody waits for it.
    thread = threading.Thread(target=take, name="source-digest", daemon=True)
    thread.start()
    yield digest
    thread.join()
    if not digest:
        raise TransferError("the digest of the source could not be taken", where=request.source)


def _check(request: Request, limits: Limits, room: Room) -> dict[str, Any]:
    try:
        report = api.check_bundle(request.source, profile=request.settings.profile, limits=limits, progress=room)
    except XenimageError as error:
        told = texts.refusal(error, request.source, request.output)
        if isinstance(told, UnusableError):
            raise
        raise RefusedError(
            "The image is declared as a bundle for XenServer (disk_format vhd, container_format ovf), and is none that"
            f" can be used. {told.text} A disk image that is to become one has container_format bare.",
            told.detail,
        ) from error
    findings = (*report.findings, *_guest_findings(request, report, limits))
    verdict = _verdict(findings)
    ready = verdict is not Verdict.NOT_READY
    if not ready and request.settings.on_not_ready == "fail":
        raise texts.refusal(NotReadyError("the bundle is not sound", findings=findings), request.source, request.output)
    return {
        "attributes": {"virtual_size": report.facts.virtual_size} if report.facts else {},
        "properties": {} if ready else {"xenimage_verdict": verdict.value},
        "notes": _notes(findings),
    }


def _guest_findings(request: Request, report: CheckReport, limits: Limits) -> Sequence[Finding]:
    """What is to be said of the guest in a bundle that is sound itself, and of the properties that its image has."""
    if report.verdict is Verdict.NOT_READY or not request.settings.inspect:
        return ()
    given = {name: value for name, value in request.properties.items() if properties.is_users(name)}
    options = GuestOptions(
        sources=(SourceOptions(path=request.source, alone=True),),
        profile=request.settings.profile,
        properties=tuple(given.items()),
    )
    found = api.check_guest(options, limits=limits).findings
    return [each for each in found if each.code != NOTHING and not _is_of_record(each)]


def _is_of_record(finding: Finding) -> bool:
    """Whether it is said of the properties alone, which are not judged where a bundle is stored as it comes."""
    return finding.code.startswith("property.") and not finding.code.endswith(CONTRADICTS)


def _extract(request: Request, limits: Limits, room: Room) -> dict[str, Any]:
    source = SourceOptions(path=request.source, alone=True)
    content = "bundle" if _head(request.source).startswith(_GZIP) else api.show_disk(source, limits=limits).format
    if content not in ("bundle", "vhd"):
        raise RefusedError(
            f"The image is declared as vhd, but its content is {content}. Set disk_format to what it is and"
            " container_format to bare, and upload it again."
        )
    form = request.settings.extract_format
    options = ConvertOptions(
        source=source, output=request.output, temporary=request.temporary, format=form, jobs=_jobs(request)
    )
    plan = api.plan_conversion(options, limits=limits)
    # A raw disk is as large as its guest sees it, but takes no more room than its data.
    needed = plan.data_size + MIB if form == "raw" else plan.output_size_max
    _prepare(request, room, plan.data_size, plan.output_size_max, needed)
    with _source_digest(request) as digest:
        report = api.convert_disk(options, limits=limits, progress=room)
    if form == "raw":
        _refuse_raw(request)
    gone = [name for name in request.settings.extract_remove_properties if name in request.properties]
    return {
        "attributes": {
            "disk_format": form,
            "container_format": "bare",
            "size": report.output_size,
            "virtual_size": report.virtual_size,
        },
        "properties": dict.fromkeys(gone) | _provenance(content, digest, report.findings) | {"xenimage_profile": None},
        "notes": _notes(report.findings),
    }


def _refuse_raw(request: Request) -> None:
    """Refuse a raw disk that others would take for something else, or that Glance would refuse without a word."""
    head = _head(request.output)
    reason = mbr.problem(head) if request.strict_mbr else ""
    if not reason and (head.startswith(_GZIP) or not _is_plain(request.output)):
        reason = "whoever opens it would take it for an image of another format"
    if reason:
        raise RefusedError(
            f"The disk in the image cannot be stored as raw: {reason}. As qcow2 it could be: ask the operator of the"
            " cloud, or convert it yourself (xenimage disk convert --format qcow2).",
            "extract_format = qcow2 in [xenimage] would take it",
        )


def _is_plain(path: str) -> bool:
    try:
        return api.show_disk(SourceOptions(path=path, alone=True)).format == "raw"
    except XenimageError:
        return False


def _provenance(form: str, digest: list[str], findings: Iterable[Finding]) -> dict[str, str]:
    return {
        "xenimage_source_format": form,
        "xenimage_source_sha256": digest[0],
        "xenimage_verdict": _verdict(findings).value,
        "xenimage_version": _version(),
    }


def _verdict(findings: Iterable[Finding]) -> Verdict:
    found = {finding.severity for finding in findings}
    if Severity.ERROR in found:
        return Verdict.NOT_READY
    return Verdict.USABLE if Severity.WARNING in found else Verdict.SOUND


def _version() -> str:
    try:
        return metadata.version("xenimage")
    except metadata.PackageNotFoundError:
        return "unknown"


def _notes(findings: Iterable[Finding]) -> list[str]:
    return [f"{finding.code}: {finding.what}" for finding in findings]
