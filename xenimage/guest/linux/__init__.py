"""Looks at a Linux system: what is installed, how it starts, and what is left of the machine that it comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.guest.linux import cloudinit, fstab, grub, identity, kernels, loaders, release, ssh, tools
from xenimage.guest.linux.root import Root
from xenimage.model.guest.linux import LinuxFacts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from xenimage.guest.filesystems.base import FileSystem
    from xenimage.guest.notes import Notes
    from xenimage.guest.tree import Tree
    from xenimage.limits import Limits

_SIGNS = (*release.OS_RELEASE, *release.OLDER, fstab.FSTAB)
"""A volume with one of these is a root; of a link it does not matter where it leads, which may be another volume."""


def look(
    tree: Tree, place: str, notes: Notes, esp: Tree | None, volumes: Mapping[str, FileSystem], limits: Limits
) -> LinuxFacts | None:
    """Look at the system whose root *tree* holds; None if there is none in it.

    :param tree: its other volumes are mounted into it.
    :param place: where it lies, as people are told.
    :param esp: the EFI system partition.
    :param volumes: by ``UUID=...``, ``LABEL=...``, ``PARTUUID=...`` and ``/dev/group/volume``.
    :raises Stopped: the inspection must end.
    """
    root = Root(tree, place, notes)
    if not any(root.entry(path, follow=False) is not None for path in _SIGNS):
        return None
    mounts = fstab.mounts(root)
    mounted, unmounted = fstab.mount_own(tree, mounts, volumes, esp)
    lines = grub.command_lines(root)
    return LinuxFacts(
        place=place,
        distribution=release.distribution(root),
        architecture=release.architecture(root),
        kernels=kernels.kernels(root, lines, limits),
        bootloaders=loaders.bootloaders(root, esp),
        command_lines=lines,
        mounts=mounts,
        crypts=fstab.crypts(root),
        resume=fstab.resume(root),
        blacklist=tools.blacklist(root),
        cloud_init=cloudinit.cloud_init(root, lines),
        ssh=ssh.ssh(root),
        identity=identity.identity(root),
        tools=tools.tools(root),
        mounted=mounted,
        unmounted=unmounted,
    )
