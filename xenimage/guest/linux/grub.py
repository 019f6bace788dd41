"""What boot loaders start, with which arguments: GRUB 2 and 1, entries by the Boot Loader Specification, syslinux."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING

from xenimage.guest.linux.kernels import natural
from xenimage.guest.linux.release import assignments
from xenimage.model.guest.linux import CommandLine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.guest.linux.root import Root

GRUB = ("boot/grub/grub.cfg", "boot/grub2/grub.cfg")
GRUB_ENV = ("boot/grub/grubenv", "boot/grub2/grubenv")
LEGACY = ("boot/grub/grub.conf", "boot/grub/menu.lst")
SYSLINUX = (
    "boot/extlinux/extlinux.conf",
    "boot/extlinux.conf",
    "boot/syslinux/syslinux.cfg",
    "extlinux.conf",
)
ENTRIES = ("boot/loader/entries", "boot/efi/loader/entries", "efi/loader/entries")
DEFAULTS = "etc/default/grub"

_ENTRY = re.compile(r"""^(?:menuentry|submenu)\s+(?P<title>'[^']*'|"[^"]*"|\S+)(?P<rest>.*)$""")
_ID = re.compile(r"""(?:menuentry_id_option|--id)\s+['"]?(?P<id>[^'"\s]+)""")
_LINUX = re.compile(r"^(?:linux|linux16|linuxefi)\s+(?P<path>\S+)\s*(?P<text>.*)$")
_INITRD = re.compile(r"^(?:initrd|initrd16|initrdefi)\s+(?P<paths>\S.*)$")
_SET = re.compile(r"""^set\s+(?P<name>\w+)=(?P<value>.*)$""")
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_ENTRIES_MAX = 200
_TEXT_MAX = 4096
"""Linux takes 2048 bytes (x86, COMMAND_LINE_SIZE)"""


@dataclasses.dataclass(kw_only=True)
class _Entry:
    """An entry of a menu while it is read."""

    names: tuple[str, ...]
    """how a default may name it: number, title, identifier"""
    kernel: str = ""
    text: str = ""
    initrd: str = ""


def command_lines(root: Root) -> tuple[CommandLine, ...]:
    """Everything that kernels are started with, and the defaults from which such lines are made anew."""
    return (*_menus(root), *_defaults(root))


def _menus(root: Root) -> Iterator[CommandLine]:
    environment = _environment(root)
    for path in GRUB:
        if root.is_file(path):
            yield from _grub(root, path, environment)
    yield from _specified(root, environment)
    for path in LEGACY:
        if root.entry(path) is not None:
            yield from _legacy(root, path)
            break
    for path in SYSLINUX:
        if root.is_file(path):
            yield from _syslinux(root, path)


def _environment(root: Root) -> dict[str, str]:
    """GRUB's saved variables."""
    values = {}
    for path in GRUB_ENV:
        for line in root.lines(path):
            name, equals, value = line.partition("=")
            if equals:
                values[name] = value.rstrip("#")
    return values


def _grub(root: Root, path: str, environment: dict[str, str]) -> Iterator[CommandLine]:
    variables = dict(environment)
    entries: list[_Entry] = []
    for line in root.lines(path):
        if match := _ENTRY.match(line):
            if len(entries) >= _ENTRIES_MAX:
                break
            identifier = _ID.search(match["rest"])
            names = (str(len(entries)), match["title"].strip("'\""), identifier["id"] if identifier else "")
            entries.append(_Entry(names=names))
        elif (match := _SET.match(line)) and "$" not in match["value"]:
            variables.setdefault(match["name"], match["value"].strip("\"'"))
        elif entries and (match := _LINUX.match(line)) and not entries[-1].kernel:
            entries[-1].kernel, entries[-1].text = match["path"], match["text"]
        elif entries and (match := _INITRD.match(line)):
            entries[-1].initrd = match["paths"].split()[-1]
    wanted = environment.get("saved_entry") or variables.get("default", "0")
    yield from _lines_of(entries, wanted.rpartition(">")[2], f"/{path}", variables)


def _lines_of(
    entries: list[_Entry], wanted: str, where: str, variables: dict[str, str] | None = None
) -> Iterator[CommandLine]:
    """The entries that start a kernel. The default is what *wanted* names, else the first."""
    starting = [entry for entry in entries if entry.kernel]
    chosen = next((entry for entry in starting if wanted in entry.names), starting[0] if starting else None)
    for entry in starting:
        yield CommandLine(
            text=_expanded(entry.text, variables or {}),
            where=where,
            kernel=_bare(entry.kernel),
            initrd=_bare(entry.initrd),
            default=entry is chosen,
        )


def _expanded(text: str, variables: dict[str, str]) -> str:
    return _VARIABLE.sub(lambda match: variables.get(match[1] or match[2], ""), text).strip()[:_TEXT_MAX]


def _bare(path: str) -> str:
    """A path without the device that GRUB may have in front of it: ``($root)``, ``(hd0,gpt2)``."""
    return re.sub(r"^(?:\([^)]*\)|\$\{?\w+\}?)", "", path)


def _specified(root: Root, environment: dict[str, str]) -> Iterator[CommandLine]:
    """Entries of https://uapi-group.org/specifications/specs/boot_loader_specification/."""
    found: dict[str, dict[str, str]] = {}
    for folder in ENTRIES:
        for path in root.matching(folder, "*.conf"):
            values: dict[str, str] = {}
            for line in root.lines(path):
                key, _, value = line.partition(" " if " " in line else "\t")
                values[key] = f"{values[key]} {value.strip()}" if key == "options" and key in values else value.strip()
            if "linux" in values:
                found.setdefault(path, values)
    ordered = sorted(found, key=lambda path: natural(path.rpartition("/")[2]), reverse=True)
    wanted = environment.get("saved_entry", "")
    names = [path.rpartition("/")[2].removesuffix(".conf") for path in ordered]
    usual = [name for name in names if "rescue" not in name]
    chosen = wanted if wanted in names else (usual or names or [""])[0]
    for path, name in zip(ordered, names, strict=True):
        values = found[path]
        yield CommandLine(
            text=_expanded(values.get("options", ""), environment),
            where=f"/{path}",
            kernel=_bare(values["linux"]),
            initrd=values.get("initrd", "").split(" ")[0],
            default=name == chosen,
        )


def _legacy(root: Root, path: str) -> Iterator[CommandLine]:
    """GRUB 1: ``default=0``, and entries of ``title``, ``kernel`` and ``initrd``."""
    entries: list[_Entry] = []
    wanted = "0"
    for line in root.lines(path):
        word, _, rest = line.replace("=", " ", 1).partition(" ")
        if word == "default":
            wanted = rest.strip()
        elif word == "title" and len(entries) < _ENTRIES_MAX:
            entries.append(_Entry(names=(str(len(entries)), rest.strip())))
        elif entries and line.startswith("kernel"):
            entries[-1].kernel, _, entries[-1].text = line.removeprefix("kernel").strip().partition(" ")
        elif entries and line.startswith("initrd"):
            entries[-1].initrd = line.removeprefix("initrd").strip()
    yield from _lines_of(entries, wanted, f"/{path}")


def _syslinux(root: Root, path: str) -> Iterator[CommandLine]:
    entries: list[_Entry] = []
    wanted = ""
    for line in root.lines(path):
        word, _, rest = line.partition(" ")
        word, rest = word.lower(), rest.strip()
        if word in ("default", "ontimeout"):
            wanted = rest
        elif word == "label" and len(entries) < _ENTRIES_MAX:
            entries.append(_Entry(names=(rest,)))
        elif entries and word in ("kernel", "linux"):
            entries[-1].kernel = rest
        elif entries and word == "initrd":
            entries[-1].initrd = rest
        elif entries and word == "append":
            entries[-1].text = rest
    yield from _lines_of(entries, wanted, f"/{path}")


def _defaults(root: Root) -> Iterator[CommandLine]:
    """What the next menu will be made of."""
    for path in (DEFAULTS, *root.matching("etc/default/grub.d", "*.cfg")):
        values = assignments(root.lines(path))
        words = [values.get(name, "") for name in ("GRUB_CMDLINE_LINUX", "GRUB_CMDLINE_LINUX_DEFAULT")]
        if any(words):
            yield CommandLine(text=" ".join(word for word in words if word), where=f"/{path}", default=True)
    text = " ".join(root.lines("etc/kernel/cmdline"))
    if text:
        yield CommandLine(text=text, where="/etc/kernel/cmdline", default=True)
