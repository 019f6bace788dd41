"""The files, disks, networks and deployment options of a descriptor. Source: DSP0243 1.1, 7.1 to 7.3, 9.1, 9.2, 9.8."""

from __future__ import annotations

import collections
import dataclasses
import re
from typing import TYPE_CHECKING, Any

from xenimage.containers.ovf.envelope import attribute, child, children, local
from xenimage.containers.ovf.kinds import found
from xenimage.containers.ovf.layout import CITRIX
from xenimage.containers.ovf.names import is_remote, safe_name
from xenimage.containers.ovf.units import factor, number
from xenimage.exceptions import UnsafeError, UnsupportedError
from xenimage.model.machine import Deployment, MachineDisk, Network, PackageFile
from xenimage.units import SECTOR

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lxml.etree import _Element as Element

    from xenimage.containers.ovf.envelope import Envelope

_PROPERTY = re.compile(r"\$\{([^}]{1,1024})\}")
_COMPRESSIONS = {"": "", "identity": "", "gzip": "gzip"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Files:
    """What a descriptor refers to. Names that lead out of the package are not among them."""

    files: Mapping[str, PackageFile]
    refused: Mapping[str, UnsafeError | UnsupportedError]
    """of the others, why"""


def read_files(envelope: Envelope, encrypted: frozenset[str]) -> Files:
    """Read the references.

    :param encrypted: values of the attribute Id of encrypted files.
    """
    files: dict[str, Any] = {}
    refused: dict[str, Any] = {}
    names: dict[str, str] = {}
    references = child(envelope.root, "References")
    if references is None:
        envelope.notes.add(found("structure", "missing", parent="Envelope", element="References"))
        return Files(files=files, refused=refused)
    for element in children(references, "File"):
        envelope.limits.require("extents", len(files) + len(refused) + 1, "the number of files of the package")
        identifier = envelope.unique(collections.ChainMap(files, refused), element, "id")
        if not identifier:
            continue
        try:
            name = safe_name(attribute(element, "href") or "")
        except (UnsafeError, UnsupportedError) as error:
            refused[identifier] = error
            case = "remote" if is_remote(attribute(element, "href") or "") else ""
            envelope.notes.add(found("file.name", case, identifier=identifier, error=error))
            continue
        files[identifier] = _file(envelope, element, identifier, name, encrypted)
        known = names.setdefault(name, identifier)
        if known != identifier:
            envelope.notes.add(found("file.twice", one=known, other=identifier, name=name))
    return Files(files=files, refused=refused)


def _file(envelope: Envelope, element: Element, identifier: str, name: str, encrypted: frozenset[str]) -> PackageFile:
    said = (attribute(element, "compression") or "").strip()
    compression = _COMPRESSIONS.get(said.lower())
    if compression is None:
        envelope.notes.add(found("file.compression", name=name, compression=said))
        compression = said
    chunk_size = envelope.count(element, "chunkSize")
    if chunk_size == 0:
        envelope.notes.add(found("number", attribute="chunkSize", element="File", value="0"))
    marks = {str(value) for key, value in element.attrib.items() if str(key).rpartition("}")[2] == "Id"}
    return PackageFile(
        identifier=identifier,
        name=name,
        size=envelope.count(element, "size"),
        compression=compression,
        chunk_size=chunk_size or None,
        encrypted=bool(marks & encrypted),
    )


def read_disks(envelope: Envelope, files: Files, properties: Mapping[str, str]) -> dict[str, MachineDisk]:
    """Read the disks, by diskId.

    :param properties: defaults that a capacity may be made of, by key.
    """
    disks: dict[str, MachineDisk] = {}
    for section in children(envelope.root, "DiskSection"):
        for element in children(section, "Disk"):
            envelope.limits.require("extents", len(disks) + 1, "the number of disks of the package")
            identifier = envelope.unique(disks, element, "diskId")
            if not identifier:
                continue
            reference = attribute(element, "fileRef") or ""
            if reference and reference not in files.files and reference not in files.refused:
                envelope.notes.add(
                    found("reference", attribute="fileRef", element=f"the disk {identifier!r}", target=reference)
                )
            parent = attribute(element, "parentRef") or ""
            if parent and parent not in disks:
                envelope.notes.add(found("disk.parent", "order", disk=identifier, parent=parent))
            capacity = _capacity(envelope, element, identifier, properties)
            disks[identifier] = MachineDisk(
                identifier=identifier,
                capacity=capacity,
                populated=_populated(envelope, element, identifier, capacity),
                file=reference,
                format=attribute(element, "format") or "",
                parent=parent,
                bootable=(attribute(element, "isBootable", CITRIX) or "").lower() == "true",
            )
    _judge_parents(envelope, disks)
    return disks


def _judge_parents(envelope: Envelope, disks: Mapping[str, MachineDisk]) -> None:
    for disk in disks.values():
        if disk.parent and disk.parent not in disks:
            envelope.notes.add(found("disk.parent", disk=disk.identifier, parent=disk.parent))
            continue
        above, steps = disk, 0
        while above.parent in disks and steps <= len(disks):
            above, steps = disks[above.parent], steps + 1
            envelope.limits.require("chain_depth", min(steps, len(disks)), "the number of disks over each other")
        if steps > len(disks):
            envelope.notes.add(found("disk.parent", "cycle", disk=disk.identifier, parent=disk.parent))


def _capacity(envelope: Envelope, element: Element, disk: str, properties: Mapping[str, str]) -> int | None:
    said = attribute(element, "capacity") or ""
    units = attribute(element, "capacityAllocationUnits")
    match = _PROPERTY.fullmatch(said.strip())
    value = said
    if match:
        value = properties.get(match[1], "")
        case = "property" if match[1] in properties else "unset"
        envelope.notes.add(found("disk.capacity", case, disk=disk, value=said, units=units or "byte"))
        if not value:
            return None
    unit = factor(units) if units and units.strip() else 1
    amount = number(value)
    if not amount or unit is None or amount * unit >= 1 << 63:
        envelope.notes.add(found("disk.capacity", disk=disk, value=value, units=units or "byte"))
        return None
    if amount * unit % SECTOR:
        envelope.notes.add(found("disk.capacity", "sectors", disk=disk, value=amount * unit, units="byte"))
    return amount * unit


def _populated(envelope: Envelope, element: Element, disk: str, capacity: int | None) -> int | None:
    # Always bytes, whatever the units of the capacity are.
    populated = envelope.count(element, "populatedSize")
    if populated is not None and capacity is not None and populated > capacity:
        envelope.notes.add(found("disk.populated", disk=disk, value=populated, capacity=capacity))
        return None
    return populated


def read_networks(envelope: Envelope) -> dict[str, Network]:
    """Read the networks, by name."""
    networks: dict[str, Network] = {}
    for section in children(envelope.root, "NetworkSection"):
        for element in children(section, "Network"):
            name = envelope.unique(networks, element, "name")
            if name:
                networks[name] = Network(name=name, description=envelope.said(element, "Description"))
    return networks


def read_deployments(envelope: Envelope) -> dict[str, Deployment]:
    """Read the sizes that the package can be deployed in, by id."""
    deployments: dict[str, Deployment] = {}
    for section in children(envelope.root, "DeploymentOptionSection"):
        for element in children(section, "Configuration"):
            identifier = envelope.unique(deployments, element, "id")
            if identifier:
                deployments[identifier] = Deployment(
                    identifier=identifier,
                    label=envelope.said(element, "Label"),
                    description=envelope.said(element, "Description"),
                    default=(attribute(element, "default") or "").lower() in ("true", "1"),
                )
    return deployments


def applies(element: Element, deployment: str) -> bool:
    """Whether an element is for the deployment that was chosen, or for all."""
    wanted = (attribute(element, "configuration") or "").split()
    return not wanted or deployment in wanted


def judge_configurations(envelope: Envelope, deployments: Mapping[str, Deployment]) -> None:
    """Note every element that is for a deployment that there is not."""
    for element in envelope.root.iter():
        for identifier in (attribute(element, "configuration") or "").split():
            if identifier not in deployments:
                envelope.notes.add(found("configuration", element=local(element), identifier=identifier))
