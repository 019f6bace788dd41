"""Whether cloud-init will run in a Linux guest, and find its data on Xen.

cloud-init, tools/ds-identify: before each start it looks for data sources and leaves cloud-init off where it sees none.
It sees a config drive by its label. It sees OpenStack's metadata service only by the DMI product's name or a chassis'
asset tag, and a guest of XenServer is called "HVM domU"; unless the list holds nothing else, or its policy says so.

cloudinit/sources/DataSourceEc2.py: the source Ec2 asks the same address on a machine that it does not know, too, and
warns at each login; strict_id is "warn" unless somebody sets it. Nova answers there as Amazon does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.model.check import Check
from xenimage.model.finding import Severity
from xenimage.model.kind import FindingKind, Mend, Wording, by_code

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.model.finding import Finding
    from xenimage.model.guest.facts import GuestFacts
    from xenimage.model.guest.linux import CloudInit
    from xenimage.model.profile import Profile

DRIVE, HTTP = "ConfigDrive", "OpenStack"
_EC2 = "ec2"

KINDS = by_code(
    (
        FindingKind(
            code="linux.cloud-init.missing",
            title="No cloud-init",
            severity=Severity.WARNING,
            what="cloud-init is not installed.",
            why="The server takes neither its name nor the keys of its owner from the cloud: nobody can log in, unless"
            " a password or a key is built in.",
            act="Install the package cloud-init in the guest.",
            mend=Mend.CHOICE,
            cases={
                "agent": Wording(
                    severity=Severity.INFO,
                    what="cloud-init is not installed, but nova-agent is.",
                    why="It sets password and network where the cloud still speaks with it (xenapi_use_agent).",
                )
            },
        ),
        FindingKind(
            code="linux.cloud-init.disabled",
            title="cloud-init that does not start",
            severity=Severity.ERROR,
            what="cloud-init is installed and does not start: {what}.",
            why="The server takes neither its name nor the keys of its owner from the cloud.",
            act="{act}",
            mend=Mend.CHOICE,
        ),
        FindingKind(
            code="linux.cloud-init.datasource",
            title="No data source that there is on Xen",
            severity=Severity.ERROR,
            what="cloud-init looks for {list} only.",
            why="An OpenStack cloud on Xen offers a config drive, and its metadata service where the list says so: it"
            " finds neither, and the server takes no keys.",
            act="Write into /etc/cloud/cloud.cfg.d/99-datasource.cfg, on one line:"
            " datasource_list: [ ConfigDrive, OpenStack, None ]",
            mend=Mend.CHOICE,
            cases={
                "unseen": Wording(
                    what="cloud-init looks for {list}, of which ds-identify sees none on Xen.",
                    why="It knows OpenStack's metadata service by the name of the machine, which is HVM domU here, and"
                    " leaves cloud-init off.",
                ),
                "ec2": Wording(
                    severity=Severity.WARNING,
                    why="Nova's metadata service answers as Amazon's does, at the same address. cloud-init takes that,"
                    " unless strict_id is true, and warns at each login of an unknown cloud; it takes no config"
                    " drive, and nothing of the network from the cloud.",
                ),
            },
        ),
        FindingKind(
            code="linux.cloud-init.network",
            title="cloud-init leaves the network alone",
            severity=Severity.INFO,
            what="cloud-init is told to leave the network alone.",
            why="An address that the cloud gives in its metadata is not set; DHCP works if the guest is set up for it.",
            act="If the cloud has no DHCP, take that setting out.",
            mend=Mend.CHOICE,
        ),
        FindingKind(
            code="linux.cloud-init.ran",
            title="cloud-init has run in the image",
            severity=Severity.WARNING,
            what="cloud-init has run: {count} of an earlier start {verb} left.",
            why="A new server is another instance and gets what is its own, but scripts that run once ever do not run"
            " again, and data of the earlier one is readable.",
            act="Run in the guest before it is shut down: cloud-init clean --logs.",
            mend=Mend.CHOICE,
        ),
    )
)


def ways(cloud: CloudInit) -> frozenset[str]:
    """By which of :data:`DRIVE` and :data:`HTTP` cloud-init finds its data on Xen."""
    if _policy(cloud) == "disabled":
        return frozenset()
    sources = _sources(cloud)
    found = {DRIVE} if DRIVE.lower() in sources else set()
    return frozenset(found | ({HTTP} if _taken(cloud) and HTTP.lower() in sources else set()))


def _policy(cloud: CloudInit) -> str:
    return cloud.policy.value.split(",")[0] if cloud.policy else ""


def _sources(cloud: CloudInit) -> set[str]:
    """Where it looks, in lower case."""
    listed = cloud.datasources
    if cloud.datasource is not None and cloud.datasource.value.lower() != "auto":
        listed = (cloud.datasource.value,)
    return {each.lower() for each in listed or (DRIVE, HTTP)}


def _taken(cloud: CloudInit) -> bool:
    """Whether it asks what ds-identify does not see."""
    return (
        not cloud.identifies
        or _policy(cloud) == "enabled"
        or (cloud.policy is not None and "notfound=enabled" in cloud.policy.value)
        or _single(cloud)
        or cloud.datasource is not None
    )


def _single(cloud: CloudInit) -> bool:
    """Whether ds-identify takes the list as it is, because there is nothing to choose from."""
    listed = tuple(each.lower() for each in cloud.datasources or ())
    return cloud.one_line and (len(listed) == 1 or (len(listed) == 2 and listed[1] == "none"))


def judge(facts: GuestFacts, profile: Profile) -> Iterator[Finding]:
    """Tell what keeps cloud-init from its work."""
    if facts.linux is None:
        return
    cloud = facts.linux.cloud_init
    if cloud is None:
        agent = any(each.value == "nova-agent" for each in facts.linux.tools)
        yield KINDS["linux.cloud-init.missing"].found("agent" if agent else "")
        return
    disabled = tuple(_disabled(cloud))
    if disabled:
        what, act, evidence = disabled[0]
        yield KINDS["linux.cloud-init.disabled"].found(
            evidence=tuple(each for _, _, each in disabled) if evidence else (), what=what, act=act
        )
    elif profile.config_drive and not ways(cloud):
        yield _datasource(cloud)
    if cloud.network is not None:
        yield KINDS["linux.cloud-init.network"].found(where=cloud.network.where, evidence=(str(cloud.network),))
    if cloud.instances:
        count = len(cloud.instances)
        yield KINDS["linux.cloud-init.ran"].found(
            where="/var/lib/cloud",
            evidence=cloud.instances[:10],
            count="one trace" if count == 1 else f"{count} traces",
            verb="is" if count == 1 else "are",
        )


def _disabled(cloud: CloudInit) -> Iterator[tuple[str, str, str]]:
    """(what, act, evidence) of everything that keeps it from starting."""
    for each in cloud.disabled:
        if each.endswith("/dev/null"):
            yield "its unit is masked", "Run in the guest: systemctl unmask cloud-init.", each
        elif ":" in each:
            yield "the kernel is told so", "Take cloud-init=disabled out of the boot menu.", each
        else:
            yield f"{each} is there", f"Delete {each} in the guest.", each
    if cloud.policy is not None and cloud.policy.value.split(",")[0] == "disabled":
        yield "ds-identify is told so", f"Delete {cloud.policy.where} in the guest.", str(cloud.policy)
    if not cloud.enabled:
        yield (
            "nothing starts it",
            "Run in the guest: systemctl enable cloud-init-local cloud-init cloud-config cloud-final.",
            "",
        )


def _datasource(cloud: CloudInit) -> Finding:
    listed = (cloud.datasource.value,) if cloud.datasource else cloud.datasources or ()
    source = cloud.datasource or cloud.datasources_from
    names = [each for each in listed if each.lower() != "none"] or ["nothing"]
    case = "unseen" if HTTP.lower() in {each.lower() for each in listed} else ""
    if _taken(cloud) and _EC2 in _sources(cloud):
        case = "ec2"
    return KINDS["linux.cloud-init.datasource"].found(
        case,
        where=source.where if source else "",
        evidence=(str(source),) if source else (),
        list=names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}",
    )


CHECK = Check(
    name="linux.cloud-init",
    title="Whether cloud-init runs in Linux, and finds its data",
    kinds=tuple(KINDS.values()),
    judge=judge,
)
