"""What all sub-commands share: options as getopt reads them, failures with upstream's status, text that is shown."""

from __future__ import annotations

import errno
import getopt
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xenimage.exceptions import XenimageError

INVALID = errno.EINVAL


class UtilError(Exception):
    """Ends a sub-command: the line on standard output, if any, and the exit status."""

    def __init__(self, line: str, status: int = INVALID) -> None:
        super().__init__(line)
        self.line = line
        self.status = status


class WordsError(UtilError):
    """The words make no sense: the usage line is printed."""


class Options:
    """The options of one call: letters that were given, and their values."""

    def __init__(self, words: Sequence[str], letters: str, usage: str, *, help_status: int = INVALID) -> None:
        """Read them as upstream does.

        :param letters: as for getopt: a colon behind those with a value.
        :raises WordsError: unknown or incomplete options, a missing name, or a question for help.
        """
        self._usage = usage
        try:
            found, self.words = getopt.gnu_getopt(list(words), letters + "h")
        except getopt.GetoptError as error:
            warn(str(error))
            raise WordsError(usage) from None
        self._values = {option[1]: value for option, value in found}
        if "h" in self._values:
            raise WordsError(usage, help_status)

    def __contains__(self, letter: str) -> bool:
        return letter in self._values

    def text(self, letter: str) -> str:
        """The value of *letter*.

        :raises WordsError: it was not given.
        """
        if letter not in self._values:
            raise WordsError(self._usage)
        return self._values[letter]

    def number(self, letter: str, default: int | None = None) -> int:
        """The whole number behind *letter*; *default* where it was not given.

        :raises WordsError: it is none, or it is missing and there is no default.
        """
        if letter not in self._values and default is not None:
            return default
        text = self.text(letter)
        if not (text.isascii() and text.isdigit()) or len(text) > 19:
            warn(f"{text!r} is no whole number")
            raise WordsError(self._usage)
        return int(text)

    def name(self) -> str:
        """The file that -n names; there may be no other words.

        :raises WordsError: it is missing, or there are.
        """
        if self.words or not self._values.get("n"):
            raise WordsError(self._usage)
        return self._values["n"]


def warn(text: str) -> None:
    """Tell the operator more than upstream's line does, where no consumer reads."""
    print(f"xenimage-vhd-util: {shown(text)}", file=sys.stderr)


def explain(error: XenimageError) -> None:
    """Tell what an error of the library says."""
    warn(f"{error}. {error.tip}" if error.tip else str(error))


def status_of(error: XenimageError) -> int:
    """The system's number for an error of the library: its own where the system failed, else EINVAL."""
    cause = error.__cause__
    if isinstance(cause, OSError) and cause.errno:
        return cause.errno
    return errno.EILSEQ if isinstance(cause, UnicodeError) else INVALID


def shown(text: str) -> str:
    """Text from a file, without what would act on a terminal or break a line."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)
