"""``package show``: packages of machines."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from xenimage import api
from xenimage.cli.command import Outcome, OutputCommand
from xenimage.cli.views import package as views
from xenimage.model.plan import PackageChoice, SourceOptions

if TYPE_CHECKING:
    import argparse


class Show(OutputCommand):
    """Show a package."""

    summary = "Show the machines in a package: OVF, OVA, XVA, VMX"
    description = """\
Tells what a package describes: machines with processors, memory, disks and
cards, firmware, products and licences; what wrote it, and whether it has a
manifest. Disks have the numbers that --disk takes elsewhere. Only what
describes the package is read, no disk. Passwords that it brings, and what its
firmware stored, are not shown."""
    examples = (
        "xenimage package show appliance.ova",
        "xenimage package show vm.xva -f json",
        "xenimage package show appliance.ovf --eula",
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the file."""
        parser.add_argument("file", metavar="FILE", help="a package, or the descriptor of one; it is only read")
        parser.add_argument("--deployment", default="", metavar="ID", help="of an OVF: this deployment option")
        parser.add_argument("--eula", action="store_true", help="show licences whole")

    def execute(self, args: argparse.Namespace) -> Outcome:
        """Show the package."""
        source = SourceOptions(path=args.file, choice=PackageChoice(deployment=args.deployment))
        package = api.show_package(source, limits=self.context.settings.limits)
        return Outcome(data=views.record(package), text=functools.partial(views.lines, package, eula=args.eula))
