"""Whether cloudbase-init will run in a Windows guest, at the right time, and find the server's metadata.

The kinds are in :mod:`xenimage.checks.guest.windows_cloudbase_kinds`. Source: cloudbase/cloudbase-init,
cloudbase/cloudbase-init-installer, cloudbase/windows-imaging-tools.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.checks.guest.windows_cloudbase_kinds import KINDS
from xenimage.checks.guest.windows_common import read_system, start_of
from xenimage.model.check import Check, Suggestion

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.model.finding import Finding
    from xenimage.model.guest.cloudbase import CloudbaseConf, CloudbaseFacts
    from xenimage.model.guest.facts import GuestFacts
    from xenimage.model.guest.xendrivers import Service
    from xenimage.model.profile import Profile

_AUTOMATIC, _ON_DEMAND, _DISABLED = 2, 3, 4
_DRIVE, _HTTP, _EC2 = "ConfigDriveService", "HttpService", "EC2Service"
_PLUGINS = ("SetHostName", "CreateUser", "SetUserPassword", "ExtendVolumes", "UserData", "NetworkConfig")
"""without which a server is not what was asked for"""
_SHOWN = 20
"""instances that are listed"""


def judge(facts: GuestFacts, profile: Profile) -> Iterator[Finding]:
    """Judge service, configuration and answer files."""
    windows = facts.windows
    if windows is None or not read_system(facts):
        return
    cloudbase = windows.cloudbase
    if cloudbase is None or cloudbase.service is None:
        path = f"SYSTEM\\{windows.control_set}\\Services: no cloudbase-init"
        yield KINDS["windows.cloudbase-init.none"].found(evidence=(path,))
        return
    yield from _files(cloudbase)
    yield from _start(cloudbase, cloudbase.service, generalized=windows.sysprep.setup_type == 2)
    if cloudbase.conf is not None:
        yield from _metadata(cloudbase.conf)
        yield from _config_drive(cloudbase.conf, profile)
        yield from _plugins(cloudbase.conf)
    yield from _specialize(cloudbase)
    if cloudbase.instances:
        evidence = tuple(each.key for each in cloudbase.instances[:_SHOWN])
        ids = ", ".join(each.id for each in cloudbase.instances[:3])
        yield KINDS["windows.cloudbase-init.booted"].found(ids=ids, evidence=evidence)


def _files(cloudbase: CloudbaseFacts) -> Iterator[Finding]:
    for program in cloudbase.programs:
        if not program.present:
            yield KINDS["windows.cloudbase-init.file"].found(path=program.path, evidence=(program.path,))
    for conf, name in (
        (cloudbase.conf, "cloudbase-init.conf"),
        (cloudbase.unattend_conf, "cloudbase-init-unattend.conf"),
    ):
        if conf is None:
            path = f"{cloudbase.folder}/conf/{name}"
            yield KINDS["windows.cloudbase-init.file"].found(path=path, evidence=(path,))


def _start(cloudbase: CloudbaseFacts, service: Service, *, generalized: bool) -> Iterator[Finding]:
    """Judge when it is started: by a script when Windows' set-up is through, or late by itself."""
    script = cloudbase.setup_complete
    starts = script is not None and script.starts_cloudbase
    evidence = (start_of(service), f"{script.path}: starts it" if script and starts else "no script that starts it")
    if service.start == _DISABLED:
        yield KINDS["windows.cloudbase-init.disabled"].found("revived" if starts else "", evidence=evidence)
    elif service.start == _AUTOMATIC:
        if generalized and not service.delayed:
            yield KINDS["windows.cloudbase-init.early"].found(evidence=evidence)
    elif not starts:
        yield KINDS["windows.cloudbase-init.idle"].found(evidence=evidence)


def _asks(conf: CloudbaseConf, service: str) -> bool:
    return conf.metadata_services is None or service in _names(conf)


def _names(conf: CloudbaseConf) -> list[str]:
    """The services that it asks, in their order, without their modules; those that matter here, by default."""
    return [each.rpartition(".")[2] for each in conf.metadata_services or (_HTTP, _DRIVE)]


def _metadata(conf: CloudbaseConf) -> Iterator[Finding]:
    drive, http = _asks(conf, _DRIVE), _asks(conf, _HTTP)
    services = "default" if conf.metadata_services is None else ", ".join(conf.metadata_services)
    evidence = (f"{conf.path}: metadata_services={services}",)
    if not drive and not http:
        yield KINDS["windows.cloudbase-init.metadata"].found(evidence=evidence)
    elif not drive:
        yield KINDS["windows.cloudbase-init.http"].found("only", url=conf.metadata_url, evidence=evidence)
    elif http and _http_first(conf):
        yield KINDS["windows.cloudbase-init.http"].found(url=conf.metadata_url, evidence=evidence)


def _http_first(conf: CloudbaseConf) -> bool:
    """Whether it waits for the network before it looks for a config drive, as it does unless told otherwise."""
    names = _names(conf)
    return names.index(_HTTP) < names.index(_DRIVE)


def _config_drive(conf: CloudbaseConf, profile: Profile) -> Iterator[Finding]:
    """Judge whether a config drive is found and read as the target shows it, where it has one."""
    if not profile.config_drive or not _asks(conf, _DRIVE):
        return
    locations = f"locations={', '.join(conf.locations)}"
    if profile.config_drive == "disk" and not (conf.raw_hdd and "hdd" in conf.locations):
        yield KINDS["windows.cloudbase-init.drive"].found(
            evidence=(f"{conf.path}: raw_hdd={conf.raw_hdd}, {locations}",)
        )
    if profile.config_drive == "cdrom" and not (conf.cdrom and "cdrom" in conf.locations):
        yield KINDS["windows.cloudbase-init.drive"].found(
            "cdrom", evidence=(f"{conf.path}: cdrom={conf.cdrom}, {locations}",)
        )
    if "iso" not in conf.types:
        yield KINDS["windows.cloudbase-init.drive"].found(
            "iso", evidence=(f"{conf.path}: types={', '.join(conf.types)}",)
        )
    for program, form, case, option in (
        (conf.bsdtar, "iso", "", "bsdtar_path"),
        (conf.mtools, "vfat", "fat", "mtools_path"),
    ):
        if program is not None and not program.present and form in conf.types and (conf.vfat or form == "iso"):
            evidence = (f"{conf.path}: {option}", f"{program.path}: not there")
            yield KINDS["windows.cloudbase-init.helper"].found(case, path=program.path, evidence=evidence)


def _plugins(conf: CloudbaseConf) -> Iterator[Finding]:
    if conf.plugins is None:
        return
    there = {each.rpartition(".")[2].removesuffix("Plugin") for each in conf.plugins}
    missing = [each for each in _PLUGINS if each not in there]
    if missing:
        evidence = (f"{conf.path}: plugins={', '.join(conf.plugins)}",)
        yield KINDS["windows.cloudbase-init.plugins"].found(names=", ".join(missing), evidence=evidence)


def _specialize(cloudbase: CloudbaseFacts) -> Iterator[Finding]:
    """Judge its part in the set-up of Windows: the answer file, and the configuration for that pass."""
    conf = cloudbase.unattend_conf
    if conf is not None:
        wrong = [f"{name}=false" for name in ("allow_reboot", "stop_service_on_exit") if getattr(conf, name)]
        if wrong:
            names = " and ".join(wrong)
            without = f"{conf.path}: without {names}"
            yield KINDS["windows.cloudbase-init.unattend-conf"].found(names=names, evidence=(without,))
    evidence = tuple(each.path for each in cloudbase.answers) or (f"{cloudbase.folder}/conf: no Unattend.xml",)
    if not any(each.runs_cloudbase for each in cloudbase.answers):
        yield KINDS["windows.cloudbase-init.specialize"].found(evidence=evidence)
    if not cloudbase.keeps_devices and not any(each.keeps_devices for each in cloudbase.answers):
        yield KINDS["windows.cloudbase-init.devices"].found(evidence=evidence)


def suggest(facts: GuestFacts, profile: Profile) -> Iterator[Suggestion]:
    """Name the user that cloudbase-init makes, and ask for a config drive where it looks for nothing else."""
    del profile
    cloudbase = facts.windows.cloudbase if facts.windows else None
    if cloudbase is None or cloudbase.conf is None or cloudbase.service is None:
        return
    conf = cloudbase.conf
    if conf.username:
        yield Suggestion(
            name="os_admin_user",
            value=conf.username,
            reason="cloudbase-init gives this user the administrator's password.",
            evidence=f"{conf.path}: username={conf.username}",
        )
    if _DRIVE in _names(conf) and not {_HTTP, _EC2} & {*_names(conf)}:
        yield Suggestion(
            name="img_config_drive",
            value="mandatory",
            reason="cloudbase-init looks for its metadata on a config drive alone.",
            evidence=f"{conf.path}: metadata_services={', '.join(_names(conf))}",
        )


CHECK = Check(
    name="windows.cloudbase-init",
    title="cloudbase-init in Windows",
    kinds=tuple(KINDS.values()),
    judge=judge,
)
