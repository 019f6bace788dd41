"""Several outputs of one source: a package for each machine, a bundle for each disk."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
from typing import TYPE_CHECKING, TypeVar

from xenimage.containers.registry import open_container
from xenimage.engine import packager
from xenimage.exceptions import LimitError, UsageError
from xenimage.model.packaging import PACKAGE_OUTPUTS, SplitReport
from xenimage.sinks.file import check_target, make_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from xenimage.engine.loading import Load
    from xenimage.limits import Limits
    from xenimage.model.packaging import PackagingOptions
    from xenimage.model.plan import SourceOptions
    from xenimage.model.transfer import Progress

Made = TypeVar("Made")

_UNSAFE = re.compile(r"[^\w.+-]+")
_LONGEST = 80
"""characters of a name that a file is called by"""
_MOST_BYTES = 200
"""of it: file systems take 255, with what comes behind it"""
_MOST_MACHINES = 256
"""that a package is taken apart into: it is opened again for each of them"""
_BUNDLES = (".tgz", ".tar.gz")
_SUFFIXES = {"none": "", "gzip": ".gz", "zstd": ".zst"}


def file_stem(name: str, otherwise: str = "machine") -> str:
    """A name for a file, made from that of a machine: one word that means no path and no option."""
    stem = _UNSAFE.sub("-", name).strip("-.")[:_LONGEST]
    return stem.encode()[:_MOST_BYTES].decode(errors="ignore").rstrip("-.") or otherwise


def _stems(names: Sequence[str]) -> list[str]:
    """A name for each file; what would be the same twice, on a disk that knows no capitals either, gets a number."""
    stems: list[str] = []
    taken: set[str] = set()
    for name in names:
        stem, number = file_stem(name), 1
        while stem.lower() in taken:
            number += 1
            stem = f"{file_stem(name)}-{number}"
        taken.add(stem.lower())
        stems.append(stem)
    return stems


def default_kind(source: SourceOptions, limits: Limits) -> str:
    """What is made of a package where nobody says it: one of its own kind, if that is written here, or an OVF."""
    with contextlib.closing(open_container(source.path, limits, source.choice, kind=source.format or "")) as opened:
        kind = opened.package.kind
    return kind if kind in PACKAGE_OUTPUTS else "ovf"


def split(
    options: PackagingOptions, jobs: int, limits: Limits, progress: Progress, *, dry_run: bool = False
) -> SplitReport:
    """Write each machine of the one source as a package of its own.

    :raises UsageError: bundles are asked for. Else as :func:`xenimage.engine.packager.make`.
    """
    packager.check_options(options)
    if options.to == "bundle":
        raise UsageError("bundles hold no machines", expected="ovf, ova or xva")
    source = options.sources[0]
    with contextlib.closing(open_container(source.path, limits, source.choice, kind=source.format or "")) as opened:
        machines = opened.package.machines
    if not machines:
        raise UsageError("has no machine", expected="one at least", where=source.path)
    if len(machines) > _MOST_MACHINES:
        raise LimitError(
            f"has {len(machines)} machines",
            expected=f"at most {_MOST_MACHINES}",
            where=source.path,
            tip="Take out those that you want, one after the other: xenimage package convert --vm NAME.",
        )
    parts = [
        dataclasses.replace(
            options,
            sources=(dataclasses.replace(source, choice=dataclasses.replace(source.choice, machine=each.identifier)),),
            output=_path(options, stem),
        )
        for each, stem in zip(machines, _stems([each.name or each.identifier for each in machines]), strict=True)
    ]
    with _directory(options.output, wanted=not dry_run):
        if not dry_run and options.to != "ovf":
            for part in parts:
                check_target(part.output, force=options.force)
        packages = tuple(packager.make(part, jobs, limits, progress, dry_run=dry_run) for part in parts)
    return SplitReport(source=source.path, directory=options.output, packages=packages)


@contextlib.contextmanager
def _directory(path: str, *, wanted: bool) -> Iterator[None]:
    """Make a directory for several files, if it is *wanted*. A new one is removed where nothing comes into it."""
    made = wanted and make_directory(path)
    try:
        yield
    except BaseException:
        if made:
            with contextlib.suppress(OSError):
                os.rmdir(path)
        raise


def _path(options: PackagingOptions, stem: str) -> str:
    if options.to == "ovf":
        return os.path.join(options.output, stem)
    return os.path.join(options.output, f"{stem}.{options.to}{_SUFFIXES[options.compression]}")


@contextlib.contextmanager
def bundle_outputs(load: Load, options: PackagingOptions, *, dry_run: bool) -> Iterator[dict[str, str]]:
    """Where the bundle of each disk goes, by the disk's identifier: the output itself, or one file for each.

    The directory is there meanwhile.

    :raises UsageError: one is there already, and may not be replaced; it is a source; there is no disk.
    """
    disks = {feed.disk.identifier: feed.number for feed in load.feeds if feed.wanted}
    if not disks:
        raise UsageError("there is no disk with content", expected="one at least", where=options.sources[0].path)
    outputs = dict.fromkeys(disks, options.output) if len(disks) == 1 else _numbered(options.output, disks)
    with _directory(os.path.dirname(next(iter(outputs.values()))) or ".", wanted=len(disks) > 1 and not dry_run):
        for path in outputs.values():
            load.refuse(path)
            if not dry_run:
                check_target(path, force=options.force)
        yield outputs


def _numbered(output: str, disks: Mapping[str, int]) -> dict[str, str]:
    """A bundle for each disk: beside each other where *output* is the name of a bundle, else in that directory."""
    for suffix in _BUNDLES:
        if output.lower().endswith(suffix):
            stem = output[: -len(suffix)]
            return {name: f"{stem}-{number}{suffix}" for name, number in disks.items()}
    stem = file_stem(os.path.basename(output.rstrip("/")), "disk")
    return {name: os.path.join(output, f"{stem}-{number}.tgz") for name, number in disks.items()}


def together(makers: Iterable[tuple[str, Callable[[], Made]]]) -> list[Made]:
    """Make several files, all or none: those that were finished are removed where a later one fails."""
    made: list[Made] = []
    paths: list[str] = []
    try:
        for path, make in makers:
            made.append(make())
            paths.append(path)
    except BaseException:
        for path in paths:
            with contextlib.suppress(OSError):
                os.unlink(path)
        raise
    return made
