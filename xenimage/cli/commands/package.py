"""``package show`` and ``check``: packages of machines."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from xenimage import api
from xenimage.cli.arguments import add_package_options, package_choice, package_path
from xenimage.cli.command import Outcome, OutputCommand
from xenimage.cli.views import package as views
from xenimage.cli.views import packagecheck as check_views
from xenimage.exceptions import NotReadyError
from xenimage.model.plan import PackageCheckOptions, PackageChoice, SourceOptions
from xenimage.model.report import Verdict

if TYPE_CHECKING:
    import argparse

_FILE = "a package: its file, its descriptor, or the folder of one; it is only read"


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
        parser.add_argument("file", type=package_path, metavar="FILE", help=_FILE)
        parser.add_argument("--deployment", default="", metavar="ID", help="of an OVF: this deployment option")
        parser.add_argument("--eula", action="store_true", help="show licences whole")

    def execute(self, args: argparse.Namespace) -> Outcome:
        """Show the package."""
        source = SourceOptions(path=args.file, choice=PackageChoice(deployment=args.deployment))
        package = api.show_package(source, limits=self.context.settings.limits)
        return Outcome(data=views.record(package), text=functools.partial(views.lines, package, eula=args.eula))


class Check(OutputCommand):
    """Judge a package."""

    summary = "Check a package of machines, and what a target makes of it"
    description = """\
Tells what is wrong or odd in the description of a package, and reads all of it
to hold it against its manifest, its signature or its checksums. With --for it
tells what an importer would refuse, lose or change, and for a cloud on
XenServer which commands make images of the disks. Ends with 0 if there is no
error among the findings, with 6 if there is."""
    examples = (
        "xenimage package check appliance.ova",
        "xenimage package check vm.ovf --for proxmox --no-verify",
        "xenimage package check vm.xva --for openstack-xenserver -f json",
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the package, who shall take it, and how it is read."""
        parser.add_argument("file", type=package_path, metavar="FILE", help=_FILE)
        target = parser.add_argument_group("target")
        target.add_argument(
            "--for",
            dest="target",
            default="",
            choices=api.PACKAGE_TARGETS,
            metavar="TARGET",
            help=f"who shall take it: {', '.join(api.PACKAGE_TARGETS)}",
        )
        target.add_argument("--strict", action="store_true", help="end with 6 for warnings, too")
        add_package_options(parser.add_argument_group("source"), disk=False)

    def execute(self, args: argparse.Namespace) -> Outcome:
        """Check the package."""
        source = SourceOptions(path=args.file, choice=package_choice(args))
        options = PackageCheckOptions(source=source, target=args.target)
        report = api.check_package(options, limits=self.context.settings.limits, progress=self.context.progress)
        refused = report.verdict is Verdict.NOT_READY or (args.strict and report.verdict is not Verdict.SOUND)
        return Outcome(
            data=check_views.record(report),
            text=functools.partial(check_views.lines, report),
            code=NotReadyError.exit_code if refused else 0,
        )
