"""Checking disks: VHDs in full and as the chain that they make up, others as far as opening and mapping them proves."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections import defaultdict
from typing import TYPE_CHECKING

from xenimage.checks.bundle import judge
from xenimage.checks.chain import DIFFERENCING, judge_links, link
from xenimage.checks.consumers import weighed
from xenimage.checks.kinds import KINDS
from xenimage.containers.bundle.reader import is_gzip
from xenimage.engine import chains, mapper
from xenimage.engine.opener import open_leaf
from xenimage.exceptions import FormatError, UnsafeError, UnsupportedError, UsageError, XenimageError
from xenimage.formats import registry
from xenimage.formats.vhd.check import check_vhd
from xenimage.formats.vhd.checks.findings import found as vhd_found
from xenimage.model.plan import SourceOptions
from xenimage.model.report import CheckedDisk, DisksReport, LinkState, Verdict
from xenimage.sources.file import open_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xenimage.formats.vhd.check import Role
    from xenimage.limits import Limits
    from xenimage.model.disk import ByteSource, DiskFacts
    from xenimage.model.finding import Finding
    from xenimage.model.plan import CheckOptions
    from xenimage.model.profile import Profile
    from xenimage.model.report import ChainNode
    from xenimage.model.transfer import Progress

_VHD = "vhd"
_HEADER_AT = 512
_HEADER_COOKIE = b"cxsparse"
_SUFFIXES = (".vhd", ".avhd")
_TIP = "Get the file again from where it came, and compare sizes and checksums."
_ORDER = (Verdict.SOUND, Verdict.USABLE, Verdict.NOT_READY)


def check(options: CheckOptions, profile: Profile, limits: Limits, now: int, progress: Progress) -> DisksReport:
    """Find all faults of the disks, each file read at most once from its start to its end.

    :param now: Unix seconds that timestamps are compared with.
    :raises UsageError: no file, no such file, a directory, or the same one twice.
    :raises UnsupportedError: a file is a bundle.
    :raises TransferError: a source failed.
    """
    if not options.paths:
        raise UsageError("no disk is given", expected="one file or more")
    _refuse_directories(options.paths)
    formats = {path: _format(path, options.format, limits) for path in chains.distinct(options.paths)}
    given = [path for path, name in formats.items() if name == _VHD]
    nodes, count = _chain(given, options.directory, limits)
    told: dict[str, list[Finding]] = defaultdict(list)
    for finding in judge_links(nodes, options.directory, whole=bool(options.directory)):
        told[finding.where].append(finding)
    by_path = {node.file.path: node for node in nodes[:count]}
    paths = [*formats, *(path for path in by_path if path not in formats)]
    disks = []
    progress.start("check", sum(_size(path) for path in paths))
    for path in paths:
        node = by_path.get(path)
        if node is None:
            disks.append(_check_other(SourceOptions(path=path, format=options.format, choice=options.choice), limits))
        else:
            findings = [*_check_vhd(node, len(nodes), limits, now), *told[path]]
            disks.append(_checked(path, _VHD, list(weighed(findings, profile)), nodes, node))
        progress.advance(_size(path))
    progress.stop()
    verdict = max((disk.verdict for disk in disks), key=_ORDER.index)
    return DisksReport(profile=profile.name, verdict=verdict, disks=tuple(disks))


def _refuse_directories(paths: Sequence[str]) -> None:
    """Where people mean all VHDs in a directory, tell them how to say so."""
    for path in filter(os.path.isdir, paths):
        raise UsageError(
            "is a directory",
            expected="disk images",
            where=path,
            tip=f"Name the disks in it. How they hang together shows: xenimage chain show {path}",
        )


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def _format(path: str, wanted: str | None, limits: Limits) -> str:
    """Tell the format; empty where detection refuses, which opening it then says better.

    :raises UnsupportedError: it is a bundle.
    """
    if wanted is not None and wanted not in registry.NAMES:
        raise UsageError(f"{wanted!r} is no format", expected=f"one of {', '.join(registry.NAMES)}")
    with contextlib.closing(open_file(path)) as source:
        if wanted is not None:
            return wanted
        if is_gzip(source):
            raise UnsupportedError(
                "is in gzip format",
                expected="a disk image",
                where=path,
                tip="If it is a bundle, use: xenimage bundle check. If not, unpack it: gzip -d.",
            )
        return _VHD if _is_vhd(source, limits) else ""


def _is_vhd(source: ByteSource, limits: Limits) -> bool:
    """Whether it is a VHD, in whatever state: one whose footers are lost still has its header, or its name."""
    try:
        name = registry.detect(source, limits)
    except XenimageError:
        return source.size == 0 and source.name.lower().endswith(_SUFFIXES)
    if name != registry.RAW:
        return name == _VHD
    header = source.read(_HEADER_AT, 8) if source.size >= _HEADER_AT + 8 else b""
    return header == _HEADER_COOKIE or source.name.lower().endswith(_SUFFIXES)


def _chain(paths: Sequence[str], directory: str, limits: Limits) -> tuple[list[ChainNode], int]:
    """The VHDs that were given, linked, and their number; with a directory their ancestors in it count too.

    Behind those stands what else is in the directory: it is not checked, but belongs to the tree.
    """
    files = [chains.describe(path, limits) for path in paths]
    if not directory:
        return link(files), len(files)
    given = {file.place for file in files}
    every = [*files, *(each for each in chains.in_directory(directory, limits) if each.place not in given)]
    nodes = link(every)
    wanted = dict.fromkeys(range(len(files)))
    ahead = list(wanted)
    while ahead:
        node = nodes[ahead.pop()]
        if node.parent is not None and node.parent not in wanted and node.state is LinkState.LINKED:
            wanted[node.parent] = None
            ahead.append(node.parent)
    others = (number for number in range(len(every)) if number not in wanted)
    return link([every[number] for number in (*wanted, *others)]), len(wanted)


def _check_vhd(node: ChainNode, count: int, limits: Limits, now: int) -> list[Finding]:
    path = node.file.path
    with contextlib.closing(open_file(path)) as source:
        return [*check_vhd(source, limits, now=now, role=_role(node, count)), *merge_findings(path)]


def merge_findings(path: str) -> list[Finding]:
    """Tell of a merge of Xen Orchestra that was not finished: its state lies beside the disk."""
    state = f".{os.path.basename(path)}.merge.json"
    if not os.path.lexists(os.path.join(os.path.dirname(path), state)):
        return []
    return [dataclasses.replace(vhd_found("file.merge", state=state), where=path)]


def _role(node: ChainNode, count: int) -> Role:
    vhd = node.file.vhd
    differs = vhd is not None and vhd.variant == DIFFERENCING
    if node.children:
        return "middle" if differs else "base"
    return "leaf" if differs and count > 1 and node.state is LinkState.LINKED else "alone"


def _checked(
    path: str, name: str, findings: Sequence[Finding], nodes: Sequence[ChainNode] = (), node: ChainNode | None = None
) -> CheckedDisk:
    linked = node is not None and node.parent is not None and node.state in (LinkState.LINKED, LinkState.CYCLE)
    return CheckedDisk(
        path=path,
        format=name,
        verdict=judge(findings),
        findings=tuple(findings),
        parent=nodes[node.parent].file.path if linked and node and node.parent is not None else "",
        vhd=node.file.vhd if node else None,
    )


def _check_other(source: SourceOptions, limits: Limits) -> CheckedDisk:
    """Open and map a disk of another format: what its reader refuses is a finding."""
    path = source.path
    try:
        with contextlib.closing(open_leaf(source, limits)) as disk:
            facts = disk.facts
            reason = disk.unreadable()
            if reason is not None:
                return _checked(path, facts.format, [*_placed(facts, path), _refused(path, reason)])
            extents = sum(1 for _ in mapper.bounded_extents(disk, limits))
    except (FormatError, UnsupportedError, UnsafeError) as error:
        return _checked(path, source.format or "", [_refused(path, error)])
    if facts.format == registry.RAW:
        said = KINDS["disk.raw"].found(where=path)
    else:
        said = KINDS["disk.rules"].found(where=path, format=f"{facts.format} {facts.variant}".strip(), extents=extents)
    return _checked(path, facts.format, [*_placed(facts, path), said])


def _placed(facts: DiskFacts, path: str) -> list[Finding]:
    return [dataclasses.replace(each, where=each.where or path) for each in facts.findings]


def _refused(path: str, error: XenimageError) -> Finding:
    reason = str(error).removeprefix(f"{path}: ")
    return KINDS["disk.format" if isinstance(error, FormatError) else "disk.unread"].found(
        where=path, reason=reason, tip=error.tip or _TIP
    )
