"""Image properties that follow from a Linux guest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.checks.guest.linux_cloud import DRIVE, HTTP, ways
from xenimage.checks.guest.linux_devices import foreign
from xenimage.model.check import Suggestion
from xenimage.units import MIB

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.model.guest.facts import GuestFacts
    from xenimage.model.guest.layout import Layout
    from xenimage.model.guest.linux import LinuxFacts
    from xenimage.model.profile import Profile

_DISTROS = {
    "sles_sap": "sles",
    "opensuse-leap": "opensuse",
    "opensuse-tumbleweed": "opensuse",
    "alpine": "alpinelinux",
    "archarm": "arch",
}
"""``ID`` of os-release, and the short name of libosinfo where that is another"""
_GROWN = ("ext3", "ext4")


def suggest(facts: GuestFacts, profile: Profile) -> Iterator[Suggestion]:
    """What the image's properties should say of the guest."""
    linux = facts.linux
    if linux is None or facts.windows is not None:
        return
    yield Suggestion(
        name="os_type",
        value="linux",
        reason="The guest is Linux.",
        evidence=linux.distribution.where or linux.place,
    )
    yield Suggestion(
        name="hw_vm_mode",
        value="hvm",
        reason="The guest starts with its own boot loader, in a machine with firmware.",
        evidence=linux.bootloaders[0].path if linux.bootloaders else linux.place,
    )
    yield from _distribution(linux)
    yield from _cloud(linux, profile)
    if _grows(facts, linux):
        yield Suggestion(
            name="hw_auto_disk_config",
            value="true",
            reason="The disk has one partition with ext3 or ext4 up to its end, and nothing in the guest enlarges it.",
            evidence=linux.place,
        )


def _distribution(linux: LinuxFacts) -> Iterator[Suggestion]:
    distribution = linux.distribution
    if distribution.id and distribution.id != "linux":
        yield Suggestion(
            name="os_distro",
            value=_DISTROS.get(distribution.id, distribution.id),
            reason=f"The guest is {distribution.name or distribution.id}.",
            evidence=distribution.where,
        )
    if distribution.version_id:
        yield Suggestion(
            name="os_version",
            value=distribution.version_id,
            reason=f"The guest is {distribution.name or distribution.id}.",
            evidence=distribution.where,
        )
    if linux.architecture:
        yield Suggestion(
            name="architecture",
            value=linux.architecture,
            reason=f"The programs of the guest are for {linux.architecture}.",
            evidence="/bin/sh",
        )


def _cloud(linux: LinuxFacts, profile: Profile) -> Iterator[Suggestion]:
    cloud = linux.cloud_init
    if cloud is None or cloud.disabled or not cloud.enabled:
        return
    found = ways(cloud)
    if profile.config_drive and DRIVE in found and HTTP not in found:
        yield Suggestion(
            name="img_config_drive",
            value="mandatory",
            reason="cloud-init finds its data on Xen in a config drive only.",
            evidence=str(cloud.datasources_from) if cloud.datasources_from else "/etc/cloud/cloud.cfg",
        )
    if cloud.default_user is not None:
        yield Suggestion(
            name="os_admin_user",
            value=cloud.default_user.value,
            reason="cloud-init gives the keys of the server's owner to this user.",
            evidence=str(cloud.default_user),
        )


def _grows(facts: GuestFacts, linux: LinuxFacts) -> bool:
    """Whether Nova can enlarge the root as it does: delete partition 1, make it anew, resize2fs.

    Source: nova, virt/xenapi/vm_utils.py, _auto_configure_disk; parted makes it anew with another PARTUUID in a GPT.
    """
    if len(facts.disks) != 1 or linux.cloud_init is not None:
        return False
    named = not any(foreign(mount.device) for mount in linux.mounts)
    return named and _one_partition(facts.disks[0])


def _one_partition(disk: Layout) -> bool:
    if disk.scheme != "mbr" or len(disk.partitions) != 1:
        return False
    partition = disk.partitions[0]
    volume = partition.volume
    return (
        partition.number == 1
        and partition.offset + partition.length >= disk.size - MIB
        and volume is not None
        and volume.kind in _GROWN
        and not volume.dirty
        and not volume.needs_recovery
    )
