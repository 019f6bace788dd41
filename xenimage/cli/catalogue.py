"""All commands: a literal table, so that no start waits for entry points and only the wanted command is imported."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from xenimage.cli.command import Command


@dataclasses.dataclass(frozen=True)
class Entry:
    """One command."""

    name: str
    summary: str
    """as the command has it: here too, so that the overview imports none"""
    load: Callable[[], type[Command]]


def _bundle_check() -> type[Command]:
    from xenimage.cli.commands.bundle import Check

    return Check


def _bundle_create() -> type[Command]:
    from xenimage.cli.commands.bundle import Create

    return Create


def _bundle_extract() -> type[Command]:
    from xenimage.cli.commands.bundle import Extract

    return Extract


def _bundle_repair() -> type[Command]:
    from xenimage.cli.commands.repair import RepairBundle

    return RepairBundle


def _bundle_show() -> type[Command]:
    from xenimage.cli.commands.bundle import Show

    return Show


def _chain_show() -> type[Command]:
    from xenimage.cli.commands.chain import Show

    return Show


def _disk_check() -> type[Command]:
    from xenimage.cli.commands.check import Check

    return Check


def _disk_compare() -> type[Command]:
    from xenimage.cli.commands.disk import Compare

    return Compare


def _disk_convert() -> type[Command]:
    from xenimage.cli.commands.disk import Convert

    return Convert


def _disk_map() -> type[Command]:
    from xenimage.cli.commands.disk import Map

    return Map


def _disk_rebase() -> type[Command]:
    from xenimage.cli.commands.repair import RebaseDisk

    return RebaseDisk


def _disk_repair() -> type[Command]:
    from xenimage.cli.commands.repair import RepairDisk

    return RepairDisk


def _disk_show() -> type[Command]:
    from xenimage.cli.commands.disk import Show

    return Show


def _doctor() -> type[Command]:
    from xenimage.cli.commands.doctor import Doctor

    return Doctor


def _finding_list() -> type[Command]:
    from xenimage.cli.commands.finding import ListFindings

    return ListFindings


def _finding_show() -> type[Command]:
    from xenimage.cli.commands.finding import Show

    return Show


def _guest_check() -> type[Command]:
    from xenimage.cli.commands.guest import Check

    return Check


def _guest_show() -> type[Command]:
    from xenimage.cli.commands.guest import Show

    return Show


def _image_check() -> type[Command]:
    from xenimage.cli.commands.image import Check

    return Check


def _image_create() -> type[Command]:
    from xenimage.cli.commands.image import Create

    return Create


def _image_properties() -> type[Command]:
    from xenimage.cli.commands.image import Properties

    return Properties


def _image_save() -> type[Command]:
    from xenimage.cli.commands.image import Save

    return Save


def _image_show() -> type[Command]:
    from xenimage.cli.commands.image import Show

    return Show


def _package_check() -> type[Command]:
    from xenimage.cli.commands.package import Check

    return Check


def _package_show() -> type[Command]:
    from xenimage.cli.commands.package import Show

    return Show


def _package_convert() -> type[Command]:
    from xenimage.cli.commands.packaging import Convert

    return Convert


def _package_merge() -> type[Command]:
    from xenimage.cli.commands.packaging import Merge

    return Merge


def _package_split() -> type[Command]:
    from xenimage.cli.commands.packaging import Split

    return Split


def _profile_list() -> type[Command]:
    from xenimage.cli.commands.profile import ListProfiles

    return ListProfiles


def _profile_show() -> type[Command]:
    from xenimage.cli.commands.profile import Show

    return Show


def _quickstart() -> type[Command]:
    from xenimage.cli.commands.quickstart import Quickstart

    return Quickstart


def _sample_kit() -> type[Command]:
    from xenimage.cli.commands.sample import Kit

    return Kit


COMMANDS = {
    entry.name: entry
    for entry in (
        Entry("bundle create", "Turn a disk image into a bundle that a Xen cloud boots", _bundle_create),
        Entry("bundle check", "Check whether a bundle boots and grows on its target", _bundle_check),
        Entry("bundle show", "Show what a bundle holds", _bundle_show),
        Entry("bundle extract", "Take the VHDs out of a bundle", _bundle_extract),
        Entry("bundle repair", "Make a bundle anew that others made, so that its target takes it", _bundle_repair),
        Entry("disk show", "Show what is known of a disk image", _disk_show),
        Entry("disk check", "Check disk images, alone and as the chain that they make up", _disk_check),
        Entry("disk map", "Show where a disk image holds data", _disk_map),
        Entry("disk convert", "Write a disk image anew as raw, VHD, qcow2 or VMDK", _disk_convert),
        Entry("disk compare", "Compare what two disk images show to a guest", _disk_compare),
        Entry("disk repair", "Repair a damaged VHD, into a new file or in place", _disk_repair),
        Entry("disk rebase", "Link a differencing VHD to its parent", _disk_rebase),
        Entry("guest check", "Check whether the guest on a disk image is ready for its target", _guest_check),
        Entry("guest show", "Show what the disks of a guest hold: partitions, system, drivers", _guest_show),
        Entry("image create", "Turn a disk image into an image in a cloud, while it is uploaded", _image_create),
        Entry("image show", "Show what an image in a cloud holds", _image_show),
        Entry("image check", "Check whether an image in a cloud boots and grows on its target", _image_check),
        Entry("image save", "Take an image out of a cloud, converted as it comes down", _image_save),
        Entry("image properties", "Check the properties of an image in a cloud, and mend them", _image_properties),
        Entry("package show", "Show the machines in a package: OVF, OVA, XVA, VMX", _package_show),
        Entry("package check", "Check a package of machines, and what a target makes of it", _package_check),
        Entry(
            "package convert", "Write the machines of a package, or a disk image, as another package", _package_convert
        ),
        Entry("package split", "Write each machine of a package as a package of its own", _package_split),
        Entry("package merge", "Put the machines of several packages into one", _package_merge),
        Entry("chain show", "Show which VHD is whose parent", _chain_show),
        Entry("finding list", "List all that a check can find", _finding_list),
        Entry("finding show", "Explain a finding by its code", _finding_show),
        Entry("profile list", "List the targets that bundles are made for", _profile_list),
        Entry("profile show", "Show what a target takes, and why", _profile_show),
        Entry("sample kit", "Write sample images, good ones and ones to be refused", _sample_kit),
        Entry("doctor", "Check that this machine has what the work needs", _doctor),
        Entry("quickstart", "Make a sample disk and take it through all steps", _quickstart),
    )
}


COMPLETE_SUMMARY = "Print the completion for bash"
"""of the one command that is cliff's own"""


def actions(noun: str) -> list[Entry]:
    """Return the commands that begin with *noun* and a further word."""
    return [entry for entry in COMMANDS.values() if entry.name.startswith(f"{noun} ")]


def split(words: list[str]) -> tuple[Entry | None, list[str]]:
    """Find the command that *words* begin with; return it with the words behind it."""
    for count in (2, 1):
        entry = COMMANDS.get(" ".join(words[:count]))
        if entry is not None and len(words) >= count:
            return entry, words[count:]
    return None, words
