"""Make a bundle by others anew: its disks as they can be read, in the order, layout and names that consumers take."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from typing import TYPE_CHECKING

from xenimage.containers.bundle.check import check_bundle
from xenimage.containers.bundle.order import layers
from xenimage.containers.bundle.reader import open_bundle
from xenimage.engine import bundler
from xenimage.engine.layers import layered
from xenimage.engine.mapper import map_blocks
from xenimage.engine.mendings import mendings
from xenimage.engine.planner import Found, plan
from xenimage.engine.repairer import lost_finding
from xenimage.exceptions import FormatError, NotReadyError
from xenimage.formats.vhd.salvage.reader import open_salvaged
from xenimage.model.finding import Severity
from xenimage.model.report import BundleRepairReport, MemberRepair
from xenimage.sources.file import open_file
from xenimage.units import format_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xenimage.containers.bundle.reader import Bundle
    from xenimage.formats.vhd.salvage.reader import SalvagedDisk
    from xenimage.limits import Limits
    from xenimage.model.plan import RepairBundleOptions
    from xenimage.model.profile import Profile
    from xenimage.model.report import Member
    from xenimage.model.transfer import Progress

_LISTED = 16
"""lost ranges of a disk that a message lists; the report has all"""


def repair_bundle(
    options: RepairBundleOptions, profile: Profile, jobs: int, limits: Limits, progress: Progress, *, dry_run: bool
) -> BundleRepairReport:
    """Make the bundle anew that *options* name.

    :param jobs: threads to use where the options do not say.
    :raises FormatError: it is no bundle, or its VHDs make up no disk.
    :raises NotReadyError: parts are lost, and that was not accepted; the profile takes no such bundle; or the new one
        was read back and is not what it should be.
    :raises UsageError: an output that may not be replaced.
    """
    wished = options.bundle
    bundler.check_output(wished)
    now = int(time.time())
    with contextlib.closing(open_file(wished.source.path)) as source:
        bundle = open_bundle(source, limits, progress)
        before = tuple(check_bundle(bundle, profile, limits, now).findings)
        chain, dropped, notes = layers(bundle)
        limits.require("chain_depth", len(chain), "the number of VHDs in the bundle")
        bundler.require_depth(len(chain), wished.source.path)
        disks = _open(bundle, chain, limits)
        members = tuple(
            MemberRepair(old_name=member.name, name=f"{number}.vhd", notes=disk.notes, lost=disk.lost)
            for number, (member, disk) in enumerate(zip(chain, disks, strict=True))
        )
        views = layered(disks)
        found = [
            Found(
                path=f"{wished.source.path}:{member.name}",
                facts=dataclasses.replace(disk.facts, findings=()),
                blocks=map_blocks(view.disk, limits, child=view.below is not None),
            )
            for member, disk, view in zip(chain, disks, views, strict=True)
        ]
        decided = plan(dataclasses.replace(wished, chain=len(chain) > 1), profile, found, jobs=jobs, now=now)
        report = BundleRepairReport(
            plan=decided,
            made=None,
            members=members,
            dropped=dropped,
            before=before,
            mendings=mendings(before, ()),
            notes=notes,
        )
        if dry_run:
            return report
        _require_whole(report, accepted=options.accept_loss)
        if any(each.severity is Severity.ERROR for each in decided.findings):
            raise NotReadyError(
                f"cannot be a bundle for {profile.name}", findings=decided.findings, where=wished.source.path
            )
        return dataclasses.replace(report, made=bundler.make(decided, views, limits, progress))


def _open(bundle: Bundle, chain: Sequence[Member], limits: Limits) -> list[SalvagedDisk]:
    disks = [open_salvaged(bundle.member_apart(member), limits) for member in chain]
    for number, (member, disk) in enumerate(zip(chain, disks, strict=True)):
        last = number == len(chain) - 1
        if (disk.facts.parent is None) is not last:
            kind = disk.facts.variant
            raise FormatError(
                f"the member {member.name!r}, layer {number} of {len(chain)}, is {kind}",
                expected="a disk without a parent" if last else "a differencing disk",
                where=bundle.path,
                tip="Its parent is missing: add it to the bundle." if last else "",
            )
    return disks


def _require_whole(report: BundleRepairReport, *, accepted: bool) -> None:
    if not report.lost_size or accepted:
        return
    path = report.plan.options.source.path
    raise NotReadyError(
        f"{format_size(report.lost_size)} of its disks are lost or in doubt",
        findings=[
            lost_finding(each, f"{path}:{member.old_name}")
            for member in report.members
            for each in member.lost[:_LISTED]
        ],
        where=path,
        tip="Look for a better copy of the bundle; if there is none, repair it with --accept-loss.",
    )
