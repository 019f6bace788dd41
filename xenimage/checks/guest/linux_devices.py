"""Whether a Linux guest calls its volumes by names that hold on Xen, and whether its boot menu starts something."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from xenimage.model.check import Check
from xenimage.model.finding import Severity
from xenimage.model.kind import FindingKind, Mend, Wording, by_code

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.model.finding import Finding
    from xenimage.model.guest.facts import GuestFacts
    from xenimage.model.guest.layout import Partition
    from xenimage.model.guest.linux import CommandLine, LinuxFacts
    from xenimage.model.profile import Profile

_UUID = "Write UUID=... or LABEL=... instead; blkid in the guest shows them."
_WAITS = "the guest waits for it for a minute and a half, and then goes on."

FSTAB_KINDS = by_code(
    (
        FindingKind(
            code="linux.fstab.device",
            title="Name of a device of another hypervisor",
            severity=Severity.ERROR,
            what="{file} names {device} as {what}.",
            why="On Xen that disk has another name, such as /dev/xvda: the system waits for it and ends in emergency"
            " mode.",
            act=_UUID,
            mend=Mend.CHOICE,
            cases={
                "swap": Wording(
                    severity=Severity.WARNING, why=f"On Xen that disk has another name, such as /dev/xvda: {_WAITS}"
                )
            },
        ),
        FindingKind(
            code="linux.fstab.missing",
            title="Volume that is on none of the disks",
            severity=Severity.WARNING,
            what="{file} names {device} as {what}, and no volume of the given disks is called so.",
            why="If it is on no other disk that the server gets, the system waits for it and ends in emergency mode.",
            act="Take the line out, or add the option nofail.",
            mend=Mend.CHOICE,
        ),
    )
)
BOOT_KINDS = by_code(
    (
        FindingKind(
            code="linux.boot.root",
            title="Root by the name of a device of another hypervisor",
            severity=Severity.ERROR,
            what="The kernel is told that its root is {device}.",
            why="On Xen that disk has another name, such as /dev/xvda1: the guest ends in the initrd's shell.",
            act="Make the boot menu name it by its UUID: update-grub, grub2-mkconfig or grubby --update-kernel=ALL"
            " --args=root=UUID=...",
            mend=Mend.CHOICE,
            cases={
                "unknown": Wording(
                    why="No volume of the given disks is called so: the guest ends in the initrd's shell."
                ),
                "later": Wording(
                    severity=Severity.WARNING,
                    what="The boot menu will be made anew with {device} as the root.",
                    why="On Xen that disk has another name: after the next update of its kernel the guest does not"
                    " start.",
                ),
            },
        ),
        FindingKind(
            code="linux.boot.resume",
            title="Place to resume from by a name of another hypervisor",
            severity=Severity.WARNING,
            what="The guest looks for a hibernated system on {device}.",
            why="There is none of this name on Xen: it waits for it at each start, half a minute or longer.",
            act="Take resume= out, or name it by its UUID; then make initrd and boot menu anew.",
            mend=Mend.CHOICE,
        ),
        FindingKind(
            code="linux.boot.kernel",
            title="No kernel",
            severity=Severity.ERROR,
            what="No kernel was found in /boot.",
            why="There is nothing to start: images for containers are like this.",
            act="Install the kernel of the distribution, and a boot loader, in the guest.",
            mend=Mend.CHOICE,
        ),
        FindingKind(
            code="linux.boot.menu",
            title="No boot menu",
            severity=Severity.ERROR,
            what="No configuration of a boot loader was found that starts a kernel.",
            why="The boot loader stops at its prompt.",
            act="Make it in the guest: update-grub or grub2-mkconfig.",
            mend=Mend.CHOICE,
        ),
        FindingKind(
            code="linux.boot.entry",
            title="Boot menu that names a kernel which is not there",
            severity=Severity.ERROR,
            what="The boot menu starts {kernel}, and there is no such file.",
            why="The boot loader stops with an error, or waits for somebody to choose another entry.",
            act="Make the boot menu anew: update-grub or grub2-mkconfig.",
            mend=Mend.CHOICE,
        ),
    )
)
_FOREIGN = re.compile(r"^/dev/(?:[shv]d[a-z]+\d*|nvme\d+n\d+(?:p\d+)?|mmcblk\d+(?:p\d+)?|disk/by-(?:path|id)/.+)$")
_LASTING = re.compile(r"^/dev/disk/by-id/(?:dm-|lvm-|md-)")
_NAMED = ("UUID=", "LABEL=", "PARTUUID=", "PARTLABEL=")
_NO_DISK = ("tmpfs", "proc", "sysfs", "devpts", "nfs", "nfs4", "cifs", "overlay", "bind", "none")
_NO_VOLUME = ("BIOS boot", "Microsoft reserved", "extended", "Linux extended", "PReP boot")
_UNIFIED = "unified kernel"


def foreign(device: str) -> bool:
    """Whether a device has a name that depends on the hypervisor's hardware, and not on Xen's."""
    return bool(_FOREIGN.match(device)) and not _LASTING.match(device)


def judge_fstab(facts: GuestFacts, profile: Profile) -> Iterator[Finding]:
    """Tell of lines in fstab and crypttab that name what will not be there."""
    del profile
    if facts.linux is None:
        return
    for mount in (*facts.linux.mounts, *facts.linux.crypts):
        if {"nofail", "noauto"} & set(mount.options):
            continue
        swap = mount.type == "swap"
        if foreign(mount.device):
            kind, case = FSTAB_KINDS["linux.fstab.device"], "swap" if swap else ""
        elif mount.type not in _NO_DISK and _unknown(mount.device, facts):
            kind, case = FSTAB_KINDS["linux.fstab.missing"], ""
        else:
            continue
        yield kind.found(
            case,
            where=mount.where,
            evidence=(f"{mount.where}: {mount.line}",),
            file=mount.where,
            what="swap" if swap else f"the volume of {mount.path}",
            device=mount.device,
        )


def _unknown(device: str, facts: GuestFacts) -> bool:
    """Whether a device is named for its volume, and every volume is known, and none is called so."""
    if not device.startswith(_NAMED):
        return False
    partitions = [each for layout in facts.disks for each in layout.partitions]
    if facts.stopped or not all(_described(each) for each in partitions):
        return False
    tag, _, value = device.partition("=")
    names = {name.casefold() for each in partitions for name in _names(each, tag) if name}
    return bool(names) and value.casefold() not in names


def _described(partition: Partition) -> bool:
    """Whether everything in it that a name could mean is known."""
    if partition.volume is None or partition.type_name in _NO_VOLUME:
        return True
    return partition.volume.kind not in ("", "luks", "md", "zfs", "ldm", "storage-spaces")


def _names(partition: Partition, tag: str) -> tuple[str, ...]:
    volume = partition.volume
    return {
        "UUID": (volume.uuid,) if volume else (),
        "LABEL": (volume.label,) if volume else (),
        "PARTUUID": (partition.uuid,),
        "PARTLABEL": (partition.name,),
    }[tag]


def judge_boot(facts: GuestFacts, profile: Profile) -> Iterator[Finding]:
    """Tell of a boot menu that starts nothing, or with a root that is not there."""
    del profile
    if facts.linux is None:
        return
    if facts.linux.kernels:
        yield from _menu(facts.linux)
    elif not any(each.path == "/boot" for each in facts.linux.unmounted) and not _unified(facts.linux):
        yield BOOT_KINDS["linux.boot.kernel"].found(where="/boot")
    seen: set[tuple[str, str]] = set()
    for line in facts.linux.command_lines:
        for finding in _arguments(line, facts):
            key = (finding.code, finding.what)
            if key not in seen:
                seen.add(key)
                yield finding
    for setting in facts.linux.resume:
        if foreign(setting.value) or _unknown(setting.value, facts):
            yield BOOT_KINDS["linux.boot.resume"].found(
                where=setting.where, evidence=(str(setting),), device=setting.value
            )


def _unified(linux: LinuxFacts) -> bool:
    return any(each.name.startswith(_UNIFIED) for each in linux.bootloaders)


def _menu(linux: LinuxFacts) -> Iterator[Finding]:
    started = [line for line in linux.command_lines if line.kernel]
    names = {kernel.path.rpartition("/")[2] for kernel in linux.kernels}
    if not started and not _unified(linux):
        yield BOOT_KINDS["linux.boot.menu"].found(where="/boot")
    for line in started:
        if line.default and "vmlinu" in line.kernel and line.kernel.rpartition("/")[2] not in names:
            yield BOOT_KINDS["linux.boot.entry"].found(
                where=line.where, evidence=(f"{line.where}: {line.kernel}",), kernel=line.kernel
            )


def _arguments(line: CommandLine, facts: GuestFacts) -> Iterator[Finding]:
    if not line.default:
        return
    evidence = (f"{line.where}: {line.text}",)
    root, resume = line.value("root"), line.value("resume")
    if foreign(root):
        case = "" if line.kernel else "later"
        yield BOOT_KINDS["linux.boot.root"].found(case, where=line.where, evidence=evidence, device=root)
    elif line.kernel and _unknown(root, facts):
        yield BOOT_KINDS["linux.boot.root"].found("unknown", where=line.where, evidence=evidence, device=root)
    if foreign(resume) or (line.kernel and _unknown(resume, facts)):
        yield BOOT_KINDS["linux.boot.resume"].found(where=line.where, evidence=evidence, device=resume)


FSTAB_CHECK = Check(
    name="linux.fstab",
    title="Whether Linux finds the volumes that it mounts",
    kinds=tuple(FSTAB_KINDS.values()),
    judge=judge_fstab,
)
BOOT_CHECK = Check(
    name="linux.boot",
    title="Whether the boot menu of Linux starts it",
    kinds=tuple(BOOT_KINDS.values()),
    judge=judge_boot,
)
