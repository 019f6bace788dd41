"""From what the user named to a disk that can be read: the only place where paths become disks.

A name inside an image is never opened as it stands. Parents are those that the user gave, or lie under their bare name
in a directory that the user gave; extents of a VMDK may only lie beside it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import logging
import os
import re
import sys
from typing import TYPE_CHECKING, NamedTuple

from xenimage.containers.bundle.forward import open_forward
from xenimage.containers.bundle.reader import is_gzip, open_bundle, open_bundle_disk, open_bundle_layers, placed
from xenimage.containers.registry import KINDS as PACKAGES
from xenimage.engine.links import Told, chain_findings, check_links, means
from xenimage.engine.packages import is_package, open_packaged
from xenimage.engine.samefile import refuse_output, refuse_repeated
from xenimage.engine.snapshots import wished_snapshots
from xenimage.exceptions import FormatError, LimitError, UnsafeError, UnsupportedError, UsageError
from xenimage.formats import registry
from xenimage.formats.overlay import Overlay, flattened
from xenimage.formats.qcow2.difference import Difference
from xenimage.formats.qcow2.reader import Qcow2Disk
from xenimage.formats.vhd.reader import open_vhd
from xenimage.sources.file import open_beside, open_file
from xenimage.sources.pipe import PipeSource

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.containers.bundle.forward import Forward
    from xenimage.engine.packages import PackagedDisk
    from xenimage.limits import Limits
    from xenimage.model.disk import ByteSource, Disk
    from xenimage.model.machine import Origin
    from xenimage.model.plan import SourceOptions
    from xenimage.sources.file import FileSource

LOG = logging.getLogger(__name__)

BUNDLE = "bundle"
PIPE = "-"
FORMATS = (*registry.NAMES, BUNDLE, *PACKAGES)
"""what ``--format`` takes"""


@dataclasses.dataclass(kw_only=True)
class Chain:
    """A disk and its parents, opened, the leaf first."""

    disks: list[Disk]
    paths: list[str]
    """of the files they stand in"""
    snapshots: dict[int, str] = dataclasses.field(default_factory=dict)
    """names of the internal snapshots among them, by their place"""
    origin: Origin | None = None
    """None where it stands in no package"""

    @property
    def labels(self) -> list[str]:
        """What people call the disks: their paths, with the snapshot where it is one."""
        return [
            f"{path}@{self.snapshots[place]}" if place in self.snapshots else path
            for place, path in enumerate(self.paths)
        ]

    def close(self) -> None:
        """Close all of them."""
        for disk in self.disks:
            disk.close()


def open_source(options: SourceOptions, limits: Limits, *, output: str | None = None, scattered: bool = False) -> Disk:
    """Open a disk with all its parents, flattened into one view; see :func:`open_chain`.

    :param scattered: whether it will be read to and fro, and a bundle has to be ready for that.
    """
    return open_whole(options, limits, output=output, scattered=scattered)[0]


def open_whole(
    options: SourceOptions, limits: Limits, *, output: str | None = None, scattered: bool = False
) -> tuple[Disk, Origin | None]:
    """As :func:`open_source`; with where it comes from, if that is a package."""
    if options.snapshots:
        raise UsageError(
            "snapshots as layers are asked for", expected="a chain", tip="Use --chain, or --snapshot NAME."
        )
    chain = open_chain(options, limits, output=output, scattered=scattered)
    whole = flattened(chain.disks)
    findings = chain_findings(chain.disks, chain.paths)
    return Told(whole, findings) if findings else whole, chain.origin


def open_chain(
    options: SourceOptions,
    limits: Limits,
    *,
    output: str | None = None,
    members: bool = False,
    scattered: bool = False,
) -> Chain:
    """Open a disk with all its parents, each on its own.

    :param output: what will be written: no file of the disk may be that.
    :param members: whether the VHDs of a bundle are disks of the chain, and not one.
    :param scattered: as for :func:`open_source`.
    :raises UnsafeError: the image wants a parent that was not given, or two formats match.
    :raises UsageError: more parents than the images want, the same file twice, no such file, the output among them.
    :raises FormatError: a file breaks its format.
    :raises UnsupportedError: a file uses something that is not read here.
    """
    if options.path == PIPE:
        raise _not_piped()
    if members and _is_bundle(options, limits):
        return _open_bundle_chain(options, limits, output, scattered=scattered)
    if is_packaged(options, limits):
        packaged = _open_packaged(options, limits, output)
        return Chain(disks=[packaged], paths=[options.path], origin=packaged.origin)
    chain = Chain(disks=[], paths=[])
    given = list(options.backing)
    path, name, snapshot, beside = options.path, options.format, options.snapshot, False
    try:
        while True:
            _require_depth(len(chain.paths) + 1, options.path, limits)
            refuse_repeated(path, chain.paths)
            around = _Around(output=output, beside=beside, alone=options.alone, scattered=scattered)
            disk = _open_one(path, limits, name, snapshot, around)
            chain.disks.append(disk)
            chain.paths.append(path)
            LOG.info("%s is %s, a disk of %d bytes", path, disk.facts.format, disk.facts.virtual_size)
            reason = disk.unreadable()
            if reason is not None:
                raise reason if reason.where else reason.within(path)
            if beside and name is None and chain.disks[-2].facts.format == "qcow2":
                _require_declared(disk, path)
            beside = not given
            following = given.pop(0) if given else _named(disk, options.follow)
            if following is None:
                break
            path, name, snapshot = following, _declared(disk, following), None
        check_links(chain.disks, chain.paths)
        if options.snapshots:
            _split_snapshots(chain, options, limits)
        return chain
    except BaseException:
        chain.close()
        raise


def _open_packaged(options: SourceOptions, limits: Limits, output: str | None) -> PackagedDisk:
    refuse_output(output, options.path)
    disk = open_packaged(options, limits)
    try:
        if output is not None and os.path.exists(output):
            for path in disk.beside():
                refuse_output(output, path)
    except BaseException:
        disk.close()
        raise
    return disk


def _require_depth(count: int, path: str, limits: Limits) -> None:
    try:
        limits.require("chain_depth", count, "the number of disks in the chain")
    except LimitError as error:
        raise error.within(path) from None


def _named(disk: Disk, directory: str | None) -> str | None:
    """Where the parent that *disk* names would lie in *directory*; None where nothing is followed."""
    if directory is None or disk.facts.parent is None:
        return None
    return os.path.join(directory, re.split(r"[/\\]", disk.facts.parent.name)[-1])


def _require_declared(disk: Disk, path: str) -> None:
    """Follow no further name on the word of a file whose format was guessed.

    A guest can write what it likes into its raw disk: also the header of an image that lies over somebody else's.

    :raises UnsafeError: the file names a parent.
    """
    if disk.facts.parent is not None:
        raise UnsafeError(
            f"names the parent {disk.facts.parent.name!r}, but its child does not say that it is {disk.facts.format}",
            expected="its format in the child, as qemu-img rebase -u -F writes it",
            where=path,
            tip="If you trust it, give it with --backing FILE.",
        )


def _declared(disk: Disk, path: str) -> str | None:
    """The format that a qcow2 says its parent is of: a raw parent may hold anything, also what looks like an image.

    It is said of the file of that name. What the user gives in its place may have become another format.
    """
    reference = disk.facts.parent
    if reference is None or disk.facts.format != "qcow2" or not means(reference.name, path):
        return None
    return reference.format if reference.format in registry.NAMES else None


def _is_bundle(options: SourceOptions, limits: Limits) -> bool:
    if options.format is not None:
        return options.format == BUNDLE
    with contextlib.closing(open_file(options.path)) as source:
        return is_gzip(source) and not is_package(options, source, limits)


def is_packaged(options: SourceOptions, limits: Limits) -> bool:
    """Whether the disk that the user named stands in a package of machines.

    :raises UsageError: no such file.
    """
    with contextlib.closing(open_file(options.path)) as source:
        return is_package(options, source, limits)


def _open_bundle_chain(options: SourceOptions, limits: Limits, output: str | None, *, scattered: bool) -> Chain:
    if options.backing or options.follow or options.snapshot or options.snapshots:
        raise UsageError("a bundle has no other parents and no snapshots than its members", where=options.path)
    refuse_output(output, options.path)
    source = open_file(options.path)
    try:
        bundle = open_bundle(source, limits, scattered=scattered)
        disks: list[Disk] = [_in_stream(disk) for disk in open_bundle_layers(bundle, open_vhd, limits)]
        return Chain(disks=disks, paths=[f"{options.path}:{member.name}" for member in bundle.chain()])
    except BaseException:
        source.close()
        raise


@contextlib.contextmanager
def passing(options: SourceOptions, limits: Limits, output: str | None) -> Iterator[Forward | None]:
    """Open a bundle to be read once, forward; None if the source is none. ``-`` is standard input.

    :raises NotForwardError: the bundle is in another order. Else as :func:`open_source`.
    """
    piped = options.path == PIPE
    if not piped and (options.backing or options.snapshot or not _is_bundle(options, limits)):
        yield None
        return
    refuse_output(output, options.path)
    source = PipeSource(sys.stdin.fileno(), "standard input") if piped else open_file(options.path)
    try:
        yield open_forward(source, limits)
    except FormatError as error:
        raise placed(error, source) from error.__cause__
    finally:
        source.close()


def _not_piped() -> UnsupportedError:
    return UnsupportedError(
        "cannot be read from its start to its end for this command",
        expected="a bundle to convert: a single VHD with its blocks in order, or for raw any chain that begins with"
        " 0.vhd",
        where="standard input",
        tip="Save it to a file first.",
    )


def _split_snapshots(chain: Chain, options: SourceOptions, limits: Limits) -> None:
    """Put the internal snapshots that are asked for below the leaf, each newer one as the difference to the next."""
    leaf, *parents = chain.disks
    if not isinstance(leaf, Qcow2Disk):
        raise UsageError("has no internal snapshots", expected="a qcow2 image", where=options.path)
    wished = wished_snapshots(leaf, options)
    _require_depth(len(wished) + len(chain.disks), options.path, limits)
    views = [leaf]
    try:
        for snapshot in wished:
            view = _open_one(options.path, limits, "qcow2", snapshot.identity, _Around())
            assert isinstance(view, Qcow2Disk)
            views.append(view)
    except BaseException:
        for view in views[1:]:
            view.close()
        raise
    below = flattened(parents) if parents else None
    layers: list[Disk] = [
        Difference(newer, older, Overlay(newer, below) if below else newer, f"snapshot {snapshot.name}")
        for (newer, older), snapshot in zip(itertools.pairwise(views), wished, strict=True)
    ]
    chain.disks = [*layers, views[-1], *parents]
    chain.paths = [options.path] * len(views) + chain.paths[1:]
    chain.snapshots = {place: snapshot.name for place, snapshot in enumerate(wished, 1)}


def open_leaf(options: SourceOptions, limits: Limits) -> Disk:
    """Open only the disk that the user named, without its parents, whether it can be read or not: for its facts.

    :raises FormatError: the file breaks its format.
    """
    if is_packaged(options, limits):
        return open_packaged(options, limits)
    return _open_one(options.path, limits, options.format, options.snapshot, _Around(alone=options.alone))


class _Around(NamedTuple):
    """What else a file has to do with."""

    output: str | None = None
    """what will be written: the file may not be that"""
    beside: bool = False
    """whether only an image named it: then it must be a regular file, and no link"""
    alone: bool = False
    """whether no further file may be opened for it"""
    scattered: bool = False
    """whether it will be read to and fro"""


def _open_one(path: str, limits: Limits, format_name: str | None, snapshot: str | None, around: _Around) -> Disk:
    """Open one file."""
    refuse_output(around.output, path)
    source = _open_followed(path) if around.beside else open_file(path)
    try:
        if format_name == BUNDLE or (format_name is None and is_gzip(source)):
            if snapshot is not None:
                raise UsageError("a bundle has no internal snapshots", where=path)
            bundle = open_bundle(source, limits, scattered=around.scattered)
            return _in_stream(open_bundle_disk(bundle, open_vhd, limits))
        return registry.open_disk(
            source,
            limits,
            format=format_name,
            snapshot=snapshot,
            open_extent=None if around.alone else functools.partial(_open_extent, path, around.output),
        )
    except BaseException:
        source.close()
        raise


def _open_followed(path: str) -> FileSource:
    directory, bare = os.path.split(path)
    try:
        return open_beside(path, bare)
    except (UsageError, UnsafeError) as error:
        raise UnsafeError(
            error.found,
            expected=f"a regular file in {directory or '.'}, for an image names it as its parent",
            where=path,
            tip="Names inside images are followed nowhere else: put it there, or give its path with --backing FILE.",
        ) from error


def _open_extent(path: str, output: str | None, name: str) -> FileSource:
    try:
        source = open_beside(path, name)
    except UsageError as error:
        error.tip = error.tip or f"All files of the disk have to lie beside {path}, and be readable."
        raise
    try:
        refuse_output(output, source.name)
    except UsageError:
        source.close()
        raise
    return source


def _in_stream(disk: Disk) -> Disk:
    """*disk*, marked as standing in a deflated stream: a second reader would start it from its beginning again."""
    return Told(disk, disk.facts.findings, sequential=True)


def open_stored(source: ByteSource, limits: Limits) -> Disk:
    """Open a disk in a source where every jump is dear: an image in a cloud. What it names is not opened.

    :raises UnsafeError: it needs a parent or further files. Else as :func:`open_chain`.
    """
    if is_gzip(source):
        return _in_stream(open_bundle_disk(open_bundle(source, limits), open_vhd, limits))
    disk = registry.open_disk(source, limits)
    reason = disk.unreadable()
    if reason is not None:
        raise reason if reason.where else reason.within(source.name)
    if disk.facts.parent is not None:
        raise UnsafeError(
            f"is a layer over {disk.facts.parent.name!r}",
            expected="a disk that needs no other",
            where=source.name,
            tip="Save it as it is stored (--format stored), and convert it beside its parent.",
        )
    return _in_stream(disk)


def stored_bundle(options: SourceOptions, limits: Limits) -> bool:
    """Whether what the user named is a bundle.

    :raises UsageError: no such file.
    """
    return options.path != PIPE and not options.backing and _is_bundle(options, limits)
