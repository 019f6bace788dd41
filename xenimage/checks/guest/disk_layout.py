"""What is wrong with a guest's disk as such: how it starts, how it is divided, and volumes that cannot be read."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from xenimage.model.check import Check, Suggestion
from xenimage.model.finding import Severity
from xenimage.model.kind import FindingKind, Mend, Wording, by_code
from xenimage.units import format_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from xenimage.model.finding import Finding
    from xenimage.model.guest.facts import GuestFacts
    from xenimage.model.guest.layout import Layout, Partition
    from xenimage.model.profile import Profile

FIRMWARE_KINDS = by_code(
    (
        FindingKind(
            code="disk.firmware.uefi",
            title="Disk for UEFI where there is a BIOS",
            severity=Severity.ERROR,
            what="The disk starts with UEFI only, and the servers of {profile} have a BIOS.",
            why="The server stays at 'No bootable device'.",
            act="Install a boot loader for a BIOS too: grub-install --target=i386-pc with a BIOS boot partition.",
            mend=Mend.CHOICE,
            cases={
                "windows": Wording(
                    act="Install Windows anew in a VM with a BIOS: on a GPT it starts with UEFI only, and its own tools"
                    " do not change the table back.",
                )
            },
        ),
        FindingKind(
            code="disk.firmware.bios",
            title="Disk for a BIOS where there is UEFI",
            severity=Severity.ERROR,
            what="The disk starts with a BIOS only, and the servers of {profile} have UEFI.",
            why="The server stays in the firmware's shell.",
            act="Choose servers with a BIOS, or install a boot loader for UEFI.",
            mend=Mend.CHOICE,
        ),
        FindingKind(
            code="disk.firmware.fallback",
            title="No boot loader by the name that new machines look for",
            severity=Severity.ERROR,
            what="The EFI system partition has no \\EFI\\BOOT\\BOOTX64.EFI.",
            why="A new server has no boot entries, and its firmware looks for that name only: it does not start.",
            act="Copy the boot loader there, or run grub-install --removable.",
            mend=Mend.CHOICE,
        ),
        FindingKind(
            code="disk.firmware.none",
            title="No boot loader",
            severity=Severity.ERROR,
            what="There is an operating system, but neither boot code with a partition to start nor a boot loader for"
            " UEFI.",
            why="No firmware starts the disk.",
            act="Install a boot loader: grub-install, or bcdboot and bootsect in Windows.",
            mend=Mend.CHOICE,
            cases={
                "several": Wording(
                    what="There is an operating system, but the first disk has neither boot code with a partition to"
                    " start, nor is there a boot loader for UEFI.",
                    act="Name the disk first that the guest starts from; or install a boot loader there: grub-install,"
                    " or bcdboot and bootsect in Windows.",
                )
            },
        ),
    )
)
PARTITION_KINDS = by_code(
    (
        FindingKind(
            code="disk.partitions.cut",
            title="Disk that was cut off",
            severity=Severity.ERROR,
            what="The partition table needs a disk of {needed}, and this one has {size}.",
            why="What stood behind the end is gone: file systems there do not mount, or lose data.",
            act="Copy the disk again, whole.",
            mend=Mend.LOST,
        ),
        FindingKind(
            code="disk.partitions.overlap",
            title="Partitions that overlap",
            severity=Severity.ERROR,
            what="The partitions {first} and {second} overlap.",
            why="What is written to one destroys the other.",
            act="Repair the table with the tool that made it, or restore it.",
            mend=Mend.CHOICE,
        ),
        FindingKind(
            code="disk.partitions.backup",
            title="No backup of the partition table",
            severity=Severity.WARNING,
            what="The backup of the GPT is not at the end of the disk, or does not agree.",
            why="The disk was enlarged or cut after its table was made. Systems start; partitions at the end of the"
            " disk cannot be enlarged before it is repaired, and a few firmwares refuse it.",
            act="Run sgdisk -e DISK, or let the guest do it: growpart does.",
            mend=Mend.SAFE,
        ),
    )
)

_EXTENDED = ("0x05", "0x0f", "0x85")


def judge_firmware(facts: GuestFacts, profile: Profile) -> Iterator[Finding]:
    """Tell whether the servers of *profile* can start the disk."""
    if facts.windows is None and facts.linux is None:
        return
    firmware = facts.firmware
    evidence = tuple(firmware.loaders[:10])
    if not firmware.bios and not firmware.uefi:
        yield FIRMWARE_KINDS["disk.firmware.none"].found("several" if len(facts.disks) > 1 else "")
    elif firmware.uefi and not firmware.bios and "uefi" not in profile.firmwares:
        yield FIRMWARE_KINDS["disk.firmware.uefi"].found(
            "windows" if facts.windows is not None else "", evidence=evidence, profile=profile.title
        )
    elif firmware.bios and not firmware.uefi and "bios" not in profile.firmwares:
        yield FIRMWARE_KINDS["disk.firmware.bios"].found(profile=profile.title)
    elif firmware.uefi and not firmware.bios and not firmware.fallback:
        yield FIRMWARE_KINDS["disk.firmware.fallback"].found(evidence=evidence)


def suggest_firmware(facts: GuestFacts, profile: Profile) -> Iterator[Suggestion]:
    """Say with which firmware the disk starts."""
    firmware = facts.firmware
    if (facts.windows is None and facts.linux is None) or not (firmware.bios or firmware.uefi):
        return
    both = firmware.bios and firmware.uefi
    value = "bios" if firmware.bios and ("bios" in profile.firmwares or not firmware.uefi) else "uefi"
    names = {"bios": "a BIOS", "uefi": "UEFI"}
    yield Suggestion(
        name="hw_firmware_type",
        value=value,
        also=tuple(each for each in names if each != value) if both else (),
        reason="The disk starts with either firmware." if both else f"The disk starts with {names[value]} only.",
        evidence=", ".join(firmware.loaders[:3]),
    )


def judge_partitions(facts: GuestFacts, profile: Profile) -> Iterator[Finding]:
    """Tell what is wrong with the tables."""
    del profile
    for disk in facts.disks:
        where = f"disk {disk.index}" if len(facts.disks) > 1 else ""
        if disk.table_end is not None and disk.table_end > disk.size:
            yield PARTITION_KINDS["disk.partitions.cut"].found(
                where=where,
                evidence=(f"{disk.scheme.upper()} up to {disk.table_end:#x}", f"disk of {disk.size:#x} bytes"),
                needed=format_size(disk.table_end),
                size=format_size(disk.size),
            )
        elif disk.backup_table is False:
            yield PARTITION_KINDS["disk.partitions.backup"].found(where=where, evidence=disk.remarks[:5])
        for first, second in _overlapping(disk):
            yield PARTITION_KINDS["disk.partitions.overlap"].found(
                where=where,
                evidence=tuple(
                    f"{each.number}: {each.offset:#x} to {each.offset + each.length:#x}" for each in (first, second)
                ),
                first=first.number,
                second=second.number,
            )


def _overlapping(disk: Layout) -> Iterator[tuple[Partition, Partition]]:
    """Neighbours of which the second begins before the first ends, but extended partitions, which hold others."""
    rows = sorted(
        (each for each in disk.partitions if each.number and each.length and each.type not in _EXTENDED),
        key=lambda each: each.offset,
    )
    for first, second in itertools.pairwise(rows):
        if second.offset < first.offset + first.length:
            yield first, second


def _volumes(facts: GuestFacts, *kinds: str) -> Iterator[tuple[str, Partition]]:
    for disk in facts.disks:
        for partition in disk.partitions:
            if partition.volume is not None and partition.volume.kind in kinds:
                if partition.type == "lvm":
                    yield partition.name, partition
                else:
                    number = f", partition {partition.number}" if partition.number else ""
                    yield f"disk {disk.index}{number}", partition


def _opaque(name: str, title: str, kinds: tuple[str, ...], kind: FindingKind) -> Check:
    """A check that tells of volumes of some kinds."""

    def judge(facts: GuestFacts, profile: Profile) -> Iterable[Finding]:
        del profile
        found = facts.windows is not None or facts.linux is not None
        for place, partition in _volumes(facts, *kinds):
            case = "data" if found and "data" in kind.cases else ""
            volume = partition.volume
            label = f" ({volume.label})" if volume and volume.label else ""
            yield kind.found(
                case, where=place, evidence=(f"{place}: {volume.kind if volume else ''}{label}",), place=place
            )

    return Check(name=name, title=title, kinds=(kind,), judge=judge)


_UNSEEN = "What is in it was not looked at"
BITLOCKER = _opaque(
    "disk.bitlocker",
    "Volumes that BitLocker encrypts",
    ("bitlocker",),
    FindingKind(
        code="disk.bitlocker.volume",
        title="Volume encrypted by BitLocker",
        severity=Severity.ERROR,
        what="{place} is encrypted by BitLocker.",
        why=f"{_UNSEEN}. A new server has no TPM with its key: Windows asks for the recovery key at each start.",
        act="Decrypt it in Windows: manage-bde -off C:, and wait until it is done.",
        mend=Mend.CHOICE,
    ),
)
LUKS = _opaque(
    "disk.luks",
    "Volumes that Linux encrypts",
    ("luks",),
    FindingKind(
        code="disk.luks.volume",
        title="Volume encrypted by LUKS",
        severity=Severity.ERROR,
        what="{place} is encrypted (LUKS).",
        why=f"{_UNSEEN}. Every server made of it has the same key, and asks for a passphrase on its console at each"
        " start.",
        act="Install the system without encryption; encrypt volumes of the cloud instead.",
        mend=Mend.CHOICE,
        cases={
            "data": Wording(
                severity=Severity.WARNING,
                why=f"{_UNSEEN}. Every server made of it has the same key, and may ask for a passphrase at each start.",
            )
        },
    ),
)
LDM = _opaque(
    "disk.ldm",
    "Dynamic disks of Windows",
    ("ldm",),
    FindingKind(
        code="disk.ldm.volume",
        title="Dynamic disk",
        severity=Severity.ERROR,
        what="{place} belongs to a dynamic disk of Windows.",
        why=f"{_UNSEEN}. Nothing in a cloud can enlarge it, and a set of several disks does not start with one.",
        act="Move Windows to a basic disk.",
        mend=Mend.CHOICE,
    ),
)
REFS = _opaque(
    "disk.refs",
    "Volumes with ReFS",
    ("refs",),
    FindingKind(
        code="disk.refs.volume",
        title="Volume with ReFS",
        severity=Severity.INFO,
        what="{place} has ReFS.",
        why=f"{_UNSEEN}: it is not read here.",
        act="Nothing.",
        mend=Mend.NONE,
    ),
)
OPAQUE = _opaque(
    "disk.opaque",
    "Volumes of kinds that are not read",
    ("btrfs", "md", "zfs", "storage-spaces", "apfs", "hfs+", "ufs", "f2fs", "bcachefs", "exfat"),
    FindingKind(
        code="disk.opaque.volume",
        title="Volume of a kind that is not read",
        severity=Severity.WARNING,
        what="{place} is of a kind that is recognised and not read here.",
        why=f"{_UNSEEN}: if it is the system's, nothing is known of its drivers and settings.",
        act="Look in the guest yourself: is xen-blkfront in its initrd, does fstab use UUIDs, will cloud-init run?",
        mend=Mend.NONE,
        cases={"data": Wording(severity=Severity.INFO, why=f"{_UNSEEN}.", act="Nothing.")},
    ),
)
FIRMWARE_CHECK = Check(
    name="disk.firmware",
    title="Whether the target's firmware starts the disk",
    kinds=tuple(FIRMWARE_KINDS.values()),
    judge=judge_firmware,
)
PARTITIONS_CHECK = Check(
    name="disk.partitions",
    title="Whether the partition table is sound",
    kinds=tuple(PARTITION_KINDS.values()),
    judge=judge_partitions,
)
CHECKS = (FIRMWARE_CHECK, PARTITIONS_CHECK, BITLOCKER, LUKS, LDM, REFS, OPAQUE)
