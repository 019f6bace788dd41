"""What every command may ask for: the settings, the progress, the environment. Made when first asked for."""

from __future__ import annotations

import argparse
import functools
import os
import sys
from typing import TYPE_CHECKING

from xenimage import conf
from xenimage.cli.progress import Bar, JsonLines, Nobody
from xenimage.cli.text import Style
from xenimage.exceptions import UsageError

if TYPE_CHECKING:
    from xenimage.cli.progress import Reporter

CONFIG_VARIABLE = "XENIMAGE_CONFIG_FILE"
EPOCH_VARIABLE = "SOURCE_DATE_EPOCH"
_EPOCH_DIGITS = 20
"""what 64 bits can say; int() refuses thousands"""


class Context:
    """The surroundings of one run of one command.

    :param options: the global options; those that are missing have their defaults, so that the commands also run
        below another program's.
    """

    def __init__(self, options: argparse.Namespace | None = None) -> None:
        self._options = options or argparse.Namespace()

    @functools.cached_property
    def settings(self) -> conf.Settings:
        """The configuration: the files named by ``--config-file``, or by the environment, or the default one.

        :raises ConfigError: a file cannot be used.
        """
        named = getattr(self._options, "config_files", None) or []
        if not named and os.environ.get(CONFIG_VARIABLE):
            named = [os.environ[CONFIG_VARIABLE]]
        return conf.load(named)

    @functools.cached_property
    def progress(self) -> Reporter:
        """Where progress goes.

        :raises UsageError: ``--progress-fd`` names nothing that can be written to.
        """
        kind = getattr(self._options, "progress", "auto")
        descriptor = getattr(self._options, "progress_fd", None)
        if descriptor is not None or kind == "json":
            return self._json_lines(descriptor)
        quiet = getattr(self._options, "verbose_level", 1) == 0
        terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        if kind == "bar" or (kind == "auto" and terminal and not quiet):
            return Bar(sys.stderr, unicode=Style.of(sys.stderr).unicode)
        return Nobody()

    def _json_lines(self, descriptor: int | None) -> Reporter:
        if descriptor is None:
            return JsonLines(sys.stderr)
        try:
            return JsonLines(os.fdopen(os.dup(descriptor), "w", encoding="utf-8"), owned=True)
        except (OSError, OverflowError) as error:
            reason = error.strerror if isinstance(error, OSError) else "no such descriptor"
            raise UsageError(f"--progress-fd {descriptor}: {reason}", expected="an open file descriptor") from error

    @property
    def timestamp(self) -> int | None:
        """Unix seconds that SOURCE_DATE_EPOCH asks for, or None.

        :raises UsageError: it is no such number.
        """
        text = os.environ.get(EPOCH_VARIABLE, "")
        if not text:
            return None
        if not (text.isascii() and text.isdigit() and len(text) <= _EPOCH_DIGITS):
            raise UsageError(
                f"{text!r}",
                expected="seconds since 1970-01-01, digits only",
                where=f"environment variable {EPOCH_VARIABLE}",
            )
        return int(text)

    def close(self) -> None:
        """Take away what progress left on the screen."""
        progress = self.__dict__.get("progress")
        if progress is not None:
            progress.close()
