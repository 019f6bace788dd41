"""The machines of a descriptor, those within collections too. Source: DSP0243 1.1, 7 to 9; XenCenter, VirtualBox."""

from __future__ import annotations

import dataclasses
import functools
import re
from typing import TYPE_CHECKING

from xenimage.containers.ovf.envelope import attribute, child, children, local
from xenimage.containers.ovf.hardware import Hardware, HardwareReader
from xenimage.containers.ovf.kinds import found
from xenimage.containers.ovf.layout import CPUS_MAX, VMWARE
from xenimage.containers.ovf.products import annotation, eulas, products
from xenimage.containers.ovf.units import number
from xenimage.model.machine import Machine

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lxml.etree import _Element as Element

    from xenimage.containers.ovf.envelope import Envelope
    from xenimage.containers.ovf.references import Files
    from xenimage.model.machine import MachineDisk, Network, Product

CONTENTS = ("VirtualSystem", "VirtualSystemCollection")
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SETTING = "VirtualSystemOtherConfigurationData"
_NO_LIMIT = 1 << 16
_PARAVIRTUAL, _FULL = "xen", "hvm"
_FIRMWARES = {"efi": "uefi", "uefi": "uefi", "bios": "bios"}
_TRUE = frozenset({"true", "1", "yes", "on"})


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Inherited:
    """What a collection says for all machines in it."""

    products: tuple[Product, ...] = ()
    eulas: tuple[str, ...] = ()

    @functools.cached_property
    def size(self) -> int:
        """How much more a machine has to say because of it: about as many bytes as a descriptor takes for it."""
        return len(repr(self))


class MachineReader:
    """Reads machines, given what they refer to."""

    def __init__(
        self,
        envelope: Envelope,
        files: Files,
        disks: Mapping[str, MachineDisk],
        networks: Mapping[str, Network],
        deployment: str,
    ) -> None:
        self._envelope = envelope
        self._files = files
        self._disks = disks
        self._networks = networks
        self._deployment = deployment
        self._identifiers: dict[str, None] = {}
        self._inherited = 0

    def all(self) -> tuple[Machine, ...]:
        """Every machine, in the order of the descriptor."""
        found_ones = tuple(self._within(self._envelope.root, _Inherited()))
        if not found_ones:
            self._envelope.notes.add(found("machine.none"))
        return found_ones

    def _within(self, parent: Element, inherited: _Inherited) -> Iterator[Machine]:
        for element in children(parent, *CONTENTS):
            self._envelope.limits.require("extents", len(self._identifiers) + 1, "the number of machines")
            identifier = self._identifier(element)
            if local(element) == "VirtualSystem":
                # Few words for all machines become many of each.
                self._inherited += inherited.size
                what = "the size of what machines take from their collections"
                self._envelope.limits.require("xml_size", self._inherited, what)
                yield self._machine(element, identifier, inherited)
                continue
            more = _Inherited(
                products=inherited.products + products(self._envelope, element, identifier, self._deployment),
                eulas=inherited.eulas + eulas(self._envelope, element),
            )
            yield from self._within(element, more)

    def _identifier(self, element: Element) -> str:
        """The id of a machine, made unique: it has to be chosen by it."""
        identifier = self._envelope.unique(self._identifiers, element, "id")
        if not identifier:
            identifier = f"{attribute(element, 'id') or 'machine'}-{len(self._identifiers) + 1}"
        self._identifiers[identifier] = None
        return identifier

    def _machine(self, element: Element, identifier: str, inherited: _Inherited) -> Machine:
        envelope = self._envelope
        name = envelope.said(element, "Name") or identifier
        section = self._section(element, name)
        system = child(section, "System") if section is not None else None
        types = self._types(system)
        hardware = self._hardware(section, name)
        settings = self._settings(section)
        cpus_max = number(settings.pop(CPUS_MAX, ""))
        licences = inherited.eulas + eulas(envelope, element)
        if licences:
            envelope.notes.add(found("eula", machine=name, count=len(licences)))
        os_id, os_name = self._system(element)
        text = annotation(envelope, element)
        return Machine(
            identifier=identifier,
            name=name,
            description=text,
            uuid=self._uuid(system),
            cpus=hardware.cpus,
            cpus_max=cpus_max if cpus_max and cpus_max < _NO_LIMIT else None,
            cores_per_socket=hardware.cores_per_socket,
            memory=hardware.memory,
            memory_number=hardware.memory_number,
            firmware=self._firmware(element, settings),
            secure_boot=self._secure_boot(element, settings),
            tpm=hardware.tpm,
            vm_mode=mode(types, settings),
            os_id=os_id,
            os_name=os_name,
            disks=hardware.disks,
            nics=hardware.nics,
            cdroms=hardware.cdroms,
            products=inherited.products + products(envelope, element, name, self._deployment),
            eulas=licences,
            annotation=text,
            virtual_system_types=types,
            transport=self._transport(section),
            settings=settings,
            settings_optional=self._are_optional(section),
            ignored=hardware.ignored,
        )

    # Hardware

    def _section(self, element: Element, name: str) -> Element | None:
        """The description of the hardware: that for Xen where there are several, as XenCenter chooses."""
        sections = list(children(element, "VirtualHardwareSection"))
        if not sections:
            self._envelope.notes.add(found("machine.hardware", machine=name))
            return None
        if len(sections) > 1:
            self._envelope.notes.add(found("machine.hardware", "several", machine=name))
        for section in sections:
            if any("xen" in kind.lower() for kind in self._types(child(section, "System"))):
                return section
        return sections[0]

    def _hardware(self, section: Element | None, name: str) -> Hardware:
        if section is None:
            return Hardware()
        reader = HardwareReader(self._envelope, name, self._files, self._disks, self._networks)
        return reader.read(section, self._deployment)

    def _types(self, system: Element | None) -> tuple[str, ...]:
        if system is None:
            return ()
        return tuple(self._envelope.said(system, "VirtualSystemType").replace(",", " ").split())

    def _transport(self, section: Element | None) -> tuple[str, ...]:
        said = attribute(section, "transport") if section is not None else None
        return tuple((said or "").replace(",", " ").split())

    def _uuid(self, system: Element | None) -> str:
        said = self._envelope.said(system, "VirtualSystemIdentifier") if system is not None else ""
        digits = said.strip("{}").lower()
        return digits if UUID.fullmatch(digits) else ""

    # Settings

    def _settings(self, section: Element | None) -> dict[str, str]:
        """What Citrix keeps for Xen: a name and a value each, by the names of the XenAPI."""
        settings: dict[str, str] = {}
        if section is None:
            return settings
        for element in children(section, _SETTING):
            name = (attribute(element, "Name") or element.get("Name") or "").replace("-", "_")
            if name:
                settings.setdefault(name, self._envelope.said(element, "Value"))
        return settings

    def _are_optional(self, section: Element | None) -> bool:
        """Whether importers may pass over all of Citrix's settings; by default they may not. Source: DSP0243."""
        found = [] if section is None else list(children(section, _SETTING))
        return bool(found) and all((attribute(each, "required") or "").strip() in ("false", "0") for each in found)

    def _configs(self, element: Element) -> dict[str, str]:
        """VMware's ``<vmw:Config vmw:key="firmware" vmw:value="efi"/>``."""
        configs: dict[str, str] = {}
        for each in element.iter(f"{{{VMWARE}}}Config", f"{{{VMWARE}}}ExtraConfig"):
            key, value = attribute(each, "key", VMWARE), attribute(each, "value", VMWARE)
            if key and value is not None:
                configs.setdefault(key, value)
        return configs

    def _firmware(self, element: Element, settings: Mapping[str, str]) -> str:
        said = self._configs(element).get("firmware") or pairs(settings.get("HVM_boot_params", "")).get("firmware", "")
        for each in element.iter():
            if not said and local(each) == "Firmware":
                said = "efi" if (each.get("type") or "").upper().startswith("EFI") else (each.get("type") or "")
        return _FIRMWARES.get(said.strip().lower(), "")

    def _secure_boot(self, element: Element, settings: Mapping[str, str]) -> bool | None:
        configs = self._configs(element)
        said = (
            configs.get("bootOptions.efiSecureBootEnabled")
            or configs.get("uefi.secureBoot.enabled")
            or pairs(settings.get("platform", "")).get("secureboot")
        )
        return said.strip().lower() in _TRUE if said else None

    def _system(self, element: Element) -> tuple[int | None, str]:
        section = child(element, "OperatingSystemSection")
        if section is None:
            return None, ""
        said = (attribute(section, "id") or "").strip()
        identifier = int(said) if said.isascii() and said.isdigit() and len(said) < 6 else None
        name = attribute(section, "osType", VMWARE) or self._envelope.said(section, "OSType")
        return identifier, name or self._envelope.said(section, "Description")


def pairs(text: str) -> dict[str, str]:
    """``nx=true;acpi=1`` as a mapping."""
    pairs = (pair.partition("=") for pair in text.split(";"))
    return {key.strip(): value.strip() for key, found_one, value in pairs if found_one}


def mode(types: tuple[str, ...], settings: Mapping[str, str]) -> str:
    """How Xen runs it; empty where nothing says so."""
    if "HVM_boot_policy" in settings:
        return _FULL if settings["HVM_boot_policy"] else _PARAVIRTUAL
    for kind in types:
        lower = kind.lower()
        if lower.startswith("hvm-") or lower == "dmtf:xen:hvm":
            return _FULL
        if lower.startswith("xen-") or lower == "dmtf:xen:pv":
            return _PARAVIRTUAL
    return ""
