"""The base of all commands.

They keep cliff's contract for commands (constructor, ``get_parser``, ``run``, the attributes) without importing it: a
cliff application such as ``openstack`` can load them, and the program of our own starts in half the time.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import sys
from typing import TYPE_CHECKING, Any, ClassVar, TextIO

from xenimage.cli import errors
from xenimage.cli.arguments import ask_password
from xenimage.cli.context import Context
from xenimage.cli.text import Style, visible
from xenimage.exceptions import PasswordError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from xenimage.model.finding import Finding

SCHEMA = 1
"""version of the machine-readable output; keys are added without a new number, never renamed or removed"""


class Command:
    """A verb. Subclasses set the texts, add their arguments and do the work in :meth:`run`."""

    summary: ClassVar[str] = ""
    """one line, no full stop"""
    description: ClassVar[str] = ""
    """what follows the summary in the help, in lines of its own"""
    examples: ClassVar[tuple[str, ...]] = ()

    # What cliff and osc-lib ask of a command beside its methods.
    deprecated = False
    auth_required = False
    required_scope = False

    def __init__(self, app: Any, app_args: argparse.Namespace | None = None, cmd_name: str | None = None) -> None:
        self.app = app
        self.app_args = app_args
        self.cmd_name = cmd_name
        context = getattr(app, "context", None)
        self.context: Context = context if isinstance(context, Context) else Context(app_args)

    def get_description(self) -> str:
        """Return the text at the top of the help."""
        return f"{self.summary}.\n\n{self.description}".strip()

    def get_epilog(self) -> str:
        """Return the text at the bottom of the help: the examples."""
        title = "Examples:" if len(self.examples) > 1 else "Example:"
        return "\n".join([title, *(f"  {line}" for line in self.examples)])

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return the parser of the command's own arguments."""
        parser = argparse.ArgumentParser(
            prog=prog_name,
            description=self.get_description(),
            epilog=self.get_epilog(),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        self.add_arguments(parser)
        return parser

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's arguments to *parser*."""

    def run(self, parsed_args: argparse.Namespace) -> int:
        """Do the work and return the exit code.

        :raises XenimageError: it went wrong.
        """
        raise NotImplementedError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a command has to say, for programs and for people."""

    data: Mapping[str, Any] | Sequence[Mapping[str, Any]]
    """one record, or rows with the same keys: values that JSON knows"""
    text: Callable[[Style], Iterable[str]]
    """the same for people: lines"""
    code: int = 0
    stream: TextIO | None = None
    """where it goes; by default standard output"""
    findings: Sequence[Finding] = ()
    """what *text* says and *data* has no place for: programs' callers find it on standard error"""


class OutputCommand(Command):
    """A command with a result: for people by default, for programs with ``-f``."""

    format_names: ClassVar[tuple[str, ...]] = ("-f", "--format")
    """option strings of the output format; only ``-f`` where ``--format`` means a disk's format"""
    columns: ClassVar[tuple[str, ...]] = ()
    """keys of a row, where the result is rows"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return the parser, with the options that say how the result is written."""
        parser = super().get_parser(prog_name)
        choices = (
            ("csv", "json", "table", "value", "yaml") if self.columns else ("json", "shell", "table", "value", "yaml")
        )
        group = parser.add_argument_group("output")
        group.add_argument(
            *self.format_names,
            dest="formatter",
            choices=choices,
            default="table",
            help="for people (table, the default) or for programs",
        )
        group.add_argument(
            "-c",
            "--column",
            dest="columns",
            action="append",
            default=[],
            metavar="COLUMN",
            help="only this field of the machine-readable formats; repeatable",
        )
        group.add_argument("--noindent", action="store_true", help="json: in one line")
        if self.columns:
            group.add_argument(
                "--quote",
                dest="quote_mode",
                choices=("all", "minimal", "none", "nonnumeric"),
                default="nonnumeric",
                help="csv: what is quoted (default: nonnumeric)",
            )
        else:
            group.add_argument("--prefix", default="", help="shell: put in front of each variable's name")
            parser.set_defaults(variables=[])
        return parser

    def execute(self, args: argparse.Namespace) -> Outcome:
        """Do the work and return the result."""
        raise NotImplementedError

    def run(self, parsed_args: argparse.Namespace) -> int:
        """Do the work, write the result and return the exit code."""
        try:
            outcome = self.execute(parsed_args)
        except PasswordError as error:
            ask_password(parsed_args, error)
            outcome = self.execute(parsed_args)
        stream = outcome.stream or sys.stdout
        if parsed_args.formatter == "table":
            stream.writelines(f"{line}\n" for line in outcome.text(Style.of(stream)))
        elif self.columns:
            self._write_rows(outcome, stream, parsed_args)
        else:
            self._write_record(outcome, stream, parsed_args)
        stream.flush()
        if parsed_args.formatter != "table":
            errors.tell_findings(outcome.findings, sys.stderr)
        return outcome.code

    def _write_rows(self, outcome: Outcome, stream: TextIO, args: argparse.Namespace) -> None:
        names = _chosen(self.columns, args.columns)
        flat = args.formatter not in ("json", "yaml")
        rows = [[_flat(row[name]) if flat else row[name] for name in names] for row in outcome.data]  # type: ignore[index]
        _formatter(args.formatter).emit_list(names, rows, stream, args)

    def _write_record(self, outcome: Outcome, stream: TextIO, args: argparse.Namespace) -> None:
        record: dict[str, Any] = {"schema": SCHEMA, **outcome.data}  # type: ignore[dict-item]
        names = _chosen(record, args.columns)
        flat = args.formatter not in ("json", "yaml")
        values = [_flat(record[name]) if flat else record[name] for name in names]
        if args.formatter == "shell":
            values = [_without_meaning(value) for value in values]
        _formatter(args.formatter).emit_one(names, values, stream, args)


def _chosen(names: Iterable[str], wanted: Sequence[str]) -> list[str]:
    """Return those of *names* that are *wanted*, all if none is.

    :raises UsageError: one is wanted that there is not: a script would get nothing, and take it for an answer.
    """
    there = list(names)
    unknown = [name for name in wanted if name not in there]
    if unknown:
        raise UsageError(f"there is no field {unknown[0]!r}", expected=f"one of {', '.join(there)}")
    return [name for name in there if not wanted or name in wanted]


def _flat(value: Any) -> Any:
    """Return a value that fits into one cell: what is nested becomes JSON, nothing becomes empty."""
    if isinstance(value, dict | list):
        return json.dumps(value)
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else value


def _without_meaning(value: Any) -> Any:
    """Take from a value what a shell would expand between double quotes.

    cliff's formatter escapes the quotes alone, and ``eval`` would run what a name inside an image says.
    """
    return re.sub(r"[\\$`]", r"\\\g<0>", value) if isinstance(value, str) else value


def _formatter(name: str) -> Any:
    """Return cliff's formatter. Imported here: a run for people needs none."""
    if name == "json":
        from cliff.formatters.json_format import JSONFormatter

        return JSONFormatter()
    if name == "yaml":
        from cliff.formatters.yaml_format import YAMLFormatter

        return YAMLFormatter()
    if name == "shell":
        from cliff.formatters.shell import ShellFormatter

        return ShellFormatter()
    if name == "csv":
        from cliff.formatters.commaseparated import CSVLister

        return CSVLister()
    from cliff.formatters.value import ValueFormatter

    return ValueFormatter()
