"""A whole bundle: from the plan to a file under its name, with its digests, and read back if wished."""

from __future__ import annotations

import logging
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from xenimage.containers.bundle.check import check_bundle
from xenimage.containers.bundle.reader import open_bundle, open_bundle_disk
from xenimage.engine.compare import compare
from xenimage.engine.opener import refuse_output
from xenimage.engine.runner import run
from xenimage.exceptions import NotReadyError, UsageError
from xenimage.formats.vhd.layout import BLOCK_SIZE
from xenimage.formats.vhd.reader import open_vhd
from xenimage.model.report import BundleReport, Verdict
from xenimage.model.transfer import Receipt
from xenimage.sinks.file import FileSink, check_target
from xenimage.sinks.pipe import PipeSink
from xenimage.sources.file import FileSource
from xenimage.streams.digest import digest_file

if TYPE_CHECKING:
    from xenimage.engine.runner import Outcome
    from xenimage.limits import Limits
    from xenimage.model.disk import Disk
    from xenimage.model.plan import BundleOptions, Plan
    from xenimage.model.transfer import Progress

LOG = logging.getLogger(__name__)

PIPE = "-"


def make(plan: Plan, disk: Disk, limits: Limits, progress: Progress) -> BundleReport:
    """Write the bundle of *plan* from *disk*.

    :raises NotReadyError: the finished bundle was read back and is not what it should be; it was removed.
    :raises TransferError: the output cannot be written; nothing is left of it.
    """
    started = time.monotonic()
    LOG.info("%s: at most %d bytes of data, %d threads", plan.options.output, plan.data_size, plan.jobs)
    if plan.options.output == PIPE:
        outcome, receipt = _to_pipe(plan, disk, progress)
    else:
        outcome, receipt = _to_file(plan, disk, limits, progress)
    LOG.info("%s: %d bytes, vhd %s, %s", receipt.path, receipt.size, outcome.uuid, outcome.compressor)
    return BundleReport(
        plan=plan,
        receipt=receipt,
        uuid=outcome.uuid,
        vhd_size=outcome.vhd_size,
        data_size=outcome.stored * BLOCK_SIZE,
        zero_size=outcome.zero * BLOCK_SIZE,
        seconds=time.monotonic() - started,
        compressor=outcome.compressor,
        verified=plan.options.verify,
    )


def _to_pipe(plan: Plan, disk: Disk, progress: Progress) -> tuple[Outcome, Receipt]:
    sink = PipeSink(sys.stdout.fileno(), "standard output", plan.options.digests)
    outcome = run(plan, disk, sink, progress)
    return outcome, Receipt(path=PIPE, size=sink.size, **sink.digests())


def _to_file(plan: Plan, disk: Disk, limits: Limits, progress: Progress) -> tuple[Outcome, Receipt]:
    sink = FileSink(plan.options.output, force=plan.options.force)
    try:
        outcome = run(plan, disk, sink, progress)
        with ThreadPoolExecutor(1, "flush") as pool:
            flushed = pool.submit(sink.flush)
            digests = _digests(plan, sink, progress)
            flushed.result()
        if plan.options.verify:
            _verify(plan, sink, disk, limits, progress)
        sink.commit()
        return outcome, Receipt(path=plan.options.output, size=sink.size, **digests)
    finally:
        sink.close()


def _digests(plan: Plan, sink: FileSink, progress: Progress) -> dict[str, str]:
    progress.start("checksums", sink.size)
    try:
        return digest_file(plan.options.digests, sink.read_into, sink.size, plan.jobs, progress.advance)
    finally:
        progress.stop()


def _verify(plan: Plan, sink: FileSink, disk: Disk, limits: Limits, progress: Progress) -> None:
    """Read the finished file with the eyes of a consumer, before it gets its name."""
    source = FileSource(sink.duplicate(), plan.options.output)
    try:
        bundle = open_bundle(source, limits, progress)
        report = check_bundle(bundle, plan.profile, limits, int(time.time()))
        if report.verdict is Verdict.NOT_READY:
            raise NotReadyError("the bundle just written is not sound", findings=report.findings, where=source.name)
        comparison = compare(disk, open_bundle_disk(bundle, open_vhd, limits), limits, progress)
        if not comparison.equal:
            raise NotReadyError(
                f"the bundle just written differs from its source at {comparison.first_difference:#x}",
                where=source.name,
                tip="Was the source changed meanwhile? If not, this is a fault of this machine or of xenimage.",
            )
    finally:
        source.close()


def check_output(options: BundleOptions) -> None:
    """Refuse, before anything is opened, an output that could not be written in the end.

    :raises UsageError: it is a named source, exists already, or has no directory; or a pipe shall be read back.
    """
    if options.output != PIPE:
        for path in (options.source.path, *options.source.backing):
            refuse_output(options.output, path)
        check_target(options.output, force=options.force)
    elif options.verify:
        raise UsageError("a pipe cannot be read back", expected="--verify with a file as output")
