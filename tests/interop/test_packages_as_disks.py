"""Packages in the place of a disk, held against qemu-img's view of what they were made of."""

from __future__ import annotations

import base64
import dataclasses
import gzip
import hashlib
import json
import os
import pathlib
import pty
import subprocess
import sys
from unittest import mock

import ddt

from tests.builders import ovf, vmx, xva
from tests.builders.guests import linux
from tests.builders.pattern import pattern
from tests.unit.cli.support import CliTestCase
from tests.unit.containers.ovf.test_parts import KNOWN

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
MIB = 1 << 20
RAW = pattern(0, MIB) + bytes(4 * MIB) + pattern(5 * MIB, MIB + 512).ljust(3 * MIB, b"\0")
"""8 MiB, the data in three runs"""
SECOND = bytes(2 * MIB) + pattern(2 * MIB, 2 * MIB)
PASSWORD = "citrix"
"""of the published test vector"""
SHAPES = (
    "xva", "xva gzip", "xva zstd", "ovf streamOptimized", "ovf monolithicSparse", "ovf gzip", "ovf pieces", "ova",
    "ova gzip", "vmx", "citrix",
)  # fmt: skip


COMMANDS = (
    ("disk", "convert", "{path}", "{out}.qcow2", "--format", "qcow2"),
    ("disk", "compare", "{path}", "{raw}"),
    ("bundle", "create", "{path}", "--output", "{out}.tgz"),
    ("guest", "check", "{path}"),
)


@dataclasses.dataclass(frozen=True)
class Shape:
    """A package, and how its first disk is asked for."""

    path: str
    options: tuple[str, ...] = ()
    format: str = ""
    """of the disk"""


class PackageCase(CliTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.write("one.raw", RAW)
        self.write("two.raw", SECOND)

    def write(self, name: str, data: bytes) -> str:
        path = self.scratch / name
        path.write_bytes(data)
        return str(path)

    def xva(self, compress: str = "", **options: object) -> Shape:
        path = self.write("vm.xva", xva.make(RAW, SECOND, compress=compress, **options))
        return Shape(path, ("--disk", "1"), "xva")

    def qemu(self, name: str, *options: str, source: str = "one.raw") -> str:
        self.run_tool("qemu-img", "convert", "-f", "raw", *options, source, name)
        return name

    def vmdk(self, form: str) -> str:
        return self.qemu("disk.vmdk", "-O", "vmdk", "-o", f"subformat={form}")

    def ovf(self, name: str, *, attributes: str = "", parts: tuple[str, ...] = ()) -> Shape:
        """A folder with a manifest by openssl."""
        file = f'<File ovf:id="file1" ovf:href="{name}" {attributes}/>'
        disk = ovf.DISK.replace("4096", str(len(RAW)))
        path = self.write("web.ovf", ovf.envelope(files=file, disks=disk))
        sums = self.run_tool("openssl", "dgst", "-sha256", "web.ovf", *(parts or (name,)))
        self.write("web.mf", sums.replace("SHA2-256(", "SHA256(").encode())
        return Shape(path, (), "raw" if name.endswith("raw") else "vmdk")

    def pieces(self) -> Shape:
        size = 3 * MIB
        names = [f"one.raw.{number:09d}" for number in range(3)]
        for number, name in enumerate(names):
            self.write(name, RAW[number * size : (number + 1) * size])
        (self.scratch / "one.raw").rename(self.scratch / "kept.raw")
        shape = self.ovf("one.raw", attributes=f'ovf:size="{len(RAW)}" ovf:chunkSize="{size}"', parts=tuple(names))
        (self.scratch / "kept.raw").rename(self.scratch / "original.raw")
        return shape

    def citrix(self) -> Shape:
        """As XenCenter writes it: UTF-8 that calls itself UTF-16, disks of the type 19, packed, then encrypted."""
        self.qemu("plain.vhd", "-O", "vpc", "-o", "force_size=on")
        digest = hashlib.sha384(PASSWORD.encode()).hexdigest()
        self.write("packed", gzip.compress((self.scratch / "plain.vhd").read_bytes()))
        self.run_tool(
            "openssl", "enc", "-aes-256-cbc", "-K", digest[:64], "-iv", digest[64:], "-in", "packed", "-out", "aa.vhd"
        )
        known = base64.b64encode(KNOWN).decode()
        size = (self.scratch / "aa.vhd").stat().st_size
        data = ovf.citrix(size=size, security=ovf.security(known), attributes='Id="xen_1" ovf:compression="Gzip"')
        path = self.write("db.ovf", data.replace(b'ovf:capacity="4096"', b'ovf:capacity="%d"' % len(RAW)))
        secret = self.write("secret", f"{PASSWORD}\n".encode())
        return Shape(path, ("--disk", "aa", "--password-file", secret), "vhd")

    def make(self, name: str) -> Shape:
        kind, _, rest = name.partition(" ")
        match kind, rest:
            case "xva", _:
                return self.xva(rest)
            case "ova", _:
                return self.ova(rest)
            case "citrix", _:
                return self.citrix()
            case "vmx", _:
                self.qemu("web.vmdk", "-O", "vmdk")
                shape = Shape(str(vmx.write(self.scratch)), (), "vmdk")
            case "ovf", "pieces":
                shape = self.pieces()
            case "ovf", "gzip":
                self.write("disk.raw", gzip.compress(RAW))
                shape = self.ovf("disk.raw", attributes='ovf:compression="gzip"')
            case _:
                shape = self.ovf(self.vmdk(rest))
        return shape

    def ova(self, packing: str) -> Shape:
        self.ovf(self.vmdk("streamOptimized"))
        self.run_tool("tar", "-cf", "web.ova", "--format=ustar", "web.ovf", "web.mf", "disk.vmdk")
        if packing:
            self.run_tool("gzip", "web.ova")
        for each in ("web.ovf", "web.mf", "disk.vmdk"):
            (self.scratch / each).unlink()
        return Shape(str(self.scratch / ("web.ova.gz" if packing else "web.ova")), (), "vmdk")

    def original(self) -> str:
        """The path of the raw disk."""
        return str(self.scratch / ("original.raw" if (self.scratch / "original.raw").exists() else "one.raw"))

    def cli(self, *words: str, code: int = 0) -> str:
        done = self.run_cli(*words)
        self.assertEqual(code, done.code, done.out + done.err)
        return done.err if code else done.out

    def told(self, *words: str) -> dict[str, object]:
        return json.loads(self.cli(*words, "-f", "json"))  # type: ignore[no-any-return]

    def assert_same_disk(self, form: str, path: str) -> None:
        """Let qemu-img compare a disk with the original."""
        self.run_tool("qemu-img", "compare", "-f", "raw", "-F", form, self.original(), path)


@ddt.ddt
class EveryShapeTest(PackageCase):
    @ddt.data(*SHAPES)
    def test_shown_and_mapped(self, name: str) -> None:
        shape = self.make(name)
        shown = self.told("disk", "show", shape.path, *shape.options)
        self.assertEqual((shape.format, len(RAW)), (shown["format"], shown["virtual_size"]))
        extents = json.loads(self.cli("disk", "map", shape.path, *shape.options, "-f", "json"))
        self.assertEqual(len(RAW), sum(each["length"] for each in extents))
        data = bytearray(len(RAW))
        for each in extents:
            if each["kind"] == "data":
                place = slice(each["offset"], each["offset"] + each["length"])
                data[place] = RAW[place]
        self.assert_same_bytes(RAW, bytes(data))

    @ddt.data(*SHAPES)
    def test_converted(self, name: str) -> None:
        shape = self.make(name)
        before = sorted(each.name for each in self.scratch.iterdir())
        for form, known in (("qcow2", "qcow2"), ("raw", "raw")):
            output = str(self.scratch / f"out.{form}")
            self.cli("disk", "convert", shape.path, output, "--format", form, *shape.options)
            self.assert_same_disk(known, output)
        self.assertEqual(
            sorted([*before, "out.qcow2", "out.raw"]), sorted(each.name for each in self.scratch.iterdir())
        )

    @ddt.data(*SHAPES)
    def test_compared(self, name: str) -> None:
        shape = self.make(name)
        equal = self.told("disk", "compare", shape.path, self.original(), *shape.options)
        self.assertEqual((True, len(RAW)), (equal["equal"], equal["compared"]))
        place = 5 * MIB + 700
        other = self.write("other.raw", RAW[:place] + bytes([RAW[place] ^ 1]) + RAW[place + 1 :])
        done = self.run_cli("disk", "compare", shape.path, other, *shape.options, "-f", "json")
        self.assertNotEqual(0, done.code)
        self.assertEqual(place, json.loads(done.out)["first_difference"])

    @ddt.data(*SHAPES)
    def test_bundled(self, name: str) -> None:
        shape = self.make(name)
        output = str(self.scratch / "out.tgz")
        made = self.told("bundle", "create", shape.path, "--output", output, "--verify", *shape.options)
        self.run_tool("tar", "-xzf", output)
        self.assert_same_disk("vpc", "0.vhd")
        named = {"xva": "Tëst <VM> & co", "vmx": "Web server", "citrix": "db"}.get(name.partition(" ")[0], "web")
        commands = made["upload_commands"]
        assert isinstance(commands, list)
        self.assertIn(named.split(maxsplit=1)[0], commands[0].rpartition(" --file ")[2])

    @ddt.data(*SHAPES)
    def test_checked(self, name: str) -> None:
        shape = self.make(name)
        report = self.told("guest", "check", shape.path, *shape.options)
        disks = report["disks"]
        assert isinstance(disks, list)
        self.assertEqual([len(RAW)], [each["virtual_size"] for each in disks])
        codes = [each["code"] for each in report["findings"]]  # type: ignore[attr-defined]
        self.assertIn("guest.inspection.nothing", codes)


@ddt.ddt
class ProofTest(PackageCase):
    def damaged(self, kind: str) -> str:
        """A package of which a byte of data changed, without harm to the disk's own structure."""
        self.write("disk.raw", RAW)
        path = self.ovf("disk.raw").path
        self.write("disk.raw", RAW[:5000] + bytes([RAW[5000] ^ 1]) + RAW[5001:])
        if kind == "ova":
            self.run_tool("tar", "-cf", "web.ova", "web.ovf", "web.mf", "disk.raw")
            return str(self.scratch / "web.ova")
        return path

    @ddt.data(*((kind, command) for kind in ("ovf", "ova") for command in COMMANDS))
    @ddt.unpack
    def test_what_does_not_fit_its_manifest(self, kind: str, command: tuple[str, ...]) -> None:
        path = self.damaged(kind)
        before = sorted(self.scratch.iterdir())
        words = [word.format(path=path, out=self.scratch / "out", raw=self.original()) for word in command]
        told = self.cli(*words, code=3)
        self.assertIn(f"{path}: ", told)
        self.assertIn("disk.raw", told)
        self.assertIn("--no-verify", told)
        self.assertEqual(before, sorted(self.scratch.iterdir()))
        done = self.run_cli(*words, "--no-verify", "-f", "json")
        self.assertEqual(1 if command[1] == "compare" else 0, min(done.code, 1), done.err)
        if command[1] != "compare":
            self.assertIn("package.unverified", done.out)

    @ddt.data("monolithicFlat", "twoGbMaxExtentFlat", "twoGbMaxExtentSparse")
    def test_a_changed_extent(self, form: str) -> None:
        """A descriptor of text fits the manifest, and what it is read from does not."""
        name = self.vmdk(form)
        (extent,) = (each.name for each in self.scratch.glob("disk-*.vmdk"))
        path = self.ovf(name, parts=(name, extent)).path
        words = ("disk", "convert", path, str(self.scratch / "out.raw"), "--format", "raw")
        self.cli(*words)
        self.assert_same_bytes(RAW, (self.scratch / "out.raw").read_bytes())
        (self.scratch / "out.raw").unlink()
        data = bytearray((self.scratch / extent).read_bytes())
        data[data.index(RAW[:64]) + 5000] ^= 1
        self.write(extent, bytes(data))
        self.assertIn(extent, self.cli(*words, code=3))
        self.assertFalse((self.scratch / "out.raw").exists())

    def test_a_changed_chunk_of_an_xva(self) -> None:
        """Its sums are looked at whenever it is read, asked for or not."""
        data = bytearray(xva.make(RAW))
        data[data.index(RAW[:64]) + 5000] ^= 1
        path = self.write("vm.xva", bytes(data))
        for more in ((), ("--no-verify",)):
            told = self.cli("disk", "convert", path, str(self.scratch / "out.raw"), "--format", "raw", *more, code=3)
            self.assertIn("Ref:6/00000000", told)
            self.assertFalse((self.scratch / "out.raw").exists())


@ddt.ddt
class ChoiceTest(PackageCase):
    def two_machines(self) -> str:
        files = ovf.FILE.replace("disk.raw", "one.raw") + '<File ovf:id="file2" ovf:href="two.raw"/>'
        disks = (
            f'<Disk ovf:diskId="disk1" ovf:fileRef="file1" ovf:capacity="{len(RAW)}"/>'
            f'<Disk ovf:diskId="disk2" ovf:fileRef="file2" ovf:capacity="{len(SECOND)}"/>'
        )
        second = ovf.ITEMS.replace("disk1", "disk2")
        content = (
            '<VirtualSystemCollection ovf:id="all"><Info/>'
            + ovf.machine(identifier="vm1")
            + ovf.machine(second, identifier="vm2", name="db")
            + "</VirtualSystemCollection>"
        )
        files = files.replace(' ovf:size="4096"', "")
        return self.write("both.ovf", ovf.envelope(content, files=files, disks=disks))

    def converted(self, path: str, *options: str) -> bytes:
        output = self.scratch / "out.raw"
        self.cli("disk", "convert", path, str(output), "--format", "raw", "--force", *options)
        return output.read_bytes()

    def test_several_disks(self) -> None:
        path = self.xva().path
        for words in (
            ("disk", "show", path),
            ("disk", "map", path),
            ("disk", "convert", path, str(self.scratch / "o"), "--format", "raw"),
            ("bundle", "create", path, "--output", str(self.scratch / "o")),
        ):
            told = self.cli(*words, code=2)
            self.assertIn(f"{path}: has 2 disks, expected one to be chosen", told)
            self.assertIn("Choose with --disk: 1 (disk 0), 2 (disk 1).", " ".join(told.split()))

    @ddt.data(("2", SECOND), ("disk 1", SECOND), ("Ref:8", SECOND), ("1", RAW), ("Ref:6", RAW))
    @ddt.unpack
    def test_a_disk_by_number_label_or_identifier(self, wish: str, expected: bytes) -> None:
        self.assert_same_bytes(expected, self.converted(self.xva().path, "--disk", wish))

    @ddt.data(("1", RAW), ("2", SECOND), ("web", RAW), ("db", SECOND), ("vm2", SECOND))
    @ddt.unpack
    def test_a_machine_by_number_name_or_identifier(self, wish: str, expected: bytes) -> None:
        self.assert_same_bytes(expected, self.converted(self.two_machines(), "--vm", wish))

    def test_several_machines(self) -> None:
        path = self.two_machines()
        told = self.cli("disk", "show", path, code=2)
        self.assertIn(f"{path}: has 2 machines, expected one to be chosen", told)
        self.assertIn("Choose with --vm: 1 (web), 2 (db).", " ".join(told.split()))
        self.cli("disk", "show", path, "--vm", "other", code=2)

    def test_two_disks_compared(self) -> None:
        path = self.xva().path
        done = self.run_cli("disk", "compare", path, path, "--disk", "1", "--second-disk", "2", "-f", "json")
        expected = next(at for at in range(MIB) if RAW[at] != SECOND[at])
        self.assertEqual(expected, json.loads(done.out)["first_difference"])
        self.assertTrue(self.told("disk", "compare", path, path, "--disk", "2", "--second-disk", "2")["equal"])

    def test_all_disks_of_a_machine_are_one_guest(self) -> None:
        path = self.xva().path
        disks = self.told("guest", "check", path)["disks"]
        assert isinstance(disks, list)
        self.assertEqual([f"{path}:Ref:6", f"{path}:Ref:8"], [each["path"] for each in disks])


@ddt.ddt
class PasswordTest(PackageCase):
    def words(self, *options: str) -> list[str]:
        path = self.citrix().path
        return ["bundle", "create", path, "--output", str(self.scratch / "out.tgz"), "--disk", "aa", *options]

    def assert_bundled(self) -> None:
        self.run_tool("tar", "-xzf", "out.tgz")
        self.assert_same_disk("vpc", "0.vhd")

    def test_from_the_environment(self) -> None:
        done = self.run_cli(*self.words(), environ={"XENIMAGE_PACKAGE_PASSWORD": PASSWORD})
        self.assertEqual(0, done.code, done.err)
        self.assert_bundled()

    def test_none(self) -> None:
        told = self.cli(*self.words(), code=2)
        self.assertIn("is encrypted, expected the password", told)
        self.assertIn("--password-file FILE", told)
        self.assertIn("XENIMAGE_PACKAGE_PASSWORD", told)
        self.assertFalse((self.scratch / "out.tgz").exists())

    def test_a_wrong_one(self) -> None:
        done = self.run_cli(*self.words(), environ={"XENIMAGE_PACKAGE_PASSWORD": "Citrix"})
        self.assertEqual(2, done.code)
        self.assertIn("the password is wrong", done.err)
        self.assertNotIn("Citrix", done.err)
        self.assertFalse((self.scratch / "out.tgz").exists())

    def test_what_needs_none(self) -> None:
        """An unencrypted disk beside is read without."""
        with mock.patch("getpass.getpass") as asked:
            self.cli("disk", "show", self.xva().path, "--disk", "1")
        asked.assert_not_called()

    @ddt.data((PASSWORD, 0), ("wrong", 2), ("", 2))
    @ddt.unpack
    def test_asked_for_at_a_terminal(self, answer: str, code: int) -> None:
        words = self.words()
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        environ = {**os.environ, "PYTHONPATH": str(ROOT)}
        with subprocess.Popen(
            [sys.executable, "-m", "xenimage", *words],
            stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True, env=environ,
            cwd=self.scratch,
        ) as child:  # fmt: skip
            os.close(theirs)
            assert child.stderr is not None
            try:
                # What is typed before the question is thrown away, as at every prompt for a password.
                asked = b""
                while not asked.endswith(b": ") and (more := os.read(child.stderr.fileno(), 1)):
                    asked += more
                os.write(ours, f"{answer}\n".encode())
                out, err = child.communicate(timeout=60)
            finally:
                child.kill()
        self.assertIn(b"Password of ", asked)
        self.assertIn(b"db.ovf", asked)
        self.assertEqual(code, child.returncode, err)
        self.assertEqual(answer == "wrong", b"the password is wrong" in err)
        self.assertNotIn(answer.encode() or b"\0", out + err.replace(b"is wrong", b""))
        self.assertEqual(code == 0, (self.scratch / "out.tgz").exists())
        if code == 0:
            self.assert_bundled()


class PropertiesTest(PackageCase):
    def test_of_a_paravirtualised_machine(self) -> None:
        made = self.told(
            "bundle", "create", self.xva(boot="pv").path, "--disk", "1", "--output", str(self.scratch / "o")
        )
        found = {each["name"]: each["value"] for each in made["properties"]}  # type: ignore[attr-defined]
        self.assertEqual("xen", found["vm_mode"])

    def test_the_disk_is_believed(self) -> None:
        """A Linux with a boot loader of its own, in a machine that its package calls paravirtualised."""
        disk = linux.make_disk(self.scratch / "linux.raw").read_bytes()
        path = self.write("vm.xva", xva.make(disk, boot="pv"))
        made = self.told("bundle", "create", path, "--output", str(self.scratch / "o"), "--dry-run")
        found = {each["name"]: each["value"] for each in made["properties"]}  # type: ignore[attr-defined]
        self.assertEqual(("hvm", "linux"), (found["vm_mode"], found["os_type"]))
        codes = [each["code"] for each in made["findings"]]  # type: ignore[attr-defined]
        self.assertIn("package.property.contradiction", codes)
