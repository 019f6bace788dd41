r"""Paths as Windows writes them, turned into those of the volume that it stands on: ``\SystemRoot\x``, ``C:\x``."""

from __future__ import annotations

import re

_PROGRAM = re.compile(r'\s*(?:"([^"]*)"|(.*?\.(?:exe|sys|cmd|bat|com)(?=\s|$)|\S+))', re.IGNORECASE)
_PREFIX = re.compile(r"(?:\\\?\?\\|\\\\\?\\)", re.IGNORECASE)
_ROOT = re.compile(r"(?:\\?systemroot|%systemroot%|%windir%)(?=\\)", re.IGNORECASE)
_DRIVE = re.compile(r"(?:[a-z]:|%systemdrive%)(?=\\)", re.IGNORECASE)
_LONGEST = 4096


def program(command: str) -> str:
    """The program of a command line, without its arguments; what it begins with, if that is in quotes."""
    match = _PROGRAM.match(command[:_LONGEST])
    return (match[1] or match[2] or "") if match else ""


def on_volume(path: str, root: str) -> str:
    r"""The place on the volume, with ``/``; empty where *path* is no place that can be told: a share, a bare name.

    :param path: as Windows has it; a drive letter is taken for the volume that Windows stands on.
    :param root: the directory of Windows: ``Windows``.
    """
    path = _PREFIX.sub("", path[:_LONGEST].strip(), count=1).replace("/", "\\")
    if match := _ROOT.match(path):
        return _joined(root, path[match.end() :])
    if match := _DRIVE.match(path):
        return _joined("", path[match.end() :])
    if path.lower().startswith("system32\\"):
        return _joined(root, path)
    return ""


def _joined(root: str, rest: str) -> str:
    return "/".join(part for part in (root, *rest.split("\\")) if part)
