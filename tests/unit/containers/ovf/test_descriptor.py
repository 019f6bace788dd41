"""What descriptors of every dialect say, and what is wrong with faulty ones."""

from __future__ import annotations

import ddt

from tests.base import TestCase
from tests.builders import ovf as build
from xenimage.containers.ovf.descriptor import Description, read_descriptor
from xenimage.exceptions import FormatError, LimitError, UnsafeError, UnsupportedError, UsageError, XenimageError
from xenimage.limits import STRICT
from xenimage.model.machine import Nic, PackageFile
from xenimage.units import GIB, MIB


def read(data: bytes, deployment: str = "") -> Description:
    return read_descriptor(data, STRICT, deployment=deployment)


def codes(data: bytes) -> set[str]:
    return {each.code for each in read(data).findings}


class DialectTest(TestCase):
    def assert_usual(self, description: Description) -> None:
        machine = description.machines[0]
        self.assertEqual(("vm", "web", 2, 512 * MIB), (machine.identifier, machine.name, machine.cpus, machine.memory))
        disk = machine.disks[0]
        self.assertEqual(
            ("disk1", "file1", 4096, "scsi", "lsilogic", (0, 0), "Hard disk 1"),
            (disk.identifier, disk.file, disk.capacity, disk.bus, disk.bus_model, disk.address, disk.label),
        )
        nic = Nic(network="LAN", label="Card", mac="00:16:3e:01:02:03", model="VmxNet3")
        self.assertEqual((nic,), machine.nics)
        self.assertEqual(("vmx-19",), machine.virtual_system_types)
        self.assertEqual({"file1": PackageFile(identifier="file1", name="disk.raw", size=4096)}, description.files)
        self.assertEqual(("LAN", "the net"), (description.networks[0].name, description.networks[0].description))

    def test_version_1(self) -> None:
        description = read(build.envelope())
        self.assert_usual(description)
        self.assertEqual(
            ("1.0", "VMware", "web", ()),
            (description.version, description.producer, description.name, description.findings),
        )

    def test_version_2(self) -> None:
        data = build.envelope(space=build.DMTF.replace("/1", "/2"))
        description = read(data)
        self.assert_usual(description)
        self.assertEqual("2.0", description.version)

    def test_the_draft(self) -> None:
        description = read(build.draft())
        self.assert_usual(description)
        self.assertEqual(("0.9", ()), (description.version, description.findings))

    def test_citrix(self) -> None:
        description = read(build.citrix())
        self.assertEqual("Citrix", description.producer)
        machine = description.machines[0]
        self.assertEqual(
            [("aa", 3, True, "aa"), ("bb", 0, False, "")],
            [(disk.identifier, disk.address[1], disk.bootable, disk.file) for disk in machine.disks],
        )
        self.assertEqual(
            ("db", 4, 2 * GIB, "uefi", True, "hvm"),
            (machine.name, machine.cpus, machine.memory, machine.firmware, machine.secure_boot, machine.vm_mode),
        )
        self.assertEqual((Nic(network="net-uuid", label="Pool-wide", mac="00:16:3e:01:02:03"),), machine.nics)
        self.assertEqual("nx=true;secureboot=true", machine.settings["platform"])
        self.assertEqual("BIOS order", machine.settings["HVM_boot_policy"])
        self.assertEqual({"ovf.xml", "ovf.version", "ovf.structure"}, {each.code for each in description.findings})

    def test_paravirtual(self) -> None:
        data = build.citrix().replace(b"<xenovf:Value>BIOS order</xenovf:Value>", b"<xenovf:Value/>")
        self.assertEqual("xen", read(data).machines[0].vm_mode)

    def test_storage_and_port_items_of_version_2(self) -> None:
        items = build.ITEMS.replace(
            build.DRIVE,
            build.DRIVE.replace("Item ", "StorageItem ").replace("/Item", "/StorageItem").replace(">17<", ">31<"),
        )
        items = items.replace(
            build.CARD, build.CARD.replace("Item ", "EthernetPortItem ").replace("/Item", "/EthernetPortItem")
        )
        self.assert_usual(read(build.envelope(build.machine(items))))

    def test_vmware_settings(self) -> None:
        more = (
            '<vmw:Config vmw:key="firmware" vmw:value="efi"/>'
            '<vmw:Config vmw:key="bootOptions.efiSecureBootEnabled" vmw:value="true"/>'
        )
        cpu = build.CPU.replace("</Item>", "<vmw:CoresPerSocket>2</vmw:CoresPerSocket></Item>")
        tpm = build.item(1, "20", ResourceSubType="vmware.vtpm")
        machine = read(build.envelope(build.machine(cpu + build.MEMORY + tpm + more))).machines[0]
        self.assertEqual(
            ("uefi", True, True, 2), (machine.firmware, machine.secure_boot, machine.tpm, machine.cores_per_socket)
        )
        self.assertEqual((), machine.ignored)


@ddt.ddt
class ContentTest(TestCase):
    def test_collections(self) -> None:
        product = "<ProductSection><Info/><Product>Suite</Product></ProductSection>"
        inner = f'<VirtualSystemCollection ovf:id="in"><Info/>{build.machine(identifier="b")}</VirtualSystemCollection>'
        outer = (
            f'<VirtualSystemCollection ovf:id="out"><Info/><Name>all</Name>{product}{build.machine()}{inner}'
            "</VirtualSystemCollection>"
        )
        description = read(build.envelope(outer))
        self.assertEqual((["vm", "b"], "all"), ([each.identifier for each in description.machines], description.name))
        self.assertEqual(["Suite", "Suite"], [each.products[0].name for each in description.machines])

    @ddt.data(("", 2), ("large", 8))
    @ddt.unpack
    def test_deployments(self, deployment: str, cpus: int) -> None:
        options = (
            '<DeploymentOptionSection><Info/><Configuration ovf:id="large"><Label>L</Label></Configuration>'
            '<Configuration ovf:id="small" ovf:default="true"/></DeploymentOptionSection>'
        )
        large = build.item(3, "1", 'ovf:configuration="large"', VirtualQuantity=8)
        content = build.machine(build.ITEMS + large)
        description = read(build.envelope(content, sections=build.NETWORK + options), deployment)
        self.assertEqual((cpus, deployment or "small"), (description.machines[0].cpus, description.deployment))
        self.assertRaises(UsageError, read, build.envelope(), "none")

    def test_bounds_are_no_devices(self) -> None:
        items = build.ITEMS + build.item(3, "1", 'ovf:bound="min"', VirtualQuantity=1)
        self.assertEqual(2, read(build.envelope(build.machine(items))).machines[0].cpus)

    @ddt.data(
        "/disk/disk1", "ovf://disk/disk1", "ovf:/disk/disk1", "ovf:/file/file1", "/file/file1", "ovf:/disk/disk%31"
    )
    def test_spellings_of_resources(self, text: str) -> None:
        items = build.ITEMS.replace("ovf:/disk/disk1", text)
        self.assertEqual("file1", read(build.envelope(build.machine(items))).machines[0].disks[0].file)

    def test_disks_are_ordered_by_their_address(self) -> None:
        disks = "".join(
            f'<Disk ovf:diskId="d{n}" ovf:capacity="{n}" ovf:capacityAllocationUnits="byte * 2 ^ 30"/>'
            for n in (1, 2, 3)
        )
        second = build.item(6, "9", Address=1)
        drives = "".join(
            build.item(17, f"1{n}", HostResource=f"/disk/d{n}", Parent=parent, AddressOnParent=unit)
            for n, parent, unit in ((1, 9, 0), (2, 3, 5), (3, 3, 1))
        )
        content = build.machine(build.CPU + build.MEMORY + build.SCSI + second + drives)
        found = read(build.envelope(content, disks=disks)).machines[0].disks
        self.assertEqual(
            [("d3", 3 * GIB), ("d2", 2 * GIB), ("d1", GIB)], [(disk.identifier, disk.capacity) for disk in found]
        )

    def test_words_from_a_bundle(self) -> None:
        content = build.machine(more='<AnnotationSection><Info/><Annotation ovf:msgid="n"/></AnnotationSection>')
        strings = (
            '<Strings xml:lang="de"><Msg ovf:msgid="n">Wort</Msg></Strings>'
            '<Strings xml:lang="en-US"><Msg ovf:msgid="n">word</Msg></Strings>'
        )
        self.assertEqual("word", read(build.envelope(content, strings=strings)).machines[0].annotation)
        external = read_descriptor(
            build.envelope(content, strings='<Strings ovf:fileRef="file1"/>'),
            STRICT,
            read_bundle=lambda file: f'<Strings><Msg msgid="n">{file.name}</Msg></Strings>'.encode(),
        )
        self.assertEqual("disk.raw", external.machines[0].annotation)

    def test_a_capacity_by_a_property(self) -> None:
        product = '<ProductSection><Info/><Property ovf:key="size" ovf:type="uint32" ovf:value="7"/></ProductSection>'
        disks = '<Disk ovf:diskId="disk1" ovf:capacity="${size}" ovf:capacityAllocationUnits="GigaBytes"/>'
        description = read(build.envelope(build.machine(more=product), disks=disks))
        self.assertEqual(7 * GIB, description.disks["disk1"].capacity)
        self.assertEqual((("size", "7"),), description.machines[0].products[0].properties)

    def test_properties_that_are_passwords(self) -> None:
        section = (
            '<ProductSection><Info/><Property ovf:key="a" ovf:type="string" vmw:password="true"/>'
            '<Property ovf:key="b" ovf:type="string" ovf:password="1"/><Property ovf:key="c" ovf:type="password"/>'
            '<Property ovf:key="d" ovf:type="string" vmw:password="false"/></ProductSection>'
        )
        machine = read(build.envelope(build.machine(more=section))).machines[0]
        self.assertEqual(("a", "b", "c"), machine.products[0].passwords)

    def test_memory_as_it_stands_there(self) -> None:
        for units, number, size in (("byte * 2^20", 512, 512 * MIB), ("GigaBytes", 512, 512 * GIB)):
            found = read(build.envelope(build.machine(build.ITEMS.replace("byte * 2^20", units)))).machines[0]
            self.assertEqual((number, size), (found.memory_number, found.memory))

    def test_what_an_item_calls_a_disk(self) -> None:
        self.assertEqual([17], [each.resource_type for each in read(build.envelope()).machines[0].disks])
        self.assertEqual([19, 19], [each.resource_type for each in read(build.citrix()).machines[0].disks])

    def test_memory_without_units_is_in_mebibytes(self) -> None:
        items = build.ITEMS.replace("<rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits>", "")
        self.assertEqual(512 * MIB, read(build.envelope(build.machine(items))).machines[0].memory)


@ddt.ddt
class FaultTest(TestCase):
    @ddt.data(
        (b"", FormatError),
        (b"<a/>", FormatError),
        (b'<Envelope xmlns="urn:x"/>', FormatError),
        (b'<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/3"/>', UnsupportedError),
        (b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>', UnsafeError),
        (b"<a>" * 80 + b"</a>" * 80, LimitError),
        (build.envelope().replace(b"</Envelope>", b""), FormatError),
        (build.envelope(sections="<EncryptionSection><Info/></EncryptionSection>"), UnsupportedError),
    )
    @ddt.unpack
    def test_what_is_refused(self, data: bytes, error: type[XenimageError]) -> None:
        self.assertRaises(error, read, data)

    @ddt.data(
        (build.envelope(""), "ovf.machine.none"),
        (build.envelope(files=build.FILE * 2), "ovf.identifier"),
        (build.envelope(disks=build.DISK * 2), "ovf.identifier"),
        (build.envelope(build.machine() * 2), "ovf.identifier"),
        (build.envelope(build.machine(build.ITEMS + build.CARD)), "ovf.identifier"),
        (build.envelope(files=""), "ovf.reference"),
        (build.envelope(disks=""), "ovf.reference"),
        (build.envelope(build.machine(build.CPU + build.MEMORY)), "ovf.disk.unused"),
        (build.envelope(build.machine(build.ITEMS.replace("ovf:/disk/disk1", ""))), "ovf.disk.unattached"),
        (build.envelope(disks=build.DISK.replace("4096", "")), "ovf.disk.capacity"),
        (build.envelope(disks=build.DISK.replace("4096", "0")), "ovf.disk.capacity"),
        (build.envelope(disks=build.DISK.replace("4096", "-1")), "ovf.disk.capacity"),
        (build.envelope(disks=build.DISK.replace("4096", "4x")), "ovf.disk.capacity"),
        (build.envelope(disks=build.DISK.replace("4096", "513")), "ovf.disk.capacity"),
        (build.envelope(disks=build.DISK.replace("4096", "${no}")), "ovf.disk.capacity"),
        (build.envelope(disks=build.DISK.replace("/>", ' ovf:capacityAllocationUnits="ell"/>')), "ovf.disk.capacity"),
        (build.envelope(disks=build.DISK.replace("/>", ' ovf:populatedSize="9999"/>')), "ovf.disk.populated"),
        (build.envelope(disks=build.DISK.replace("/>", ' ovf:parentRef="none"/>')), "ovf.disk.parent"),
        (build.envelope(disks=build.DISK.replace("/>", ' ovf:parentRef="disk1"/>')), "ovf.disk.parent"),
        (build.envelope(files=build.FILE.replace("4096", "-1")), "ovf.number"),
        (build.envelope(files=build.FILE.replace("/>", ' ovf:compression="lzma"/>')), "ovf.file.compression"),
        (build.envelope(files=build.FILE.replace("disk.raw", "../disk.raw")), "ovf.file.name"),
        (build.envelope(files=build.FILE.replace("disk.raw", "http://a/b")), "ovf.file.name"),
        (build.envelope(files=build.FILE + build.FILE.replace("file1", "file2")), "ovf.file.twice"),
        (build.envelope(build.machine(build.ITEMS.replace(">2<", ">0<"))), "ovf.cpu"),
        (build.envelope(build.machine(build.ITEMS.replace(">512<", ">0<"))), "ovf.memory"),
        (build.envelope(build.machine(build.ITEMS.replace("byte * 2^20", "ell"))), "ovf.memory"),
        (build.envelope(build.machine(build.ITEMS + build.item(99, "9"))), "ovf.item"),
        (
            build.envelope(build.machine(build.ITEMS + build.item(3, "9", 'ovf:configuration="no"'))),
            "ovf.configuration",
        ),
        (build.envelope(sections=""), "ovf.network"),
        (build.envelope(sections=build.NETWORK + "<OddSection><Info/></OddSection>"), "ovf.structure"),
        (build.envelope(sections=build.NETWORK + "<EulaSection><Info/></EulaSection>"), "ovf.structure"),
        (build.envelope().replace(b'ovf:version="1.0"', b'ovf:version="7"'), "ovf.version"),
        (
            build.envelope(build.machine(more="<ProductSection><Info/><Property ovf:type='string'/></ProductSection>")),
            "ovf.property",
        ),
        (
            build.envelope(build.machine(more="<ProductSection><Info/><Property ovf:key='k'/></ProductSection>")),
            "ovf.property",
        ),
        (build.envelope(build.machine(more="<ProductSection><Info/></ProductSection>" * 2)), "ovf.property"),
        (build.envelope(build.machine(more="<EulaSection><Info/><License>x</License></EulaSection>")), "ovf.eula"),
        (build.envelope('<VirtualSystem ovf:id="a"><Info/></VirtualSystem>'), "ovf.machine.hardware"),
        (build.envelope().replace(b"<Name>", b"<Name odd:a='b'>"), "ovf.xml"),
    )
    @ddt.unpack
    def test_what_is_told(self, data: bytes, code: str) -> None:
        self.assertIn(code, codes(data))

    def test_a_cycle_of_disks_is_told(self) -> None:
        disks = "".join(
            f'<Disk ovf:diskId="{a}" ovf:parentRef="{b}" ovf:capacity="512"/>' for a, b in ("ab", "bc", "ca")
        )
        told = [each.what for each in read(build.envelope(disks=disks)).findings if each.code == "ovf.disk.parent"]
        self.assertIn("The disk 'c' belongs, by way of 'a', over itself.", told)

    def test_findings_are_bounded(self) -> None:
        files = "".join(f'<File ovf:id="f{n}" ovf:href="../a{n}"/>' for n in range(500))
        told = [each for each in read(build.envelope(files=files)).findings if each.code == "ovf.file.name"]
        self.assertEqual(50, len(told))

    @ddt.data(
        build.envelope(build.machine(more="<ProductSection><Info/>" + "<Property/>" * 10_001 + "</ProductSection>")),
        build.envelope(build.machine(build.item(3, "1", 'ovf:configuration="' + "a " * 10_001 + '"'))),
    )
    def test_faults_without_end_are_refused(self, data: bytes) -> None:
        with self.assertRaisesRegex(LimitError, "has more than 10000 faults of one kind"):
            read(data)
