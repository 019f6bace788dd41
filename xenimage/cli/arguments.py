"""Arguments that several commands share, and the way from text to value."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from typing import TYPE_CHECKING

from xenimage.cli.text import visible
from xenimage.exceptions import UsageError
from xenimage.model.plan import PackageChoice, SourceOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xenimage.exceptions import PasswordError

FORMAT_NAMES = ("raw", "qcow2", "vmdk", "vhd", "bundle", "ova", "ovf", "vmx", "xva")
PASSWORD_VARIABLE = "XENIMAGE_PACKAGE_PASSWORD"  # noqa: S105 - its name, no password
_LONGEST = 4096
"""characters of a password"""
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

    add_package_options(group)


def package_path(text: str) -> str:
    """A package as the user names it: of a folder its one descriptor.

    :raises argparse.ArgumentTypeError: the folder holds none, or several.
    """
    if not os.path.isdir(text):
        return text
    try:
        names = sorted(name for name in os.listdir(text) if name.lower().endswith((".ovf", ".vmx")))
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{visible(text)} cannot be read: {error.strerror}") from error
    if len(names) != 1:
        some = f"{len(names)} descriptors, such as {visible(names[0])}: name one" if names else "no .ovf and no .vmx"
        raise argparse.ArgumentTypeError(f"the folder {visible(text)} holds {some}")
    return os.path.join(text, names[0])


def add_package_options(group: argparse._ArgumentGroup, *, disk: bool = True) -> None:
    """Add what says how a package of machines is read.

    :param disk: whether one disk of it can be chosen.
    """
    group.add_argument("--vm", default="", metavar="NAME", help="of a package: this machine, by name, id or number")
    if disk:
        group.add_argument("--disk", default="", metavar="NAME", help="of a package: this disk, by id or number")
    group.add_argument("--deployment", default="", metavar="ID", help="of an OVF: this deployment option")
    group.add_argument(
        "--password-file",
        metavar="FILE",
        help=f"of an encrypted package: the password, in the first line of FILE (or in {PASSWORD_VARIABLE})",
    )
    group.add_argument(
        "--no-verify",
        action="store_true",
        help="of a package: do not hold it against its manifest first",
    )


def package_choice(args: argparse.Namespace) -> PackageChoice:
    """Return how a package is read, as the arguments say.

    :raises UsageError: the file with the password cannot be read.
    """
    return PackageChoice(
        machine=args.vm,
        disk=getattr(args, "disk", ""),
        deployment=args.deployment,
        password=getattr(args, "password", None) or _password(args.password_file),
        verify=not args.no_verify,
    )


def ask_password(args: argparse.Namespace, error: PasswordError) -> None:
    """Ask the user for the password of a package, and put it where :func:`package_choice` looks.

    :raises PasswordError: *error*, where nobody can be asked, or answers.
    """
    if not hasattr(args, "password_file") or getattr(args, "password", None) or not sys.stdin.isatty():
        raise error
    try:
        args.password = getpass.getpass(f"Password of {visible(error.where)}: ")
    except EOFError:
        raise error from None
    if not args.password:
        raise error


def _password(path: str | None) -> str | None:
    if path is None:
        return os.environ.get(PASSWORD_VARIABLE)
    try:
        with open(path, encoding="utf-8") as file:
            return file.readline(_LONGEST).rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot be read: {error}", expected="a password in its first line", where=path) from error


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
        choice=package_choice(args),
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
