"""``sample kit``."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from xenimage import api
from xenimage.cli.command import Outcome, OutputCommand
from xenimage.cli.views import sample as views

if TYPE_CHECKING:
    import argparse


class Kit(OutputCommand):
    """Write the kit of sample images."""

    summary = "Write sample images, good ones and ones to be refused"
    description = """\
Writes one small disk in all formats that are taken, and images with one thing
wrong each: a backing file, a flat VMDK, a bomb. manifest.yaml lists them in the
shape of tempest's image format tests. For trying out what a cloud takes."""
    examples = ("xenimage sample kit images", "xenimage sample kit images -f json")

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the directory."""
        parser.add_argument(
            "directory", metavar="DIRECTORY", help="the directory for the images; made if it is missing"
        )
        parser.add_argument("--force", action="store_true", help="replace the files of an earlier kit")
        parser.add_argument("--dry-run", action="store_true", help="list the images, and write nothing")

    def execute(self, args: argparse.Namespace) -> Outcome:
        """Write the kit, or tell what it has."""
        if args.dry_run:
            images = api.kit_images()
            return Outcome(
                data=views.planned_record(args.directory, images), text=functools.partial(views.planned_lines, images)
            )
        report = api.write_kit(args.directory, force=args.force)
        return Outcome(data=views.record(report), text=functools.partial(views.lines, report))
