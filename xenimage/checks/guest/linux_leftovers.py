"""What a Linux image should not bring along: identity, keys, and the state of the machine that it comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.model.check import Check
from xenimage.model.finding import Severity
from xenimage.model.kind import FindingKind, Mend, Wording, by_code

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.model.finding import Finding
    from xenimage.model.guest.facts import GuestFacts
    from xenimage.model.guest.linux import Identity, Setting
    from xenimage.model.profile import Profile

_CLEAN = "Run in the guest before it is shut down: "
IDENTITY_KINDS = by_code(
    (
        FindingKind(
            code="linux.identity.machine-id",
            title="Machine ID in the image",
            severity=Severity.WARNING,
            what="The image has a machine ID.",
            why="Every server made of it is the same machine: they ask DHCP for the same address, and mix their logs.",
            act=f"{_CLEAN}truncate -s 0 /etc/machine-id.",
            mend=Mend.CHOICE,
        ),
        FindingKind(
            code="linux.identity.host-keys",
            title="Host keys of ssh in the image",
            severity=Severity.WARNING,
            what="The image has the ssh server's private keys.",
            why="cloud-init replaces them at the first start; until then, and where it does not run, whoever has the"
            " image can pretend to be any server made of it.",
            act=f"{_CLEAN}rm /etc/ssh/ssh_host_*.",
            mend=Mend.CHOICE,
            cases={
                "kept": Wording(
                    severity=Severity.ERROR,
                    why="Nothing replaces them: all servers made of it have the same keys, and whoever has the image"
                    " can pretend to be any of them.",
                )
            },
        ),
        FindingKind(
            code="linux.identity.net-rules",
            title="Names of network cards tied to an address",
            severity=Severity.WARNING,
            what="A rule of udev gives the network card of another machine its name.",
            why="The server's card gets another name, as eth1, for which there is no configuration: no network.",
            act=f"{_CLEAN}rm {{file}}.",
            mend=Mend.CHOICE,
        ),
        FindingKind(
            code="linux.identity.mac",
            title="Network configuration tied to an address",
            severity=Severity.WARNING,
            what="The network is configured for the card with the address {mac}.",
            why="The server's card has another address: it stays without configuration, unless cloud-init writes one.",
            act="Take the address out of {file}.",
            mend=Mend.CHOICE,
        ),
        FindingKind(
            code="linux.identity.keys",
            title="Keys that let somebody in",
            severity=Severity.WARNING,
            what="Keys for logging in are built into the image.",
            why="Their owner can enter every server made of it.",
            act=f"{_CLEAN}rm {{file}}.",
            mend=Mend.CHOICE,
        ),
        FindingKind(
            code="linux.identity.history",
            title="History of a shell",
            severity=Severity.INFO,
            what="What somebody typed is in the image.",
            why="Whoever gets the image can read it, and there are passwords in such files at times.",
            act=f"{_CLEAN}rm {{file}}.",
            mend=Mend.CHOICE,
        ),
        FindingKind(
            code="linux.identity.random-seed",
            title="Saved random numbers",
            severity=Severity.INFO,
            what="The image has a seed of random numbers.",
            why="Every server made of it begins with the same; they add others of their own.",
            act=f"{_CLEAN}rm {{file}}.",
            mend=Mend.CHOICE,
        ),
    )
)
SSH_KINDS = by_code(
    (
        FindingKind(
            code="linux.ssh.missing",
            title="No ssh server",
            severity=Severity.WARNING,
            what="There is no ssh server.",
            why="Nobody can log in over the network.",
            act="Install the package openssh-server in the guest.",
            mend=Mend.CHOICE,
        ),
        FindingKind(
            code="linux.ssh.disabled",
            title="ssh server that does not start",
            severity=Severity.WARNING,
            what="There is an ssh server, but {what}.",
            why="Nobody can log in over the network.",
            act="Run in the guest: systemctl {verb} ssh (or sshd).",
            mend=Mend.CHOICE,
        ),
        FindingKind(
            code="linux.ssh.password",
            title="Logging in by password",
            severity=Severity.WARNING,
            what="The ssh server lets users in by their passwords.",
            why="Whoever knows, or guesses, a password of the image can enter every server made of it.",
            act="Set PasswordAuthentication no.",
            mend=Mend.CHOICE,
        ),
        FindingKind(
            code="linux.ssh.root",
            title="Logging in as root by password",
            severity=Severity.WARNING,
            what="The ssh server lets root in by password.",
            why="Whoever knows, or guesses, the password of the image's root owns every server made of it.",
            act="Set PermitRootLogin prohibit-password.",
            mend=Mend.CHOICE,
        ),
    )
)
STATE_KINDS = by_code(
    (
        FindingKind(
            code="linux.state.recovery",
            title="File system that was in use",
            severity=Severity.WARNING,
            what="The file system of {place} has changes in its journal: the guest was running, or crashed.",
            why="It recovers when it is mounted. What is said here of its files may be older than what it will hold.",
            act="Shut the guest down, and copy its disk then.",
            mend=Mend.CHOICE,
        ),
        FindingKind(
            code="linux.state.dirty",
            title="File system that was not closed",
            severity=Severity.WARNING,
            what="The file system of {place} was not unmounted cleanly, or has errors.",
            why="It is checked when the guest starts, which may stop and wait for somebody.",
            act="Run e2fsck on it, and shut the guest down before its disk is copied.",
            mend=Mend.CHOICE,
        ),
        FindingKind(
            code="linux.state.tools",
            title="Tools of another hypervisor",
            severity=Severity.INFO,
            what="{tools} {verb} installed.",
            why="They do nothing on Xen.",
            act="Nothing; they can be removed.",
            mend=Mend.NONE,
        ),
    )
)
_FOREIGN = ("open-vm-tools", "VirtualBox Guest Additions", "qemu-guest-agent", "hyperv-daemons", "prl-tools",
            "walinuxagent")  # fmt: skip
_SHOWN = 10


def judge_identity(facts: GuestFacts, profile: Profile) -> Iterator[Finding]:
    """Tell what will be the same in every server."""
    del profile
    if facts.linux is None:
        return
    identity = facts.linux.identity
    if identity.machine_id is not None:
        yield IDENTITY_KINDS["linux.identity.machine-id"].found(
            where=identity.machine_id.where, evidence=(str(identity.machine_id),)
        )
    if identity.host_keys:
        cloud = facts.linux.cloud_init
        replaced = cloud is not None and cloud.enabled and not cloud.disabled and cloud.keeps_host_keys is None
        kept = (str(cloud.keeps_host_keys),) if cloud is not None and cloud.keeps_host_keys else ()
        yield IDENTITY_KINDS["linux.identity.host-keys"].found(
            "" if replaced else "kept", where="/etc/ssh", evidence=(*identity.host_keys[:_SHOWN], *kept)
        )
    yield from _each("linux.identity.net-rules", identity.net_rules)
    yield from _each("linux.identity.mac", identity.macs)
    yield from _each("linux.identity.keys", identity.authorized_keys)
    yield from _traces(identity)


def _each(code: str, settings: tuple[Setting, ...]) -> Iterator[Finding]:
    """One finding for each file."""
    for path in dict.fromkeys(setting.where for setting in settings):
        of_file = [setting for setting in settings if setting.where == path]
        evidence = tuple(str(setting) for setting in of_file[:_SHOWN])
        yield IDENTITY_KINDS[code].found(where=path, evidence=evidence, file=path, mac=of_file[0].value)


def _traces(identity: Identity) -> Iterator[Finding]:
    for path in identity.histories:
        yield IDENTITY_KINDS["linux.identity.history"].found(where=path, evidence=(path,), file=path)
    if identity.random_seed:
        path = identity.random_seed
        yield IDENTITY_KINDS["linux.identity.random-seed"].found(where=path, evidence=(path,), file=path)


def judge_ssh(facts: GuestFacts, profile: Profile) -> Iterator[Finding]:
    """Tell whether somebody can log in, and who can that should not."""
    del profile
    if facts.linux is None:
        return
    ssh = facts.linux.ssh
    if ssh is None:
        yield SSH_KINDS["linux.ssh.missing"].found()
        return
    if ssh.masked:
        yield SSH_KINDS["linux.ssh.disabled"].found(
            where=ssh.path, evidence=(f"{ssh.masked} -> /dev/null",), what="its unit is masked", verb="unmask"
        )
    elif not ssh.enabled:
        yield SSH_KINDS["linux.ssh.disabled"].found(where=ssh.path, what="nothing starts it", verb="enable")
    if ssh.password is not None and ssh.password.value == "yes":
        yield SSH_KINDS["linux.ssh.password"].found(where=ssh.password.where, evidence=(str(ssh.password),))
    if ssh.root is not None and ssh.root.value == "yes" and (ssh.password is None or ssh.password.value != "no"):
        yield SSH_KINDS["linux.ssh.root"].found(where=ssh.root.where, evidence=(str(ssh.root),))


def judge_state(facts: GuestFacts, profile: Profile) -> Iterator[Finding]:
    """Tell in which state the system was left."""
    del profile
    if facts.linux is None:
        return
    for layout in facts.disks:
        for partition in layout.partitions:
            volume = partition.volume
            if volume is None or not volume.kind.startswith("ext"):
                continue
            place = partition.name if partition.type == "lvm" else f"disk {layout.index}, partition {partition.number}"
            if volume.needs_recovery:
                yield STATE_KINDS["linux.state.recovery"].found(where=place, place=place)
            elif volume.dirty:
                yield STATE_KINDS["linux.state.dirty"].found(where=place, place=place)
    foreign = [each for each in facts.linux.tools if each.value in _FOREIGN]
    if foreign:
        names = [each.value for each in foreign]
        yield STATE_KINDS["linux.state.tools"].found(
            evidence=tuple(str(each) for each in foreign),
            tools=names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}",
            verb="is" if len(names) == 1 else "are",
        )


IDENTITY_CHECK = Check(
    name="linux.identity",
    title="What a Linux image has of its own, and should not have",
    kinds=tuple(IDENTITY_KINDS.values()),
    judge=judge_identity,
)
SSH_CHECK = Check(
    name="linux.ssh",
    title="Who can log in over the network",
    kinds=tuple(SSH_KINDS.values()),
    judge=judge_ssh,
)
STATE_CHECK = Check(
    name="linux.state",
    title="In which state Linux was left",
    kinds=tuple(STATE_KINDS.values()),
    judge=judge_state,
)
