"""XVAs as we write them: read back, held against the rules by other means, and the same bytes each time."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import io
import os
import pathlib
import tarfile
import xmlrpc.client
from typing import Any

import ddt
import xxhash
import zstandard

from tests.base import TestCase
from tests.builders import xva as build
from tests.builders.pattern import pattern
from tests.builders.vhd import MemorySource
from xenimage.containers.xva.reader import XvaPackage, open_xva
from xenimage.containers.xva.writer import XvaOptions, write_xva
from xenimage.exceptions import UsageError
from xenimage.formats.raw import open_raw
from xenimage.limits import STRICT
from xenimage.model.machine import Machine, MachineDisk, Network, Nic
from xenimage.model.transfer import Silent
from xenimage.sinks.file import FileSink
from xenimage.units import MIB

UPDATE = "XENIMAGE_UPDATE_GOLDEN" in os.environ
GOLDEN = pathlib.Path(__file__).parents[3] / "golden" / "xva"
DISK = pattern(0, MIB) + bytes(2 * MIB) + pattern(3 * MIB, MIB) + bytes(3 * MIB) + bytes(1536)
SECOND = bytes(MIB) + pattern(7, 512) + bytes(2 * MIB - 512)


class Collected:
    """A sink that keeps what it gets, as a pipe would pass it on."""

    def __init__(self) -> None:
        self.data = bytearray()

    def write(self, parts: Any) -> None:
        for part in parts:
            self.data += part


def machine(**fields: Any) -> Machine:
    disks = (
        MachineDisk(identifier="a", label="root <1>", bus="scsi", bootable=True),
        MachineDisk(identifier="b", bus="scsi", address=(0, 1), read_only=True),
    )
    known: dict[str, Any] = {
        "identifier": "vm-1", "name": "Tëst & <co>", "description": "two\nlines", "cpus": 2, "cpus_max": 4,
        "cores_per_socket": 2, "memory": 768 * MIB, "firmware": "uefi", "secure_boot": True, "vm_mode": "hvm",
        "os_name": "Debian Bookworm 12", "disks": disks, "cdroms": ("",),
        "nics": (
            Nic(network="VM Network", mac="00:16:3e:01:02:03", mtu=9000), Nic(network="other"), Nic(network="other"),
        ),
    }  # fmt: skip
    return Machine(**known | fields)


def written(machines: list[Machine], disks: dict[str, bytes], **options: Any) -> bytes:
    sink = Collected()
    opened = {name: open_raw(MemorySource(data, name), STRICT) for name, data in disks.items()}
    write_xva(sink, machines, opened, XvaOptions(**options))
    return bytes(sink.data)


def read(data: bytes) -> XvaPackage:
    return open_xva(MemorySource(data, "vm.xva"), STRICT)


def content(package: XvaPackage, disk: MachineDisk) -> bytes:
    opened = package.disk(disk)
    buffer = bytearray(opened.facts.virtual_size)
    opened.read_into(0, memoryview(buffer))
    return bytes(buffer)


def records(data: bytes) -> dict[str, dict[str, Any]]:
    """Records by reference, read with the standard library's XML-RPC."""
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        file = archive.extractfile("ova.xml")
        assert file is not None
        text = file.read().decode()
    wrapped = f"<params><param>{text}</param></params>"
    ((whole,), _) = xmlrpc.client.loads(wrapped, use_builtin_types=False)
    assert isinstance(whole, dict)
    return {each["id"]: {"class": each["class"], **each["snapshot"]} for each in whole["objects"]}


@ddt.ddt
class WriteTest(TestCase):
    maxDiff = None

    @ddt.data(*((kind, how, jobs) for kind in ("sha1", "xxh64") for how in ("none", "gzip", "zstd") for jobs in (1, 3)))
    @ddt.unpack
    def test_read_back(self, kind: str, how: str, jobs: int) -> None:
        data = written([machine()], {"a": DISK, "b": SECOND}, sum=kind, compression=how, jobs=jobs)
        package = read(data)
        self.assertEqual(how if how != "none" else "", package.package.compression)
        disks = package.package.machines[0].disks
        self.assertEqual([DISK, SECOND], [content(package, disk) for disk in disks])
        proof, findings = package.prove(Silent())
        self.assertEqual(("verified", (kind,), ()), (proof.manifest, proof.algorithms, findings))

    def test_the_tar(self) -> None:
        """Members, sums and headers by the standard library."""
        plain = written([machine()], {"a": DISK, "b": SECOND})
        chunks = [("Ref:001", DISK, (0, 3, 7)), ("Ref:002", SECOND, (0, 1, 2))]
        for kind, suffix, digest in (
            ("sha1", "checksum", lambda data: hashlib.sha1(data).hexdigest()),
            ("xxh64", "xxhash", lambda data: xxhash.xxh64_hexdigest(data).upper()),
        ):
            data = written([machine()], {"a": DISK, "b": SECOND}, sum=kind)
            with tarfile.open(fileobj=io.BytesIO(data)) as archive:
                members = archive.getmembers()
                expected = ["ova.xml"]
                for reference, disk, numbers in chunks:
                    for number in numbers:
                        expected += [f"{reference}/{number:08d}", f"{reference}/{number:08d}.{suffix}"]
                        part = disk[number * MIB : (number + 1) * MIB]
                        file, total = (archive.extractfile(name) for name in expected[-2:])
                        assert file is not None and total is not None
                        self.assert_same_bytes(part, file.read())
                        self.assertEqual(digest(part), total.read().decode())
                self.assertEqual(expected, [member.name for member in members])
                values = {(each.mode, each.uid, each.gid, each.mtime, each.uname, each.type) for each in members}
                self.assertEqual({(0, 0, 0, 0, "", tarfile.REGTYPE)}, values)
        self.assertEqual(bytes(1024), plain[-1024:])

    def test_packings_hold_the_same(self) -> None:
        plain, packed, frames = (
            written([machine()], {"a": DISK, "b": SECOND}, compression=how, jobs=2) for how in ("none", "gzip", "zstd")
        )
        self.assert_same_bytes(plain, gzip.decompress(packed))
        with zstandard.ZstdDecompressor().stream_reader(frames, read_across_frames=True) as reader:
            self.assert_same_bytes(plain, reader.read())

    def test_the_same_bytes_each_time(self) -> None:
        for how in ("none", "gzip", "zstd"):
            data = {written([machine()], {"a": DISK}, compression=how, jobs=jobs) for jobs in (1, 2, 4)}
            self.assertEqual(1, len(data))

    def test_a_disk_of_another_kind_of_reading(self) -> None:
        """From one XVA to the next, as it passes."""
        source = read(written([machine()], {"a": DISK}, compression="zstd"))
        described = source.package.machines[0]
        sink = Collected()
        disk = source.forward(described.disks[0])
        write_xva(sink, [described], {described.disks[0].identifier: disk}, XvaOptions(jobs=2))
        disk.finish()
        package = read(bytes(sink.data))
        self.assert_same_bytes(DISK, content(package, package.package.machines[0].disks[0]))
        self.assertEqual(source.package.machines, package.package.machines)

    def test_into_a_file(self) -> None:
        sink = FileSink(str(self.scratch / "x.xva"))
        self.addCleanup(sink.close)
        write_xva(sink, [machine()], {"a": open_raw(MemorySource(DISK, "a"), STRICT)}, XvaOptions())
        sink.flush()
        sink.commit()
        self.assert_same_bytes(written([machine()], {"a": DISK}), (self.scratch / "x.xva").read_bytes())
        names = self.run_tool("tar", "-tf", self.scratch / "x.xva").split()
        self.assertEqual(("ova.xml", 7), (names[0], len(names)))

    def test_sizes(self) -> None:
        for size in (1, 512, 513, MIB - 1, MIB, MIB + 1, 2 * MIB + 512):
            data = pattern(0, size)
            package = read(written([machine()], {"a": data}))
            found = content(package, package.package.machines[0].disks[0])
            self.assert_same_bytes(data + bytes(-size % 512), found)

    def test_the_small_disk_goes_last(self) -> None:
        package = read(written([machine()], {"a": bytes(512), "b": SECOND}))
        first, second = package.package.machines[0].disks
        self.assertEqual((512, 3 * MIB), (first.capacity, second.capacity))
        self.assertGreater(first.identifier, second.identifier)
        self.assertEqual((), package.package.findings)

    def test_a_disk_left_out_and_none_at_all(self) -> None:
        package = read(written([machine()], {"b": SECOND}))
        (disk,) = package.package.machines[0].disks
        self.assertEqual((True, True, len(SECOND)), (disk.bootable, disk.read_only, disk.capacity))
        gib = 1 << 30
        sized = tuple(dataclasses.replace(each, capacity=gib) for each in machine().disks)
        package = read(written([machine(disks=sized)], {}))
        self.assertEqual(
            [(gib, ""), (gib, "")], [(each.capacity, each.file) for each in package.package.machines[0].disks]
        )

    def test_wrong_use(self) -> None:
        for options, text in (
            ({"sum": "md5"}, "the sum 'md5', expected sha1 or xxh64"),
            ({"compression": "xz"}, "the compression 'xz', expected none or gzip or zstd"),
        ):
            with self.assertRaisesRegex(UsageError, f"^{text}$"):
                XvaOptions(**options)  # type: ignore[arg-type]
        with self.assertRaisesRegex(UsageError, "^no machine, expected one at least, for an XVA$"):
            written([], {})
        with self.assertRaisesRegex(UsageError, "^two disks of one identifier, expected one of its own for each$"):
            written([machine(), machine()], {"a": DISK})


class DescriptionTest(TestCase):
    maxDiff = None

    def test_what_is_known_comes_back(self) -> None:
        package = read(
            written([machine()], {"a": DISK, "b": SECOND}, networks=(Network(name="other", description="x"),))
        )
        (found,) = package.package.machines
        expected = machine()
        fields = (
            "name description cpus cpus_max cores_per_socket memory firmware secure_boot vm_mode os_name cdroms tpm"
        )
        for field in fields.split():
            self.assertEqual(getattr(expected, field), getattr(found, field), field)
        self.assertEqual(
            [("root <1>", (0, 0), True, False), ("Tëst & <co> disk 1", (0, 1), False, True)],
            [(disk.label, disk.address, disk.bootable, disk.read_only) for disk in found.disks],
        )
        self.assertEqual(["VM Network", "other", "other"], [nic.network for nic in found.nics])
        self.assertEqual(("00:16:3e:01:02:03", 9000), (found.nics[0].mac, found.nics[0].mtu))
        self.assertRegex(found.nics[1].mac, "^02(:[0-9a-f]{2}){5}$")
        self.assertNotEqual(found.nics[1].mac, found.nics[2].mac)
        self.assertEqual((Network(name="VM Network"), Network(name="other", description="x")), package.package.networks)
        self.assertEqual("xenimage 8.2.1", package.package.producer)

    def test_an_xva_comes_back_whole(self) -> None:
        for boot in ("hvm", "uefi", "pv"):
            first = read(build.make(DISK, SECOND, boot=boot)).package.machines[0]
            data = written([first], {"Ref:6": DISK, "Ref:8": SECOND})
            second = read(data).package.machines[0]
            renamed = [
                dataclasses.replace(disk, identifier=other.identifier, file=other.file)
                for disk, other in zip(first.disks, second.disks, strict=True)
            ]
            self.assertEqual(dataclasses.replace(first, disks=tuple(renamed)), second)
            third = read(written([second], {"Ref:001": DISK, "Ref:002": SECOND})).package.machines[0]
            self.assertEqual(second, third)

    def test_records_by_another_reader(self) -> None:
        """Each reference leads to a record that leads back."""
        found = records(written([machine(), machine(identifier="2", disks=(), nics=())], {"a": DISK, "b": SECOND}))
        classes = [each["class"] for each in found.values()]
        self.assertEqual(["SR", "VBD", "VDI", "VIF", "VM", "network"], sorted(set(classes)))
        self.assertEqual((2, 2, 4, 3, 2), tuple(classes.count(each) for each in ("VM", "VDI", "VBD", "VIF", "network")))
        for reference, each in found.items():
            self.assertRegex(each["uuid"], "^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")
            for field, cls, back in (("VBDs", "VBD", "VDI"), ("VIFs", "VIF", "VM"), ("VDIs", "VDI", "SR")):
                for other in each.get(field, []):
                    self.assertEqual(cls, found[other]["class"])
                    self.assertIn(
                        reference, [found[other][name] for name in (back, "VM", "network") if name in found[other]]
                    )
        self.assertEqual(len(found), len({each["uuid"] for each in found.values()}))
        drives = [each["userdevice"] for each in found.values() if each["class"] == "VBD"]
        self.assertEqual(["0", "1", "3", "3"], drives)

    def test_what_xml_cannot_hold(self) -> None:
        name = "a\0b\x1b[31m\ud800\r\n\t]]>&lt;"
        package = read(written([machine(name=name)], {"a": DISK}))
        self.assertEqual("a\ufffdb\ufffd[31m\ufffd\r\n\t]]>&lt;", package.package.machines[0].name)

    def test_golden(self) -> None:
        with tarfile.open(fileobj=io.BytesIO(written([machine()], {"a": DISK, "b": SECOND}))) as archive:
            file = archive.extractfile("ova.xml")
            assert file is not None
            text = file.read().decode()
        lines = text.replace("><member>", ">\n<member>").replace("<value><struct>", "<value>\n<struct>") + "\n"
        if UPDATE:
            (GOLDEN / "ova.xml").write_text(lines, "utf-8")
        self.assertEqual((GOLDEN / "ova.xml").read_text("utf-8"), lines)
