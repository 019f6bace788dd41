"""cliff's view of the program: for shell completion, for guesses at misspelt commands, and for the documentation."""

from __future__ import annotations

import argparse
import functools
from typing import TYPE_CHECKING, Any, TextIO

import cliff.app
import cliff.command
import cliff.commandmanager
from cliff.complete import CompleteBash, CompleteCommand

from xenimage import api
from xenimage.cli import catalogue
from xenimage.cli.arguments import FORMAT_NAMES
from xenimage.cli.command import Command
from xenimage.cli.context import Context
from xenimage.cli.options import PROGRAM, add_globals
from xenimage.cli.version import version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

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
    """cliff's completion for bash, made fit for the values of options and the names of files.

    cliff takes the word that is being written for one of the command, forgets the command where a value stands, looks
    each word up as a variable, though ``disk.qcow2`` is no name of one, and needs a function of bash-completion. Where
    nothing of ours fits, bash completes the names of files.
    """

    def __init__(self, values: Mapping[str, Mapping[str, str]], name: str, output: TextIO) -> None:
        """Take the words that complete the value of an option, by the option's name and that of its command."""
        super().__init__(name, output)
        self._values = values

    def get_header(self) -> str:
        """Return the start of the function, with the words as bash gives them."""
        return _HEADER.replace("NAME", self.escaped_name)

    def get_trailer(self) -> str:
        """Return what looks for the command, and for what fits behind it."""
        cases = "".join(
            f"    '{command.replace(' ', '_')} {option}') completed='{words}' ;;\n"
            for command, options in self._values.items()
            for option, words in options.items()
        )
        return _TRAILER.replace("CASES", cases).replace("NAME", self.escaped_name).replace("PROGRAM", self.name)


_HEADER = """\
_NAME()
{
  local cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}"
  COMPREPLY=()

  # Command data:
"""
_TRAILER = """
  local completed="${cmds}" cmd="" word i
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"
  do
    i="cmds${cmd:+_}${cmd}_${word//[^A-Za-z0-9_]/_}"
    if [ -n "${!i}" ] ; then
      cmd="${i#cmds_}"
      completed="${!i}"
    fi
    if [[ ${completed} == -* ]] ; then
      break
    fi
  done

  # bash takes the sign of --option=value for a word
  if [[ ${cur} == "=" ]] ; then
    cur=""
  elif [[ ${prev} == "=" ]] ; then
    prev="${COMP_WORDS[COMP_CWORD-2]}"
  fi
  if [[ ${completed} == -* && ${cur} != -* ]] ; then
    completed=""
  fi
  case "${cmd} ${prev}" in
CASES  esac
  if [ -n "${completed}" ] ; then
    COMPREPLY=( $(compgen -W "${completed}" -- "${cur}") )
  fi
  return 0
}
complete -o bashdefault -o default -F _NAME PROGRAM
"""
# Values that no parser knows: other refusals than its own say more about them.
_VALUES: dict[str, Callable[[], Iterable[str]]] = {
    "profile": api.profiles,
    "second_format": lambda: FORMAT_NAMES,
    "source_format": lambda: FORMAT_NAMES,
}


def _global_actions() -> list[argparse.Action]:
    parser = argparse.ArgumentParser(add_help=False)
    add_globals(parser)
    return parser._get_optional_actions()  # noqa: SLF001 argparse tells them nowhere else, and cliff asks it so too


def _values(actions: Iterable[argparse.Action]) -> dict[str, str]:
    """The words that options take, where they can be listed, by the options' names."""
    return {
        option: " ".join(map(str, known))
        for action in actions
        if (known := tuple(action.choices or _VALUES.get(action.dest, tuple)()))
        for option in action.option_strings
    }


class Complete(CompleteCommand):
    """cliff's command, with help as all of ours have it."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return cliff's parser, with a summary and an example of ours."""
        parser = super().get_parser(prog_name)
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        parser.description = f"{catalogue.COMPLETE_SUMMARY}."
        parser.epilog = f"Example:\n  {prog_name} > ~/.local/share/bash-completion/completions/{PROGRAM}"
        return parser

    def get_actions(self, command: list[str]) -> list[argparse.Action]:
        """Return the options of a command, and those that all commands have."""
        return [*super().get_actions(command), *_global_actions()]

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Print, for bash with the values of the options."""
        values = {name: _values(self.get_actions(name.split())) for name, _ in self.app.command_manager}
        values[""] = _values(_global_actions())
        self._formatters["bash"].plugin = functools.partial(_Bash, values)  # type: ignore[assignment]
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
