"""``disk check``."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from xenimage import api
from xenimage.cli.arguments import add_package_options, add_source_format, package_choice
from xenimage.cli.command import Outcome, OutputCommand
from xenimage.cli.views import check as views
from xenimage.exceptions import NotReadyError
from xenimage.model.plan import CheckOptions
from xenimage.model.report import Verdict

if TYPE_CHECKING:
    import argparse


class Check(OutputCommand):
    """Judge disks."""

    summary = "Check disk images, alone and as the chain that they make up"
    description = """\
Holds VHDs against everything that their target is known to refuse, or to get
wrong silently: footers, header, BAT, batmap, every block's bitmap. VHDs that
are given together are also checked as a chain. Of other formats header and
tables are proved. Names inside images are never followed. Ends with 0 if there
is no error among the findings, with 6 if there is."""
    examples = (
        "xenimage disk check debian.vhd",
        "xenimage disk check leaf.vhd base.vhd --profile cinder",
        "xenimage disk check leaf.vhd --directory /srv/chain -f json",
    )
    format_names = ("-f",)

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the disks, where their parents are, and the target."""
        parser.add_argument("files", nargs="+", metavar="FILE", help="a disk image; it is only read")
        source = parser.add_argument_group("source")
        add_source_format(source, ("--source-format",))
        add_package_options(source)
        parser.add_argument(
            "--directory",
            default="",
            metavar="DIR",
            help="take the parents of VHDs from DIR, by uuid, and check them too",
        )
        parser.add_argument("--profile", help="who shall read them (default: nova-xenapi; see: xenimage profile list)")

    def execute(self, args: argparse.Namespace) -> Outcome:
        """Check the disks."""
        settings = self.context.settings
        options = CheckOptions(
            paths=tuple(args.files),
            format=args.source_format,
            choice=package_choice(args),
            directory=args.directory,
            profile=args.profile or settings.profile,
        )
        report = api.check_disks(options, limits=settings.limits, progress=self.context.progress)
        return Outcome(
            data=views.record(report),
            text=functools.partial(views.lines, report),
            code=NotReadyError.exit_code if report.verdict is Verdict.NOT_READY else 0,
        )
