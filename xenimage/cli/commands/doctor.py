"""``doctor``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xenimage import api
from xenimage.cli import vhdutil
from xenimage.cli.command import Outcome, OutputCommand
from xenimage.cli.text import wrap
from xenimage.conf.host import read_host
from xenimage.exceptions import NotReadyError, XenimageError
from xenimage.model.report import Diagnosis

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from xenimage.cli.text import Style


class Doctor(OutputCommand):
    """Look at what the work needs."""

    summary = "Check that this machine has what the work needs"
    description = """\
Looks at the interpreter, the libraries, the extensions, the configuration and
the free space in DIRECTORY. Each fault comes with the one command that mends
it. Ends with 0 if all is well, with 6 if not.

With --glance-config also at a Glance service whose configuration is in DIR: its
list of import plugins, each of which is loaded, their order, our options, the
staging area, the program that converts, and uWSGI's limit for uploads. Run it
on the host of the service, from its environment and as its user.

With --print-path only a directory is printed in which xenimage-vhd-util is
called vhd-util: put it on the PATH of Cinder, where it looks for that name."""
    examples = (
        "xenimage doctor",
        "xenimage doctor /var/tmp -f json",
        "xenimage doctor --glance-config /etc/glance",
        'PATH="$(xenimage doctor --print-path):$PATH" cinder-volume',
    )
    columns = ("what", "good", "found", "act")

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the directory."""
        parser.add_argument(
            "directory", nargs="?", default=".", metavar="DIRECTORY", help="where bundles will be written (default: .)"
        )

        parser.add_argument(
            "--glance-config", metavar="DIR", help="look at the Glance service that is configured there, too"
        )
        parser.add_argument(
            "--print-path", action="store_true", help="print a directory with a program called vhd-util, and end"
        )

    def execute(self, args: argparse.Namespace) -> Outcome:
        """Look at everything."""
        if args.print_path:
            path = vhdutil.directory()
            row = {"what": "vhd-util", "good": True, "found": path, "act": ""}
            return Outcome(data=[row], text=lambda _: iter([path]))
        found = [*api.doctor(args.directory, [self._configuration()]), *_glance(args.glance_config)]
        rows = [
            {"what": each.what, "good": each.good, "found": each.found, "act": "" if each.good else each.act}
            for each in found
        ]
        return Outcome(
            data=rows,
            text=lambda style: _lines(rows, style),
            code=0 if all(each.good for each in found) else NotReadyError.exit_code,
        )

    def _configuration(self) -> Diagnosis:
        """Tell whether the configuration can be read: here, since the library knows nothing of it."""
        try:
            files = self.context.settings.files
        except XenimageError as error:
            return Diagnosis(what="configuration", good=False, found=str(error), act=error.tip or "Mend that line.")
        return Diagnosis(what="configuration", good=True, found=", ".join(files) or "none, the defaults hold")


def _glance(directory: str | None) -> Sequence[Diagnosis]:
    if directory is None:
        return ()
    try:
        return api.doctor_glance(read_host(directory))
    except XenimageError as error:
        return [Diagnosis(what="glance", good=False, found=str(error), act=error.tip or "Name the right directory.")]


def _lines(rows: Sequence[dict[str, Any]], style: Style) -> Iterator[str]:
    column = max((len(row["what"]) for row in rows), default=0) + 9
    for row in rows:
        mark = style.paint("good", "good") if row["good"] else style.paint("BAD ", "error")
        first, *more = wrap(row["found"], style, " " * column, f"  {row['what']}".ljust(column - 5))
        yield f"{mark}{first}"
        yield from more
        if row["act"] and not row["good"]:
            yield from wrap(row["act"], style, " " * column, " " * (column - 5) + "act: ")
    bad = sum(not row["good"] for row in rows)
    yield ""
    yield "All is well." if not bad else f"{bad} of {len(rows)} need attention."
