"""The same commands below ``openstack``: ``openstack xenimage image create``.

That program finds this module by its entry point and asks for the names below; it reads clouds and credentials by
options of its own, which :mod:`xenimage.cli.cloud` takes over. Nothing of it is imported here.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from xenimage.cli import errors
from xenimage.cli.command import Command
from xenimage.cli.commands import (
    bundle,
    chain,
    check,
    disk,
    finding,
    guest,
    image,
    package,
    packaging,
    profile,
    repair,
)
from xenimage.cli.shell import terminable

if TYPE_CHECKING:
    import argparse

API_NAME = "xenimage"
API_VERSION_OPTION = "os_xenimage_api_version"
API_VERSIONS = ("1",)
DEFAULT_API_VERSION = "1"


def build_option_parser(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Add no global options."""
    return parser


def make_client(instance: Any) -> None:
    """Make no client: a command makes its own once it wants a cloud."""
    del instance


class _Below(Command):
    """A command whose errors are told as everywhere in xenimage, and end with the same exit codes."""

    def get_epilog(self) -> str:
        """Return the examples as they are typed here."""
        return super().get_epilog().replace("  xenimage ", "  openstack xenimage ")

    def run(self, parsed_args: argparse.Namespace) -> int:
        """Run the command; see :meth:`xenimage.cli.command.Command.run`."""
        try:
            with terminable():
                return super().run(parsed_args)
        except BaseException as error:  # noqa: BLE001 the one place that ends them all
            return errors.settle(error, sys.stderr, debug=bool(getattr(self.app_args, "debug", False)))
        finally:
            self.context.close()


def _below(command: type[Command]) -> type[Command]:
    return type(command.__name__, (_Below, command), {"__doc__": command.__doc__, "__module__": __name__})


BUNDLE_CHECK = _below(bundle.Check)
BUNDLE_CREATE = _below(bundle.Create)
BUNDLE_EXTRACT = _below(bundle.Extract)
BUNDLE_REPAIR = _below(repair.RepairBundle)
BUNDLE_SHOW = _below(bundle.Show)
CHAIN_SHOW = _below(chain.Show)
DISK_CHECK = _below(check.Check)
DISK_COMPARE = _below(disk.Compare)
DISK_CONVERT = _below(disk.Convert)
DISK_MAP = _below(disk.Map)
DISK_REBASE = _below(repair.RebaseDisk)
DISK_REPAIR = _below(repair.RepairDisk)
DISK_SHOW = _below(disk.Show)
FINDING_LIST = _below(finding.ListFindings)
FINDING_SHOW = _below(finding.Show)
GUEST_CHECK = _below(guest.Check)
GUEST_SHOW = _below(guest.Show)
IMAGE_CHECK = _below(image.Check)
IMAGE_CREATE = _below(image.Create)
IMAGE_PROPERTIES = _below(image.Properties)
IMAGE_SAVE = _below(image.Save)
IMAGE_SHOW = _below(image.Show)
PACKAGE_CHECK = _below(package.Check)
PACKAGE_SHOW = _below(package.Show)
PACKAGE_CONVERT = _below(packaging.Convert)
PACKAGE_MERGE = _below(packaging.Merge)
PACKAGE_SPLIT = _below(packaging.Split)
PROFILE_LIST = _below(profile.ListProfiles)
PROFILE_SHOW = _below(profile.Show)
