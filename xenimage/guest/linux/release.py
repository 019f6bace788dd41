"""Which distribution it is, and for which processors."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from xenimage.model.guest.linux import Distribution

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from xenimage.guest.linux.root import Root

OS_RELEASE = ("etc/os-release", "usr/lib/os-release")
OLDER = {
    "etc/centos-release": "centos",
    "etc/oracle-release": "ol",
    "etc/fedora-release": "fedora",
    "etc/redhat-release": "rhel",
    "etc/SuSE-release": "sles",
    "etc/alpine-release": "alpine",
    "etc/arch-release": "arch",
    "etc/gentoo-release": "gentoo",
    "etc/debian_version": "debian",
}
"""files of systems older than os-release, and whose they are; those that copy others' come first"""
_LSB = "etc/lsb-release"
_NUMBER = re.compile(r"\d+(?:\.\d+)*")

_ELF = b"\x7fELF"
_BIG_ENDIAN = 2
_MACHINES = {
    3: "i686",
    8: "mips",
    20: "ppc",
    21: "ppc64",
    22: "s390x",
    40: "armv7l",
    62: "x86_64",
    183: "aarch64",
    243: "riscv64",
    258: "loongarch64",
}
"""``e_machine`` of ELF, and what Linux calls it"""
_PROGRAMS = ("bin/sh", "usr/bin/sh", "bin/bash", "sbin/init", "usr/lib/systemd/systemd", "bin/busybox")


def distribution(root: Root) -> Distribution:
    """What the system says of itself."""
    for path in OS_RELEASE:
        values = assignments(root.lines(path))
        if values:
            return _of_os_release(values, _ends(root, path))
    values = assignments(root.lines(_LSB))
    if "DISTRIB_ID" in values:
        return Distribution(
            id=values["DISTRIB_ID"].lower(),
            name=values.get("DISTRIB_DESCRIPTION", values["DISTRIB_ID"]),
            version=values.get("DISTRIB_RELEASE", ""),
            version_id=values.get("DISTRIB_RELEASE", ""),
            codename=values.get("DISTRIB_CODENAME", ""),
            where=f"/{_LSB}",
        )
    for path, known in OLDER.items():
        if root.is_file(path):
            return _of_older(root, path, known)
    return Distribution()


def _of_os_release(values: Mapping[str, str], where: str) -> Distribution:
    return Distribution(
        id=values.get("ID", "linux").lower(),
        id_like=tuple(values.get("ID_LIKE", "").lower().split()),
        name=values.get("PRETTY_NAME") or values.get("NAME", ""),
        version=values.get("VERSION", ""),
        version_id=values.get("VERSION_ID", ""),
        codename=values.get("VERSION_CODENAME", ""),
        where=where,
    )


def _of_older(root: Root, path: str, known: str) -> Distribution:
    text = next(root.lines(path), "")
    number = _NUMBER.search(text)
    return Distribution(
        id=known,
        name=text if number is None or number[0] != text else f"{known} {text}",
        version=text,
        version_id=number[0] if number else "",
        where=f"/{path}",
    )


def _ends(root: Root, path: str) -> str:
    entry = root.entry(path)
    return f"/{entry.path if entry else path}"


def assignments(lines: Iterable[str]) -> dict[str, str]:
    """Variables as a shell would set them, with its quotes, without its substitutions. The last of each holds."""
    values: dict[str, str] = {}
    for line in lines:
        name, equals, value = line.removeprefix("export ").partition("=")
        if not equals or not name.isidentifier():
            continue
        try:
            words = shlex.split(value, comments=True)
        except ValueError:
            words = [value.strip("\"'")]
        values[name] = words[0] if words else ""
    return values


def architecture(root: Root) -> str:
    """What the machine must be, by the programs of the system; empty where none of them is there."""
    for path in _PROGRAMS:
        head = root.head(path, 20)
        if head[:4] == _ELF and len(head) == 20:
            order = "big" if head[5] == _BIG_ENDIAN else "little"
            machine = _MACHINES.get(int.from_bytes(head[18:20], "big" if order == "big" else "little"), "")
            return f"{machine}le" if machine == "ppc64" and order == "little" else machine
    return ""
