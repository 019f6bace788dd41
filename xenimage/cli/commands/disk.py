"""``disk show``, ``map``, ``convert`` and ``compare``."""

from __future__ import annotations

import dataclasses
import functools
import os
from typing import TYPE_CHECKING

from xenimage import api
from xenimage.cli.arguments import (
    FORMATS,
    add_package_options,
    add_source,
    names,
    package_choice,
    positive,
    source_options,
)
from xenimage.cli.bundling import add_free_space
from xenimage.cli.command import Outcome, OutputCommand
from xenimage.cli.views import disk as views
from xenimage.exceptions import NotReadyError, UnsafeError
from xenimage.model.plan import ADAPTER_TYPES, COMPRESSIONS, CONVERT_FORMATS, ConvertOptions, SourceOptions
from xenimage.units import parse_size

if TYPE_CHECKING:
    import argparse


class Show(OutputCommand):
    """Tell what is known of a disk without reading its data."""

    summary = "Show what is known of a disk image"
    description = "Reads the tables of a disk image, not its data. Parents that it names are not opened."
    examples = ("xenimage disk show debian.qcow2", "xenimage disk show debian.qcow2 -f json")
    format_names = ("-f",)

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the disk."""
        add_source(parser, format_names=("--source-format", "--format"))

    def execute(self, args: argparse.Namespace) -> Outcome:
        """Look at the disk."""
        facts = api.show_disk(source_options(args), limits=self.context.settings.limits)
        return Outcome(
            data=views.show_record(args.source, facts), text=functools.partial(views.show_lines, args.source, facts)
        )


class Map(OutputCommand):
    """Tell where a disk holds data."""

    summary = "Show where a disk image holds data"
    description = """\
Lists ranges of the disk as its guest sees it: data is stored, zero reads as
zeros, absent is left to the parent and reads as zeros without one."""
    examples = ("xenimage disk map debian.qcow2", "xenimage disk map debian.qcow2 -f csv")
    format_names = ("-f",)
    columns = ("offset", "length", "kind")

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the disk."""
        add_source(parser, format_names=("--source-format", "--format"))
        parser.add_argument(
            "--limit",
            type=positive,
            default=views.ROWS_MAX,
            metavar="N",
            help=f"list N ranges for people (default: {views.ROWS_MAX}); programs get all",
        )

    def execute(self, args: argparse.Namespace) -> Outcome:
        """Map the disk."""
        found = api.map_disk(source_options(args), limits=self.context.settings.limits)
        return Outcome(
            data=views.extent_rows(found.extents),
            text=functools.partial(views.map_lines, args.source, found, args.limit),
            findings=found.findings,
        )


class Convert(OutputCommand):
    """Write a disk anew."""

    summary = "Write a disk image anew as raw, VHD, qcow2 or VMDK"
    description = """\
Writes what the guest sees of SOURCE, chains and bundles flattened, to OUTPUT:
raw with holes where there are zeros; a dynamic VHD as XenServer itself writes
it, or a fixed one as Azure takes it; qcow2 for KVM; a streamOptimized VMDK.
The size is never cut. OUTPUT appears under its name when it is complete, or
not at all."""
    examples = (
        "xenimage disk convert debian.tgz debian.qcow2 --format qcow2",
        "xenimage disk convert debian.qcow2 debian.vhd --format vhd",
        "xenimage disk convert debian.vhd debian.raw --format raw",
        "xenimage disk convert debian.tgz debian.qcow2 --format qcow2 --compression zstd --dry-run",
        "xenimage disk convert chain.tgz chain --format qcow2 --layers",
        "ssh cloud cat debian.tgz | xenimage disk convert - debian.raw --format raw",
    )
    format_names = ("-f",)

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the disk and the file to write."""
        add_source(parser, format_names=("--source-format",))
        parser.add_argument("output", metavar="OUTPUT", help="the file to write")
        parser.add_argument("--format", required=True, dest="output_format", choices=CONVERT_FORMATS, help="its format")
        target = parser.add_argument_group("target")
        target.add_argument(
            "--subformat", metavar="KIND", help="vhd: dynamic (default) or fixed; vmdk: streamOptimized (the only one)"
        )
        target.add_argument("--compression", choices=COMPRESSIONS, help="qcow2: of its clusters (default: none)")
        target.add_argument(
            "--cluster-size", type=parse_size, metavar="SIZE", help="qcow2: from 4k to 2M (default: 64k)"
        )
        target.add_argument(
            "--adapter-type", choices=ADAPTER_TYPES, help="vmdk: what the disk hangs on (default: lsilogic)"
        )
        add_free_space(target)
        target.add_argument("--random-uuid", action="store_true", help="vhd, vmdk: a new identity each time")
        target.add_argument(
            "--layers",
            action="store_true",
            help="qcow2: keep the layers of a chain; OUTPUT is a directory for base.qcow2 to leaf.qcow2",
        )
        target.add_argument(
            "--snapshots",
            type=names,
            default=(),
            metavar="A,B",
            help="internal snapshots (qcow2) that become layers below SOURCE, or all; needs --layers",
        )
        work = parser.add_argument_group("work")
        work.add_argument("--jobs", type=positive, metavar="N", help="threads (default: one for each CPU)")
        work.add_argument("--dry-run", action="store_true", help="show what would be done, and write nothing")
        work.add_argument("--force", action="store_true", help="replace an output that exists")

    def execute(self, args: argparse.Namespace) -> Outcome:
        """Convert the disk, or show the plan of it."""
        options = ConvertOptions(
            source=dataclasses.replace(source_options(args), snapshots=args.snapshots),
            output=args.output,
            format=args.output_format,
            subformat=args.subformat,
            compression=args.compression,
            cluster_size=args.cluster_size,
            adapter=args.adapter_type,
            force=args.force,
            jobs=args.jobs or self.context.settings.jobs,
            timestamp=self.context.timestamp,
            random_uuid=args.random_uuid,
            layers=args.layers,
            drop_free_space=args.drop_free_space,
        )
        limits = self.context.settings.limits
        if args.layers:
            return self._layers(options, dry_run=args.dry_run)
        if args.dry_run:
            plan = api.plan_conversion(options, limits=limits)
            return Outcome(data=views.plan_record(plan), text=functools.partial(views.plan_lines, plan))
        report = api.convert_disk(options, limits=limits, progress=self.context.progress)
        return Outcome(
            data=views.convert_record(args.source, report),
            text=functools.partial(views.convert_lines, args.source, report),
        )

    def _layers(self, options: ConvertOptions, *, dry_run: bool) -> Outcome:
        limits = self.context.settings.limits
        if dry_run:
            plan = api.plan_layers(options, limits=limits)
            return Outcome(data=views.layers_record(plan), text=functools.partial(views.layers_plan_lines, plan))
        report = api.convert_layers(options, limits=limits, progress=self.context.progress)
        return Outcome(data=views.layers_record(report), text=functools.partial(views.layers_lines, report))


class Compare(OutputCommand):
    """Compare two disks."""

    summary = "Compare what two disk images show to a guest"
    description = """\
Compares content, whatever the formats. Behind the end of the shorter disk zeros
count as equal, as VHDs are rounded up. Ends with 0 if they are equal, with 6 if
they differ."""
    examples = ("xenimage disk compare debian.qcow2 debian.vhd",)

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the two disks."""
        parser.add_argument("first", metavar="A", help=f"a disk image: {FORMATS}")
        parser.add_argument("second", metavar="B", help="another")
        group = parser.add_argument_group("source")
        group.add_argument("--source-format", metavar="FORMAT", help="of A; by default found from the content")
        group.add_argument("--second-format", metavar="FORMAT", help="of B; by default found from the content")
        group.add_argument("--backing", action="append", default=[], metavar="FILE", help="A's parent; repeatable")
        group.add_argument("--second-backing", action="append", default=[], metavar="FILE", help="B's; repeatable")
        group.add_argument(
            "--follow-backing",
            metavar="DIR",
            help="look A's parents up that are not given, by the bare names inside the images, in this directory alone",
        )
        group.add_argument("--second-follow-backing", metavar="DIR", help="the same for B's")
        add_package_options(group)
        group.add_argument("--second-vm", default="", metavar="NAME", help="of B, if that is a package: this machine")
        group.add_argument("--second-disk", default="", metavar="NAME", help="of B, if that is a package: this disk")

    def execute(self, args: argparse.Namespace) -> Outcome:
        """Compare the disks."""
        choice = package_choice(args)
        first = SourceOptions(
            path=args.first,
            format=args.source_format,
            backing=tuple(args.backing),
            follow=args.follow_backing,
            choice=choice,
        )
        second = SourceOptions(
            path=args.second,
            format=args.second_format,
            backing=tuple(args.second_backing),
            follow=args.second_follow_backing,
            choice=dataclasses.replace(choice, machine=args.second_vm, disk=args.second_disk),
        )
        try:
            result = api.compare_disks(
                first,
                second,
                limits=self.context.settings.limits,
                progress=self.context.progress,
            )
        except UnsafeError as error:
            if _holds(second, error.where) and not _holds(first, error.where):  # its options have names of their own
                error.tip = error.tip.replace("--backing", "--second-backing").replace("--source-", "--second-")
            raise
        return Outcome(
            data=views.compare_record(args.first, args.second, result),
            text=functools.partial(views.compare_lines, args.first, args.second, result),
            code=0 if result.equal else NotReadyError.exit_code,
        )


def _holds(disk: SourceOptions, path: str) -> bool:
    """Whether a file belongs to a disk and its parents, as far as its name tells."""
    followed = disk.follow is not None and path == os.path.join(disk.follow, os.path.basename(path))
    return followed or path in (disk.path, *disk.backing)
