"""What both configurations have in common: values that name their line, and files that misspell nothing."""

from __future__ import annotations

import pathlib
import re
from typing import TYPE_CHECKING, Any

from xenimage.exceptions import ConfigError, UsageError
from xenimage.units import parse_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Groups = list[tuple[str, list[Any]]]
"""oslo.config's options, by group"""


def known(groups: Groups) -> Iterator[tuple[str, str]]:
    """Yield (group, option) of all options."""
    for group, options in groups:
        for option in options:
            yield group, option.dest


def value(config: Any, files: Sequence[str], group: str, name: str, *, size: bool = False) -> Any:
    """Return one option's value; an error of its type names the file and the line.

    :param size: whether the value is a size, to be returned in bytes.
    :raises ConfigError: the value makes no sense.
    """
    from oslo_config import cfg

    try:
        found = config[group][name]
        return parse_size(found) if size else found
    except cfg.ConfigSourceValueError as error:
        # oslo.config repeats itself and an object's repr: the part behind the last "is not valid: " is the reason.
        reason = str(error).rpartition("is not valid: ")[2]
        raise ConfigError(f"{name} in [{group}]: {reason}", where=place(files, group, name)) from error
    except (cfg.Error, RecursionError) as error:
        # A value such as $other, which oslo.config replaces by that option's.
        reason = "refers to itself" if isinstance(error, RecursionError) else str(error)
        raise ConfigError(f"{name} in [{group}]: {reason}", where=place(files, group, name)) from error
    except UsageError as error:
        raise ConfigError(
            f"{name} in [{group}]: {error.found}", expected=error.expected, where=place(files, group, name)
        ) from error


def sections(path: str) -> Mapping[str, Mapping[str, list[str]]]:
    """Read a file as it stands: section, name, and the values in their order.

    :raises ConfigError: it cannot be read or parsed.
    """
    from oslo_config import cfg, iniparser

    found: dict[str, dict[str, Any]] = {}
    try:
        cfg.ConfigParser(path, found).parse()
    except iniparser.ParseError as error:
        raise ConfigError(f"{error.msg}: {error.line!r}", where=f"{path}:{error.lineno}") from error
    except UnicodeDecodeError as error:
        raise ConfigError("not text in UTF-8", expected="a configuration file", where=path) from error
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", where=path) from error
    return found


def reject_unknown(path: str, groups: Groups) -> None:
    """Refuse a file that cannot be parsed, or misspells an option of a group of ours. Other groups are not ours.

    :raises ConfigError: it is such a file.
    """
    found = sections(path)
    for group, options in groups:
        names = sorted(option.dest for option in options)
        for name in found.get(group, {}):
            if name not in names:
                raise ConfigError(
                    f"no option of [{group}] is called {name}",
                    expected=f"one of {', '.join(names)}",
                    where=place((path,), group, name),
                )


def place(files: Sequence[str], group: str, name: str) -> str:
    """Return ``file:line`` of the option's last appearance; the last file where it does not appear."""
    wanted = re.compile(rf"{re.escape(name)}\s*[:=]")
    found = files[-1] if files else ""
    for path in files:
        section = ""
        for number, line in enumerate(pathlib.Path(path).read_text(encoding="utf-8").splitlines(), start=1):
            if line.startswith("["):
                section = line.strip().strip("[]")
            elif section == group and wanted.match(line):
                found = f"{path}:{number}"
    return found
