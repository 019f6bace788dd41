"""``profile list`` and ``show``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage import api
from xenimage.cli.command import Outcome, OutputCommand
from xenimage.cli.text import table
from xenimage.cli.views import profile as views
from xenimage.exceptions import UsageError
from xenimage.units import GIB

if TYPE_CHECKING:
    import argparse


class ListProfiles(OutputCommand):
    """List the targets."""

    summary = "List the targets that bundles are made for"
    description = "The first is the default. Installed packages may add profiles of their own."
    examples = ("xenimage profile list",)
    columns = ("name", "title", "disks_max", "virtual_size_max", "os_types")

    def execute(self, args: argparse.Namespace) -> Outcome:  # noqa: ARG002 the contract of all commands
        """List them."""
        rows = [views.row(profile) for profile in api.profiles().values()]
        texts = [(row["name"], row["disks_max"], f"{row['virtual_size_max'] // GIB} GiB", row["title"]) for row in rows]
        return Outcome(
            data=rows,
            text=lambda style: table(("profile", "disks", "largest", "target"), texts, style, right=(1, 2)),
        )


class Show(OutputCommand):
    """Show one target."""

    summary = "Show what a target takes, and why"
    description = "Every rule comes with its reason and with the place that says so."
    examples = ("xenimage profile show nova-xenapi", "xenimage profile show rackspace -f json")

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the name."""
        parser.add_argument("profile", metavar="PROFILE", help="its name; see: xenimage profile list")

    def execute(self, args: argparse.Namespace) -> Outcome:
        """Show it."""
        known = api.profiles()
        if args.profile not in known:
            raise UsageError(
                f"no profile is called {args.profile!r}",
                expected=f"one of {', '.join(known)}",
                tip="See: xenimage profile list",
            )
        profile = known[args.profile]
        return Outcome(data=views.record(profile), text=lambda style: views.lines(profile, style))
