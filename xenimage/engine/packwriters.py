"""The forms that a package is written in, and what each makes of the machines and disks that it gets."""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, NamedTuple

from xenimage.containers.ovf.writer import write_ova, write_ovf
from xenimage.containers.ovf.writing import NewPackage, OvfOptions, base_name
from xenimage.containers.xva.writer import XvaOptions, write_xva
from xenimage.engine.diskfiles import DiskFiles, disk_content
from xenimage.engine.planner import clamp_time
from xenimage.engine.resuming import SUFFIX as RESUME_SUFFIX
from xenimage.engine.resuming import Kept, identify
from xenimage.engine.salvage import Blank
from xenimage.exceptions import UsageError
from xenimage.model.disk import DiskFacts
from xenimage.model.packaging import DiskState, WrittenFile
from xenimage.sinks.file import FileSink
from xenimage.units import SECTOR

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from xenimage.containers.ovf.writer import OvfReceipt
    from xenimage.engine.loading import Load
    from xenimage.limits import Limits
    from xenimage.model.disk import Disk
    from xenimage.model.packaging import PackagingOptions
    from xenimage.model.transfer import Progress

_XVA_SUMS = {"sha1": "sha1", "xxhash": "xxh64"}


class Written(NamedTuple):
    """What a writer made."""

    files: tuple[WrittenFile, ...]
    details: tuple[tuple[str, str], ...]


class Work(NamedTuple):
    """What a writer has at hand."""

    load: Load
    options: PackagingOptions
    jobs: int
    limits: Limits
    progress: Progress


def ovf_place(output: str) -> tuple[str, str]:
    """Directory and name of an OVF: *output* is the folder, or the descriptor in it.

    :raises UsageError: the descriptor cannot be called so.
    """
    if not output.lower().endswith(".ovf"):
        return output, ""
    directory, name = os.path.split(output)
    stem = os.path.splitext(name)[0]
    if base_name(stem) != stem:
        raise UsageError(
            f"the name {name!r}", expected="letters, digits, dots and dashes in ASCII, as every importer takes them",
            where=output, tip=f"Call it {base_name(stem)}.ovf.",
        )  # fmt: skip
    return directory or ".", stem


@contextlib.contextmanager
def _sink(options: PackagingOptions) -> Iterator[FileSink]:
    """A file that gets its name when the writer is done."""
    sink = FileSink(options.output, force=options.force)
    try:
        yield sink
        sink.flush()
        sink.commit()
    finally:
        sink.close()


def _content(load: Load) -> dict[str, Disk]:
    """The disks by identifier; those without content are blank: an XVA has no other way to say so."""
    blanks: dict[str, Disk] = {}
    for feed in load.feeds:
        if feed.state is DiskState.EMPTY and feed.size:
            facts = DiskFacts(format="blank", virtual_size=feed.size, granularity=SECTOR, stored_size=0)
            blanks[feed.disk.identifier] = Blank(facts)
    return {**blanks, **load.content}


def _write_xva(work: Work) -> Written:
    options, load = work.options, work.load
    settings = XvaOptions(
        sum=_XVA_SUMS[options.sum], compression=options.compression, jobs=work.jobs, networks=load.networks
    )
    disks = {} if options.metadata_only else _content(load)
    with _sink(options) as sink:
        receipt = write_xva(sink, load.machines, disks, settings, work.progress)
        size = sink.size
    details = (
        ("sum", options.sum), ("compression", options.compression), ("chunks", str(receipt.chunks)),
        ("data", str(receipt.data_size)),
    )  # fmt: skip
    return Written((WrittenFile(path=options.output, size=size),), details)


def _new_package(work: Work, kept: Kept | None) -> NewPackage:
    load, form = work.load, work.options.disk_format
    files = DiskFiles(
        format=form,
        jobs=work.jobs,
        timestamp=clamp_time(work.options.timestamp, int(time.time())),
        forward=work.options.to == "ova" and work.options.compression == "gzip",
    )
    disks = {}
    for feed in load.feeds:
        if not feed.wanted or feed.content is None:
            continue
        content = disk_content(feed.content, files, work.limits, work.progress)
        if kept is not None:
            key = identify(
                feed.files, feed.original, files.format, files.timestamp, content.size, work.options.on_disk_error
            )
            content = kept.content(content, key, feed.content.lost, feed.know_lost)
        disks[feed.disk.identifier] = content
    return NewPackage(machines=load.machines, disks=disks, networks=load.networks)


def _kept(options: PackagingOptions) -> Kept | None:
    return Kept(options.output.rstrip("/") + RESUME_SUFFIX) if options.resume else None


def _ovf_options(work: Work, name: str) -> OvfOptions:
    options = work.options
    return OvfOptions(
        name=name,
        disk_format=options.disk_format,
        digest=options.digest,
        chunk_size=options.chunk_size,
        compress=options.compression == "gzip" and options.to == "ovf",
        compress_archive=options.compression == "gzip" and options.to == "ova",
        sign=options.sign,
        timestamp=clamp_time(options.timestamp, int(time.time())),
        jobs=work.jobs,
    )


def _write_ova(work: Work) -> Written:
    options, kept = work.options, _kept(work.options)
    with _sink(options) as sink:
        receipt = write_ova(sink, _new_package(work, kept), _ovf_options(work, work.load.name), work.progress)
        size = sink.size
    work.load.findings += receipt.findings
    if kept is not None:
        kept.remove()
    return Written((WrittenFile(path=options.output, size=size),), _ovf_details(options, receipt, kept))


def _write_ovf(work: Work) -> Written:
    options = work.options
    directory, name = ovf_place(options.output)
    package = _ovf_options(work, name or work.load.name)
    _refuse_folder(work.load, directory)
    kept = _kept(options)
    receipt = write_ovf(
        directory, _new_package(work, kept), package, work.progress, force=options.force, refuse=work.load.refuse
    )
    work.load.findings += receipt.findings
    if kept is not None:
        kept.remove()
    files = (
        WrittenFile(path=os.path.join(directory, each.name), size=each.size, digest=each.digest)
        for each in receipt.files
    )
    return Written(tuple(files), _ovf_details(options, receipt, kept))


def _refuse_folder(load: Load, directory: str) -> None:
    """Refuse to write beside the files of a package that is read, whose names may be the same."""
    for path in load.folders:
        if os.path.realpath(path) == os.path.realpath(directory):
            raise UsageError("is the folder of the source", expected="another one", where=directory)


def _ovf_details(options: PackagingOptions, receipt: OvfReceipt, kept: Kept | None) -> tuple[tuple[str, str], ...]:
    return (
        ("disks", options.disk_format), ("digest", options.digest), ("signed", "yes" if receipt.signed else "no"),
        ("compression", options.compression), ("data", str(receipt.data_size)),
        *((("resumed", ", ".join(kept.resumed) or "nothing"),) if kept is not None else ()),
    )  # fmt: skip


WRITERS: dict[str, Callable[[Work], Written]] = {"xva": _write_xva, "ova": _write_ova, "ovf": _write_ovf}
"""by what :attr:`xenimage.model.packaging.PackagingOptions.to` says"""
