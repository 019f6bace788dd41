"""What the consumers of a bundle make of its gzip stream, its tar, and the names in it."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING

from xenimage.checks.naming import OLD_NAMES, SUFFIX, SWAP, bare_name, counted, listing, sequence
from xenimage.model.finding import Finding, Severity
from xenimage.model.report import Verdict
from xenimage.units import GIB, KIB, MIB, format_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from xenimage.model.profile import Profile
    from xenimage.model.report import BundleFacts, Member

_EPOCH = 946684800
_CLOCK_SLACK = 1800
_RECORD = 10 * KIB
_PIPE = 64 * KIB
_BIG = 8 * GIB
_CHAIN_NOVA = 16
_COALESCING = ("cinder",)
"""profiles whose consumer merges a chain with vhd-util resize and coalesce"""
_NAME = re.compile(r"(?:0|[1-9][0-9]*)\.vhd")
_ANEW = "Make the bundle anew: xenimage bundle create."
_PACK = "Pack the VHDs alone: tar -czf BUNDLE --owner=0 --group=0 --mode=0644 0.vhd ..."


def _finding(severity: Severity, code: str, what: str, why: str, act: str) -> Finding:
    return Finding(code=f"bundle.{code}", severity=severity, what=what, why=why, act=act)


def _error(code: str, what: str, why: str, act: str = _PACK) -> Finding:
    return _finding(Severity.ERROR, code, what, why, act)


def _warning(code: str, what: str, why: str, act: str = _PACK) -> Finding:
    return _finding(Severity.WARNING, code, what, why, act)


def _info(code: str, what: str, why: str, act: str = _PACK) -> Finding:
    return _finding(Severity.INFO, code, what, why, act)


def check_facts(facts: BundleFacts, profile: Profile, now: int) -> list[Finding]:
    """Find what is wrong with the bundle around its VHDs, for the consumer that *profile* describes.

    :param now: Unix seconds that times are compared with.
    """
    return [
        *_check_stream(facts),
        *_check_sequence(facts, profile),
        *_check_extras(facts, profile),
        *_check_repeated(facts),
        *(finding for member in facts.members for finding in _check_member(member)),
        *_check_times(facts, now),
        *_check_size(facts, profile),
        *_check_links(facts, profile),
    ]


def judge(findings: Iterable[Finding]) -> Verdict:
    """Sum findings up."""
    present = {finding.severity for finding in findings}
    if Severity.ERROR in present:
        return Verdict.NOT_READY
    return Verdict.USABLE if Severity.WARNING in present else Verdict.SOUND


def _check_stream(facts: BundleFacts) -> Iterator[Finding]:
    if facts.gzip_trailing:
        yield _error(
            "gzip.trailing",
            f"{facts.gzip_trailing} bytes follow the gzip stream",
            "gzip says 'trailing garbage ignored' and fails, and with it the import of os-xenapi",
            f"Cut the file to {facts.size - facts.gzip_trailing} bytes.",
        )
    if facts.gzip_members > 1:
        yield _info(
            "gzip.members",
            f"the gzip stream has {facts.gzip_members} members",
            "GNU gzip reads them as one; some other readers stop after the first",
            "Repack it: gzip -dc BUNDLE | gzip > NEW.",
        )
    if not facts.tar_ended:
        yield _warning(
            "tar.unended",
            "the tar has no end-of-archive blocks",
            "GNU tar accepts it; the file may nevertheless have lost something",
        )
    if facts.tar_trailing > _PIPE:
        yield _error(
            "tar.trailing",
            f"{facts.tar_trailing} bytes follow the end of the tar",
            "tar stops reading there: the import of os-xenapi breaks with EPIPE",
        )
    elif facts.tar_trailing > _RECORD:
        yield _warning(
            "tar.trailing",
            f"{facts.tar_trailing} bytes follow the end of the tar",
            "that is more than the usual padding of 10 KiB; much more breaks the pipe of os-xenapi",
        )


def _check_sequence(facts: BundleFacts, profile: Profile) -> Iterator[Finding]:
    flat = listing(facts.members)
    found = sequence(facts.members)
    vhds = counted(found)
    if not facts.chain:
        yield _error(
            "name.none",
            f"no VHD is called 0.vhd ({_some(flat)})",
            "os-xenapi ends in 'Expected seq number: 0' or an UnboundLocalError, Cinder in an IndexError",
        )
    wrong = [name for name in vhds if not _NAME.fullmatch(name) or int(name[: -len(SUFFIX)]) >= len(vhds)]
    if facts.chain and wrong:
        yield _error(
            "name.sequence",
            f"the sequence 0.vhd to {len(vhds) - 1}.vhd is broken by {_some(wrong)}",
            f"os-xenapi says 'Corrupt image. Expected seq number: {len(facts.chain)}'",
        )
    if len(vhds) > _CHAIN_NOVA or len(vhds) > profile.members_max:
        most = min(profile.members_max, _CHAIN_NOVA)
        yield _error(
            "name.many",
            f"the bundle holds {len(vhds)} VHDs",
            f"{profile.name} takes {most}" + (": nova has 16 names for them" if most == _CHAIN_NOVA else ""),
            "Flatten the chain: xenimage bundle create makes one VHD of it.",
        )
    yield from _check_renamed(flat, profile)


def _some(names: Iterable[str]) -> str:
    names = list(names)
    shown = ", ".join(repr(name) for name in names[:5])
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown or "it is empty"


def _check_renamed(flat: dict[str, Member | None], profile: Profile) -> Iterator[Finding]:
    olds = [name for name in OLD_NAMES if name in flat]
    alone = len(flat) == 1 and next(iter(flat)).endswith(SUFFIX) and f"0{SUFFIX}" not in flat
    if olds and f"0{SUFFIX}" in flat:
        yield _error(
            "name.overwritten",
            f"{_some(olds)} stand beside 0.vhd",
            "os-xenapi renames the old names to numbers: it overwrites 0.vhd without a word",
        )
    elif olds or alone:
        report = _error if profile.only_numbered else _warning
        yield report(
            "name.old",
            f"{_some(olds or flat)} must be renamed to numbers",
            "os-xenapi does so, older releases only for snap.vhd, image.vhd and base.vhd; Cinder knows numbers only",
        )


def _check_extras(facts: BundleFacts, profile: Profile) -> Iterator[Finding]:
    for member in facts.members:
        yield from _check_extra(member, profile)


def _check_extra(member: Member, profile: Profile) -> Iterator[Finding]:
    name = bare_name(member.name)
    last = name.rpartition("/")[2]
    if last.startswith("._"):
        yield _error(
            "name.appledouble",
            f"{member.name!r} is an AppleDouble file of macOS",
            "os-xenapi counts it as a VHD: 'Corrupt image. Expected seq number'",
            "Pack with COPYFILE_DISABLE=1, or without the attributes.",
        )
    elif "/" in name and last.endswith(SUFFIX):
        yield _error("name.subdirectory", f"{member.name!r} lies in a directory", "the consumers look for 0.vhd only")
    elif name.lower().endswith(SUFFIX) and not name.endswith(SUFFIX):
        yield _error("name.case", f"{member.name!r} is not written in lower case", "the consumers compare it as it is")
    elif not name or name == SWAP or not name.endswith(SUFFIX):
        what = f"{member.name!r} ({member.kind}) is no VHD of the chain"
        why = "vdi_remote_stream takes every member for a VHD and fails on it"
        report = _error if profile.only_regular else _info
        yield report("member.extra", what, why if profile.only_regular else f"{profile.name} ignores it; {why}")


def _check_repeated(facts: BundleFacts) -> Iterator[Finding]:
    for name, count in Counter(bare_name(member.name) for member in facts.members).items():
        if count > 1 and name:
            yield _error(
                "name.repeated",
                f"{count} members are called {name!r}",
                "tar keeps the last, readers of the stream take the first",
            )


def _check_member(member: Member) -> Iterator[Finding]:
    if ".." in member.name.split("/"):
        yield _error(
            "name.escape", f"{member.name!r} leads out of the directory", "tar refuses it and the import fails"
        )
    elif member.name.startswith("/"):
        yield _warning("name.absolute", f"{member.name!r} is absolute", "GNU tar strips the slash; others may not")
    if member.kind == "sparse file":
        yield _error(
            "member.sparse",
            f"{member.name!r} is stored as a sparse file",
            "GNU tar restores it, but readers of the stream see its pieces without the holes; it is not checked here",
            "Pack without --sparse.",
        )
    elif member.kind not in ("file", "directory"):
        yield _error(
            "member.link" if "link" in member.kind else "member.special",
            f"{member.name!r} is a {member.kind}",
            "os-xenapi moves it into the storage repository as it is: it would lead to other files of the host",
        )
    if member.kind != "file" or not bare_name(member.name).endswith(SUFFIX):
        return
    if member.vhd is None:
        yield _error("member.data", f"{member.name!r} has no VHD footer", "every consumer refuses it", _ANEW)
    if member.header == "pax":
        yield _info(
            "member.pax", f"{member.name!r} has a pax header", "the tar of an old XenServer may print warnings about it"
        )
    if member.size >= _BIG and member.header not in ("pax", "gnu"):
        yield _warning(
            "member.size", f"{member.name!r} has {format_size(member.size)} in a {member.header} header", "8 GiB end it"
        )
    yield from _check_owner(member)


def _check_owner(member: Member) -> Iterator[Finding]:
    if member.mode & 0o7000 or not member.mode & 0o400:
        yield _warning(
            "member.mode",
            f"{member.name!r} has the mode {member.mode:04o}",
            "tar runs as root in dom0 and restores it",
            "Pack with --mode=0644.",
        )
    if member.owner != "0:0":
        yield _info(
            "member.owner",
            f"{member.name!r} belongs to {member.owner}",
            "tar runs as root in dom0 and restores the owner in the storage repository",
            "Pack with --owner=0 --group=0.",
        )


def _check_times(facts: BundleFacts, now: int) -> Iterator[Finding]:
    by_name = {member.name: member for member in facts.members}
    for name in facts.chain:
        member = by_name[name]
        if _EPOCH <= member.mtime <= now + _CLOCK_SLACK:
            continue
        what = f"{name!r} was modified {'before 2000' if member.mtime < _EPOCH else 'in the future'} ({member.mtime})"
        if len(facts.chain) > 1 and name == facts.chain[-1]:
            yield _error(
                "member.mtime",
                what,
                "os-xenapi writes the time of a parent's file into its child, where vhd-util check refuses it:"
                " 'parent creation time in future'",
                "Pack with --mtime=2000-01-01T00:00:00Z.",
            )
        else:
            yield _info("member.mtime", what, "harmless for this member", "Pack with --mtime=2000-01-01T00:00:00Z.")


def _check_size(facts: BundleFacts, profile: Profile) -> Iterator[Finding]:
    if facts.virtual_size > profile.virtual_size_max:
        yield _error(
            "size.max",
            f"the disk has {format_size(facts.virtual_size)}, {profile.name} takes"
            f" {format_size(profile.virtual_size_max)}",
            profile.virtual_size_reason,
            "Make the disk smaller before it becomes an image.",
        )


def _check_links(facts: BundleFacts, profile: Profile) -> Iterator[Finding]:
    by_name = {member.name: member for member in facts.members}
    chain = [by_name[name] for name in facts.chain]
    report = _error if profile.name in _COALESCING else _warning
    for child, parent in pairwise(chain):
        upper, lower = child.vhd, parent.vhd
        if upper is None or lower is None:
            continue
        if upper.variant != "differencing":
            yield _error(
                "chain.type",
                f"{child.name!r} is {upper.variant}, but {parent.name!r} follows as its parent",
                "vhd-util modify refuses to give it a parent; is the order reversed? 0.vhd is the leaf",
                "Number the members from the leaf, 0.vhd, down to the base.",
            )
        if upper.virtual_size < lower.virtual_size:
            yield report(
                "chain.smaller",
                f"{child.name!r} has {upper.virtual_size} bytes, its parent {parent.name!r} {lower.virtual_size}",
                "Cinder resizes the parent to the child's size, and vhd-util cannot shrink: rc 38",
                "Flatten the chain: xenimage bundle create makes one VHD of it.",
            )
        if upper.virtual_size % MIB or lower.virtual_size % MIB:
            yield report(
                "chain.mib",
                f"{child.name!r} or {parent.name!r} has no whole MiB",
                "vhd-util query drops the fraction, and Cinder then tries to shrink the parent: rc 38",
                "Flatten the chain: xenimage bundle create makes one VHD of it.",
            )
        if upper.variant == "differencing" and upper.parent_uuid != lower.uuid:
            yield _info(
                "chain.uuid",
                f"{child.name!r} names the parent {upper.parent_uuid or '(none)'}, {parent.name!r} is {lower.uuid}",
                "os-xenapi and Cinder write the link anew; if the parent is the wrong one, the data is garbage",
                "Compare with the chain that the bundle was made from.",
            )
