"""Whether cloud-init is there, whether it will start, and where it will look for its data."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from xenimage.guest.filesystems.base import Kind
from xenimage.guest.linux import settings
from xenimage.model.guest.linux import CloudInit, Setting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.guest.linux.root import Root
    from xenimage.model.guest.linux import CommandLine

CONFIG = "etc/cloud/cloud.cfg"
CONFIG_PARTS = "etc/cloud/cloud.cfg.d"
OFF = "etc/cloud/cloud-init.disabled"
IDENTIFY_CONFIG = "etc/cloud/ds-identify.cfg"
IDENTIFY = ("usr/lib/cloud-init/ds-identify", "usr/libexec/cloud-init/ds-identify")
STATE = "var/lib/cloud"
PROGRAM = "usr/bin/cloud-init"
UNITS = (
    "cloud-init-local.service",
    "cloud-init.service",
    "cloud-init-network.service",
    "cloud-init-main.service",
    "cloud-init",
    "cloud-init-local",
)
"""names in systemd, of old and new releases, and in other init systems"""
MASKED = ("cloud-init.target", *UNITS[:4])

_VERSION = re.compile(r"""^_?(?:PACKAGED_VERSION|_VERSION__)\s*=\s*["']([\d.]+)""", re.MULTILINE)
_OFF_WORD = "cloud-init=disabled"


def cloud_init(root: Root, lines: tuple[CommandLine, ...]) -> CloudInit | None:
    """What is set for cloud-init; None if it is not installed."""
    configs = [path for path in (CONFIG, *root.matching(CONFIG_PARTS, "*.cfg")) if root.is_file(path)]
    program = root.first(PROGRAM)
    if not program and CONFIG not in configs:
        return None
    texts = {path: root.text(path) for path in configs}
    found = _list(texts)
    identify = _identify(root)
    return CloudInit(
        version=_version(root),
        enabled=root.unit(*UNITS),
        disabled=tuple(_disabled(root, lines)),
        datasources=found[0] if found else None,
        datasources_from=found[1] if found else None,
        one_line=found[2] if found else True,
        identifies=bool(root.first(*IDENTIFY)),
        policy=identify.get("policy"),
        datasource=identify.get("datasource"),
        default_user=_last(texts, "system_info.default_user.name"),
        network=_said(_last(texts, "network.config"), "disabled"),
        keeps_host_keys=_said(_last(texts, "ssh_deletekeys"), "false", "no", "off", "0"),
        instances=tuple(_instances(root)),
    )


def _list(texts: dict[str, str]) -> tuple[tuple[str, ...], Setting, bool] | None:
    found = None
    for path, text in texts.items():
        found = settings.find_list(text, f"/{path}", "datasource_list") or found
    return found


def _last(texts: dict[str, str], keys: str) -> Setting | None:
    found = None
    for path, text in texts.items():
        found = settings.find(text, f"/{path}", keys) or found
    return found


def _said(setting: Setting | None, *values: str) -> Setting | None:
    return setting if setting is not None and setting.value.lower() in values else None


def _identify(root: Root) -> dict[str, Setting]:
    """What ds-identify is told: ``policy: ...`` and ``datasource: ...``."""
    found = {}
    for line in root.lines(IDENTIFY_CONFIG):
        key, colon, value = line.partition(":")
        if colon and value.strip():
            found[key.strip()] = Setting(value=value.strip().strip("\"'"), where=f"/{IDENTIFY_CONFIG}", line=line)
    return found


def _disabled(root: Root, lines: tuple[CommandLine, ...]) -> Iterator[str]:
    if root.entry(OFF) is not None:
        yield f"/{OFF}"
    for line in lines:
        if line.default and _OFF_WORD in line.text.split():
            yield f"{line.where}: {_OFF_WORD}"
    masked = root.masked(*MASKED)
    if masked:
        yield f"{masked} -> /dev/null"


def _version(root: Root) -> str:
    folders = ["usr/lib/python3/dist-packages"]
    folders += [f"{path}/site-packages" for path in root.matching("usr/lib", "python3*", "python2*")]
    for folder in folders:
        texts = (root.text(f"{folder}/cloudinit/version.py"),)
        for text in texts:
            found = [match for match in _VERSION.findall(text) if match]
            if found:
                return str(found[0])
    return ""


def _instances(root: Root) -> Iterator[str]:
    yield from (f"/{path}" for path in root.matching(f"{STATE}/instances", "*"))
    entry = root.entry(f"{STATE}/instance", follow=False)
    if entry is not None and entry.kind is Kind.LINK:
        yield f"/{STATE}/instance"
