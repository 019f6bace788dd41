"""Decide everything about a bundle before the first byte is moved. Pure: facts and wishes in, a plan out."""

from __future__ import annotations

import dataclasses
import os
import shlex
from typing import TYPE_CHECKING

from xenimage.checks.guest.inspection import NOTHING
from xenimage.containers.bundle.writer import size_bound
from xenimage.engine.claims import weigh
from xenimage.exceptions import NotReadyError, UnsupportedError, UsageError
from xenimage.formats.vhd.layout import BLOCK_SIZE, EPOCH, SIZE_MAX
from xenimage.formats.vhd.writer import NewVhd, Parent
from xenimage.model.finding import Finding, Severity
from xenimage.model.plan import DIGESTS, Layer, Plan, SizePolicy, is_refused
from xenimage.profiles.properties import decide
from xenimage.units import GIB, format_size, round_up

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from xenimage.engine.mapper import BlockMap
    from xenimage.model.check import Readiness
    from xenimage.model.disk import DiskFacts
    from xenimage.model.guest.free import FreeSpace
    from xenimage.model.machine import Origin
    from xenimage.model.plan import BundleOptions
    from xenimage.model.profile import Profile

WHOLE_BLOCKS = "A VHD that is no multiple of its 2 MiB blocks is enlarged by more than asked at the next resize."
_USTAR_MAX = 8 * GIB
"""bytes: what eleven octal digits cannot say"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Found:
    """A disk that shall become a VHD, as it was found."""

    path: str
    facts: DiskFacts
    blocks: BlockMap
    free: FreeSpace | None = None
    """what is blank in it because nobody uses it; None where nobody looked"""
    origin: Origin | None = None
    """None where it stands in no package"""


def plan(
    options: BundleOptions,
    profile: Profile,
    found: Sequence[Found],
    guest: Readiness | None = None,
    *,
    jobs: int,
    now: int,
) -> Plan:
    """Decide.

    :param found: the disks, the leaf first.
    :param guest: what is on them; None where nobody looked.
    :param jobs: threads to use where the options do not say.
    :param now: Unix seconds; no timestamp may lie behind it.
    :raises UsageError: a size below the source's, no thread at all, a property given twice, an unknown digest.
    :raises UnsupportedError: larger than any VHD, or a child that is smaller than its parent.
    """
    threads = decide_jobs(options.jobs, jobs)
    for name in options.digests:
        if name not in DIGESTS:
            raise UsageError(f"{name!r} is no digest", expected=f"one of {', '.join(DIGESTS)}")
    timestamp = clamp_time(options.timestamp, now)
    origin = found[0].origin
    suggestions, doubts = weigh(origin.machine if origin else None, guest, profile)
    properties, findings = decide(profile, options, suggestions)
    layers = _layers(options, found)
    leaf = layers[0]
    vhds = [
        (vhd, layer.data_size // BLOCK_SIZE) for vhd, layer in zip(new_vhds(layers, timestamp), layers, strict=True)
    ]
    return Plan(
        options=options,
        profile=profile,
        layers=layers,
        min_disk=-(-leaf.virtual_size // GIB),
        output_size_max=size_bound(vhds),
        jobs=threads,
        timestamp=timestamp,
        properties=properties,
        findings=(
            *(finding for each in found for finding in each.facts.findings),
            *_payload_findings(profile, options),
            *_size_findings(profile, leaf.source.virtual_size, leaf.virtual_size),
            *_tar_findings(vhds),
            *_chain_findings(profile, layers),
            *findings,
            *doubts,
            *guest_findings(guest),
        ),
        guest=guest,
        free=found[0].free,
        origin=origin,
    )


def require_ready(findings: Sequence[Finding], guest: Readiness | None, options: BundleOptions, what: str) -> None:
    """Refuse a plan whose findings keep it from being carried out.

    :param what: the plan is for: ``a bundle``.
    :raises NotReadyError: with all findings.
    """
    if is_refused(findings, guest, allowed=options.allow_not_ready):
        forgivable = not is_refused(findings, guest, allowed=True)
        raise NotReadyError(
            f"cannot be {what} for {options.profile}",
            findings=findings,
            where=options.source.path,
            tip="Mend it in the guest. To make it nevertheless: --allow-not-ready." if forgivable else "",
        )


def _layers(options: BundleOptions, found: Sequence[Found]) -> tuple[Layer, ...]:
    layers: list[Layer] = []
    for number, each in enumerate(found):
        wishes = (options.size, options.size_policy) if number == 0 else (None, SizePolicy.EXACT)
        layer = Layer(
            name=f"{number}.vhd",
            path=each.path,
            source=each.facts,
            virtual_size=target_size(each.facts.virtual_size, *wishes),
            blocks=each.blocks.ranges,
            data_size=each.blocks.blocks * BLOCK_SIZE,
        )
        # Before rounding: between the two ends the child shows zeros, and its VHD would show the parent's data.
        if layers and layers[-1].source.virtual_size < each.facts.virtual_size:
            child = layers[-1]
            raise UnsupportedError(
                f"has {child.source.virtual_size} bytes, its parent {each.path} has {each.facts.virtual_size}",
                expected="a child at least as large as its parent",
                where=child.path,
                tip="Without --chain the layers are flattened, and the disk keeps its size.",
            )
        layers.append(layer)
    return tuple(layers)


def new_vhds(layers: Sequence[Layer], timestamp: int) -> list[NewVhd]:
    """The VHDs that *layers* become: each has the next as its parent, and all but the leaf are hidden."""
    parents = [Parent(name=layer.name, timestamp=timestamp) for layer in layers[1:]]
    return [
        NewVhd(virtual_size=layer.virtual_size, timestamp=timestamp, parent=parent, hidden=number > 0)
        for number, (layer, parent) in enumerate(zip(layers, [*parents, None], strict=True))
    ]


def decide_jobs(wished: int | None, usual: int) -> int:
    """Threads to use.

    :raises UsageError: none at all.
    """
    if wished is not None and wished < 1:
        raise UsageError(f"{wished} jobs are asked for", expected="at least 1")
    return wished or usual


def target_size(source_size: int, wished: int | None = None, policy: SizePolicy = SizePolicy.EXACT) -> int:
    """Bytes that the guest will see: the source's or the wished size, rounded up by the policy.

    :raises UsageError: the wished size would cut the source.
    :raises UnsupportedError: larger than any VHD.
    """
    if wished is not None and wished < source_size:
        raise UsageError(
            f"the size {wished} is below the {source_size} bytes of the source",
            expected="at least as much: a disk is never shortened",
        )
    unit = GIB if policy is SizePolicy.GIB else BLOCK_SIZE
    size = max(unit, round_up(wished or source_size, unit))
    return require_vhd_size(size)


def require_vhd_size(size: int) -> int:
    """Give *size* back if a VHD can have it.

    :raises UnsupportedError: it is larger than any VHD.
    """
    if size > SIZE_MAX:
        raise UnsupportedError(
            f"the disk has {size} bytes ({format_size(size)})",
            expected=f"at most {SIZE_MAX} ({format_size(SIZE_MAX)}), the largest VHD that XenServer attaches",
            tip="Larger disks need qcow2 (XCP-ng 8.3 and later): xenimage disk convert SOURCE NEW.qcow2 --format qcow2",
        )
    return size


def clamp_time(wished: int | None, now: int) -> int:
    """Unix seconds for the VHD and the tar member.

    The consumers refuse what lies before 2000 (a VHD counts from there) or in the future. Without a wish it is the
    start of 2000, so that the same disk always gives the same bytes.
    """
    return EPOCH if wished is None else max(EPOCH, min(wished, now))


def bare_vhd_command(options: BundleOptions) -> list[str]:
    """Return the command that writes the disk alone, for targets that take no bundle: its words."""
    source = options.source
    stem = "disk" if options.output == "-" else os.path.splitext(options.output)[0]
    output = f"{stem}.vhd" if f"{stem}.vhd" != source.path else f"{stem}.new.vhd"
    words = ["xenimage", "disk", "convert", source.path, output, "--format", "vhd"]
    if source.format:
        words += ["--source-format", source.format]
    if source.snapshot:
        words += ["--snapshot", source.snapshot]
    words += [word for path in source.backing for word in ("--backing", path)]
    choice = source.choice
    for name, value in (("--vm", choice.machine), ("--disk", choice.disk), ("--deployment", choice.deployment)):
        words += [name, value] if value else []
    return [*words, "--follow-backing", source.follow] if source.follow else words


def guest_findings(guest: Readiness | None) -> Iterator[Finding]:
    """Pass on what was found of the guest; that there is none is nothing to say of a bundle."""
    for finding in guest.findings if guest else ():
        if finding.code != NOTHING:
            yield finding


def _payload_findings(profile: Profile, options: BundleOptions) -> Iterator[Finding]:
    if profile.payload:
        resized = options.size is not None or options.size_policy is not SizePolicy.EXACT
        yield Finding(
            code="profile.bare-vhd",
            severity=Severity.WARNING,
            what=f"{profile.title} does not take a bundle: it takes the VHD alone.",
            why="Nothing there unpacks a gzipped tar; the file would have to be unpacked before it is of use.",
            act=f"Write the VHD alone: {shlex.join(bare_vhd_command(options))}"
            + (". It has the size of the source: make that larger first." if resized else ""),
            where=f"profile {profile.name}",
        )


def _size_findings(profile: Profile, source_size: int, size: int) -> list[Finding]:
    findings = []
    if size > profile.virtual_size_max:
        findings.append(
            Finding(
                code="size.profile",
                severity=Severity.ERROR,
                what=f"The disk has {format_size(size)}, more than the {format_size(profile.virtual_size_max)} that "
                f"{profile.name} takes.",
                why=profile.virtual_size_reason,
                act="Make the disk smaller in the guest and in its image, or choose another profile.",
            )
        )
    if size != source_size:
        asked = size - source_size >= BLOCK_SIZE
        why = "You asked for it; the guest's partitions and file systems stay as they are." if asked else WHOLE_BLOCKS
        findings.append(rounded_finding(source_size, size, why))
    return findings


def rounded_finding(source_size: int, size: int, why: str) -> Finding:
    """The finding that a disk grows."""
    return Finding(
        code="size.rounded",
        severity=Severity.INFO,
        what=f"The disk grows from {source_size} to {size} bytes; the new bytes are zeros.",
        why=why,
        act="Nothing; a backup GPT is no longer at the end, which guests repair by themselves.",
    )


def _chain_findings(profile: Profile, layers: Sequence[Layer]) -> Iterator[Finding]:
    if len(layers) > profile.members_max:
        yield Finding(
            code="chain.members",
            severity=Severity.ERROR,
            what=f"The bundle would hold {len(layers)} VHDs, more than the {profile.members_max} that {profile.name}"
            " takes.",
            why=profile.summary,
            act="Leave out --chain: the layers are then flattened into one VHD.",
        )
    sizes = [layer.virtual_size for layer in layers]
    if len(set(sizes)) > 1:
        yield Finding(
            code="chain.sizes",
            severity=Severity.INFO,
            what=f"The VHDs of the chain have different sizes: {', '.join(map(str, sizes))} bytes from the leaf on.",
            why="XenServer takes a child that is larger than its parent; Cinder enlarges the parent before it merges.",
            act="Nothing.",
        )


def _tar_findings(vhds: Sequence[tuple[NewVhd, int]]) -> Iterator[Finding]:
    if any(vhd.size(blocks) >= _USTAR_MAX for vhd, blocks in vhds):
        yield Finding(
            code="size.tar",
            severity=Severity.INFO,
            what="A VHD may pass 8 GiB; its tar header then gives the size in GNU's base-256 form.",
            why="Every GNU tar in a XenServer host reads it; some other tools do not.",
            act="Nothing.",
        )
