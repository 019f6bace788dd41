"""``disk repair``, ``disk rebase`` and ``bundle repair``."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING

from xenimage import api
from xenimage.cli.arguments import positive
from xenimage.cli.command import Outcome, OutputCommand
from xenimage.cli.errors import WITH_LOSS
from xenimage.cli.views import repair as views
from xenimage.exceptions import NotReadyError, UsageError
from xenimage.model.plan import (
    BundleOptions,
    Compression,
    RebaseOptions,
    RepairBundleOptions,
    RepairOptions,
    SourceOptions,
)
from xenimage.units import parse_size

if TYPE_CHECKING:
    import argparse


def _code(lost_size: int, *, accepted: bool, written: bool) -> int:
    if not lost_size:
        return 0
    if not accepted:
        return NotReadyError.exit_code
    return WITH_LOSS if written else 0


class RepairDisk(OutputCommand):
    """Repair a VHD."""

    summary = "Repair a damaged VHD, into a new file or in place"
    description = """\
Reads what is left of a VHD and writes it to a new file, laid out afresh as
XenServer does. The uuid and the link to a parent are kept. What is lost is
listed, and nothing is written until you accept that. With --in-place only the
footers are mended, where that makes the disk sound; the replaced bytes are
saved beside it first."""
    examples = (
        "xenimage disk repair broken.vhd --output mended.vhd",
        "xenimage disk repair cut.vhd --output rest.vhd --accept-loss",
        "xenimage disk repair broken.vhd --in-place",
        "xenimage disk repair broken.vhd --undo broken.vhd.xenimage-backup-0c5f1d2e3b4a",
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the disk and what may be done to it."""
        parser.add_argument("disk", metavar="FILE", help="the VHD; only read without --in-place")
        way = parser.add_mutually_exclusive_group()
        way.add_argument("--output", metavar="NEW", help="the new file (default: FILE with .repaired.vhd)")
        way.add_argument("--in-place", action="store_true", help="mend footers alone, where they stand")
        way.add_argument("--undo", metavar="BACKUP", help="put the bytes back that --in-place replaced")
        parser.add_argument("--size", type=parse_size, help="of the disk, where both footers are lost")
        parser.add_argument(
            "--accept-loss", action="store_true", help="write the disk without its lost parts; ends with 8"
        )
        parser.add_argument("--keep-hidden", action="store_true", help="a hidden disk stays hidden: it has children")
        parser.add_argument("--jobs", type=positive, metavar="N", help="threads (default: one for each CPU)")
        parser.add_argument("--dry-run", action="store_true", help="show what would be done, and write nothing")
        parser.add_argument(
            "--force", action="store_true", help="replace an output that exists; mend a disk that looks in use"
        )

    def execute(self, args: argparse.Namespace) -> Outcome:
        """Repair the disk, or undo that."""
        if args.undo:
            if args.dry_run:
                raise UsageError("an undo cannot be tried", expected="--undo without --dry-run", where=args.disk)
            size = api.undo_repair(args.disk, args.undo)
            return Outcome(
                data=views.undo_record(args.disk, args.undo, size),
                text=functools.partial(views.undo_lines, args.disk, args.undo),
            )
        options = RepairOptions(
            path=args.disk,
            output="" if args.in_place else args.output or _beside(args.disk),
            in_place=args.in_place,
            size=args.size,
            accept_loss=args.accept_loss,
            keep_hidden=args.keep_hidden,
            jobs=args.jobs or self.context.settings.jobs,
            timestamp=self.context.timestamp,
            force=args.force,
            dry_run=args.dry_run,
        )
        report = api.repair_disk(options, limits=self.context.settings.limits, progress=self.context.progress)
        return Outcome(
            data=views.repair_record(report),
            text=functools.partial(views.repair_lines, report),
            code=_code(report.lost_size, accepted=args.accept_loss, written=report.written),
        )


def _beside(disk: str) -> str:
    """The name of the repaired disk where the user gives none. Whoever made the disk may have put a link there.

    :raises UsageError: it is a symbolic link.
    """
    name = f"{os.path.splitext(disk)[0]}.repaired.vhd"
    if os.path.islink(name):
        raise UsageError("is a symbolic link", expected="a new file", where=name, tip="Name one with --output.")
    return name


class RebaseDisk(OutputCommand):
    """Link a differencing VHD to its parent."""

    summary = "Link a differencing VHD to its parent"
    description = """\
Writes into CHILD where its parent lies: the uuid, the name, and the path from
CHILD to it. Parent locators that are missing are created. CHILD must have been
made on that parent, which its uuid proves."""
    examples = (
        "xenimage disk rebase leaf.vhd --parent base.vhd",
        "xenimage disk rebase leaf.vhd --parent disk.raw --raw",
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the two disks."""
        parser.add_argument("child", metavar="CHILD", help="the differencing VHD; its link is changed in place")
        parser.add_argument("--parent", required=True, metavar="FILE", help="its parent; only read")
        parser.add_argument("--raw", action="store_true", help="the parent is a raw disk")
        parser.add_argument("--dry-run", action="store_true", help="show what would be done, and write nothing")
        parser.add_argument("--force", action="store_true", help="link it to a parent of another uuid")

    def execute(self, args: argparse.Namespace) -> Outcome:
        """Link the disk."""
        options = RebaseOptions(
            path=args.child, parent=args.parent, raw=args.raw, force=args.force, dry_run=args.dry_run
        )
        report = api.rebase_disk(options, limits=self.context.settings.limits)
        return Outcome(data=views.rebase_record(report), text=functools.partial(views.rebase_lines, report))


class RepairBundle(OutputCommand):
    """Make a bundle by others anew."""

    summary = "Make a bundle anew that others made, so that its target takes it"
    description = """\
Reads the VHDs of a bundle, damaged ones too, and writes a new one: names, order
and links, layout, batmap and hidden flags as XenServer wants them. Members that
are no part of the disk are left out. Nothing is unpacked to disk; the result is
read back, checked and compared."""
    examples = (
        "xenimage bundle repair theirs.tgz --output ours.tgz",
        "xenimage bundle repair theirs.tgz --output ours.tgz --dry-run",
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the bundle and the file to write."""
        parser.add_argument("bundle", metavar="BUNDLE", help="the bundle; it is only read")
        parser.add_argument("--output", required=True, metavar="NEW", help="the new bundle")
        parser.add_argument("--profile", help="who reads it (default: nova-xenapi; see: xenimage profile list)")
        parser.add_argument(
            "--compression", choices=[each.value for each in Compression], help="from quick to small (default: fast)"
        )
        parser.add_argument("--jobs", type=positive, metavar="N", help="threads (default: one for each CPU)")
        parser.add_argument("--accept-loss", action="store_true", help="write it without lost parts; ends with 8")
        parser.add_argument("--no-verify", action="store_true", help="do not read the new bundle back")
        parser.add_argument("--dry-run", action="store_true", help="show what would be done, and write nothing")
        parser.add_argument("--force", action="store_true", help="replace an output that exists")

    def execute(self, args: argparse.Namespace) -> Outcome:
        """Make the bundle anew, or show what would be done."""
        settings = self.context.settings
        options = RepairBundleOptions(
            bundle=BundleOptions(
                source=SourceOptions(path=args.bundle, format="bundle"),
                output=args.output,
                profile=args.profile or settings.profile,
                compression=Compression(args.compression) if args.compression else settings.compression,
                jobs=args.jobs or settings.jobs,
                timestamp=self.context.timestamp,
                force=args.force,
                verify=not args.no_verify,
            ),
            accept_loss=args.accept_loss,
        )
        if args.output == "-":
            raise UsageError("a repaired bundle cannot go to standard output", expected="--output FILE")
        report = api.repair_bundle(
            options, dry_run=args.dry_run, limits=settings.limits, progress=self.context.progress
        )
        return Outcome(
            data=views.bundle_record(report),
            text=functools.partial(views.bundle_lines, report),
            code=_code(report.lost_size, accepted=args.accept_loss, written=report.made is not None),
        )
