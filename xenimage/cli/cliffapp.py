"""cliff's view of the program: for shell completion, for guesses at misspelt commands, and for the documentation."""

from __future__ import annotations

import argparse
from typing import Any

import cliff.app
import cliff.command
import cliff.commandmanager
from cliff.complete import CompleteBash, CompleteCommand

from xenimage.cli import catalogue
from xenimage.cli.command import Command
from xenimage.cli.context import Context
from xenimage.cli.options import PROGRAM, add_globals
from xenimage.cli.version import version

NAMESPACE = "xenimage.cli"
"""the entry points under which the same commands are registered for other cliff applications"""

# Our commands keep the contract without the inheritance; this makes it known.
cliff.command.Command.register(Command)


class _Lazy:
    """A command that is imported when it is wanted: what cliff takes for an entry point."""

    def __init__(self, entry: catalogue.Entry) -> None:
        self.name = entry.name
        self.value = f"{NAMESPACE}:{entry.name}"
        self.load = entry.load


class Manager(cliff.commandmanager.CommandManager):
    """Finds commands in the literal table."""

    def _load_commands(self) -> None:
        for entry in catalogue.COMMANDS.values():
            self.commands[entry.name] = _Lazy(entry)  # type: ignore[assignment]


class _Bash(CompleteBash):
    """cliff's completion for bash, made fit for the names of files.

    cliff looks each word up as a variable: one such as ``disk.qcow2`` is no name of a variable, and bash says so in the
    midst of the user's line. Behind the first file it offers no further one.
    """

    def get_trailer(self) -> str:
        """Return cliff's trailer, with any word as a name, and names of files where no option fits."""
        trailer = super().get_trailer()
        trailer = trailer.replace("i=${i//$dash/$underscore}", "i=${i//[^A-Za-z0-9_]/_}")
        return trailer.replace("complete -F ", "complete -o bashdefault -o default -F ")


class Complete(CompleteCommand):
    """cliff's command, with help as all of ours have it."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return cliff's parser, with a summary and an example of ours."""
        parser = super().get_parser(prog_name)
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        parser.description = f"{catalogue.COMPLETE_SUMMARY}."
        parser.epilog = f"Example:\n  {prog_name} > ~/.local/share/bash-completion/completions/{PROGRAM}"
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Print, for bash with our trailer."""
        self._formatters["bash"].plugin = _Bash
        return super().take_action(parsed_args)


class CliffApp(cliff.app.App):
    """The program as a cliff application."""

    NAME = PROGRAM

    def __init__(self, context: Context | None = None) -> None:
        self.context = context or Context()
        super().__init__(
            description="Turn disk images into bundles that a Xen cloud boots, check them, and turn them back.",
            version=version(),
            command_manager=Manager(NAMESPACE),
        )
        self.options, _ = self.parser.parse_known_args([])

    def complete(self, arguments: list[str]) -> int:
        """Print the completion for a shell. Not through cliff's ``run_subcommand``, which swallows errors."""
        command = Complete(self, self.options)
        return command.run(command.get_parser(f"{PROGRAM} complete").parse_args(arguments))

    def build_option_parser(
        self, description: str | None, version: str | None, argparse_kwargs: dict[str, Any] | None = None
    ) -> argparse.ArgumentParser:
        """Return cliff's parser with the options of ours in the place of its own."""
        del version
        parser = super().build_option_parser(
            description, None, {"conflict_handler": "resolve", **(argparse_kwargs or {})}
        )
        add_globals(parser)
        return parser
