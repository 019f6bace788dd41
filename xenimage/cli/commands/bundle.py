"""``bundle create``, ``show`` and ``check``."""

from __future__ import annotations

import dataclasses
import functools
import sys
from typing import TYPE_CHECKING

from xenimage import api
from xenimage.cli import bundling
from xenimage.cli.arguments import add_source
from xenimage.cli.command import Outcome, OutputCommand
from xenimage.cli.views import bundle as views
from xenimage.exceptions import NotReadyError, UsageError
from xenimage.model.plan import DIGESTS
from xenimage.model.report import Verdict

if TYPE_CHECKING:
    import argparse
    from typing import TextIO


class Create(OutputCommand):
    """Make a bundle of a disk image."""

    summary = "Turn a disk image into a bundle that a Xen cloud boots"
    description = """\
Reads a disk image and writes a gzipped tar that holds it as 0.vhd, together
with what its target wants to know: image properties, size, checksums, and the
commands that upload it. The guest on it is looked at first: a bundle that its
target would not run is not made. The source is only read. The output appears
under its name when it is complete, or not at all."""
    examples = (
        "xenimage bundle create debian.qcow2 --output debian.tgz",
        "xenimage bundle create win.vmdk --output win.tgz --os-type windows --size 40G",
        "xenimage bundle create debian.qcow2 --output debian.tgz --dry-run",
        "xenimage bundle create debian.qcow2 --output - | ssh cloud 'cat > debian.tgz'",
        "xenimage bundle create leaf.qcow2 --backing base.qcow2 --chain --output debian.tgz",
    )
    format_names = ("-f",)

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add what there is to say about a bundle."""
        add_source(parser, format_names=("--format", "--source-format"))
        target = parser.add_argument_group("target")
        target.add_argument("--output", required=True, metavar="FILE", help="the bundle, or - for standard output")
        bundling.add_target(target)
        bundling.add_guest(parser.add_argument_group("guest"))
        bundling.add_chain(parser.add_argument_group("chain"))
        self._add_work(parser.add_argument_group("work"))

    def _add_work(self, group: argparse._ArgumentGroup) -> None:
        bundling.add_work(group)
        group.add_argument(
            "--digest",
            action="append",
            dest="digests",
            choices=DIGESTS,
            help="take only this digest of the bundle; repeatable; all by default, each costs a pass over it",
        )
        group.add_argument("--dry-run", action="store_true", help="show what would be done, and write nothing")
        group.add_argument("--force", action="store_true", help="replace an output that exists")
        group.add_argument("--verify", action="store_true", help="read the bundle back, check it, compare it")

    def execute(self, args: argparse.Namespace) -> Outcome:
        """Make the bundle, or show the plan of it."""
        options = dataclasses.replace(
            bundling.options(args, self.context, args.output),
            digests=tuple(dict.fromkeys(args.digests or DIGESTS)),
            force=args.force,
            verify=args.verify,
        )
        limits = bundling.limits(args, self.context)
        stream: TextIO | None = sys.stderr if options.output == "-" else None
        if args.dry_run:
            plan = api.plan_bundle(options, limits=limits)
            return Outcome(
                data=views.plan_record(plan),
                text=functools.partial(views.plan_lines, plan),
                code=NotReadyError.exit_code if plan.refused else 0,
            )
        if options.output == "-" and sys.stdout.isatty():
            raise UsageError(
                "the bundle would go to the terminal", expected="a pipe or a file", tip="Use --output FILE."
            )
        report = api.create_bundle(options, limits=limits, progress=self.context.progress)
        return Outcome(
            data=views.report_record(report), text=functools.partial(views.report_lines, report), stream=stream
        )


class Show(OutputCommand):
    """Tell what a bundle holds."""

    summary = "Show what a bundle holds"
    description = """\
Lists the members of a bundle and the tables of each VHD in it. Nothing is
unpacked to disk."""
    examples = ("xenimage bundle show debian.tgz", "xenimage bundle show debian.tgz -f json")

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the bundle."""
        parser.add_argument("bundle", metavar="FILE", help="the bundle")

    def execute(self, args: argparse.Namespace) -> Outcome:
        """Look at the bundle."""
        facts = api.show_bundle(args.bundle, limits=self.context.settings.limits, progress=self.context.progress)
        return Outcome(data=views.facts_record(facts), text=functools.partial(views.facts_lines, facts))


class Extract(OutputCommand):
    """Take the VHDs out of a bundle."""

    summary = "Take the VHDs out of a bundle"
    description = """\
Writes the VHDs of a bundle as files into a directory, all of them or none.
Other members are left out and listed; a link in the place of a VHD is refused.
To get at the disk itself, use: xenimage disk convert."""
    examples = (
        "xenimage bundle extract debian.tgz --output debian",
        "xenimage bundle extract debian.tgz --output . --force",
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add bundle and directory."""
        parser.add_argument("bundle", metavar="FILE", help="the bundle")
        parser.add_argument("--output", required=True, metavar="DIR", help="where to; made if it is not there")
        parser.add_argument("--dry-run", action="store_true", help="show what the bundle holds, and write nothing")
        parser.add_argument("--force", action="store_true", help="replace files that exist")

    def execute(self, args: argparse.Namespace) -> Outcome:
        """Extract, or show what there is."""
        limits, progress = self.context.settings.limits, self.context.progress
        if args.dry_run:
            facts = api.show_bundle(args.bundle, limits=limits, progress=progress)
            return Outcome(data=views.facts_record(facts), text=functools.partial(views.facts_lines, facts))
        report = api.extract_bundle(args.bundle, args.output, force=args.force, limits=limits, progress=progress)
        return Outcome(data=views.extract_record(report), text=functools.partial(views.extract_lines, report))


class Check(OutputCommand):
    """Judge a bundle."""

    summary = "Check whether a bundle boots and grows on its target"
    description = """\
Holds a bundle against everything that its target is known to refuse, or to get
wrong silently. All findings are listed, each with its consequence and what to
do. Ends with 0 if there is no error among them, with 6 if there is."""
    examples = (
        "xenimage bundle check debian.tgz",
        "xenimage bundle check debian.tgz --profile nova-vdi-stream -f json",
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the bundle and the target."""
        parser.add_argument("bundle", metavar="FILE", help="the bundle")
        parser.add_argument("--profile", help="who shall read it (default: nova-xenapi; see: xenimage profile list)")

    def execute(self, args: argparse.Namespace) -> Outcome:
        """Check the bundle."""
        settings = self.context.settings
        report = api.check_bundle(
            args.bundle,
            profile=args.profile or settings.profile,
            limits=settings.limits,
            progress=self.context.progress,
        )
        return Outcome(
            data=views.check_record(report),
            text=functools.partial(views.check_lines, report),
            code=NotReadyError.exit_code if report.verdict is Verdict.NOT_READY else 0,
        )
