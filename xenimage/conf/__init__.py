"""The configuration file: every oslo.config option, and the frozen settings that are made of them.

oslo.config costs a quarter of a second to import, so it is imported only where there is a file to read.
"""

from __future__ import annotations

import dataclasses
import logging
import pathlib
from typing import TYPE_CHECKING, Any

from xenimage.conf.choices import COMPRESSIONS, SIZE_POLICIES
from xenimage.conf.files import known, reject_unknown, value
from xenimage.limits import STRICT, Limits
from xenimage.model.plan import Compression, SizePolicy
from xenimage.units import KIB

if TYPE_CHECKING:
    from collections.abc import Sequence

LOG = logging.getLogger(__name__)

DEFAULT_FILE = "/etc/xenimage/xenimage.conf"
"""read where no file is named, if it exists"""

_SIZES = (
    "virtual_size",
    "table_size",
    "descriptor_size",
    "xml_size",
    "cluster_size",
    "scratch",
    "bundle_size",
    "guest_memory",
    "guest_bytes",
    "guest_file",
)
"""the limits that count bytes; the others are plain numbers"""

_LIMIT_HELP = {
    "virtual_size": "How large a disk may be as its guest sees it.",
    "table_size": "How large one table may be that is held in memory: a BAT, an L1 table, a grain directory.",
    "descriptor_size": "How large a text descriptor may be.",
    "xml_size": "How large an XML descriptor may be: an OVF's envelope, an XVA's ova.xml.",
    "xml_nodes": "How many elements and attributes an XML descriptor may have.",
    "xml_depth": "How deep the elements of an XML descriptor may be nested.",
    "cluster_size": "How large one cluster, grain or block may be after inflating.",
    "chain_depth": "How many disks a chain may have, the leaf included.",
    "extents": "How many files one disk may consist of.",
    "snapshots": "How many internal snapshots one disk may have.",
    "members": "How many members a bundle may have.",
    "ova_members": "How many tar headers an OVA may have: one or two for each file, or for each piece of one.",
    "xva_members": "How many tar headers an XVA may have: two for each mebibyte that it stores.",
    "keepalives": "How many empty chunks an XVA may have.",
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
    "guest_time": "How many seconds looking into a guest's disks may take.",
    "guest_memory": "How much memory, counted in addresses, the process may have that looks into a guest's disks.",
    "guest_bytes": "How much may be read of a guest's disks to look into them.",
    "guest_file": "How large a file of a guest may be that is read, a registry hive or an initrd.",
    "guest_entries": "How many names one directory of a guest may hold.",
    "guest_links": "How many symbolic links may stand on the way to one file of a guest.",
}

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
            choices=list(COMPRESSIONS),
            help="How hard a bundle is compressed, from the fastest to the smallest.",
        ),
        cfg.IntOpt("jobs", min=1, help="Threads that compress. By default the CPUs that the process may use."),
        cfg.StrOpt(
            "size_policy",
            default=SizePolicy.EXACT.value,
            choices=list(SIZE_POLICIES),
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
    groups = list_opts()
    for group, options in groups:
        config.register_opts(options, group=group)
    for path in files:
        reject_unknown(path, groups)
    config([], project="xenimage", default_config_files=list(files), default_config_dirs=[])
    values = {
        (group, name): value(config, files, group, name, size=group == "limits" and name in _SIZES)
        for group, name in known(groups)
    }
    LOG.debug("settings read from %s", ", ".join(files))
    return Settings(
        limits=Limits(**{name: found for (group, name), found in values.items() if group == "limits"}),
        profile=values["defaults", "profile"],
        compression=Compression(values["defaults", "compression"]),
        size_policy=SizePolicy(values["defaults", "size_policy"]),
        jobs=values["defaults", "jobs"],
        files=files,
    )
