"""The global options, which stand anywhere on the command line."""

from __future__ import annotations

import argparse

PROGRAM = "xenimage"


def add_globals(parser: argparse.ArgumentParser) -> None:
    """Add the options that every command understands, except ``--help`` and ``--version``."""
    group = parser.add_argument_group("global options")
    group.add_argument(
        "-v",
        "--verbose",
        action="count",
        dest="verbose_level",
        default=1,
        help="say more on standard error; twice for everything",
    )
    group.add_argument(
        "-q",
        "--quiet",
        action="store_const",
        dest="verbose_level",
        const=0,
        help="no progress, warnings and errors only",
    )
    group.add_argument("--log-file", metavar="FILE", help="append a log of everything to FILE")
    group.add_argument("--debug", action="store_true", help="show tracebacks of errors")
    group.add_argument(
        "--config-file",
        action="append",
        default=[],
        dest="config_files",
        metavar="FILE",
        help="read FILE instead of /etc/xenimage/xenimage.conf; repeatable",
    )
    group.add_argument(
        "--progress",
        choices=("auto", "bar", "json", "none"),
        default="auto",
        help="how progress is shown on standard error (default: a bar on a terminal)",
    )
    group.add_argument("--progress-fd", type=int, metavar="N", help="write progress as JSON lines to file descriptor N")


def parse_globals(words: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Take the global options out of *words*, wherever they stand before a ``--``; return them and the rest."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM, add_help=False, allow_abbrev=False, usage=f"{PROGRAM} [options] COMMAND"
    )
    add_globals(parser)
    parser.add_argument("--version", action="store_true", dest="show_version")
    end = words.index("--") if "--" in words else len(words)
    options, rest = parser.parse_known_args(words[:end])
    return options, rest + words[end:]
