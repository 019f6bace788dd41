"""From the command line's words to an exit code: global options, the command, and whatever goes wrong."""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import signal
import sys
import threading
from typing import TYPE_CHECKING, TextIO, cast

from xenimage.cli import catalogue, errors, logs
from xenimage.cli.context import Context
from xenimage.cli.options import PROGRAM, add_globals, parse_globals
from xenimage.exceptions import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from xenimage.cli.command import Command

LOG = logging.getLogger(__name__)

_INTRODUCTION = """\
Turn disk images into bundles that a Xen cloud boots, check them, and turn them back."""
_OUTRO = """\
Help on a command: xenimage COMMAND --help. First steps: xenimage quickstart.

Example:
  xenimage bundle create debian.qcow2 --output debian.tgz"""


class Shell:
    """The program. To a command it is what cliff calls the application."""

    NAME = PROGRAM
    interactive_mode = False

    def __init__(self) -> None:
        self.options = argparse.Namespace(debug=False)
        self.context = Context(self.options)

    @property
    def stdout(self) -> TextIO:
        """Standard output, as it is now."""
        return sys.stdout

    @property
    def stderr(self) -> TextIO:
        """Standard error, as it is now."""
        return sys.stderr

    def run(self, words: list[str]) -> int:
        """Run the command line and return the exit code; never raises."""
        _never_fail_to_encode()
        try:
            with terminable():
                code = self._run(words)
                sys.stdout.flush()
                return code
        except BaseException as error:  # noqa: BLE001 the one place that ends them all
            with contextlib.suppress(OSError):
                self.context.close()
            LOG.debug("ended by %s: %r", type(error).__name__, str(error))
            return errors.settle(error, sys.stderr, debug=self.options.debug)

    def _run(self, words: list[str]) -> int:
        self.options, rest = parse_globals(words)
        self.context = Context(self.options)
        if self.options.show_version:
            from xenimage.cli.version import version

            print(f"{PROGRAM} {version()}")
            return 0
        if rest[:1] == ["help"]:
            rest = [*rest[1:], "--help"]
        if not rest or rest[0] in ("-h", "--help"):
            print_overview()
            return 0
        entry, arguments = catalogue.split(rest)
        if entry is None and catalogue.actions(rest[0]) and set(rest[1:]) <= {"-h", "--help"}:
            return show_noun(rest[0], wanted=len(rest) > 1)
        if entry is None:
            return self._run_other(rest)
        return self._run_command(entry.load(), entry.name, arguments)

    def _run_command(self, factory: Callable[..., Command], name: str, arguments: list[str]) -> int:
        command = factory(self, self.options, cmd_name=name)
        parsed = command.get_parser(f"{PROGRAM} {name}").parse_args(arguments)
        logs.configure(self.options, parsed)
        LOG.debug("arguments: %s %r", name, arguments)
        try:
            return command.run(parsed)
        finally:
            self.context.close()

    def _run_other(self, words: list[str]) -> int:
        """Run what only cliff knows: completion, abbreviated commands, and guesses at what was meant."""
        if words[0].startswith("-"):
            raise UsageError(f"unknown option {words[0]}", tip="See: xenimage --help")
        from xenimage.cli.cliffapp import CliffApp

        app = CliffApp(self.context)
        if words[0] == "complete":
            logs.configure(self.options, argparse.Namespace())
            return app.complete(words[1:])
        try:
            factory, name, arguments = app.command_manager.find_command(words)
        except ValueError:
            wanted = " ".join(word for word in words[:2] if not word.startswith("-"))
            matches = app.get_fuzzy_matches(words[0])
            raise UsageError(f"{wanted!r} is no command", tip=_guess(words[0], matches)) from None
        # cliff speaks of its own class; the table holds ours.
        return self._run_command(cast("type[Command]", factory), name, arguments)


def _guess(word: str, matches: list[str]) -> str:
    """Return the tip for a misspelt command: those that begin with it, or else what cliff finds similar."""
    begun = [name for name in catalogue.COMMANDS if name.startswith(word)]
    known = begun or [match for match in matches if match in catalogue.COMMANDS]
    return f"Did you mean: {', '.join(known)}?" if known else "See: xenimage --help"


def print_overview() -> None:
    """Print the help of the program as a whole, without importing a command."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM, usage=f"{PROGRAM} [options] COMMAND ...", description=_INTRODUCTION, add_help=False
    )
    add_globals(parser)
    group = parser.add_argument_group("other options")
    group.add_argument("-h", "--help", action="store_true", help="show this help")
    group.add_argument("--version", action="store_true", help="show the version")
    print(parser.format_help())
    print("commands:")
    for entry in catalogue.COMMANDS.values():
        print(_row(entry.name, entry.summary))
    print(_row("complete", catalogue.COMPLETE_SUMMARY))
    print(f"\n{_OUTRO}")


def _row(name: str, summary: str) -> str:
    return f"  {name:<16} {summary}"


def show_noun(noun: str, *, wanted: bool) -> int:
    """Print the commands that begin with *noun*: as help if that is *wanted*, else beside the error.

    :raises UsageError: it is not wanted: a noun alone is no command.
    """
    entries = catalogue.actions(noun)
    rows = [_row(entry.name, entry.summary) for entry in entries]
    lines = [f"usage: {PROGRAM} [options] {noun} ACTION ...", "", "commands:", *rows, ""]
    if wanted:
        example = entries[0].load().examples[0]
        lines += [f"Help on a command: {PROGRAM} {noun} ACTION --help.", "", "Example:", f"  {example}"]
        print("\n".join(lines))
        return 0
    with contextlib.suppress(OSError):  # the exit code says the same to a program that closed standard error
        print("\n".join(lines), file=sys.stderr)
    raise UsageError(f"{noun!r} alone is no command", expected="one of these", tip=f"See: {PROGRAM} {noun} --help")


def _never_fail_to_encode() -> None:
    """Show as escapes what the terminal's encoding lacks: a strange file name is no reason to end with an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the work as an exception, so that nothing half-made stays behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def terminate(number: int, _frame: object) -> None:
        raise errors.Terminated(number)

    # Whoever has a signal ignored, as nohup does with SIGHUP, wants it to stay so.
    caught = [each for each in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(each) is not signal.SIG_IGN]
    before = [(each, signal.signal(each, terminate)) for each in caught]
    try:
        yield
    finally:
        for each, handler in before:
            signal.signal(each, handler)
