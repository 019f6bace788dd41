"""``guest show`` and ``check``: what is in the disks of a guest, and whether a target takes it."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING

from xenimage import api
from xenimage.cli.arguments import add_source_options, key_value, source_options
from xenimage.cli.bundling import add_timeout, limits
from xenimage.cli.command import Outcome, OutputCommand
from xenimage.cli.views import guest as guest_views
from xenimage.cli.views import readiness as views
from xenimage.exceptions import NotReadyError, UsageError
from xenimage.model.plan import GuestOptions, SourceOptions
from xenimage.model.report import Verdict
from xenimage.sinks.file import FileSink, check_target

if TYPE_CHECKING:
    import argparse

    from xenimage.model.report import GuestReport


class Show(OutputCommand):
    """Tell what is in the disks of a guest."""

    summary = "Show what the disks of a guest hold: partitions, system, drivers"
    description = """\
Looks into the disks of one guest, without mounting them: partitions and file
systems, the operating system, its Xen drivers, what starts it and what sets it
up. A child process does it that has access to nothing but what it is given to
read. What is damaged is told, and the rest is shown. Facts, no judgement."""
    examples = (
        "xenimage guest show windows.qcow2",
        "xenimage guest show debian.tgz -f json",
        "xenimage guest show system.vhd data.vhd",
    )
    format_names = ("-f",)

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the disks."""
        _add_disks(parser)

    def execute(self, args: argparse.Namespace) -> Outcome:
        """Look into the disks."""
        facts = api.inspect_guest(_sources(args), limits=self.context.settings.limits)
        return Outcome(data=guest_views.record(facts), text=functools.partial(guest_views.lines, facts))


class Check(OutputCommand):
    """Judge a guest."""

    summary = "Check whether the guest on a disk image is ready for its target"
    description = """\
Looks into the disks of one guest, without mounting them, and tells whether its
target would boot and configure it: drivers, boot loader, cloud-init or
cloudbase-init, sysprep; and which image properties follow. Ends with 0 if it
is ready, with 6 if there is an error among the findings."""
    examples = (
        "xenimage guest check debian.qcow2",
        "xenimage guest check win.vmdk --profile nova-xenapi-6 --html win.html",
        "xenimage guest check leaf.qcow2 --backing base.qcow2 --strict -f json",
        "xenimage guest check root.qcow2 data.qcow2 --property os_type=linux",
    )
    format_names = ("-f",)

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the disks, the target, and the page."""
        _add_disks(parser)
        target = parser.add_argument_group("target")
        target.add_argument("--profile", help="who shall run it (default: nova-xenapi; see: xenimage profile list)")
        target.add_argument(
            "--property",
            action="append",
            default=[],
            dest="properties",
            type=key_value,
            metavar="NAME=VALUE",
            help="an image property that you have in mind; held against the guest; repeatable",
        )
        target.add_argument("--strict", action="store_true", help="end with 6 for warnings, too")
        add_timeout(parser.add_argument_group("guest"))
        page = parser.add_argument_group("page")
        page.add_argument("--html", metavar="FILE", help="write a page to look at, too: one file that loads nothing")
        page.add_argument("--force", action="store_true", help="replace a page that exists")

    def execute(self, args: argparse.Namespace) -> Outcome:
        """Check the guest, and write the page."""
        settings = self.context.settings
        if args.html:
            for path in (*args.disks, *args.backing):
                if path == args.html:
                    raise UsageError("is a disk of the guest", expected="another file for the page", where=path)
            check_target(args.html, force=args.force)
        options = GuestOptions(
            sources=_sources(args),
            profile=args.profile or settings.profile,
            properties=tuple(args.properties),
        )
        report = api.check_guest(options, limits=limits(args, self.context))
        if args.html:
            _write(report, args.html, force=args.force)
        refused = report.verdict is Verdict.NOT_READY or (args.strict and report.verdict is not Verdict.SOUND)
        return Outcome(
            data=views.record(report) | {"page": args.html},
            text=functools.partial(views.lines, report),
            code=NotReadyError.exit_code if refused else 0,
        )


def _add_disks(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "disks", nargs="+", metavar="DISK", help="a disk image, the one it starts from first; it is only read"
    )
    add_source_options(parser.add_argument_group("source"), ("--format", "--source-format"))


def _sources(args: argparse.Namespace) -> tuple[SourceOptions, ...]:
    """Return the disks. Parents and snapshots are those of a disk that is alone.

    :raises UsageError: parents or a snapshot are given for several.
    """
    if len(args.disks) > 1 and (args.backing or args.snapshot):
        raise UsageError(
            f"--backing or --snapshot is given for {len(args.disks)} disks",
            expected="one disk",
            tip="Let --follow-backing DIR find the parents, or flatten the disks: xenimage disk convert.",
        )
    first = source_options(args, args.disks[0])
    return (first, *(dataclasses.replace(first, path=path) for path in args.disks[1:]))


def _write(report: GuestReport, path: str, *, force: bool) -> None:
    from xenimage.cli.views.page.guest import page  # most runs need no page

    sink = FileSink(path, force=force)
    try:
        sink.write([page(report)])
        sink.flush()
        sink.commit()
    finally:
        sink.close()
