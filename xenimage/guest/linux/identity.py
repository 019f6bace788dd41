"""What an image should not hold, because it should be different in each instance, or is nobody's business."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

from xenimage.guest.filesystems.base import Kind
from xenimage.model.guest.linux import Identity, Setting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.guest.linux.root import Root

_NO_ID = ("", "uninitialized")
_MAC = r"(?P<mac>(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2})"
_RULE = re.compile(rf"""ATTRS?\{{address\}}=="{_MAC}".*NAME""")
_BOUND = re.compile(
    rf"""^\s*(?:HWADDR|mac-address|macaddress|MACAddress|PermanentMACAddress|hwaddress(?:\s+ether)?)\s*[=: ]\s*"""
    rf"""["']?{_MAC}""",
    re.IGNORECASE,
)
_NETWORK = (
    ("etc/sysconfig/network-scripts", "ifcfg-*"),
    ("etc/sysconfig/network", "ifcfg-*"),
    ("etc/NetworkManager/system-connections", "*"),
    ("etc/netplan", "*.yaml"),
    ("etc/systemd/network", "*.network"),
    ("etc/systemd/network", "*.link"),
    ("etc/network", "interfaces"),
    ("etc/network/interfaces.d", "*"),
)
_SEEDS = ("var/lib/systemd/random-seed", "var/lib/urandom/random-seed", "var/lib/random-seed")
_HOMES_MAX = 50
_SHOWN = 50
"""settings of one sort that are kept"""


def identity(root: Root) -> Identity:
    """What is left of the machine on which the image was made."""
    return Identity(
        machine_id=_machine_id(root),
        host_keys=tuple(f"/{path}" for path in root.matching("etc/ssh", "ssh_host_*_key")),
        hostname=_hostname(root),
        net_rules=tuple(itertools.islice(_net_rules(root), _SHOWN)),
        macs=tuple(itertools.islice(_macs(root), _SHOWN)),
        histories=tuple(f"/{path}" for path in _histories(root)),
        authorized_keys=tuple(itertools.islice(_authorized(root), _SHOWN)),
        random_seed=next((f"/{path}" for path in _SEEDS if _size(root, path)), ""),
    )


def _machine_id(root: Root) -> Setting | None:
    for path in ("etc/machine-id", "var/lib/dbus/machine-id"):
        text = root.text(path).strip()
        entry = root.entry(path, follow=False)
        if text not in _NO_ID and entry is not None and (entry.kind is Kind.FILE or path.startswith("etc")):
            return Setting(value=text[:64], where=f"/{path}", line=text[:64])
    return None


def _hostname(root: Root) -> Setting | None:
    for line in root.lines("etc/hostname"):
        return Setting(value=line, where="/etc/hostname", line=line)
    return None


def _net_rules(root: Root) -> Iterator[Setting]:
    for path in root.matching("etc/udev/rules.d", "*persistent-net*.rules", "*net-names*.rules"):
        for line in root.lines(path):
            match = _RULE.search(line)
            if match:
                yield Setting(value=match["mac"].lower(), where=f"/{path}", line=line)


def _macs(root: Root) -> Iterator[Setting]:
    for folder, pattern in _NETWORK:
        for path in root.matching(folder, pattern):
            for line in root.lines(path):
                match = _BOUND.match(line)
                if match:
                    yield Setting(value=match["mac"].lower(), where=f"/{path}", line=line)


def _homes(root: Root) -> Iterator[str]:
    yield "root"
    yield from root.matching("home", "*")[:_HOMES_MAX]


def _histories(root: Root) -> Iterator[str]:
    for home in _homes(root):
        for name in (".bash_history", ".ash_history", ".zsh_history"):
            if _size(root, f"{home}/{name}"):
                yield f"{home}/{name}"


def _authorized(root: Root) -> Iterator[Setting]:
    for home in _homes(root):
        path = f"{home}/.ssh/authorized_keys"
        for line in root.lines(path):
            words = line.split()
            yield Setting(value=words[-1] if len(words) > 2 else "a key", where=f"/{path}", line=_shortened(line))


def _shortened(line: str) -> str:
    """A public key is long, and says nothing; its kind and comment do."""
    return " ".join(word if len(word) < 60 else f"{word[:12]}..." for word in line.split())


def _size(root: Root, path: str) -> int:
    entry = root.entry(path)
    return entry.size if entry is not None and entry.kind is Kind.FILE else 0
