"""``chain show``."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from xenimage import api
from xenimage.cli.command import Outcome, OutputCommand
from xenimage.cli.views import chain as views

if TYPE_CHECKING:
    import argparse


class Show(OutputCommand):
    """Show a tree of VHDs."""

    summary = "Show which VHD is whose parent"
    description = """\
Links VHDs by uuid and draws the tree, the base first. Tells missing parents,
disks of one uuid, rings, and files that cannot be read. Names inside the files
are shown, not followed."""
    examples = ("xenimage chain show /srv/chain", "xenimage chain show leaf.vhd base.vhd -f json")

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the files."""
        parser.add_argument("files", nargs="+", metavar="DIR|FILE", help="a directory of VHDs, or VHDs")

    def execute(self, args: argparse.Namespace) -> Outcome:
        """Show the tree."""
        report = api.show_chain(args.files, limits=self.context.settings.limits)
        return Outcome(data=views.record(report), text=functools.partial(views.lines, report))
