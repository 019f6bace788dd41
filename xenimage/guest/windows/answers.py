"""Answer files of Windows Setup: XML, of which only two things matter here, found without a parser of XML.

Source: Microsoft, Unattended Windows Setup Reference: Microsoft-Windows-PnpSysprep, Microsoft-Windows-Deployment.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from xenimage.model.guest.cloudbase import AnswerFile

if TYPE_CHECKING:
    from collections.abc import Iterator

_PASS = re.compile(r"""\bpass\s*=\s*["'](\w+)["']""")
_PERSIST = re.compile(r"<PersistAllDeviceInstalls\s*>\s*true\s*<", re.IGNORECASE)
_COMMAND = re.compile(r"<(?:Path|CommandLine)\s*>[^<]*cloudbase-init", re.IGNORECASE)


def answer_file(path: str, text: str) -> AnswerFile:
    """What the answer file at *path* says of devices and of cloudbase-init."""
    keeps = runs = False
    for name, body in _passes(_uncommented(text)):
        keeps = keeps or (name == "generalize" and bool(_PERSIST.search(body)))
        runs = runs or (name == "specialize" and bool(_COMMAND.search(body)))
    return AnswerFile(path=path, keeps_devices=keeps, runs_cloudbase=runs)


def _uncommented(text: str) -> str:
    """The text without comments, in one pass over it; an open one runs to the end."""
    return "".join(part if not at else part.partition("-->")[2] for at, part in enumerate(text.split("<!--")))


def _passes(text: str) -> Iterator[tuple[str, str]]:
    """Name and content of each configuration pass, in one pass over the text."""
    for part in text.split("<settings")[1:]:
        head, _, body = part.partition(">")
        if match := _PASS.search(head):
            yield match[1], body.partition("</settings>")[0]
