"""Machines as the user wants them: made up around a disk image, or read from a package and changed."""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING

from xenimage.exceptions import UsageError
from xenimage.model.machine import Machine, MachineDisk, Network, Nic
from xenimage.units import MIB

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from xenimage.model.packaging import MachineWishes

FIRMWARES = ("bios", "uefi")
_SUFFIXES = (".gz", ".xz", ".zst", ".tar", ".tgz", ".qcow2", ".img", ".raw", ".vhd", ".vmdk", ".bin")
_CPUS_MAX = 4096
_LONGEST = 255
"""bytes of a name"""


def check_wishes(wishes: MachineWishes) -> None:
    """Refuse what no machine can have, before anything is opened.

    :raises UsageError: memory that is no whole MiB, no such firmware, a name that is too long.
    """
    if wishes.memory is not None and (wishes.memory < MIB or wishes.memory % MIB):
        raise UsageError(f"memory of {wishes.memory} bytes", expected="whole MiB, one at least")
    if wishes.cpus is not None and not 0 < wishes.cpus <= _CPUS_MAX:
        raise UsageError(f"{wishes.cpus} processors", expected=f"from 1 to {_CPUS_MAX}")
    if wishes.firmware and wishes.firmware not in FIRMWARES:
        raise UsageError(f"the firmware {wishes.firmware!r}", expected=" or ".join(FIRMWARES))
    if len(wishes.name.encode(errors="replace")) > _LONGEST:
        raise UsageError("a name of more than 255 bytes", expected="a shorter one")


def machine_around(path: str) -> Machine:
    """A machine for a disk image of which nothing else is known; its one disk is called as the file."""
    name = os.path.basename(path)
    stem = name
    while os.path.splitext(stem)[1].lower() in _SUFFIXES:
        stem = os.path.splitext(stem)[0]
    disk = MachineDisk(identifier="disk1", label=name, file=name, bootable=True)
    return Machine(identifier="vm", name=stem or name, disks=(disk,))


def outfit(machines: Sequence[Machine], wishes: MachineWishes) -> tuple[Machine, ...]:
    """Change *machines* as wished.

    :raises UsageError: one name for several machines, a network that there is not.
    """
    if wishes.name and len(machines) > 1:
        raise UsageError(
            f"one name for {len(machines)} machines", expected="one machine", tip="Choose one with --vm NAME."
        )
    names = {nic.network for machine in machines for nic in machine.nics}
    renamed = dict(wishes.networks)
    for name in renamed:
        if name not in names:
            known = ", ".join(map(repr, sorted(names))) or "none: there is no network card"
            raise UsageError(f"there is no network {name!r}", expected=f"one of the package's: {known}")
    return tuple(_changed(machine, wishes, renamed) for machine in machines)


def _changed(machine: Machine, wishes: MachineWishes, renamed: dict[str, str]) -> Machine:
    products = machine.products
    if wishes.product is not None:
        products = (wishes.product, *products[1:])
    machine = dataclasses.replace(
        machine,
        name=wishes.name or machine.name,
        memory=wishes.memory or machine.memory,
        cpus=wishes.cpus or machine.cpus,
        firmware=wishes.firmware or machine.firmware,
        eulas=(*machine.eulas, *wishes.eulas),
        annotation=wishes.annotation or machine.annotation,
        description=wishes.annotation or machine.description,
        products=products,
        nics=tuple(_renamed(nic, renamed) for nic in machine.nics),
    )
    if wishes.cpus is not None and machine.cores_per_socket and wishes.cpus % machine.cores_per_socket:
        # What was a fair share of the old number is none of the new one, and no hypervisor starts such a machine.
        machine = dataclasses.replace(machine, cores_per_socket=None)
    if wishes.cpus is not None:
        machine = dataclasses.replace(machine, cpus_max=None)
    if wishes.firmware == "bios" and machine.secure_boot:
        machine = dataclasses.replace(machine, secure_boot=False)
    return machine


def _renamed(nic: Nic, renamed: dict[str, str]) -> Nic:
    return dataclasses.replace(nic, network=renamed.get(nic.network, nic.network))


def outfit_networks(networks: Iterable[Network], wishes: MachineWishes) -> tuple[Network, ...]:
    """The networks under their new names, each once."""
    renamed = dict(wishes.networks)
    found: dict[str, Network] = {}
    for network in networks:
        name = renamed.get(network.name, network.name)
        found.setdefault(name, dataclasses.replace(network, name=name))
    return tuple(found.values())
