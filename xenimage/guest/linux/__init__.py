"""Looks at a Linux system: what is installed, how it starts, and what is left of the machine that it comes from."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from xenimage.guest.linux import cloudinit, fstab, grub, identity, kernels, loaders, release, ssh, tools
from xenimage.guest.linux.initrd import Allowance
from xenimage.guest.linux.root import Root
from xenimage.model.guest.linux import LinuxFacts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from xenimage.guest.filesystems.base import FileSystem
    from xenimage.guest.notes import Notes
    from xenimage.guest.tree import Tree
    from xenimage.limits import Limits

_SIGNS = (*release.OS_RELEASE, *release.OLDER, fstab.FSTAB)
"""A volume with one of these is a root; of a link it does not matter where it leads, which may be another volume."""


def look(  # noqa: PLR0913 - everything that an inspection has at hand
    tree: Tree,
    place: str,
    notes: Notes,
    esp: Tree | None,
    volumes: Mapping[str, FileSystem],
    limits: Limits,
    *,
    tell: Callable[[LinuxFacts], None] | None = None,
    allowance: Allowance | None = None,
) -> LinuxFacts | None:
    """Look at the system whose root *tree* holds; None if there is none in it.

    :param tree: its other volumes are mounted into it.
    :param place: where it lies, as people are told.
    :param esp: the EFI system partition.
    :param volumes: by ``UUID=...``, ``LABEL=...``, ``PARTUUID=...`` and ``/dev/group/volume``.
    :param tell: called with what is known whenever it has become more: an early end loses no more than one step.
    :param allowance: what may be unpacked of initrds; without one, as much as in one inspection.
    :raises Stopped: the inspection must end.
    """
    root = Root(tree, place, notes)
    if not any(root.entry(path, follow=False) is not None for path in _SIGNS):
        return None
    around = _Around(esp=esp, volumes=volumes, limits=limits, allowance=allowance or Allowance())
    facts = LinuxFacts(place=place)
    for each in _steps(facts, root, around):
        facts = each
        if tell is not None:
            tell(facts)
    return facts


def _steps(facts: LinuxFacts, root: Root, around: _Around) -> Iterator[LinuxFacts]:
    """Yield what is known after each step."""
    for step in (_volumes, _system, _settings):
        facts = step(facts, root, around)
        yield facts
    # Last, and one by one: this reads most.
    for kernel in kernels.kernels(root, facts.command_lines, around.limits, around.allowance):
        facts = dataclasses.replace(facts, kernels=(*facts.kernels, kernel))
        yield facts


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Around:
    """What there is besides the root."""

    esp: Tree | None
    volumes: Mapping[str, FileSystem]
    limits: Limits
    allowance: Allowance


def _volumes(facts: LinuxFacts, root: Root, around: _Around) -> LinuxFacts:
    """First: the rest may lie on them."""
    mounts = fstab.mounts(root)
    mounted, unmounted = fstab.mount_own(root, mounts, around.volumes, around.esp)
    return dataclasses.replace(
        facts, mounts=mounts, mounted=mounted, unmounted=unmounted, crypts=fstab.crypts(root), resume=fstab.resume(root)
    )


def _system(facts: LinuxFacts, root: Root, around: _Around) -> LinuxFacts:
    return dataclasses.replace(
        facts,
        distribution=release.distribution(root),
        architecture=release.architecture(root),
        bootloaders=loaders.bootloaders(root, around.esp),
        command_lines=grub.command_lines(root),
    )


def _settings(facts: LinuxFacts, root: Root, around: _Around) -> LinuxFacts:
    del around
    return dataclasses.replace(
        facts,
        cloud_init=cloudinit.cloud_init(root, facts.command_lines),
        ssh=ssh.ssh(root),
        identity=identity.identity(root),
        tools=tools.tools(root),
        blacklist=tools.blacklist(root),
    )
