"""The configuration file: every oslo.config option, and the frozen settings that are made of them.

oslo.config costs a quarter of a second to import, so it is imported only where there is a file to read.
"""

from __future__ import annotations

import dataclasses
import logging
import pathlib
import re
from typing import TYPE_CHECKING, Any

from xenimage.exceptions import ConfigError, UsageError
from xenimage.limits import STRICT, Limits
from xenimage.model.plan import Compression, SizePolicy
from xenimage.units import KIB, parse_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LOG = logging.getLogger(__name__)

DEFAULT_FILE = "/etc/xenimage/xenimage.conf"
"""read where no file is named, if it exists"""

_SIZES = ("virtual_size", "table_size", "descriptor_size", "cluster_size", "scratch", "bundle_size")
"""the limits that count bytes; the others are plain numbers"""

_LIMIT_HELP = {
    "virtual_size": "How large a disk may be as its guest sees it.",
    "table_size": "How large one table may be that is held in memory: a BAT, an L1 table, a grain directory.",
    "descriptor_size": "How large a text descriptor may be.",
    "cluster_size": "How large one cluster, grain or block may be after inflating.",
    "chain_depth": "How many disks a chain may have, the leaf included.",
    "extents": "How many files one disk may consist of.",
    "snapshots": "How many internal snapshots one disk may have.",
    "members": "How many members a bundle may have.",
    "expansion": "How many bytes of guest data one stored byte may stand for. Deflate itself ends at 1032.",
    "inflation": (
        "How many bytes of guest data one byte of a disk with compressed clusters or grains may stand for, once the"
        " disk claims more than 4 GiB of data."
    ),
    "ranges": "How many ranges of data and of none, in turn, a disk may consist of.",
    "blocks": "How many blocks a VHD may store.",
    "holes": "How many tables of a disk may stand in holes of its file.",
    "scratch": "How much is read to tell one format from another.",
    "bundle_size": "How large a bundle may become when it is inflated.",
}

_COMPRESSIONS = (
    ("store", "not at all"),
    ("fast", "for speed"),
    ("balanced", "smaller at half the speed or less"),
    ("best", "as small as it gets"),
)
_SIZE_POLICIES = (("exact", "the next 2 MiB, the block of a VHD"), ("gib", "the next GiB, the unit of flavors"))

_NOTE = "A guard against files that want to harm. Raise it only for files that you trust."


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """What the configuration says; without a file, the defaults."""

    limits: Limits = STRICT
    profile: str = "nova-xenapi"
    compression: Compression = Compression.FAST
    size_policy: SizePolicy = SizePolicy.EXACT
    jobs: int | None = None
    """threads; None: the CPUs that the process may use"""
    files: tuple[str, ...] = ()
    """the files that were read, in order"""


def load(files: Sequence[str] = ()) -> Settings:
    """Read the settings from *files*, later ones winning; without any, from the default file if it exists.

    :raises ConfigError: a file is missing or cannot be read, or says something that makes no sense.
    """
    if not files:
        if not pathlib.Path(DEFAULT_FILE).exists():
            return Settings()
        files = (DEFAULT_FILE,)
    return _read(tuple(files))


def list_opts() -> list[tuple[str, list[Any]]]:
    """Return all options by group, as oslo-config-generator asks for them."""
    return [("defaults", _default_opts()), ("limits", _limit_opts())]


def _default_opts() -> list[Any]:
    from oslo_config import cfg

    return [
        cfg.StrOpt(
            "profile", default="nova-xenapi", help="The target that bundles are made for. See: xenimage profile list."
        ),
        cfg.StrOpt(
            "compression",
            default=Compression.FAST.value,
            choices=list(_COMPRESSIONS),
            help="How hard a bundle is compressed, from the fastest to the smallest.",
        ),
        cfg.IntOpt("jobs", min=1, help="Threads that compress. By default the CPUs that the process may use."),
        cfg.StrOpt(
            "size_policy",
            default=SizePolicy.EXACT.value,
            choices=list(_SIZE_POLICIES),
            help="What the size of a disk is rounded up to.",
        ),
    ]


def _limit_opts() -> list[Any]:
    from oslo_config import cfg

    options: list[Any] = []
    for field in dataclasses.fields(Limits):
        text = f"{_LIMIT_HELP[field.name]} {_NOTE}"
        default: int = getattr(STRICT, field.name)
        if field.name in _SIZES:
            options.append(
                cfg.StrOpt(field.name, default=_size_text(default), help=f"{text} A size such as 512M or 2T.")
            )
        else:
            options.append(cfg.IntOpt(field.name, default=default, min=1, help=text))
    return options


def _size_text(size: int) -> str:
    """Write bytes exactly, in the largest unit that divides them."""
    unit = ""
    for larger in "KMGT":
        if size % KIB:
            break
        size //= KIB
        unit = larger
    return f"{size}{unit}"


def _read(files: tuple[str, ...]) -> Settings:
    from oslo_config import cfg

    config = cfg.ConfigOpts()
    for group, options in list_opts():
        config.register_opts(options, group=group)
    for path in files:
        _reject_unknown(path)
    config([], project="xenimage", default_config_files=list(files), default_config_dirs=[])
    values = {(group, name): _value(config, files, group, name) for group, name in _known()}
    LOG.debug("settings read from %s", ", ".join(files))
    return Settings(
        limits=Limits(**{name: value for (group, name), value in values.items() if group == "limits"}),
        profile=values["defaults", "profile"],
        compression=Compression(values["defaults", "compression"]),
        size_policy=SizePolicy(values["defaults", "size_policy"]),
        jobs=values["defaults", "jobs"],
        files=files,
    )


def _known() -> Iterator[tuple[str, str]]:
    """Yield (group, option) of all that we have."""
    for group, options in list_opts():
        for option in options:
            yield group, option.dest


def _value(config: Any, files: tuple[str, ...], group: str, name: str) -> Any:
    """Return one option's value; an error of its type names the file and the line."""
    from oslo_config import cfg

    try:
        value = config[group][name]
        return parse_size(value) if group == "limits" and name in _SIZES else value
    except cfg.ConfigSourceValueError as error:
        # oslo.config repeats itself and an object's repr: the part behind the last "is not valid: " is the reason.
        reason = str(error).rpartition("is not valid: ")[2]
        raise ConfigError(f"{name} in [{group}]: {reason}", where=_place(files, group, name)) from error
    except (cfg.Error, RecursionError) as error:
        # A value such as $other, which oslo.config replaces by that option's.
        reason = "refers to itself" if isinstance(error, RecursionError) else str(error)
        raise ConfigError(f"{name} in [{group}]: {reason}", where=_place(files, group, name)) from error
    except UsageError as error:
        raise ConfigError(
            f"{name} in [{group}]: {error.found}", expected=error.expected, where=_place(files, group, name)
        ) from error


def _reject_unknown(path: str) -> None:
    """Refuse a file that cannot be parsed, or misspells an option of a group of ours. Other groups are not ours."""
    from oslo_config import cfg, iniparser

    sections: dict[str, dict[str, Any]] = {}
    try:
        cfg.ConfigParser(path, sections).parse()
    except iniparser.ParseError as error:
        raise ConfigError(f"{error.msg}: {error.line!r}", where=f"{path}:{error.lineno}") from error
    except UnicodeDecodeError as error:
        raise ConfigError("not text in UTF-8", expected="a configuration file", where=path) from error
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", where=path) from error
    for group, options in list_opts():
        names = sorted(option.dest for option in options)
        for name in sections.get(group, {}):
            if name not in names:
                raise ConfigError(
                    f"no option of [{group}] is called {name}",
                    expected=f"one of {', '.join(names)}",
                    where=_place((path,), group, name),
                )


def _place(files: tuple[str, ...], group: str, name: str) -> str:
    """Return ``file:line`` of the option's last appearance."""
    wanted = re.compile(rf"{re.escape(name)}\s*[:=]")
    place = files[-1]
    for path in files:
        section = ""
        for number, line in enumerate(pathlib.Path(path).read_text(encoding="utf-8").splitlines(), start=1):
            if line.startswith("["):
                section = line.strip().strip("[]")
            elif section == group and wanted.match(line):
                place = f"{path}:{number}"
    return place
