"""Calls whose outputs were observed with blktap's own vhd-util: the same lines and statuses, to the letter."""

from __future__ import annotations

import os
import pathlib
import struct

import ddt

from tests.builders import vhd as build
from tests.unit.vhdutil.base import MIB, UtilTestCase

FOOTER = """\
VHD Footer Summary:
-------------------
Cookie              : conectix
Features            : (0x00000002) <RESV>
File format version : Major: 1, Minor: 0
Data offset         : 512
Creator Application : 'tap'
Creator version     : Major: 1, Minor: 3
Creator OS          : Unknown!
Original disk size  : 100 MB (104857600 Bytes)
Current disk size   : 100 MB (104857600 Bytes)
Geometry            : Cyl: 1003, Hds: 12, Sctrs: 17
                    : = 99 MB (104761344 Bytes)
Disk type           : Dynamic hard disk
Saved state         : No
Hidden              : 0

VHD Header Summary:
-------------------
Cookie              : cxsparse
Data offset (unusd) : 18446744073709551615
Table offset        : 1536
Header version      : 0x00010000
Max BAT size        : 50
Block size          : 2097152 (2 MB)
Parent name         :\x20
Parent UUID         : 00000000-0000-0000-0000-000000000000
Parent timestamp    : Sat Jan  1 00:00:00 2000
Checksum            : 0xfffff445|0xfffff445 (Good!)

VHD Batmap Summary:
-------------------
Batmap offset       : 2560
Batmap size (secs)  : 1
Batmap version      : 0x00010002
Checksum            : 0xffffffff|0xffffffff (Good!)

"""
LOCATORS = """\
VHD Parent Locators:
--------------------
locator:            : 0
       code         : PLAT_CODE_MACX
       data_space   : 512
       data_length  : 14
       data_offset  : 3072
       decoded name : ./a.vhd

locator:            : 1
       code         : PLAT_CODE_W2KU
       data_space   : 512
       data_length  : 14
       data_offset  : 3584
       decoded name : ./a.vhd

locator:            : 2
       code         : PLAT_CODE_W2RU
       data_space   : 512
       data_length  : 14
       data_offset  : 4096
       decoded name : ./a.vhd

"""
# MiB, blocks, batmap header, sectors of the map, bytes of the empty file, header checksum; as vhd-util create writes.
VECTORS = (
    (2, 2048, 1, 3584, 0xFFFFF476),
    (100, 2048, 1, 3584, 0xFFFFF445),
    (504, 2560, 1, 4096, 0xFFFFF37B),
    (1024, 3584, 1, 5120, 0xFFFFF475),
    (8192, 17920, 1, 19456, 0xFFFFF467),
    (8208, 18432, 2, 20480, 0xFFFFF45F),
    (10240, 22016, 2, 24064, 0xFFFFF463),
    (131072, 263680, 16, 272896, 0xFFFFF476),
    (2088960, 4179456, 255, 4311040, 0xFFFFF378),
    (8194, 18432, 2, 20480, None),
)


@ddt.ddt
class ObservedTest(UtilTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.here = os.path.realpath(".")
        self.base()
        self.child()

    def test_check(self) -> None:
        self.assert_prints("a.vhd is valid\n", "check", "-n", "a.vhd")
        self.assert_prints(f"b.vhd is valid\n{self.here}/a.vhd is valid\n", "check", "-p", "-b", "-n", "b.vhd")
        expected = "a.vhd: secs allocated: 0x2000 secs written: 0x1080 (51.56%)\n"
        self.assert_prints(expected, "check", "-s", "-n", "a.vhd")

    def test_query(self) -> None:
        expected = "100\n4203008\na.vhd has no parent\nhidden: 0\nmarker: 0\nchain depth: 1\n2\n100\n"
        self.assert_prints(expected, "query", "-n", "a.vhd", "-a", "-S", "-v", "-s", "-p", "-f", "-m", "-d")
        self.assert_prints(f"{self.here}/a.vhd\nchain depth: 2\n", "query", "-n", "b.vhd", "-p", "-d")
        self.assert_prints("./a.vhd\n", "query", "-n", "b.vhd", "-p", "-u")
        self.run_util("create", "-n", "s.vhd", "-s", "100", "-S", "2097152")  # more than any disk may have
        self.assertFalse(os.path.exists("s.vhd"))
        self.assert_prints("", "create", "-n", "s.vhd", "-s", "100", "-S", "2088960")
        self.assert_prints("100\n2088960\n", "query", "-n", "s.vhd", "-v", "-S")
        self.assertEqual(4311040, os.path.getsize("s.vhd"))

    def test_read(self) -> None:
        for expected, *words in (
            ("block: 0: offset: 3584\nblock: 1: offset: not allocated\n", "-b", "0", "-c", "2"),
            ("logical sector 20480: block number: 5, sector offset: 0, file offset: 2105344\n", "-t", "20480"),
            ("0 128\n", "-e", "0", "-c", "4096"),
            ("batmap for block 4: 0\nbatmap for block 5: 1\n", "-j", "4", "-c", "2"),
            ("block 0: sec: 127: 1\nblock 0: sec: 128: 0\n", "-i", "127", "-c", "2"),
        ):
            self.assert_prints(expected, "read", "-n", "a.vhd", *words)

    def test_scan(self) -> None:
        self.run_util("create", "-n", "f.vhd", "-s", "10", "-r")
        self.write("s.vhd", build.Vhd(size=100 * MIB).build())
        files = ["a.vhd", "b.vhd", "f.vhd", "s.vhd"]
        self.assert_prints(
            "vhd=a.vhd capacity=104857600 size=4203008 hidden=0 parent=none\n"
            "   vhd=b.vhd capacity=104857600 size=2105856 hidden=0 parent=a.vhd\n"
            "vhd=f.vhd capacity=10485760 size=10486272 hidden=0 parent=none\n"
            "vhd=s.vhd capacity=104857600 size=3584 hidden=0 parent=none\n",
            "scan", "-p", "-m", *files,
        )  # fmt: skip
        expected = "vhd=b.vhd capacity=104857600 size=2105856 hidden=0 marker=0 keyhash= parent=a.vhd\n"
        self.assert_prints(expected, "scan", "-M", "-m", "b.vhd")
        pathlib.Path("j.vhd").write_text("no VHD")
        error = "vhd=j.vhd scan-error=-5 error-message='opening file'\n"
        self.assert_prints(error, "scan", "-m", "j.vhd", status=5)
        self.assert_prints(error, "scan", "-c", "-m", "j.vhd")

    def test_scan_of_a_child_alone(self) -> None:
        os.unlink("a.vhd")
        expected = "vhd=b.vhd capacity=104857600 size=2105856 hidden=0 parent=a.vhd"
        self.assert_prints(f"{expected} (not found in scan)\n", "scan", "-p", "-m", "*.vhd")
        self.assert_prints(f"{expected}\n", "scan", "-f", "-m", "*.vhd")

    def test_coalesce(self) -> None:
        self.assert_prints("Coalesced 2 sectors", "coalesce", "-n", "b.vhd")
        expected = "coalescing of non-differencing disks is not supported\nerror coalescing: -22\n"
        self.assert_prints(expected, "coalesce", "-n", "a.vhd", status=22)
        os.unlink("a.vhd")
        expected = "error finding b.vhd parent: -2\nerror coalescing: -2\n"
        self.assert_prints(expected, "coalesce", "-n", "b.vhd", status=2)

    def test_resize(self) -> None:
        self.run_util("create", "-n", "f.vhd", "-s", "10", "-r")
        self.assert_prints("creating journal failed: -22\n", "resize", "-n", "f.vhd", "-s", "20", "-j", "jr", status=22)
        self.assert_prints("", "resize", "-n", "a.vhd", "-s", "200", "-j", "jr")
        self.assertEqual(4203008, os.path.getsize("a.vhd"))
        expected = "dynamic shrink not fully implemented\nresize failed: -38\n"
        self.assert_prints(expected, "resize", "-n", "a.vhd", "-s", "100", "-j", "jr", status=38)
        self.assert_prints("", "resize", "-n", "a.vhd", "-s", "200", "-j", "jr")
        pathlib.Path("jr").touch()
        expected = "creating journal failed: -17\n"
        self.assert_prints(expected, "resize", "-n", "a.vhd", "-s", "300", "-j", "jr", status=17)
        expected = "creating journal failed: -2\n"
        self.assert_prints(expected, "resize", "-n", "a.vhd", "-s", "300", "-j", "no/jr", status=2)
        self.assert_prints("200\n", "query", "-n", "a.vhd", "-v")
        self.assert_prints("a.vhd is valid\n", "check", "-n", "a.vhd")

    def test_resize_fast(self) -> None:
        self.run_util("create", "-n", "s.vhd", "-s", "100", "-S", "1000")
        self.assert_prints("", "resize", "-n", "s.vhd", "-s", "300", "-f")
        self.assert_prints("300\n", "query", "-n", "s.vhd", "-v")
        self.assert_prints("", "resize", "-n", "s.vhd", "-s", "1002", "-f", status=22)
        expected = "s.vhd: size (104857600) < curr size (314572800)\n"
        self.assert_prints(expected, "resize", "-n", "s.vhd", "-s", "100", "-f", status=22)

    def test_resize_of_foreign_disks(self) -> None:
        self.base("q.vhd", creator=build.CREATORS["qemu"])
        expected = "q.vhd not created by xen; resize not supported\n"
        self.assert_prints(expected, "resize", "-n", "q.vhd", "-s", "200", "-j", "jr", status=22)

    def test_a_parent_that_is_away(self) -> None:
        os.unlink("a.vhd")
        self.assert_prints("100\nquery failed\n", "query", "-p", "-v", "-n", "b.vhd", status=2)
        self.assert_prints("error checking chain depth: -2\n", "query", "-d", "-n", "b.vhd", status=2)
        status, text = self.run_util("check", "-n", "b.vhd")
        self.assertEqual((2, "error resolving ./a.vhd: -2"), (status, text.splitlines()[0]))
        self.assertEqual("b.vhd appears invalid; dumping metadata", text.splitlines()[1])
        self.assertIn("Disk type           : Differencing hard disk\n", text)

    def test_a_parent_of_another_uuid(self) -> None:
        self.base(identity=b"\x77" * 16)
        status, text = self.run_util("check", "-n", "b.vhd")
        self.assertEqual((22, f"invalid parent {self.here}/a.vhd: invalid parent uuid"), (status, text.splitlines()[0]))
        self.assert_prints("b.vhd is valid\n", "check", "-I", "-n", "b.vhd")

    def test_modify(self) -> None:
        os.mkdir("sub")
        self.base("sub/newparent.vhd", identity=b"\x77" * 16)
        self.assert_prints("", "modify", "-n", "b.vhd", "-p", "sub/newparent.vhd")
        self.assert_prints(f"{self.here}/sub/newparent.vhd\n", "query", "-n", "b.vhd", "-p")
        self.assert_prints("./sub/newparent.vhd\n", "query", "-n", "b.vhd", "-p", "-u")
        self.assert_prints("b.vhd is valid\n", "check", "-n", "b.vhd")
        data = pathlib.Path("b.vhd").read_bytes()
        self.assertEqual(b"\x77" * 16, data[512 + 40 : 512 + 56])
        expected = f"failed to set parent to '{self.here}/b.vhd': -22\n"
        self.assert_prints(expected, "modify", "-n", "a.vhd", "-p", "b.vhd", status=22)
        expected = f"failed to set parent to '{self.here}/none.vhd': -2\n"
        self.assert_prints(expected, "modify", "-n", "b.vhd", "-p", "none.vhd", status=2)
        self.assert_prints("error opening none.vhd: -2\n", "modify", "-n", "none.vhd", "-p", "a.vhd", status=2)
        self.assert_prints("", "modify", "-n", "b.vhd")

    def test_an_open_footer(self) -> None:
        data = pathlib.Path("a.vhd").read_bytes()
        pathlib.Path("a.vhd").write_bytes(data[:-512] + b"\xc7" * 512)
        status, text = self.run_util("check", "-n", "a.vhd")
        self.assertEqual((22, "primary footer invalid: invalid cookie"), (status, text.splitlines()[0]))
        self.assert_prints("a.vhd is valid\n", "check", "-i", "-n", "a.vhd")
        self.assert_prints("", "repair", "-n", "a.vhd")
        self.assert_prints("a.vhd is valid\n", "check", "-n", "a.vhd")
        self.assertEqual(data, pathlib.Path("a.vhd").read_bytes())

    def test_an_interrupted_resize(self) -> None:
        image = self.base("r.vhd")
        image.footer("cookie", b"v_poison")
        self.write("r.vhd", image)
        self.assert_prints("100\n", "query", "-v", "-n", "r.vhd")
        for words in (("repair",), ("coalesce",), ("modify", "-p", "a.vhd"), ("resize", "-s", "200", "-j", "jr")):
            status, text = self.run_util(*words, "-n", "r.vhd")
            self.assertEqual(22, status)
            self.assertTrue(text.startswith(("error opening r.vhd: -22\n", "coalescing of non-diff")), text)
        self.assertEqual(bytes(image.data), pathlib.Path("r.vhd").read_bytes())

    def test_set(self) -> None:
        self.assert_prints("", "set", "-n", "a.vhd", "-f", "hidden", "-v", "1")
        self.assert_prints("hidden: 1\n", "query", "-n", "a.vhd", "-f")
        self.assert_prints("a.vhd is valid\n", "check", "-n", "a.vhd")
        # Upstream destroys the batmap here.
        self.assert_prints("", "set", "-n", "a.vhd", "-f", "marker", "-v", "7")
        self.assert_prints("marker: 7\n", "query", "-n", "a.vhd", "-m")
        self.assert_prints("a.vhd is valid\n", "check", "-n", "a.vhd")

    def test_the_tables_as_text(self) -> None:
        self.assertEqual(0, self.run_util("create", "-n", "e.vhd", "-s", "100")[0])
        text = self.run_util("read", "-n", "e.vhd", "-p")[1]
        changing = ("Timestamp           :", "UUID                :")
        lines = [line for line in text.splitlines() if not line.startswith(changing)]
        checksum = next(line for line in lines if line.startswith("Checksum"))
        self.assertRegex(checksum, r"^Checksum            : (0xffff[ef][0-9a-f]{3})\|\1 \(Good!\)$")
        lines.remove(checksum)
        self.assertEqual(FOOTER.splitlines(), lines)
        self.assertEqual(0, self.run_util("snapshot", "-n", "c.vhd", "-p", "a.vhd")[0])
        text = self.run_util("read", "-n", "c.vhd", "-p")[1]
        self.assertIn(LOCATORS, text)
        self.assertIn("Parent name         : a.vhd\nParent UUID         : 0b0b0b0b-0b0b-", text)
        self.base("q.vhd", creator=build.CREATORS["qemu"])
        text = self.run_util("read", "-n", "q.vhd", "-p")[1]
        self.assertIn("'qemu'\nCreator version     : Major: 5, Minor: 3\nCreator OS          : Windows\n", text)
        self.assertNotIn("Batmap", text)

    @ddt.data(*VECTORS)
    @ddt.unpack
    def test_new_disks(self, size, batmap, sectors, length, checksum):
        self.assert_prints("", "create", "-n", "n.vhd", "-s", str(size))
        self.assert_prints("n.vhd is valid\n", "check", "-n", "n.vhd")
        data = pathlib.Path("n.vhd").read_bytes()
        self.assertEqual((length, data[:512]), (len(data), data[-512:]))
        self.assertEqual(b"tdbatmap", data[batmap : batmap + 8])
        found = struct.unpack_from(">QIII", data, batmap + 8)
        self.assertEqual((batmap + 512, sectors, 0x00010002, 0xFFFFFFFF), found)
        if checksum:
            self.assertEqual(checksum, struct.unpack_from(">I", data, 512 + 36)[0])

    def test_usage(self) -> None:
        for words in (("query",), ("check", "-n", "a.vhd", "more"), ("query", "-Q"), ("check", "-B", "-b", "-n", "a")):
            status, text = self.run_util(*words)
            self.assertEqual((22, "options:", 1), (status, text[:8], text.count("\n")))
        self.assertEqual(0, self.run_util("query", "-h")[0])
        for words in ((), ("nonsense",)):
            status, text = self.run_util(*words)
            self.assertEqual((0, "usage: "), (status, text[:7]))
        self.assert_prints("cannot stat none.vhd: 2\n", "check", "-n", "none.vhd", status=2)
        self.assert_prints("error opening none.vhd: -2\n", "query", "-v", "-n", "none.vhd", status=2)
