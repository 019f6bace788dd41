"""Packages written from packages and disk images: what is wanted is decided first, then each disk is read once.

Where a disk fails while it is read, and may be left out, the output is begun again without it: what describes the
package stands in front of the disks, and names them all.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING

from xenimage.engine.loading import loaded
from xenimage.engine.outfitting import check_wishes
from xenimage.engine.packwriters import WRITERS, Work, Written, ovf_place
from xenimage.exceptions import NotReadyError, UsageError, XenimageError
from xenimage.model.packaging import (
    PACKAGE_COMPRESSIONS,
    PACKAGE_DIGESTS,
    PACKAGE_DISKS,
    PACKAGE_OUTPUTS,
    PACKAGE_SUMS,
    DiskState,
    MachineWishes,
    OnDiskError,
    PackagingReport,
)
from xenimage.sinks.file import FileSink, check_target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from xenimage.engine.loading import Load
    from xenimage.limits import Limits
    from xenimage.model.packaging import PackagingOptions
    from xenimage.model.transfer import Progress

LOST_SUFFIX = ".lost.txt"
"""behind the name of the output: the list of the ranges that could not be read"""
_LOST_HEAD = "# xenimage: ranges that could not be read; they are zeros. disk, offset, length (bytes), why\n"
_ONLY = (
    ("sum", PACKAGE_SUMS[0], "--sum", ("xva",)),
    ("digest", PACKAGE_DIGESTS[0], "--digest", ("ovf", "ova")),
    ("disk_format", PACKAGE_DISKS[0], "--disk-format", ("ovf", "ova")),
    ("chunk_size", None, "--chunk-size", ("ovf", "ova")),
    ("sign", None, "--sign", ("ovf", "ova")),
    ("compression", PACKAGE_COMPRESSIONS[0], "--compress", ("ovf", "ova", "xva")),
    ("metadata_only", False, "--metadata-only", ("ovf", "ova", "xva")),
)
"""options, their defaults, what messages call them, and the targets that have them"""


def check_options(options: PackagingOptions) -> None:
    """Refuse wishes that make no sense, before anything is opened.

    :raises UsageError: no such target, something that it does not have, an output that cannot be written.
    """
    if options.to not in PACKAGE_OUTPUTS:
        raise UsageError(f"cannot write {options.to!r}", expected=f"one of {', '.join(PACKAGE_OUTPUTS)}")
    if options.output == "-":
        raise UsageError("a package cannot go to standard output", expected="a file")
    check_wishes(options.wishes)
    for name, default, option, targets in _ONLY:
        if getattr(options, name) != default and options.to not in targets:
            raise UsageError(f"{option} is asked for, which {options.to} does not have", expected=" or ".join(targets))
    if options.to == "bundle" and options.wishes != MachineWishes():
        raise UsageError(
            "the machine is to be changed, of which a bundle holds nothing",
            expected="ovf, ova or xva",
            tip="What a cloud has to know of the machine are image properties: --property NAME=VALUE.",
        )
    if options.resume and options.to not in ("ovf", "ova"):
        raise UsageError(
            f"--resume, and the disks of {options.to} are no files that could be kept", expected="--to ovf or ova"
        )
    if options.to == "ova" and options.compression == "zstd":
        raise UsageError("an OVA packed with zstd", expected="--compress gzip")
    if options.to == "ovf" and options.compression == "zstd":
        raise UsageError("disks of an OVF packed with zstd", expected="--compress gzip")
    if options.metadata_only and options.replace:
        raise UsageError("disks are to be replaced, and none written", expected="--metadata-only or --replace-disk")


def make(
    options: PackagingOptions, jobs: int, limits: Limits, progress: Progress, *, dry_run: bool = False
) -> PackagingReport:
    """Write a package, or tell what would be written.

    :param jobs: threads to use where the options do not say.
    :raises UsageError: wishes that make no sense, or do not fit the source.
    :raises FormatError: a source is damaged, and that is not allowed.
    :raises TransferError: a disk cannot be read, or the output not be written; nothing is left of it.
    """
    started = time.monotonic()
    check_options(options)
    write = WRITERS[options.to]
    if options.to == "ovf":
        ovf_place(options.output)
    else:
        check_target(options.output, force=options.force or dry_run)
    with opened(options, limits, progress, dry_run=dry_run) as load:
        if dry_run:
            return report(load, options, started)
        work = Work(load, options, options.jobs or jobs, limits, progress)
        written = persistent(load, options, lambda: write(work))
        lost_list = write_lost(load, options)
        return report(load, options, started, written, lost_list)


@contextlib.contextmanager
def opened(options: PackagingOptions, limits: Limits, progress: Progress, *, dry_run: bool) -> Iterator[Load]:
    """Open the sources and their disks, proved as far as they can be; there is something to write.

    :raises XenimageError: as :func:`make`.
    """
    with loaded(options, limits) as load:
        load.refuse(options.output)
        if options.on_disk_error is OnDiskError.SALVAGE:
            _check_list(load, options)
        if not dry_run:
            load.prove(progress)
        load.open_disks()
        _require_something(load, options)
        yield load


def persistent(load: Load, options: PackagingOptions, write: Callable[[], Written]) -> Written:
    """Write, and begin again without the disks that failed, as long as that is allowed."""
    while True:
        try:
            return write()
        except XenimageError as error:
            if not load.drop_failed():
                _advise(load, error)
                raise
        _require_something(load, options)


def _advise(load: Load, error: XenimageError) -> None:
    for feed in load.feeds:
        if feed.content is not None and feed.content.failure is error:
            ways = f"--on-disk-error salvage or skip, or --replace-disk {feed.number}=FILE"
            error.tip = f"{error.tip} To go on all the same: {ways}.".strip()


def _require_something(load: Load, options: PackagingOptions) -> None:
    """Refuse a package whose disks all failed: what is left is no machine that anybody asked for.

    :raises NotReadyError: no disk is left, though none was to be left out.
    """
    failed = [feed for feed in load.feeds if feed.state is DiskState.SKIPPED]
    if not options.metadata_only and failed and len(failed) == len(load.feeds) > len(options.skip):
        raise NotReadyError(
            "no disk of it can be read",
            findings=load.all_findings(),
            expected="one at least",
            where=", ".join(source.path for source in options.sources),
            tip="To write what describes the machines alone: --metadata-only.",
        )


def report(
    load: Load, options: PackagingOptions, started: float, written: Written | None = None, lost_list: str = ""
) -> PackagingReport:
    """What was written, or would be.

    :param started: seconds of the monotonic clock.
    """
    return PackagingReport(
        sources=tuple(source.path for source in options.sources),
        path=options.output,
        kind=options.to,
        written=written is not None,
        machines=load.machines,
        disks=tuple(feed.report() for feed in load.feeds),
        files=written.files if written else (),
        findings=load.all_findings(),
        details=written.details if written else (),
        lost_list=lost_list,
        seconds=time.monotonic() - started,
    )


# What is lost


def _list_path(options: PackagingOptions) -> str:
    return options.output.rstrip("/") + LOST_SUFFIX


def _check_list(load: Load, options: PackagingOptions) -> None:
    """Refuse to put the list of what is lost in the place of a file that is none.

    :raises UsageError: there is such a file, and it may not be replaced; or it is read.
    """
    path = _list_path(options)
    load.refuse(path)
    if os.path.lexists(path) and not _is_list(path):
        check_target(path, force=options.force)


def _is_list(path: str) -> bool:
    with contextlib.suppress(OSError, UnicodeDecodeError), open(path, encoding="utf-8") as file:
        return file.readline(len(_LOST_HEAD) + 1) == _LOST_HEAD
    return False


def write_lost(load: Load, options: PackagingOptions) -> str:
    """List the lost ranges in a file beside the output; its path, or nothing where none is lost."""
    path = _list_path(options)
    lines = [
        f"{feed.number}\t{each.offset}\t{each.length}\t{' '.join(each.why.split())}\n"
        for feed in load.feeds
        for each in feed.report().lost
    ]
    if not lines:
        _remove_old_list(path)
        return ""
    sink = FileSink(path, force=True)
    try:
        sink.write([line.encode(errors="surrogateescape") for line in (_LOST_HEAD, *lines)])
        sink.flush()
        sink.commit()
    finally:
        sink.close()
    return path


def _remove_old_list(path: str) -> None:
    """Remove the list of the package that was replaced: it would accuse the new one."""
    if _is_list(path):
        with contextlib.suppress(OSError):
            os.unlink(path)
