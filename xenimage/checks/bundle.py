"""What the consumers of a bundle make of its gzip stream, its tar, and the names in it."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from xenimage.checks.kinds import KINDS
from xenimage.checks.naming import OLD_NAMES, SUFFIX, SWAP, bare_name, counted, listing, sequence
from xenimage.model.finding import Severity
from xenimage.model.report import Verdict
from xenimage.units import GIB, KIB, MIB, format_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from xenimage.model.finding import Finding
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


def _found(code: str, case: str = "", **values: Any) -> Finding:
    return KINDS[f"bundle.{code}"].found(case, **values)


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
        yield _found("gzip.trailing", count=facts.gzip_trailing, size=facts.size - facts.gzip_trailing)
    if facts.gzip_members > 1:
        yield _found("gzip.members", count=facts.gzip_members)
    if not facts.tar_ended:
        yield _found("tar.unended")
    if facts.tar_trailing > _RECORD:
        yield _found("tar.trailing", "many" if facts.tar_trailing > _PIPE else "", count=facts.tar_trailing)


def _check_sequence(facts: BundleFacts, profile: Profile) -> Iterator[Finding]:
    flat = listing(facts.members)
    vhds = counted(sequence(facts.members))
    if not facts.chain:
        yield _found("name.none", names=_some(flat))
    wrong = [name for name in vhds if not _NAME.fullmatch(name) or int(name[: -len(SUFFIX)]) >= len(vhds)]
    if facts.chain and wrong:
        yield _found("name.sequence", last=len(vhds) - 1, names=_some(wrong), expected=len(facts.chain))
    most = min(profile.members_max, _CHAIN_NOVA)
    if len(vhds) > most:
        case = "nova" if most == _CHAIN_NOVA else ""
        yield _found("name.many", case, count=len(vhds), profile=profile.name, most=most)
    yield from _check_renamed(flat, profile)


def _some(names: Iterable[str]) -> str:
    names = list(names)
    shown = ", ".join(repr(name) for name in names[:5])
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown or "it is empty"


def _check_renamed(flat: dict[str, Member | None], profile: Profile) -> Iterator[Finding]:
    olds = [name for name in OLD_NAMES if name in flat]
    alone = len(flat) == 1 and next(iter(flat)).endswith(SUFFIX) and f"0{SUFFIX}" not in flat
    if olds and f"0{SUFFIX}" in flat:
        yield _found("name.overwritten", names=_some(olds))
    elif olds or alone:
        yield _found("name.old", "numbered" if profile.only_numbered else "", names=_some(olds or flat))


def _check_extras(facts: BundleFacts, profile: Profile) -> Iterator[Finding]:
    for member in facts.members:
        yield from _check_extra(member, profile)


def _check_extra(member: Member, profile: Profile) -> Iterator[Finding]:
    name = bare_name(member.name)
    last = name.rpartition("/")[2]
    if last.startswith("._"):
        yield _found("name.appledouble", name=member.name)
    elif "/" in name and last.endswith(SUFFIX):
        yield _found("name.subdirectory", name=member.name)
    elif name.lower().endswith(SUFFIX) and not name.endswith(SUFFIX):
        yield _found("name.case", name=member.name)
    elif not name or name == SWAP or not name.endswith(SUFFIX):
        case = "refused" if profile.only_regular else ""
        yield _found("member.extra", case, name=member.name, kind=member.kind, profile=profile.name)


def _check_repeated(facts: BundleFacts) -> Iterator[Finding]:
    for name, count in Counter(bare_name(member.name) for member in facts.members).items():
        if count > 1 and name:
            yield _found("name.repeated", count=count, name=name)


def _check_member(member: Member) -> Iterator[Finding]:
    if ".." in member.name.split("/"):
        yield _found("name.escape", name=member.name)
    elif member.name.startswith("/"):
        yield _found("name.absolute", name=member.name)
    if member.kind == "sparse file":
        yield _found("member.sparse", name=member.name)
    elif member.kind not in ("file", "directory"):
        yield _found("member.link" if "link" in member.kind else "member.special", name=member.name, kind=member.kind)
    if member.kind != "file" or not bare_name(member.name).endswith(SUFFIX):
        return
    if member.vhd is None:
        yield _found("member.data", name=member.name)
    if member.header == "pax":
        yield _found("member.pax", name=member.name)
    if member.size >= _BIG and member.header not in ("pax", "gnu"):
        yield _found("member.size", name=member.name, size=format_size(member.size), header=member.header)
    yield from _check_owner(member)


def _check_owner(member: Member) -> Iterator[Finding]:
    if member.mode & 0o7000 or not member.mode & 0o400:
        yield _found("member.mode", name=member.name, mode=member.mode)
    if member.owner != "0:0":
        yield _found("member.owner", name=member.name, owner=member.owner)


def _check_times(facts: BundleFacts, now: int) -> Iterator[Finding]:
    by_name = {member.name: member for member in facts.members}
    for name in facts.chain:
        mtime = by_name[name].mtime
        if _EPOCH <= mtime <= now + _CLOCK_SLACK:
            continue
        case = "base" if len(facts.chain) > 1 and name == facts.chain[-1] else ""
        when = "before 2000" if mtime < _EPOCH else "in the future"
        yield _found("member.mtime", case, name=name, when=when, mtime=mtime)


def _check_size(facts: BundleFacts, profile: Profile) -> Iterator[Finding]:
    if facts.virtual_size > profile.virtual_size_max:
        yield _found(
            "size.max",
            size=format_size(facts.virtual_size),
            profile=profile.name,
            most=format_size(profile.virtual_size_max),
            reason=profile.virtual_size_reason,
        )


def _check_links(facts: BundleFacts, profile: Profile) -> Iterator[Finding]:
    by_name = {member.name: member for member in facts.members}
    case = "coalesced" if profile.name in _COALESCING else ""
    for child, parent in pairwise(by_name[name] for name in facts.chain):
        upper, lower = child.vhd, parent.vhd
        if upper is None or lower is None:
            continue
        names = {"child": child.name, "parent": parent.name}
        if upper.variant != "differencing":
            yield _found("chain.type", variant=upper.variant, **names)
        if upper.virtual_size < lower.virtual_size:
            yield _found("chain.smaller", case, upper=upper.virtual_size, lower=lower.virtual_size, **names)
        if upper.virtual_size % MIB or lower.virtual_size % MIB:
            yield _found("chain.mib", case, **names)
        if upper.variant == "differencing" and upper.parent_uuid != lower.uuid:
            yield _found("chain.uuid", wanted=upper.parent_uuid or "(none)", uuid=lower.uuid, **names)
