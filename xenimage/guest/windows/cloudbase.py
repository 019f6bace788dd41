"""cloudbase-init: its service, its files, what it is told to do, and what it did.

Source: cloudbase/cloudbase-init, cloudbaseinit/conf/default.py and osutils; cloudbase/cloudbase-init-installer.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from xenimage.guest.windows import answers, conf, paths, programs
from xenimage.model.guest.cloudbase import (
    AnswerFile,
    CloudbaseConf,
    CloudbaseFacts,
    PastInstance,
    Program,
    SetupComplete,
)
from xenimage.units import MIB

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from xenimage.guest.windows.registry import Registry
    from xenimage.model.guest.windows import InstalledProgram
    from xenimage.model.guest.xendrivers import Service

SERVICE = "cloudbase-init"
_FOLDERS = ("Program Files", "Program Files (x86)")
_FOLDER = "Cloudbase Solutions/Cloudbase-Init"
_KEY = "Cloudbase Solutions\\Cloudbase-Init"
_SYSPREP = "Microsoft\\Windows\\CurrentVersion\\Setup\\Sysprep\\Settings\\sppnp"
_PERSIST = "PersistAllDeviceInstalls"
_SETUP_COMPLETE = "Setup/Scripts/SetupComplete.cmd"
_ANSWERS = ("Panther/unattend.xml", "Panther/Unattend/unattend.xml", "System32/Sysprep/unattend.xml")
_LOGS = ("cloudbase-init.log", "cloudbase-init-unattend.log")
_CONF_OPTION = re.compile(r'--config-file[ =]+(?:"([^"]+)"|(\S+))', re.IGNORECASE)
_PYTHON = re.compile(r'"([^"]*cloudbase-init\.exe)"|(\S*cloudbase-init\.exe)', re.IGNORECASE)
_STARTS = re.compile(r"net\s+start|sc(?:\.exe)?\s+(?:config|start)|start-service|set-service", re.IGNORECASE)
_DONE = 1
_TEXT_MAX = 1 * MIB
_ENOUGH = 64
"""instances that are kept"""
_DEFAULT = "default"


def cloudbase_init(registry: Registry, installed: Sequence[InstalledProgram]) -> CloudbaseFacts | None:
    """Everything that is known of cloudbase-init; None where there is no trace of it.

    :param installed: the list of programs.
    """
    service = registry.service(SERVICE)
    folder = _folder(registry, service)
    version = next((each.version for each in installed if each.name.lower().startswith(SERVICE)), "")
    instances = tuple(_instances(registry))[:_ENOUGH]
    if service is None and not folder and not version and not instances:
        return None
    keeps_key = next((key for key in registry.both_software(_SYSPREP) if registry.integer(key, _PERSIST) == 1), None)
    return CloudbaseFacts(
        folder=folder,
        version=version,
        service=service,
        programs=tuple(_programs(registry, service, folder)),
        conf=_conf(registry, _conf_path(registry, service, folder)),
        unattend_conf=_conf(registry, f"{folder}/conf/cloudbase-init-unattend.conf" if folder else ""),
        answers=tuple(_answers(registry, folder)),
        setup_complete=_setup_complete(registry),
        instances=instances,
        logs=tuple(_logs(registry, folder)),
        keeps_devices=keeps_key is not None,
        keeps_devices_key=f"{keeps_key.path}: {_PERSIST}=1" if keeps_key else "",
    )


def _there(registry: Registry, path: str) -> bool:
    return bool(programs.is_there(registry.tree, path, registry.place, registry.notes))


def _folder(registry: Registry, service: Service | None) -> str:
    """Where it is installed: as its service says, else where its installer puts it."""
    if service is not None and service.file.lower().endswith("/bin/openstackservice.exe"):
        return service.file.rpartition("/")[0].rpartition("/")[0]
    return next((f"{each}/{_FOLDER}" for each in _FOLDERS if _there(registry, f"{each}/{_FOLDER}")), "")


def _programs(registry: Registry, service: Service | None, folder: str) -> Iterator[Program]:
    """What the service runs: itself, and cloudbase-init in its Python."""
    if service is not None and service.file:
        yield Program(path=service.file, present=service.present is not False)
    match = _PYTHON.search(service.image_path) if service else None
    named = paths.on_volume(match[1] or match[2], registry.root) if match else ""
    path = named or (f"{folder}/Python/Scripts/cloudbase-init.exe" if folder else "")
    if path:
        yield Program(path=path, present=_there(registry, path))


def _conf_path(registry: Registry, service: Service | None, folder: str) -> str:
    match = _CONF_OPTION.search(service.image_path) if service else None
    named = paths.on_volume(match[1] or match[2], registry.root) if match else ""
    return named or (f"{folder}/conf/cloudbase-init.conf" if folder else "")


def _text(registry: Registry, path: str) -> str | None:
    if path:
        with registry.notes.tried(f"{path} on {registry.place}"):
            return registry.tree.text(path, _TEXT_MAX)
    return None


def _conf(registry: Registry, path: str) -> CloudbaseConf | None:
    text = _text(registry, path)
    if text is None:
        return None
    settings = conf.parse(text)
    default = CloudbaseConf(path=path)

    def drive(name: str, old: str = "") -> tuple[tuple[str, str], ...]:
        return ("config_drive", name), (_DEFAULT, f"config_drive_{old or name}"), (_DEFAULT, name)

    return CloudbaseConf(
        path=registry.tree.spelled(path),
        metadata_services=conf.items(settings, (_DEFAULT, "metadata_services")),
        plugins=conf.items(settings, (_DEFAULT, "plugins")),
        username=conf.text(settings, (_DEFAULT, "username"), default=default.username),
        # Misspelt in the old name, and in that alone.
        raw_hdd=conf.truth(settings, *drive("raw_hdd", "raw_hhd"), default=True),
        cdrom=conf.truth(settings, *drive("cdrom"), default=True),
        vfat=conf.truth(settings, *drive("vfat"), default=True),
        types=_lower(conf.items(settings, *drive("types"))) or default.types,
        locations=_lower(conf.items(settings, *drive("locations"))) or default.locations,
        bsdtar=_helper(registry, conf.text(settings, (_DEFAULT, "bsdtar_path")), ()),
        mtools=_helper(registry, conf.text(settings, (_DEFAULT, "mtools_path")), ("mcopy.exe", "mlabel.exe")),
        metadata_url=conf.text(
            settings, ("openstack", "metadata_base_url"), (_DEFAULT, "metadata_base_url"), default=default.metadata_url
        ),
        allow_reboot=conf.truth(settings, (_DEFAULT, "allow_reboot"), default=True),
        stop_service_on_exit=conf.truth(settings, (_DEFAULT, "stop_service_on_exit"), default=True),
    )


def _lower(values: tuple[str, ...] | None) -> tuple[str, ...]:
    return tuple(each.lower() for each in values or ())


def _helper(registry: Registry, path: str, names: tuple[str, ...]) -> Program | None:
    """A program that cloudbase-init calls, or a directory with *names* in it."""
    place = paths.on_volume(path, registry.root)
    if not place:
        return None
    wanted = [f"{place}/{name}" for name in names] or [place]
    missing = next((each for each in wanted if not _there(registry, each)), "")
    return Program(path=missing or wanted[0], present=not missing)


def _answers(registry: Registry, folder: str) -> Iterator[AnswerFile]:
    places = [f"{registry.root}/{path}" for path in _ANSWERS]
    for path in [*places, *([f"{folder}/conf/Unattend.xml"] if folder else [])]:
        text = _text(registry, path)
        if text is not None:
            yield answers.answer_file(registry.tree.spelled(path), text)


def _setup_complete(registry: Registry) -> SetupComplete | None:
    path = f"{registry.root}/{_SETUP_COMPLETE}"
    text = _text(registry, path)
    if text is None:
        return None
    starts = any(SERVICE in line.lower() and _STARTS.search(line) for line in text.splitlines() if _is_command(line))
    return SetupComplete(path=registry.tree.spelled(path), starts_cloudbase=starts)


def _is_command(line: str) -> bool:
    return not line.strip().lower().lstrip("@").startswith(("rem ", "::"))


def _instances(registry: Registry) -> Iterator[PastInstance]:
    for key in registry.both_software(_KEY):
        for instance in registry.below(key)[:_ENOUGH]:
            plugins = registry.software(f"{instance.path.partition(chr(92))[2]}\\Plugins")
            # Stages before the metadata have no id: their plugins stand right here.
            if instance.name.lower() == "plugins" or plugins is None:
                continue
            done: tuple[str, ...] = ()
            with registry.notes.tried(f"{plugins.path} on {registry.place}"):
                done = tuple(value.name for value in plugins.values()[:_ENOUGH] if value.integer() == _DONE)
            yield PastInstance(id=instance.name, key=instance.path, plugins=done)


def _logs(registry: Registry, folder: str) -> Iterator[Program]:
    for name in _LOGS if folder else ():
        path = f"{folder}/log/{name}"
        if _there(registry, path):
            yield Program(path=path, present=True)
