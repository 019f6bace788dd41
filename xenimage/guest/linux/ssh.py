"""The ssh server: whether it starts, and whom it lets in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.model.guest.linux import Setting, Ssh

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.guest.linux.root import Root

CONFIG = "etc/ssh/sshd_config"
VENDOR = ("usr/etc/ssh/sshd_config", "usr/share/openssh/sshd_config")
"""where it stands if the administrator changed nothing"""
SERVERS = ("usr/sbin/sshd", "usr/bin/sshd", "usr/sbin/dropbear")
UNITS = ("ssh.service", "sshd.service", "ssh.socket", "sshd.socket", "ssh", "sshd", "dropbear.service", "dropbear")

_FILES_MAX = 100


def ssh(root: Root) -> Ssh | None:
    """What is set for the server; None if there is none."""
    path = root.first(*SERVERS)
    if not path:
        return None
    config = root.first(CONFIG, *VENDOR)
    found: dict[str, Setting] = {}
    for setting, key in _settings(root, config, [_FILES_MAX]) if config else ():
        found.setdefault(key, setting)
    return Ssh(
        path=f"/{path}",
        enabled=root.unit(*UNITS),
        masked=root.masked(*UNITS[:4]),
        password=found.get("passwordauthentication"),
        root=found.get("permitrootlogin"),
    )


def _settings(root: Root, path: str, left: list[int]) -> Iterator[tuple[Setting, str]]:
    """Settings that hold for everybody, in the order in which sshd meets them: the first of a name counts.

    :param left: how many files may still be included.
    """
    for line in root.lines(path):
        key, _, value = line.replace("=", " ", 1).partition(" ")
        key, value = key.lower(), value.strip().strip('"')
        if key == "match":
            return
        if key == "include":
            for each in value.split():
                yield from _included(root, each, left)
        else:
            yield Setting(value=value.lower(), where=f"/{path}", line=line), key


def _included(root: Root, pattern: str, left: list[int]) -> Iterator[tuple[Setting, str]]:
    folder, _, name = (pattern if pattern.startswith("/") else f"/etc/ssh/{pattern}").strip("/").rpartition("/")
    if "*" in folder or not folder:
        return
    for path in root.matching(folder, name):
        left[0] -= 1
        if left[0] < 0:
            return
        yield from _settings(root, path, left)
