"""``finding list`` and ``show``."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from xenimage import api
from xenimage.cli.command import Outcome, OutputCommand
from xenimage.cli.text import table
from xenimage.cli.views import finding as views
from xenimage.exceptions import UsageError

if TYPE_CHECKING:
    import argparse

    from xenimage.model.kind import FindingKind


class ListFindings(OutputCommand):
    """List the kinds of findings."""

    summary = "List all that a check can find"
    description = "Codes are stable. In property.NAME.missing and the like NAME stands for a property."
    examples = ("xenimage finding list", "xenimage finding list -f csv")
    columns = ("code", "title", "severities", "refused_by", "mend")

    def execute(self, args: argparse.Namespace) -> Outcome:  # noqa: ARG002 the contract of all commands
        """List them."""
        kinds = sorted(api.finding_kinds().values(), key=lambda kind: kind.code)
        texts = [(kind.code, kind.severity.value, kind.title) for kind in kinds]
        return Outcome(
            data=[views.row(kind) for kind in kinds],
            text=lambda style: table(("code", "severity", "what it is"), texts, style),
        )


class Show(OutputCommand):
    """Explain one kind."""

    summary = "Explain a finding by its code"
    description = "What it means, who refuses it, and what can be done. The words in braces are filled in by a check."
    examples = ("xenimage finding show vhd.block.packed", "xenimage finding show vhd.footer.live -f json")

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the code."""
        parser.add_argument("code", metavar="CODE", help="as checks print it; see: xenimage finding list")

    def execute(self, args: argparse.Namespace) -> Outcome:
        """Explain it."""
        kind = _wanted(args.code)
        return Outcome(data=views.record(kind), text=lambda style: views.lines(kind, style))


def _wanted(code: str) -> FindingKind:
    kinds = api.finding_kinds()
    group, _, rest = code.partition(".")
    # A code with a property's name in it is documented under NAME.
    kind = kinds.get(code) or kinds.get(f"{group}.NAME.{rest.rpartition('.')[2]}")
    if kind is None:
        near = ", ".join(difflib.get_close_matches(code, kinds, 3))
        raise UsageError(
            f"no finding has the code {code!r}",
            tip=f"Did you mean: {near}?" if near else "See: xenimage finding list",
        )
    return kind
