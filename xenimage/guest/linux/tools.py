"""Agents of hypervisors and clouds, and modules that are kept from loading."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from xenimage.guest.linux.drivers import BLKFRONT, NETFRONT
from xenimage.model.guest.linux import Setting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.guest.linux.root import Root

_SHOWN = 20
XEN = "xe-guest-utilities"
AGENTS = {
    XEN: ("usr/sbin/xe-daemon", "usr/bin/xe-daemon", "usr/sbin/xe-linux-distribution", "usr/bin/xen-guest-agent",
          "usr/sbin/xen-guest-agent"),
    "nova-agent": ("usr/sbin/nova-agent", "usr/bin/nova-agent", "usr/share/nova-agent/nova-agent.py"),
    "open-vm-tools": ("usr/bin/vmtoolsd", "usr/sbin/vmtoolsd"),
    "VirtualBox Guest Additions": ("usr/sbin/VBoxService", "usr/bin/VBoxService"),
    "qemu-guest-agent": ("usr/sbin/qemu-ga", "usr/bin/qemu-ga"),
    "hyperv-daemons": ("usr/sbin/hv_kvp_daemon", "usr/sbin/hypervkvpd"),
    "prl-tools": ("usr/bin/prltoolsd",),
    "walinuxagent": ("usr/sbin/waagent",),
}  # fmt: skip
"""the programs by which they are known"""


def tools(root: Root) -> tuple[Setting, ...]:
    """The agents that are installed."""
    found = []
    for name, paths in AGENTS.items():
        path = root.first(*paths)
        if path:
            found.append(Setting(value=name, where=f"/{path}"))
    return tuple(found)


def blacklist(root: Root) -> tuple[Setting, ...]:
    """The front ends of Xen that modprobe is told to leave alone."""
    return tuple(itertools.islice(_blacklisted(root), _SHOWN))


def _blacklisted(root: Root) -> Iterator[Setting]:
    for folder in ("lib/modprobe.d", "etc/modprobe.d"):
        for path in root.matching(folder, "*.conf"):
            for line in root.lines(path):
                words = line.split()
                name = words[1].replace("_", "-") if len(words) > 1 else ""
                if words[0] in ("blacklist", "install") and name in (BLKFRONT, NETFRONT):
                    yield Setting(value=name, where=f"/{path}", line=line)
