"""``quickstart``."""

from __future__ import annotations

import pathlib
import shlex
import sys
from typing import TYPE_CHECKING

from xenimage import api
from xenimage.cli.command import Command
from xenimage.cli.progress import Nobody
from xenimage.cli.text import Style, size_text
from xenimage.cli.views.upload import upload_section
from xenimage.engine.sample import write_sample
from xenimage.exceptions import NotReadyError, UsageError
from xenimage.model.plan import BundleOptions, ConvertOptions, SourceOptions
from xenimage.model.report import Verdict
from xenimage.units import format_size

if TYPE_CHECKING:
    import argparse

    from xenimage.model.report import BundleReport

DIRECTORY = "xenimage-quickstart"
FILES = ("sample.qcow2", "sample.tgz", "sample.vhd")
"""what the steps make, anew each time"""


class Quickstart(Command):
    """Take a sample through all steps."""

    summary = "Make a sample disk and take it through all steps"
    description = """\
Writes a small sample disk into a directory, makes a bundle and a VHD of it,
checks and compares them, and shows for each step the command that does the
same. It takes a second and a few MiB; no other program is needed."""
    examples = ("xenimage quickstart", "xenimage quickstart /tmp/first-steps")

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the directory."""
        parser.add_argument(
            "directory",
            nargs="?",
            default=DIRECTORY,
            metavar="DIRECTORY",
            help=f"the directory for the files (default: ./{DIRECTORY})",
        )

    def run(self, parsed_args: argparse.Namespace) -> int:
        """Walk through the steps; the first that fails ends it.

        :raises UsageError: the directory has something else in it.
        """
        place = pathlib.Path(parsed_args.directory)
        if place.exists() and (not place.is_dir() or any(each.name not in FILES for each in place.iterdir())):
            raise UsageError(
                "holds other files", expected="a new directory, or that of an earlier run", where=str(place)
            )
        try:
            place.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"cannot be made: {error.strerror}", where=str(place)) from error
        return _Tour(place).run()


class _Tour:
    """The steps and their numbers."""

    def __init__(self, place: pathlib.Path) -> None:
        self._style = Style.of(sys.stdout)
        self._disk, self._bundle, self._vhd = (str(place / name) for name in FILES)
        self._number = 0

    def run(self) -> int:
        pathlib.Path(self._disk).unlink(missing_ok=True)
        size = write_sample(self._disk)
        self._step("A sample disk: 64 MiB with a partition and some text, as qcow2")
        self._say(f"wrote {self._disk}, {size_text(size)}")
        self._step("Look at it", "disk", "show", self._disk)
        facts = api.show_disk(SourceOptions(path=self._disk))
        self._say(f"{facts.format} {facts.variant}, {format_size(facts.virtual_size)} as a guest sees it")
        report = self._create()
        self._step("Check it against its target", "bundle", "check", self._bundle)
        check = api.check_bundle(self._bundle)
        self._say(f"{check.verdict.value} for {check.profile}")
        if check.verdict is Verdict.NOT_READY:
            raise NotReadyError("the sample's bundle failed its check", findings=check.findings, where=self._bundle)
        self._turn_back()
        print()
        for line in upload_section(report.plan, self._style):
            print(line)
        print(self._style.paint("With a disk of your own", "bold"))
        print("  xenimage bundle create YOUR.qcow2 --output YOUR.tgz")
        return 0

    def _create(self) -> BundleReport:
        self._step("Make a bundle of it", "bundle", "create", self._disk, "--output", self._bundle)
        options = BundleOptions(source=SourceOptions(path=self._disk), output=self._bundle, force=True)
        report = api.create_bundle(options, progress=Nobody())
        self._say(f"wrote {self._bundle}, {size_text(report.receipt.size)}, sha256 {report.receipt.sha256[:16]}...")
        for each in report.plan.properties:
            self._say(f"image property {each.name}={each.value}")
        return report

    def _turn_back(self) -> None:
        source = SourceOptions(path=self._disk)
        self._step(
            "Write the VHD alone, as XCP-ng takes it", "disk", "convert", self._disk, self._vhd, "--format", "vhd"
        )
        converted = api.convert_disk(ConvertOptions(source=source, output=self._vhd, format="vhd", force=True))
        self._say(f"wrote {self._vhd}, {size_text(converted.output_size)}")
        self._step("Compare it with the sample", "disk", "compare", self._disk, self._vhd)
        result = api.compare_disks(source, SourceOptions(path=self._vhd))
        if not result.equal:
            raise NotReadyError("the VHD differs from the sample", where=self._vhd)
        self._say("equal")

    def _step(self, title: str, *command: str) -> None:
        self._number += 1
        print(f"\n{self._style.paint(f'{self._number}. {title}', 'bold')}")
        if command:
            print(f"   $ xenimage {shlex.join(command)}")

    def _say(self, text: str) -> None:
        print(f"   {text}")
