"""Whether the kernels of a Linux guest find their disk and their network on Xen.

Linux unplugs the emulated disks of a BIOS machine as soon as xen-blkfront was built for it, as a module too and whether
it can be loaded or not (arch/x86/xen/platform-pci-unplug.c, xen_must_unplug_disks); NVMe disks, which a UEFI machine
has, stay: QEMU takes them away on a bit of their own (hw/i386/xen/xen_platform.c), which Linux does not set.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.model.check import Check
from xenimage.model.finding import Severity
from xenimage.model.guest.linux import Presence
from xenimage.model.kind import FindingKind, Mend, Wording, by_code

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.model.finding import Finding
    from xenimage.model.guest.facts import GuestFacts
    from xenimage.model.guest.linux import CommandLine, Kernel, LinuxFacts
    from xenimage.model.profile import Profile

BLKFRONT, NETFRONT, NVME, ATA, PVHVM = "xen-blkfront", "xen-netfront", "nvme", "ata-piix", "xen-pvhvm"
_OTHER = Wording(
    severity=Severity.WARNING,
    why="That kernel finds no disk when it is chosen in the boot menu; the one that starts by itself does.",
)
_EMULATED = Wording(
    severity=Severity.WARNING,
    why="The guest starts from the emulated disk instead, which is slow and cannot be added or removed while it runs.",
)
_ANEW = (
    "Add the module in the guest and make the initrd anew: a line xen-blkfront in /etc/initramfs-tools/modules and"
    " update-initramfs -u -k all, or dracut -f --add-drivers xen-blkfront --kver {version}."
)

BLKFRONT_KINDS = by_code(
    (
        FindingKind(
            code="linux.blkfront.missing",
            title="Initrd without xen-blkfront",
            severity=Severity.ERROR,
            what="The initrd of the kernel {version} does not hold xen-blkfront, which is a module of it.",
            why="Linux unplugs the emulated disks and cannot load the driver of the others: it waits for its root and"
            " ends in the initrd's shell.",
            act=_ANEW,
            mend=Mend.CHOICE,
            cases={
                "other": _OTHER,
                "emulated": _EMULATED,
                "none": Wording(what="The kernel {version} has xen-blkfront as a module, and no initrd to load it."),
            },
        ),
        FindingKind(
            code="linux.blkfront.absent",
            title="Kernel without xen-blkfront",
            severity=Severity.ERROR,
            what="The kernel {version} was built without {what}.",
            why="It sees none of the disks that Xen offers, and has no driver for the emulated one where it starts.",
            act="Install a kernel of the distribution that has the drivers of Xen: its generic or cloud kernel.",
            mend=Mend.CHOICE,
            cases={"other": _OTHER, "emulated": _EMULATED},
        ),
        FindingKind(
            code="linux.blkfront.off",
            title="Drivers of Xen switched off",
            severity=Severity.ERROR,
            what="xen-blkfront is kept from working: {what}.",
            why="The guest does not see the disks that Xen offers.",
            act="Take that out, and make initrd and boot menu anew.",
            mend=Mend.CHOICE,
            cases={"emulated": _EMULATED},
        ),
        FindingKind(
            code="linux.blkfront.unknown",
            title="Kernel of which nobody can tell",
            severity=Severity.WARNING,
            what="Whether the kernel {version} finds its disk on Xen could not be told: {reason}.",
            why="If xen-blkfront is not there, the guest does not start.",
            act="Look in the guest: lsinitramfs or lsinitrd, and grep XEN_BLKDEV /boot/config-{version}.",
            mend=Mend.CHOICE,
        ),
    )
)
NETFRONT_KINDS = by_code(
    (
        FindingKind(
            code="linux.netfront.missing",
            title="xen-netfront is not installed",
            severity=Severity.ERROR,
            what="The kernel {version} has xen-netfront as a module, but its file is not there.",
            why="Linux unplugs the emulated network cards and cannot load the driver of the others: no network.",
            act="Install the package with all modules of that kernel: linux-modules-extra, kernel-modules.",
            mend=Mend.CHOICE,
            cases={
                "other": Wording(
                    severity=Severity.WARNING, why="That kernel has no network when it is chosen in the boot menu."
                )
            },
        ),
        FindingKind(
            code="linux.netfront.absent",
            title="Kernel without xen-netfront",
            severity=Severity.WARNING,
            what="The kernel {version} was built without xen-netfront.",
            why="Its network goes through an emulated card, which is slow, and which not every host gives to it.",
            act="Install a kernel of the distribution that has the drivers of Xen: its generic or cloud kernel.",
            mend=Mend.CHOICE,
        ),
    )
)
_OFF = ("nopv", "xen_nopv", "xen_emul_unplug=never")
"""arguments of the kernel that switch the front ends off (Documentation/admin-guide/kernel-parameters.txt)"""


def judge_blkfront(facts: GuestFacts, profile: Profile) -> Iterator[Finding]:
    """Tell of kernels that do not find their disk."""
    if facts.linux is None:
        return
    for kernel in facts.linux.kernels:
        if kernel.rescue:
            continue
        finding = _blkfront(kernel, facts, profile)
        if finding is not None:
            yield finding
        elif kernel.default:
            yield from _off(kernel, facts, profile)


def _blkfront(kernel: Kernel, facts: GuestFacts, profile: Profile) -> Finding | None:
    driver = kernel.driver(BLKFRONT)
    lacking = kernel.driver(PVHVM)
    evidence: tuple[str, ...] = tuple(each for each in (driver.evidence,) if each)
    if driver.presence is Presence.ABSENT or lacking.presence is Presence.ABSENT:
        what = "xen-blkfront" if driver.presence is Presence.ABSENT else "support for Xen's HVM guests"
        case = _case(kernel, facts, profile, unplugged=False)
        evidence = (driver.evidence if driver.presence is Presence.ABSENT else lacking.evidence,)
        return BLKFRONT_KINDS["linux.blkfront.absent"].found(
            case, where=kernel.path, evidence=evidence, version=kernel.version, what=what
        )
    initrd = kernel.initrd
    if driver.presence is Presence.BUILTIN or (initrd is not None and BLKFRONT in initrd.modules):
        return None
    if driver.presence is Presence.UNKNOWN or (initrd is not None and not initrd.complete):
        reason = "neither its configuration nor its lists of modules are there"
        if initrd is not None and initrd.unread:
            reason = f"its initrd could not be read ({initrd.unread})"
        return BLKFRONT_KINDS["linux.blkfront.unknown"].found(
            where=kernel.path, evidence=evidence, version=kernel.version, reason=reason
        )
    case = _case(kernel, facts, profile, unplugged=True) or ("none" if initrd is None else "")
    evidence += (f"{initrd.path}: no xen-blkfront.ko",) if initrd else (f"no initrd for {kernel.path}",)
    return BLKFRONT_KINDS["linux.blkfront.missing"].found(
        case, where=initrd.path if initrd else kernel.path, evidence=evidence, version=kernel.version
    )


def _case(kernel: Kernel, facts: GuestFacts, profile: Profile, *, unplugged: bool) -> str:
    """How much it matters that this kernel has no xen-blkfront."""
    if not kernel.default:
        return "other"
    return "emulated" if _starts_emulated(kernel, facts, profile, unplugged=unplugged) else ""


def _starts_emulated(kernel: Kernel, facts: GuestFacts, profile: Profile, *, unplugged: bool) -> bool:
    """Whether the kernel finds the disk that is emulated where the guest will start."""
    uefi = "uefi" in profile.firmwares and facts.firmware.uefi and not facts.firmware.bios
    if not uefi and unplugged:
        return False
    name = NVME if uefi else ATA
    return kernel.driver(name).presence is Presence.BUILTIN or (
        kernel.initrd is not None and name in kernel.initrd.modules
    )


def line_of(linux: LinuxFacts, kernel: Kernel) -> CommandLine | None:
    """What a boot loader starts *kernel* with."""
    name = kernel.path.rpartition("/")[2]
    lines = [line for line in linux.command_lines if line.kernel.rpartition("/")[2] == name]
    return next((line for line in lines if line.default), lines[0] if lines else None)


def _off(kernel: Kernel, facts: GuestFacts, profile: Profile) -> Iterator[Finding]:
    linux = facts.linux
    line = line_of(linux, kernel) if linux else None
    if linux is None:
        return
    words = [word for word in _OFF if line is not None and word in line.text.split()]
    if line is not None and words:
        case = _case(kernel, facts, profile, unplugged=False)
        yield BLKFRONT_KINDS["linux.blkfront.off"].found(
            case, where=line.where, evidence=(f"{line.where}: {line.text}",), what=f"the kernel gets {words[0]}"
        )
    for setting in linux.blacklist:
        if setting.value == BLKFRONT and kernel.driver(BLKFRONT).presence is Presence.MODULE:
            yield BLKFRONT_KINDS["linux.blkfront.off"].found(
                where=setting.where, evidence=(str(setting),), what="modprobe is told not to load it"
            )


def judge_netfront(facts: GuestFacts, profile: Profile) -> Iterator[Finding]:
    """Tell of kernels that do not find their network."""
    del profile
    for kernel in facts.linux.kernels if facts.linux else ():
        driver = kernel.driver(NETFRONT)
        if kernel.rescue:
            continue
        case = "" if kernel.default else "other"
        evidence = tuple(each for each in (driver.evidence,) if each)
        in_initrd = kernel.initrd is not None and NETFRONT in kernel.initrd.modules
        if driver.presence is Presence.MODULE and not driver.path and not in_initrd:
            yield NETFRONT_KINDS["linux.netfront.missing"].found(
                case,
                where=kernel.path,
                evidence=(*evidence, f"/lib/modules/{kernel.version}: no xen-netfront.ko"),
                version=kernel.version,
            )
        elif driver.presence is Presence.ABSENT and kernel.default:
            yield NETFRONT_KINDS["linux.netfront.absent"].found(
                where=kernel.path, evidence=evidence, version=kernel.version
            )


BLKFRONT_CHECK = Check(
    name="linux.blkfront",
    title="Whether Linux finds its disk on Xen",
    kinds=tuple(BLKFRONT_KINDS.values()),
    judge=judge_blkfront,
)
NETFRONT_CHECK = Check(
    name="linux.netfront",
    title="Whether Linux finds its network on Xen",
    kinds=tuple(NETFRONT_KINDS.values()),
    judge=judge_netfront,
)
