"""Whatever machines there are: described in an OVF they are valid, and read back they are the same."""

from __future__ import annotations

import dataclasses
import pathlib

from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from tests.base import TestCase
from xenimage.containers.ovf.compose import compose
from xenimage.containers.ovf.descriptor import read_descriptor
from xenimage.containers.ovf.settle import settle
from xenimage.limits import STRICT
from xenimage.model.finding import Severity
from xenimage.model.machine import Machine, MachineDisk, Network, Nic, PackageFile, Product, ProductProperty
from xenimage.units import MIB, SECTOR

SCHEMA = etree.RelaxNG(file=str(pathlib.Path(__file__).parent.parent / "builders" / "ovf11.rng"))
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\ufffe\uffff", exclude_categories=["Cs"]).filter(
    lambda c: c >= " " or c in "\t\n\r"), max_size=12)  # fmt: skip
SAID = TEXT.map(str.strip).filter(bool)
CALLED = SAID.filter(lambda text: not text.isdecimal())
ANY = st.text(max_size=12)
"""control characters too, and surrogates"""
NAME = st.from_regex(r"[A-Za-z0-9_.:-]{1,9}", fullmatch=True)
KEY = st.from_regex(r"[A-Za-z_]{1,9}", fullmatch=True)
MAC = st.one_of(st.just(""), st.from_regex(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", fullmatch=True))
MODELS = {
    "ide": ["PIIX4", "PIIX3", "ICH6"],
    "scsi": ["lsilogic", "buslogic", "lsilogicsas", "VirtualSCSI"],
    "sata": ["AHCI", "vmware.sata.ahci"],
    "nvme": ["vmware.nvme.controller"],
    "virtio": ["virtio-scsi", "virtio"],
}
DECLARED = st.builds(
    ProductProperty,
    key=KEY,
    value=TEXT,
    type=st.sampled_from(["string", "boolean", "int", "uint16", "real32"]),
    qualifiers=st.sampled_from(["", "MinLen(3)", 'ValueMap{"a","b"}']),
    label=TEXT.map(str.strip),
    description=TEXT.map(str.strip),
    user_configurable=st.booleans(),
)
UNITS = {"ide": 1, "scsi": 6, "sata": 29, "nvme": 14, "virtio": 6}


def in_short(product: Product) -> Product:
    """With its properties in both forms; the first of them is a password."""
    pairs = tuple((each.key, each.value) for each in product.declared)
    return dataclasses.replace(product, properties=pairs, passwords=tuple(key for key, _ in pairs[:1]))


@st.composite
def drives(draw: st.DrawFn) -> tuple[MachineDisk, ...]:
    """Disks as they are read: each at a place of its own, the one to start from first."""
    buses = draw(st.lists(st.sampled_from(sorted(MODELS)), max_size=4))
    found: list[MachineDisk] = []
    for number, bus in enumerate(buses):
        address = (draw(st.integers(0, 3)), draw(st.integers(0, UNITS[bus])))
        if any((disk.bus, disk.address) == (bus, address) for disk in found):
            continue
        found.append(
            MachineDisk(
                identifier=f"{draw(NAME)}{number}",
                label=draw(SAID),
                capacity=draw(st.integers(1, 1 << 40)) * SECTOR,
                populated=draw(st.one_of(st.none(), st.integers(0, SECTOR))),
                file=draw(st.sampled_from(["", "file1"])),
                bus=bus,
                bus_model=draw(st.sampled_from(MODELS[bus])),
                address=address,
                resource_type=17,
                bootable=draw(st.booleans()),
                read_only=draw(st.booleans()),
            )
        )
    return tuple(sorted(found, key=lambda disk: (not disk.bootable, disk.address)))


@st.composite
def machines(draw: st.DrawFn) -> Machine:
    """Machines as a descriptor of ours can say them."""
    text, cpus = draw(TEXT.map(str.strip)), draw(st.integers(1, 512))
    mode = draw(st.sampled_from(["hvm", "xen", ""]))
    types = {"hvm": ("hvm-3.0-x86_32", "vmx-14"), "xen": ("xen-3.0-unknown",), "": ("vmx-19", "virtualbox-2.2")}[mode]
    return Machine(
        identifier=draw(NAME),
        name=draw(SAID),
        description=text,
        annotation=text,
        uuid=draw(st.one_of(st.just(""), st.uuids().map(str))),
        cpus=cpus,
        cpus_max=draw(st.one_of(st.none(), st.integers(cpus + 1, 1024))),
        cores_per_socket=draw(st.one_of(st.none(), st.integers(1, 64))),
        memory=draw(st.integers(1, 1 << 24)) * MIB,
        firmware=draw(st.sampled_from(["", "bios", "uefi"])),
        secure_boot=draw(st.sampled_from([None, True, False])),
        tpm=draw(st.booleans()),
        vm_mode=mode,
        os_id=draw(st.integers(0, 0xFFFF)),
        os_name=draw(st.one_of(SAID, st.just("debian12_64Guest"), st.just(""))),
        disks=draw(drives()),
        nics=tuple(draw(st.lists(st.builds(Nic, network=SAID, label=CALLED, mac=MAC, model=SAID), max_size=3))),
        cdroms=tuple(draw(st.lists(st.sampled_from(["", "file1"]), max_size=6))),
        products=tuple(
            draw(
                st.lists(
                    st.builds(
                        Product,
                        name=TEXT.map(str.strip),
                        vendor=TEXT.map(str.strip),
                        version=TEXT.map(str.strip),
                        url=TEXT.map(str.strip),
                        key_class=KEY,
                        key_instance=KEY,
                        declared=st.lists(DECLARED, max_size=3, unique_by=lambda each: each.key).map(tuple),
                    ).map(
                        lambda one: dataclasses.replace(one, properties=tuple((p.key, p.value) for p in one.declared))
                    ),
                    max_size=2,
                    unique_by=lambda product: (product.key_class, product.key_instance),
                )
            )
        ),
        eulas=tuple(draw(st.lists(SAID, max_size=2))),
        virtual_system_types=types,
        transport=tuple(draw(st.lists(st.sampled_from(["iso", "com.vmware.guestInfo"]), max_size=2))),
        settings=draw(st.dictionaries(st.sampled_from(["PV_args", "reference_label", "other"]), TEXT.map(str.strip))),
    )


ODD = st.builds(
    Machine,
    identifier=ANY,
    name=ANY,
    description=ANY,
    annotation=ANY,
    uuid=ANY,
    cpus=st.one_of(st.none(), st.integers(0, 99)),
    cpus_max=st.one_of(st.none(), st.integers(0, 99)),
    memory=st.one_of(st.none(), st.integers(0, 1 << 40)),
    vm_mode=st.sampled_from(["hvm", "xen", ""]),
    os_id=st.one_of(st.none(), st.integers(-1, 1 << 20)),
    os_name=ANY,
    disks=st.lists(
        st.builds(
            MachineDisk,
            identifier=ANY,
            label=ANY,
            capacity=st.integers(1, 1 << 40).map(lambda sectors: sectors * SECTOR),
            format=ANY,
            bus=st.sampled_from(["", "xen", *MODELS]),
            bus_model=st.one_of(ANY, st.sampled_from(["virtio", "nvme", "AHCI"])),
            address=st.tuples(st.integers(0, 2), st.integers(0, 20)),
            bootable=st.booleans(),
        ),
        max_size=20,
        unique_by=lambda disk: disk.identifier,
    ).map(tuple),
    nics=st.lists(st.builds(Nic, network=ANY, label=ANY, mac=ANY, model=ANY), max_size=2).map(tuple),
    products=st.lists(
        st.builds(
            Product,
            name=ANY,
            key_class=ANY,
            properties=st.tuples(st.tuples(ANY, ANY)),
            passwords=st.tuples(ANY),
            declared=st.tuples(st.builds(ProductProperty, key=ANY, type=ANY, qualifiers=ANY, label=ANY)),
        ),
        max_size=3,
    ).map(tuple),
    eulas=st.tuples(ANY),
    virtual_system_types=st.lists(ANY, max_size=2).map(tuple),
    settings=st.dictionaries(st.one_of(ANY, st.sampled_from(["HVM_boot_policy", "platform"])), ANY, max_size=3),
)
"""Machines as no package should have them."""
FILES = (PackageFile(identifier="file1", name="web-disk1.vmdk", size=4096),)


class OvfTestCase(TestCase):
    def assert_valid(self, data: bytes) -> None:
        self.assertTrue(SCHEMA.validate(etree.fromstring(data)), SCHEMA.error_log.last_error)

    @settings(max_examples=60, deadline=None)
    @given(st.lists(machines(), min_size=1, max_size=3, unique_by=lambda machine: machine.identifier))
    def test_round_trip(self, given_ones: list[Machine]) -> None:
        # A disk of several machines has one size.
        renamed = [
            dataclasses.replace(
                each, disks=tuple(dataclasses.replace(d, identifier=f"{n}{d.identifier}") for d in each.disks)
            )
            for n, each in enumerate(given_ones)
        ]
        data = compose(renamed, FILES, [Network(name="spare", description="for later")], "several")
        self.assert_valid(data)
        description = read_descriptor(data, STRICT)
        for expected, found in zip(renamed, description.machines, strict=True):
            identifier = found.identifier if expected.identifier == "collection" else expected.identifier
            assert expected.memory is not None
            number = expected.memory // MIB
            as_read = dataclasses.replace(
                expected, identifier=identifier, memory_number=number, settings_optional=found.settings_optional
            )
            self.assertEqual(as_read, found)
            self.assertTrue(found.settings_optional or not found.settings)
        self.assertEqual(FILES, tuple(description.files.values()))
        self.assertIn("spare", {network.name for network in description.networks})
        self.assertEqual([], [each for each in description.findings if each.severity is not Severity.INFO])
        self.assertEqual(data, compose(renamed, FILES, [Network(name="spare", description="for later")], "several"))

    @settings(max_examples=60, deadline=None)
    @given(ODD)
    def test_odd_machines(self, machine: Machine) -> None:
        """What no package should have becomes what one can have, and stays so."""
        settled = settle(machine)
        self.assertEqual(settled, settle(settled))
        data = compose([machine])
        self.assert_valid(data)
        (found,) = read_descriptor(data, STRICT).machines
        self.assertEqual(
            [(d.label, d.bus, d.bus_model, d.address, d.bootable) for d in settled.disks],
            [(d.label, d.bus, d.bus_model, d.address, d.bootable) for d in found.disks],
        )
        assert settled.memory is not None
        expected = dataclasses.replace(settled, identifier="", disks=(), memory_number=settled.memory // MIB)
        as_read = dataclasses.replace(found, identifier="", disks=(), settings_optional=settled.settings_optional)
        self.assertEqual(expected, as_read)
