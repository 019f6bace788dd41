"""What the import plugins read: the group [xenimage] of Glance's own configuration files.

oslo.config is imported in functions only, as in the rest of the package.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from xenimage.conf.choices import COMPRESSIONS, SIZE_POLICIES
from xenimage.conf.files import known, place, reject_unknown, value
from xenimage.exceptions import ConfigError
from xenimage.units import GIB, MIB

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from xenimage.conf.files import Groups

GROUP = "xenimage"
FORMATS = ("qcow2", "vmdk", "vhd", "raw")
"""what can be declared as disk_format and be converted; as Glance names them"""
EXTRACT_FORMATS = ("qcow2", "raw")
ALWAYS = "always"
ON_REQUEST = "on-request"

_SIZES = ("max_virtual_size", "max_output_size", "memory", "min_free")
_MEMORY_MIN = 512 * MIB
"""bytes of address space: with less the child does not come up with its libraries and threads"""
_XEN_PROPERTIES = (
    "vm_mode",
    "hypervisor_type",
    "auto_disk_config",
    "xenapi_device_id",
    "xenapi_use_agent",
    "xenapi_skip_agent_inject_ssh",
    "xenapi_skip_agent_inject_files_at_boot",
    "cache_in_nova",
)
"""what means something to XenServer only, or something else elsewhere"""

_CONVERT = (
    (ALWAYS, "whatever is declared in one of the formats, but no disk of a kernel_id or ramdisk_id, unless it asks"),
    (ON_REQUEST, "only an image with the property xenimage_convert=true or hypervisor_type=xen"),
)
_EXTRACT = (
    (ALWAYS, "every bundle and every VHD"),
    (ON_REQUEST, "only an image with the property xenimage_extract=true"),
)
_USER_PROPERTIES = (
    ("win", "the user's value stays; one that the target does not understand is refused"),
    ("lose", "it is replaced"),
    ("refuse", "the import is refused"),
)
_NOT_READY = (
    ("fail", "the import fails with what was found"),
    ("warn", "the image is taken, and what was found stands in the log and in xenimage_verdict"),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PluginSettings:
    """What the operator wants of both plugins. Sizes in bytes, times in seconds."""

    profile: str = "nova-xenapi"
    formats: tuple[str, ...] = FORMATS
    convert: str = ALWAYS
    properties: Mapping[str, str] = dataclasses.field(default_factory=dict)
    user_properties: str = "win"
    on_not_ready: str = "fail"
    inspect: bool = True
    check_bundles: bool = True
    extract: str = ALWAYS
    extract_format: str = "qcow2"
    extract_remove_properties: tuple[str, ...] = _XEN_PROPERTIES
    compression: str = "fast"
    size_policy: str = "exact"
    jobs: int | None = None
    max_virtual_size: int = 2040 * GIB
    max_output_size: int | None = None
    max_ratio: int = 64
    concurrency: int = 2
    wait: int = 3600
    timeout: int = 14400
    cpu_time: int = 57600
    memory: int = 4 * GIB
    min_free: int = GIB
    lock_path: str | None = None
    worker: str | None = None


def list_opts() -> Groups:
    """Return the options by group, as oslo-config-generator asks for them."""
    return [(GROUP, [*_policy_opts(), *_extract_opts(), *_resource_opts()])]


def _policy_opts() -> list[Any]:
    from oslo_config import cfg, types

    return [
        cfg.StrOpt(
            "profile", default="nova-xenapi", help="The target that bundles are made for. See: xenimage profile list."
        ),
        cfg.ListOpt(
            "formats",
            item_type=types.String(choices=list(FORMATS)),
            default=list(FORMATS),
            help=(
                "Which images become bundles, by their declared disk_format, if their container_format is bare. All"
                " others are stored as they come. What is declared is held against the content; if the two differ the"
                " import fails."
            ),
        ),
        cfg.StrOpt("convert", default=ALWAYS, choices=list(_CONVERT), help="Which images of these become bundles."),
        cfg.DictOpt(
            "properties",
            default={},
            help=(
                "Image properties that bundles get, in the place of the profile's or besides them:"
                " os_type:linux,auto_disk_config:false."
            ),
        ),
        cfg.StrOpt(
            "user_properties",
            default="win",
            choices=list(_USER_PROPERTIES),
            help="What becomes of a property that the user set to another value than the profile or 'properties' has.",
        ),
        cfg.StrOpt(
            "on_not_ready",
            default="fail",
            choices=list(_NOT_READY),
            help="What happens to an image that can be stored, but that checks say the target will not boot.",
        ),
        cfg.BoolOpt(
            "inspect",
            default=True,
            help=(
                "Whether the guest on a disk is looked at: its drivers, boot loader, cloud-init or cloudbase-init. What"
                " is found sets image properties that the user did not, and counts for on_not_ready."
            ),
        ),
        cfg.BoolOpt(
            "check_bundles",
            default=True,
            help=(
                "Whether an image that is uploaded as a bundle already (vhd and ovf) is checked for the profile before"
                " it is stored as it is. Glance itself looks into none."
            ),
        ),
        cfg.StrOpt(
            "size_policy",
            default="exact",
            choices=list(SIZE_POLICIES),
            help="What the size of a disk is rounded up to.",
        ),
        cfg.StrOpt(
            "compression",
            default="fast",
            choices=list(COMPRESSIONS),
            help="How hard a bundle is compressed, from the fastest to the smallest.",
        ),
    ]


def _extract_opts() -> list[Any]:
    from oslo_config import cfg

    return [
        cfg.StrOpt(
            "extract",
            default=ALWAYS,
            choices=list(_EXTRACT),
            help="Which images the plugin xenimage_extract turns back. It has to be listed itself.",
        ),
        cfg.StrOpt(
            "extract_format",
            default="qcow2",
            choices=list(EXTRACT_FORMATS),
            help=(
                "What they become. Glance refuses some disks without a partition table as raw; as qcow2 it takes all."
            ),
        ),
        cfg.ListOpt(
            "extract_remove_properties",
            default=list(_XEN_PROPERTIES),
            help="Image properties that are taken away with it: they are meant for XenServer.",
        ),
    ]


def _resource_opts() -> list[Any]:
    from oslo_config import cfg

    size = "A size such as 512M or 2T."
    return [
        cfg.IntOpt("jobs", min=1, help="Threads of one conversion. By default the CPUs that the process may use."),
        cfg.IntOpt(
            "concurrency", min=1, default=2, help="Conversions at a time on this host, whatever Glance's workers."
        ),
        cfg.IntOpt("wait", min=0, default=3600, help="Seconds that an import waits for its turn before it is refused."),
        cfg.IntOpt("timeout", min=1, default=14400, help="Seconds that one conversion may take, by the clock."),
        cfg.IntOpt(
            "cpu_time", min=1, default=57600, help="Seconds that one conversion may take, of all CPUs together."
        ),
        cfg.StrOpt("memory", default="4G", help=f"Address space of the converting process: at least 512M. {size}"),
        cfg.StrOpt("max_virtual_size", default="2040G", help=f"How large a disk may be as its guest sees it. {size}"),
        cfg.StrOpt(
            "max_output_size",
            help=f"How large the result may become. By default as large as the disk asks for. {size}",
        ),
        cfg.IntOpt(
            "max_ratio",
            min=1,
            default=64,
            help=(
                "How many bytes of guest data one uploaded byte may stand for, once a disk claims more than 4 GiB of"
                " data: a guard against small files that fill the disk."
            ),
        ),
        cfg.StrOpt(
            "min_free",
            default="1G",
            help=f"Free space that has to be left in the staging area when the largest possible result is made. {size}",
        ),
        cfg.StrOpt(
            "lock_path",
            help=(
                "Directory for the lock files by which Glance's workers agree. By default that of [oslo_concurrency],"
                " else one in the directory for temporary files."
            ),
        ),
        cfg.StrOpt(
            "worker",
            help=(
                "Path of the program xenimage-glance-worker. By default the one installed with this package, else the"
                " interpreter of [wsgi] python_interpreter runs it. Name one where xenimage has its own environment."
            ),
        ),
    ]


def plugin_settings(config: Any) -> PluginSettings:
    """Read the group from Glance's configuration.

    :param config: an oslo_config.cfg.ConfigOpts that has read its files, as Glance's own.
    :raises ConfigError: a value makes no sense, or an option of the group is misspelt.
    """
    groups = list_opts()
    for group, options in groups:
        config.register_opts(options, group=group)
    files = _files(config)
    for path in files:
        reject_unknown(path, groups)
    found = {name: _value(config, files, group, name) for group, name in known(groups)}
    if found["memory"] < _MEMORY_MIN:
        raise ConfigError(
            f"memory in [{GROUP}]: {found['memory']} bytes",
            expected="at least 512M",
            where=place(files, GROUP, "memory"),
        )
    return settings_from(found)


def settings_from(values: Mapping[str, Any]) -> PluginSettings:
    """Make settings of values by name, lists being tuples.

    :raises TypeError: a name is unknown.
    """
    ready: dict[str, Any] = {name: tuple(each) if isinstance(each, list) else each for name, each in values.items()}
    return PluginSettings(**ready)


def _value(config: Any, files: Sequence[str], group: str, name: str) -> Any:
    size = name in _SIZES and not (name == "max_output_size" and config[group][name] is None)
    return value(config, files, group, name, size=size)


def _files(config: Any) -> tuple[str, ...]:
    """Paths of the files that were read, in order; none where nobody can tell."""
    found = getattr(config, "config_file", None) or []
    return tuple(found)


def host_settings(config: Any) -> Mapping[str, Any]:
    """Read what else of Glance's configuration matters to the plugins: only what Glance has registered, and is set."""
    from oslo_config import cfg

    wanted = {
        "lock_path": ("oslo_concurrency", "lock_path"),
        "python_interpreter": ("wsgi", "python_interpreter"),
        "plugins": ("image_import_opts", "image_import_plugins"),
        "nonfatal": ("image_format", "gpt_safety_checks_nonfatal"),
        "match": ("image_format", "require_image_format_match"),
    }
    found = {}
    for key, (group, name) in wanted.items():
        try:
            found[key] = config[group][name]
        except cfg.Error:  # another release
            continue
    return {key: each for key, each in found.items() if each is not None}


def glance_configuration() -> Any:
    """Return the configuration of the process: that of Glance, where the plugins run."""
    from oslo_config import cfg

    return cfg.CONF
