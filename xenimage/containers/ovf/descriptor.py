"""The descriptor of a package as a whole: from its bytes to machines, files and findings."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from xenimage.containers.ovf import structure
from xenimage.containers.ovf.envelope import Envelope, child
from xenimage.containers.ovf.kinds import found
from xenimage.containers.ovf.machines import MachineReader
from xenimage.containers.ovf.products import defaults
from xenimage.containers.ovf.references import (
    judge_configurations,
    read_deployments,
    read_disks,
    read_files,
    read_networks,
)
from xenimage.containers.ovf.security import Security, read_security
from xenimage.exceptions import UsageError, XenimageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from xenimage.exceptions import UnsafeError, UnsupportedError
    from xenimage.limits import Limits
    from xenimage.model.finding import Finding
    from xenimage.model.machine import Deployment, Machine, MachineDisk, Network, PackageFile


@dataclasses.dataclass(frozen=True, kw_only=True)
class Description:
    """What a descriptor says."""

    version: str
    producer: str
    name: str
    machines: tuple[Machine, ...]
    files: Mapping[str, PackageFile]
    refused: Mapping[str, UnsafeError | UnsupportedError]
    """why files cannot be opened, by id"""
    disks: Mapping[str, MachineDisk]
    """all of them by diskId, those that no machine has too: a delta disk's parent"""
    networks: tuple[Network, ...]
    deployments: tuple[Deployment, ...]
    deployment: str
    security: Security
    findings: tuple[Finding, ...]


def read_descriptor(
    data: bytes,
    limits: Limits,
    *,
    deployment: str = "",
    read_bundle: Callable[[PackageFile], bytes] | None = None,
) -> Description:
    """Read a descriptor.

    :param deployment: id of a deployment option; empty for the default.
    :param read_bundle: gives the content of a file of texts, at most the limit ``descriptor_size``.
    :raises FormatError: it is no XML, or no envelope. :class:`UnsupportedError`: an envelope of another version.
    :raises UnsafeError: it has a document type. :class:`LimitError`: it is too large or too deep.
    :raises UsageError: there is no such deployment option.
    """
    envelope = Envelope(data, limits)
    security = read_security(envelope.root)
    files = read_files(envelope, security.references)
    if security.references:
        count = sum(file.encrypted for file in files.files.values())
        envelope.notes.add(found("encrypted", count=count))
    _read_bundles(envelope, files.files, read_bundle)
    deployments = read_deployments(envelope)
    chosen = _choose(deployments, deployment)
    judge_configurations(envelope, deployments)
    structure.judge(envelope)
    disks = read_disks(envelope, files, defaults(envelope, chosen))
    networks = read_networks(envelope)
    machines = MachineReader(envelope, files, disks, networks, chosen).all()
    _judge_unused(envelope, disks, machines)
    return Description(
        version=envelope.version,
        producer=envelope.producer,
        name=_name(envelope, machines),
        machines=machines,
        files=files.files,
        refused=files.refused,
        disks=disks,
        networks=tuple(networks.values()),
        deployments=tuple(deployments.values()),
        deployment=chosen,
        security=security,
        findings=envelope.notes.all(),
    )


def _read_bundles(
    envelope: Envelope, files: Mapping[str, PackageFile], read_bundle: Callable[[PackageFile], bytes] | None
) -> None:
    total = 0
    for identifier in dict.fromkeys(envelope.external_bundles()):
        if identifier not in files:
            envelope.notes.add(found("reference", "texts", attribute="fileRef", element="Strings", target=identifier))
        elif read_bundle is not None:
            try:
                data = read_bundle(files[identifier])
                total += len(data)
                if total <= envelope.limits.xml_size:
                    envelope.add_bundle(data)
            except XenimageError as error:
                # Words alone: the machines are whole without them.
                envelope.notes.add(found("xml", repair=f"the texts in {files[identifier].name!r}: {error}"))
            envelope.limits.require("xml_size", total, "the bytes of all files of texts")


def _choose(deployments: Mapping[str, Deployment], wanted: str) -> str:
    if wanted:
        if wanted not in deployments:
            raise UsageError(
                f"the package has no deployment option {wanted!r}",
                expected=f"one of {', '.join(deployments)}" if deployments else "none: it has a single size",
            )
        return wanted
    preferred = next((each.identifier for each in deployments.values() if each.default), "")
    return preferred or next(iter(deployments), "")


def _judge_unused(envelope: Envelope, disks: Mapping[str, MachineDisk], machines: tuple[Machine, ...]) -> None:
    used = {disk.identifier for machine in machines for disk in machine.disks}
    used |= {disk.parent for disk in disks.values()}
    for identifier in disks:
        if identifier not in used:
            envelope.notes.add(found("disk.unused", disk=identifier))


def _name(envelope: Envelope, machines: tuple[Machine, ...]) -> str:
    """Of the package: of a collection, if it is one; else of its machine."""
    collection = child(envelope.root, "VirtualSystemCollection")
    if collection is not None:
        return envelope.said(collection, "Name")
    return machines[0].name if machines else ""
