"""From what the user named to a disk that can be read: the only place where paths become disks.

A name inside an image is never opened. Parents are those that the user gave; extents of a VMDK may only lie beside it.
"""

from __future__ import annotations

import functools
import logging
import os
from typing import TYPE_CHECKING

from xenimage.containers.bundle.reader import is_gzip, open_bundle, open_bundle_disk
from xenimage.engine.links import Told, chain_findings
from xenimage.exceptions import FormatError, UnsafeError, UsageError, XenimageError
from xenimage.formats import registry
from xenimage.formats.overlay import Overlay
from xenimage.formats.vhd.reader import open_vhd
from xenimage.sources.file import open_beside, open_file

if TYPE_CHECKING:
    from xenimage.containers.bundle.reader import Bundle
    from xenimage.limits import Limits
    from xenimage.model.disk import ByteSource, Disk
    from xenimage.model.plan import SourceOptions
    from xenimage.sources.file import FileSource

LOG = logging.getLogger(__name__)

BUNDLE = "bundle"
FORMATS = (*registry.NAMES, BUNDLE)
"""what ``--format`` takes"""


def open_source(options: SourceOptions, limits: Limits, *, output: str | None = None) -> Disk:
    """Open a disk with all its parents, flattened into one view.

    :param output: what will be written: no file of the disk may be that.
    :raises UnsafeError: the image wants a parent that was not given, or two formats match.
    :raises UsageError: more parents than the images want, the same file twice, no such file, the output among them.
    :raises FormatError: a file breaks its format.
    :raises UnsupportedError: a file uses something that is not read here.
    """
    paths = (options.path, *options.backing)
    limits.require("chain_depth", len(paths), "the number of disks in the chain")
    _refuse_repeated(paths)
    chain: list[Disk] = []
    try:
        for number, path in enumerate(paths):
            first = number == 0
            name, snapshot = (options.format, options.snapshot) if first else (None, None)
            disk = _open_one(path, limits, name, snapshot, output)
            chain.append(disk)
            LOG.info("%s is %s, a disk of %d bytes", path, disk.facts.format, disk.facts.virtual_size)
            reason = disk.unreadable()
            if reason is not None:
                raise reason if reason.where else reason.within(path)
        _check_links(chain, paths)
        return _flattened(chain, paths)
    except BaseException:
        for disk in chain:
            disk.close()
        raise


def open_leaf(options: SourceOptions, limits: Limits) -> Disk:
    """Open only the disk that the user named, without its parents, whether it can be read or not: for its facts.

    :raises FormatError: the file breaks its format.
    """
    return _open_one(options.path, limits, options.format, options.snapshot)


def same_file(first: str, second: str) -> bool:
    """Whether two paths name one file; false where either is missing."""
    try:
        return os.path.samefile(first, second)
    except OSError:
        return False


def _flattened(chain: list[Disk], paths: tuple[str, ...]) -> Disk:
    whole = functools.reduce(lambda parent, child: Overlay(child, parent), reversed(chain))
    findings = chain_findings(chain, paths)
    return Told(whole, findings) if findings else whole


def _refuse_repeated(paths: tuple[str, ...]) -> None:
    for number, path in enumerate(paths):
        for other in paths[:number]:
            if same_file(path, other):
                raise UsageError(f"is the same file as {other}", expected="each disk of the chain once", where=path)


def refuse_output(output: str | None, path: str) -> None:
    """A source is never written, not even with ``--force``.

    :raises UsageError: *output* is the file *path*.
    """
    # The sink writes to what the links lead to, where "missing/.." is the directory itself; the kernel finds no file.
    if output is not None and same_file(os.path.realpath(output), path):
        raise UsageError(f"is the source {path}", expected="another file", where=output)


def _open_one(
    path: str, limits: Limits, format_name: str | None, snapshot: str | None, output: str | None = None
) -> Disk:
    refuse_output(output, path)
    source = open_file(path)
    try:
        if format_name == BUNDLE or (format_name is None and is_gzip(source)):
            if snapshot is not None:
                raise UsageError("a bundle has no internal snapshots", where=path)
            return open_bundle_disk(_open_bundle(source, limits), open_vhd, limits)
        return registry.open_disk(
            source,
            limits,
            format=format_name,
            snapshot=snapshot,
            open_extent=functools.partial(_open_extent, path, output),
        )
    except BaseException:
        source.close()
        raise


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


def _open_bundle(source: ByteSource, limits: Limits) -> Bundle:
    try:
        return open_bundle(source, limits)
    except FormatError as error:
        error.tip = error.tip or "If it is no bundle but a packed disk image, unpack it first: gzip -d."
        raise


def _check_links(chain: list[Disk], paths: tuple[str, ...]) -> None:
    """Each disk has the parent that it names, and the last one names none."""
    for number, (disk, path) in enumerate(zip(chain, paths, strict=True)):
        reference = disk.facts.parent
        parent = chain[number + 1] if number + 1 < len(chain) else None
        if reference is None:
            if parent is not None:
                raise UsageError(f"wants no parent, but {paths[number + 1]} was given", where=path)
        elif parent is None:
            raise UnsafeError(
                f"wants the parent {reference.name!r}, which is not opened on the word of an image",
                expected="the parent's path from you",
                where=path,
                tip="Give it with --backing FILE, if you trust both files.",
            )
        elif reference.identity and parent.facts.identity and reference.identity != parent.facts.identity:
            raise _wrong_parent(path, reference.identity, paths[number + 1], parent.facts.identity)


def _wrong_parent(child: str, wanted: str, parent: str, found: str) -> XenimageError:
    return UnsafeError(
        f"its parent is {wanted}, but {parent} is {found}",
        expected="the parent that the disk was made on",
        where=child,
        tip="Look for the right file: a disk over another parent reads as garbage.",
    )
