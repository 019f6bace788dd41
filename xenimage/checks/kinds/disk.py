"""Kinds of findings about a disk of another format than VHD."""

from __future__ import annotations

from xenimage.checks.kinds.words import kind
from xenimage.model.finding import Severity
from xenimage.model.kind import Mend

_ERROR, _INFO = Severity.ERROR, Severity.INFO
DISK = (
    kind(
        _INFO,
        "disk.rules",
        "Rules of another format",
        "the disk is {format}: it was opened, and {extents} ranges of it were mapped without an error",
        "that proves its header and tables; reference counts, checksums and data were not read",
        "Nothing. To have a VHD that can be checked for its target, convert it: xenimage disk convert.",
        mend=Mend.NONE,
    ),
    kind(
        _INFO,
        "disk.raw",
        "Raw disk",
        "the disk is raw: it has no tables that could be checked",
        "whatever its bytes are, they are the disk",
        "Nothing. If it should be of another format, say which: --source-format.",
        mend=Mend.NONE,
    ),
    kind(
        _ERROR,
        "disk.format",
        "Format that is broken",
        "{reason}",
        "the disk breaks the rules of its format and cannot be read",
        "{tip}",
        mend=Mend.LOST,
    ),
    kind(
        _ERROR,
        "disk.unread",
        "Disk that is not read here",
        "{reason}",
        "nothing can be said of what the disk holds",
        "{tip}",
        mend=Mend.ANEW,
    ),
)
