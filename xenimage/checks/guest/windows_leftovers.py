"""What Windows brings along from where it was made, and what its servers should not have."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from xenimage.model.check import Check
from xenimage.model.finding import Severity
from xenimage.model.kind import FindingKind, Mend, by_code

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.model.finding import Finding
    from xenimage.model.guest.facts import GuestFacts
    from xenimage.model.guest.windows import WindowsFacts
    from xenimage.model.profile import Profile

_TOOLS = re.compile(
    r"vmware tools|virtualbox guest additions|parallels tools|virtuozzo.*tools|qemu guest agent|virtio|spice agent",
    re.IGNORECASE,
)
"""by the names that they have in the list of programs"""

KINDS = by_code(
    (
        FindingKind(
            code="windows.leftovers.tools",
            title="Tools of another hypervisor",
            severity=Severity.WARNING,
            what="Tools of another hypervisor are installed: {names}.",
            why="Their drivers and services do nothing on Xen, or fail at each start and log it.",
            act="Uninstall them before sysprep.",
            mend=Mend.CHOICE,
        ),
        FindingKind(
            code="windows.leftovers.address",
            title="Fixed network address",
            severity=Severity.WARNING,
            what="A network interface has the fixed address {addresses}.",
            why="Servers get their address by DHCP or cloudbase-init; with this one they may be out of reach, or two of"
            " them have the same.",
            act="Let the interface use DHCP, and remove it if its card is gone.",
            mend=Mend.CHOICE,
        ),
        FindingKind(
            code="windows.leftovers.autologon",
            title="Automatic logon with a stored password",
            severity=Severity.WARNING,
            what="Windows logs {user} on by itself, with a password that stands in the registry.",
            why="Everybody who gets the image can read the password, and every server lets anybody in at its console.",
            act="Delete AutoAdminLogon and DefaultPassword, and change that password where it is used.",
            mend=Mend.CHOICE,
        ),
        FindingKind(
            code="windows.leftovers.remote-desktop",
            title="Remote Desktop that is off",
            severity=Severity.INFO,
            what="Remote Desktop is switched off.",
            why="Servers can be reached by WinRM, or at their console alone.",
            act="Nothing, if that is intended. If not, set fDenyTSConnections to 0 and open the firewall for it.",
            mend=Mend.NONE,
        ),
        FindingKind(
            code="windows.leftovers.evaluation",
            title="Edition that expires",
            severity=Severity.WARNING,
            what="It is an evaluation edition: {edition}.",
            why="It expires, 180 days after its installation or 90 for a client: servers then shut down each hour.",
            act="Convert it before sysprep: DISM /online /Set-Edition; or install the full edition.",
            mend=Mend.CHOICE,
        ),
        FindingKind(
            code="windows.leftovers.policy",
            title="Policy against new drivers",
            severity=Severity.WARNING,
            what="A group policy restricts which drivers may be installed.",
            why="PV drivers that Windows has to bind to the devices of a new server may be refused: no disk and no"
            " network.",
            act="Take the policy back before sysprep, or allow the classes and ids of the Xen devices in it.",
            mend=Mend.CHOICE,
        ),
    )
)


def judge(facts: GuestFacts, profile: Profile) -> Iterator[Finding]:
    """Judge what was left behind."""
    del profile
    windows = facts.windows
    if windows is None:
        return
    tools = [each for each in windows.programs if _TOOLS.search(each.name)]
    if tools:
        names = ", ".join(dict.fromkeys(each.name for each in tools))
        evidence = tuple(f"{each.key}: DisplayName={each.name}" for each in tools)
        yield KINDS["windows.leftovers.tools"].found(names=names, evidence=evidence)
    if windows.static_addresses:
        evidence = tuple(f"{each.key}: EnableDHCP=0, {', '.join(each.addresses)}" for each in windows.static_addresses)
        addresses = " and ".join(address for each in windows.static_addresses for address in each.addresses)
        yield KINDS["windows.leftovers.address"].found(addresses=addresses, evidence=evidence)
    yield from _access(windows)
    if windows.version.edition.lower().endswith("eval"):
        evidence = (f"{windows.version.key}: EditionID={windows.version.edition}",)
        yield KINDS["windows.leftovers.evaluation"].found(edition=windows.version.edition, evidence=evidence)
    if windows.driver_policies:
        yield KINDS["windows.leftovers.policy"].found(evidence=windows.driver_policies)


def _access(windows: WindowsFacts) -> Iterator[Finding]:
    if windows.autologon is not None and windows.autologon.password:
        evidence = (f"{windows.autologon.key}: AutoAdminLogon=1, DefaultPassword is set",)
        user = windows.autologon.user or "somebody"
        yield KINDS["windows.leftovers.autologon"].found(user=user, evidence=evidence)
    if windows.remote_desktop_denied:
        evidence = (f"{windows.remote_desktop_key}: fDenyTSConnections=1",)
        yield KINDS["windows.leftovers.remote-desktop"].found(evidence=evidence)


CHECK = Check(
    name="windows.leftovers",
    title="What Windows brings along from where it was made",
    kinds=tuple(KINDS.values()),
    judge=judge,
)
