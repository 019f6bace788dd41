"""Arguments that several commands share, and the way from text to value."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from xenimage.model.plan import SourceOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

FORMAT_NAMES = ("raw", "qcow2", "vmdk", "vhd", "bundle")
FORMATS = f"{', '.join(FORMAT_NAMES[:-1])} or {FORMAT_NAMES[-1]}"


def add_source(parser: argparse.ArgumentParser, *, format_names: Sequence[str]) -> None:
    """Add a disk and what says how to read it.

    :param format_names: option strings for the format of the source.
    """
    parser.add_argument("source", metavar="SOURCE", help="the disk image; it is only read")
    add_source_options(parser.add_argument_group("source"), format_names)


def add_source_options(group: argparse._ArgumentGroup, format_names: Sequence[str]) -> None:
    """Add what says how to read a disk."""
    add_source_format(group, format_names)
    group.add_argument("--snapshot", metavar="NAME", help="read this internal snapshot (qcow2), by id or name")
    group.add_argument(
        "--backing",
        action="append",
        default=[],
        metavar="FILE",
        help="the parent of SOURCE; repeat it for the parent's parent. Names inside images are never followed",
    )
    group.add_argument(
        "--follow-backing",
        metavar="DIR",
        help="look parents up that are not given, by the bare names inside the images, in this directory alone",
    )


def add_source_format(group: argparse._ArgumentGroup, names: Sequence[str]) -> None:
    """Add the option that says which format the source has."""
    group.add_argument(
        *names, dest="source_format", metavar="FORMAT", help=f"{FORMATS}; by default found from the content"
    )


def source_options(args: argparse.Namespace, path: str | None = None) -> SourceOptions:
    """Return the disk that the arguments name, or the one at *path* read as they say."""
    return SourceOptions(
        path=args.source if path is None else path,
        format=args.source_format,
        snapshot=args.snapshot,
        backing=tuple(args.backing),
        follow=args.follow_backing,
    )


def key_value(text: str) -> tuple[str, str]:
    """Read ``NAME=VALUE``; both may hold further equals signs only in the value."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def names(text: str) -> tuple[str, ...]:
    """Read ``A,B``: names of which each stands once."""
    found = tuple(dict.fromkeys(filter(None, text.split(","))))
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of names")
    return found


def positive(text: str) -> int:
    """Read a whole number above 0."""
    if not (text.isascii() and text.isdigit()) or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text)
