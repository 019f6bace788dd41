"""A whole bundle: from the plan to a file under its name, with its digests, and read back if wished."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from xenimage.containers.bundle.check import check_bundle
from xenimage.containers.bundle.reader import open_bundle, open_bundle_layers
from xenimage.engine.compare import compare
from xenimage.engine.freeing import without_free
from xenimage.engine.layers import Kept, layered
from xenimage.engine.links import chain_findings
from xenimage.engine.mapper import map_blocks
from xenimage.engine.opener import open_chain, open_whole
from xenimage.engine.planner import Found
from xenimage.engine.runner import run
from xenimage.engine.samefile import refuse_output
from xenimage.exceptions import NotReadyError, UsageError
from xenimage.formats.overlay import Overlay
from xenimage.formats.vhd.reader import open_vhd
from xenimage.model.report import BundleReport, Verdict
from xenimage.model.transfer import Receipt
from xenimage.sinks.file import FileSink, check_target
from xenimage.sinks.pipe import PipeSink
from xenimage.sources.file import FileSource
from xenimage.streams.digest import digest_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from xenimage.engine.layers import View
    from xenimage.engine.runner import Outcome
    from xenimage.limits import Limits
    from xenimage.model.disk import Disk
    from xenimage.model.finding import Finding
    from xenimage.model.machine import Origin
    from xenimage.model.plan import BundleOptions, Plan
    from xenimage.model.transfer import Progress

LOG = logging.getLogger(__name__)

PIPE = "-"
_MEMBERS_MAX = 16
"""VHDs that XenServer's import takes in one bundle"""


@contextlib.contextmanager
def opened(options: BundleOptions, limits: Limits) -> Iterator[tuple[list[View], list[Found]]]:
    """Open what shall become a bundle: a view for each VHD, and what was found of it.

    :raises UsageError: options of a chain without one, or a chain that is none. Else as opener.open_chain.
    :raises NotReadyError: what is free shall be left out, and a volume was not closed.
    """
    output = None if options.output == PIPE else options.output
    if not options.chain and (options.dedup_parent or options.whole_blocks):
        raise UsageError("blocks of layers are to be changed", expected="a chain", tip="Add --chain.")
    scattered = options.inspect or options.drop_free_space
    with contextlib.ExitStack() as stack:
        if options.chain:
            chain = open_chain(options.source, limits, output=output, members=True, scattered=scattered)
            stack.callback(chain.close)
            disks, paths = chain.disks, chain.labels
            noted, origin = tuple(chain_findings(chain.disks, chain.paths)), chain.origin
        else:
            disk, origin = open_whole(options.source, limits, output=output, scattered=scattered)
            stack.callback(disk.close)
            disks, paths, noted = [disk], [options.source.path], disk.facts.findings
        if options.chain and not 2 <= len(disks) <= _MEMBERS_MAX:
            raise UsageError(
                f"a chain of {len(disks)} is asked for",
                expected=f"2 to {_MEMBERS_MAX} layers",
                where=options.source.path,
                tip="Name the parents with --backing, or leave out --chain.",
            )
        free = None
        if options.drop_free_space:
            disks, free = without_free(disks, limits, options.source.path)
        views = layered(disks)
        found = [_found(*each, limits) for each in zip(views, paths, [noted] + [()] * len(views), strict=False)]
        yield views, [dataclasses.replace(found[0], free=free, origin=origin), *found[1:]]


def of_disk(disk: Disk, path: str, limits: Limits, origin: Origin | None = None) -> tuple[list[View], list[Found]]:
    """The same as :func:`opened` yields, of a disk that is open already.

    :param origin: what its package says of it.
    """
    views = layered([disk])
    found = _found(views[0], path, disk.facts.findings, limits)
    return views, [dataclasses.replace(found, origin=origin)]


def whole(views: Sequence[View]) -> Disk:
    """The disk that the guest of a bundle sees, from the leaf through all layers."""
    leaf = views[0]
    return leaf.disk if leaf.below is None else Overlay(leaf.disk, Kept(leaf.below))


def require_depth(depth: int, path: str) -> None:
    """Refuse more layers than XenServer's import takes.

    :raises UsageError: there are more.
    """
    if depth > _MEMBERS_MAX:
        raise UsageError(
            f"has {depth} layers",
            expected=f"{_MEMBERS_MAX} at most",
            where=path,
            tip="Flatten it: xenimage bundle create BUNDLE --output NEW.",
        )


def _found(view: View, path: str, findings: tuple[Finding, ...], limits: Limits) -> Found:
    facts = dataclasses.replace(view.disk.facts, findings=findings)
    return Found(path=path, facts=facts, blocks=map_blocks(view.disk, limits, child=view.below is not None))


def make(plan: Plan, views: Sequence[View], limits: Limits, progress: Progress) -> BundleReport:
    """Write the bundle of *plan*.

    :param views: the layers, the leaf first.
    :raises NotReadyError: the finished bundle was read back and is not what it should be; it was removed.
    :raises TransferError: the output cannot be written; nothing is left of it.
    """
    started = time.monotonic()
    LOG.info("%s: at most %d bytes of data, %d threads", plan.options.output, plan.data_size, plan.jobs)
    write = _to_pipe if plan.options.output == PIPE else _to_file
    outcome, receipt = write(plan, views, limits, progress)
    LOG.info("%s: %d bytes, vhd %s, %s", receipt.path, receipt.size, outcome.layers[0].uuid, outcome.compressor)
    return BundleReport(
        plan=plan,
        receipt=receipt,
        layers=outcome.layers,
        seconds=time.monotonic() - started,
        compressor=outcome.compressor,
        verified=plan.options.verify,
    )


def _to_pipe(plan: Plan, views: Sequence[View], _limits: Limits, progress: Progress) -> tuple[Outcome, Receipt]:
    sink = PipeSink(sys.stdout.fileno(), "standard output", plan.options.digests)
    outcome = run(plan, views, sink, progress)
    return outcome, Receipt(path=PIPE, size=sink.size, **sink.digests())


def _to_file(plan: Plan, views: Sequence[View], limits: Limits, progress: Progress) -> tuple[Outcome, Receipt]:
    sink = FileSink(plan.options.output, force=plan.options.force, temporary=plan.options.temporary)
    try:
        outcome = run(plan, views, sink, progress)
        with ThreadPoolExecutor(1, "flush") as pool:
            flushed = pool.submit(sink.flush)
            digests = _digests(plan, sink, progress)
            flushed.result()
        if plan.options.verify:
            _verify(plan, sink, views, limits, progress)
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


def _verify(plan: Plan, sink: FileSink, views: Sequence[View], limits: Limits, progress: Progress) -> None:
    """Read the finished file with the eyes of a consumer, before it gets its name.

    Each VHD is compared over what its source lies on: if all layers are right so is the chain, and each is read once.
    """
    source = FileSource(sink.duplicate(), plan.options.output)
    try:
        bundle = open_bundle(source, limits, progress)
        report = check_bundle(bundle, plan.profile, limits, int(time.time()))
        if report.verdict is Verdict.NOT_READY:
            raise NotReadyError("the bundle just written is not sound", findings=report.findings, where=source.name)
        for member, view in zip(open_bundle_layers(bundle, open_vhd, limits), views, strict=True):
            source_layer, layer = view.disk, member
            if view.below is not None:
                below = Kept(view.below)
                source_layer, layer = Overlay(source_layer, below), Overlay(layer, below)
            comparison = compare(source_layer, layer, limits, progress)
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
