"""Packages that are made to harm, through the command line: the documented exit code, nothing lost, nothing left."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import ddt

from tests.builders import ovf, vmx, xva
from tests.builders.bundle import Entry
from tests.builders.ova import DATA, DISK, ova
from tests.unit.cli.support import CliTestCase
from xenimage.exceptions import FormatError, LimitError, UnsafeError, UnsupportedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

KIB, MIB = 1 << 10, 1 << 20
FORMAT, UNSUPPORTED, UNSAFE = FormatError.exit_code, UnsupportedError.exit_code, UnsafeError.exit_code
LIMIT, USAGE, LOSS = LimitError.exit_code, UsageError.exit_code, 8
PRODUCT = "<ProductSection><Info/><Product>p</Product></ProductSection>"
WORDS = f'<Strings><Msg ovf:msgid="m">{"x" * 65536}</Msg></Strings>'
OTHER = "http://schemas.citrix.com/ovf/envelope/1"


def described(*arguments: str, **options: str) -> bytes:
    """An archive of a descriptor and its disk."""
    return ova(Entry("web.ovf", ovf.envelope(*arguments, **options)), DISK)


def file(href: str, attributes: str = "") -> str:
    return f'<File ovf:id="file1" ovf:href="{href}" {attributes}/>'


def collection(count: int, common: str = "", *, name: str = "") -> str:
    machines = "".join(
        f'<VirtualSystem ovf:id="v{number}"><Info/>{name or f"<Name>n{number}</Name>"}'
        f"<VirtualHardwareSection><Info/>{ovf.CPU}</VirtualHardwareSection></VirtualSystem>"
        for number in range(count)
    )
    return f'<VirtualSystemCollection ovf:id="c"><Info/>{common}{machines}</VirtualSystemCollection>'


def setting(name: str, value: str) -> str:
    return (
        f'<x:VirtualSystemOtherConfigurationData xmlns:x="{OTHER}" Name="{name}"><x:Value>{value}</x:Value>'
        "</x:VirtualSystemOtherConfigurationData>"
    )


def entities() -> bytes:
    """Each entity is ten of the one before."""
    names = "".join(f'<!ENTITY a{n + 1} "{f"&a{n};" * 10}">' for n in range(11))
    text = ovf.envelope(head=f'<!DOCTYPE Envelope [<!ENTITY a0 "lol">{names}]>').decode()
    return text.replace("web", "&a11;").encode()


# What cannot be opened: exit code, how the file is called, what is in it.
REFUSED: dict[str, tuple[int, str, Callable[[], bytes]]] = {
    "entities": (UNSAFE, "x.ovf", entities),
    "entities in an archive": (UNSAFE, "x.ova", lambda: ova(Entry("x.ovf", entities()), DISK)),
    "a fetched document type": (
        UNSAFE, "x.ovf", lambda: ovf.envelope(head='<!DOCTYPE Envelope SYSTEM "http://127.0.0.1/x.dtd">'),
    ),
    "a deep document": (FORMAT, "x.ovf", lambda: ovf.envelope("<a>" * 100_000 + "</a>" * 100_000)),
    "a wide document": (LIMIT, "x.ovf", lambda: ovf.envelope("<a/>" * 500_000)),
    "words for all machines": (
        LIMIT, "x.ova", lambda: described(collection(200, name='<Name ovf:msgid="m"/>'), strings=WORDS),
    ),
    "products of a collection": (LIMIT, "x.ova", lambda: described(collection(1000, PRODUCT * 100))),
    "a licence of a collection": (
        LIMIT, "x.ova",
        lambda: described(collection(200, f"<EulaSection><Info/><License>{'x' * 65000}</License></EulaSection>")),
    ),
    "a long id": (LIMIT, "x.ova", lambda: described(ovf.machine(identifier="v" * MIB))),
    "many files": (LIMIT, "x.ova", lambda: described(files="".join(
        f'<File ovf:id="f{n}" ovf:href="f{n}"/>' for n in range(5000)))),
    "many disks": (LIMIT, "x.ova", lambda: described(disks="".join(
        f'<Disk ovf:diskId="d{n}" ovf:capacity="1"/>' for n in range(5000)))),
    "many files of words": (
        LIMIT, "x.ova",
        lambda: ova(
            Entry("web.ovf", ovf.envelope(
                files="".join(f'<File ovf:id="f{n}" ovf:href="m.msg"/>' for n in range(64)),
                strings="".join(f'<Strings ovf:fileRef="f{n}"/>' for n in range(64)),
            )),
            Entry("m.msg", f'<Strings xmlns="{ovf.DMTF}">{" " * MIB}'[: MIB - 10].encode() + b"</Strings>"),
        ),
    ),
    "a name that leads out": (
        UNSAFE, "x.ova", lambda: ova(Entry("web.ovf", ovf.envelope()), Entry("../disk.raw", DATA)),
    ),
}  # fmt: skip


# What opens, and whose disk cannot be read: exit code, how the file is called, what is in it.
UNREADABLE: dict[str, tuple[int, str, Callable[[], bytes]]] = {
    "a disk above": (UNSAFE, "x.ova", lambda: described(files=file("../disk.raw"))),
    "a disk of the system": (UNSAFE, "x.ova", lambda: described(files=file("/etc/passwd"))),
    "a disk elsewhere": (UNSUPPORTED, "x.ova", lambda: described(files=file("http://127.0.0.1/disk.raw"))),
    "a disk over itself": (
        FORMAT, "x.ova",
        lambda: described(
            disks='<Disk ovf:diskId="disk1" ovf:capacity="4096" ovf:fileRef="file1" ovf:parentRef="disk1"/>'),
    ),
    "half a disk, over a file of the system": (
        UNSAFE, "x.ova",
        lambda: ova(
            Entry("web.ovf", ovf.envelope(files=file("disk.raw"), disks=ovf.DISK.replace("4096", "524288"))),
            Entry("disk.raw", vmx.disk({}, cid="0000bbbb", parent="0000aaaa", hint="/etc/passwd")),
        ),
    ),
    "half a disk, over its own image": (
        UNSAFE, "x.ova",
        lambda: ova(
            Entry("web.ovf", ovf.envelope(files=file("disk.raw"), disks=ovf.DISK.replace("4096", "524288"))),
            Entry("disk.raw", vmx.disk({}, cid="0000bbbb", parent="0000aaaa", hint="disk.raw")),
        ),
    ),
    "pieces without end": (
        FORMAT, "x.ova",
        lambda: ova(
            Entry("web.ovf", ovf.envelope(files=file("d", 'ovf:size="1000000000000" ovf:chunkSize="1"'))),
            Entry("d.000000000", b"x"),
        ),
    ),
    "an empty password": (
        USAGE, "x.ova",
        lambda: ova(
            Entry("web.ovf", ovf.citrix("disk.raw", 4096, ovf.security("A" * 64), 'ovf:Id="xen_1"')), DISK
        ),
    ),
    "a delta disk over a file of the system": (
        UNSAFE, "web.vmx", lambda: vmx.text({"scsi0:0.fileName": "delta.vmdk"}),
    ),
    "a disk of the system in a VMX": (UNSAFE, "web.vmx", lambda: vmx.text({"scsi0:0.fileName": "../../etc/passwd"})),
}  # fmt: skip
COMMANDS = (
    ("disk", "convert", "{}", "--format", "raw", "{out}/o.raw"),
    ("bundle", "create", "{}", "--output", "{out}/o.tgz"),
    ("package", "convert", "{}", "{out}/o.xva"),
    ("package", "convert", "{}", "{out}/o.ova"),
    ("package", "convert", "{}", "{out}/o", "--to", "ovf"),
    ("package", "convert", "{}", "{out}/o", "--to", "bundle"),
)
SHOWING = (("package", "show", "{}", "-f", "json"), ("package", "check", "{}", "-f", "json"))


class PackagesTestCase(CliTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.out = self.scratch / "out"
        self.out.mkdir()
        self.source = self.scratch / "source"
        self.source.mkdir()

    def put(self, name: str, data: bytes) -> str:
        path = self.source / name
        path.write_bytes(data)
        return str(path)

    def run_on(self, path: str, words: tuple[str, ...]) -> int:
        """Run a command on a package; what it prints is text for a terminal, or JSON."""
        done = self.run_cli(*(word.format(path, out=self.out) for word in words))
        for line in (done.out + done.err).split("\n"):
            self.assertTrue(line.isprintable(), line[:200])
        if "json" in words and done.out:
            json.loads(done.out)
        return done.code

    def left(self) -> list[str]:
        return sorted(str(path.relative_to(self.out)) for path in self.out.rglob("*"))


@ddt.ddt
class HostileTest(PackagesTestCase):
    @ddt.data(*REFUSED)
    def test_refused(self, name: str) -> None:
        code, called, make = REFUSED[name]
        path = self.put(called, make())
        for words in (SHOWING[0], COMMANDS[3]):
            self.assertEqual(code, self.run_on(path, words), words)
        self.assertEqual([], self.left())

    @ddt.data(*UNREADABLE)
    def test_unreadable(self, name: str) -> None:
        code, called, make = UNREADABLE[name]
        path = self.put(called, make())
        self.put("delta.vmdk", vmx.disk({}, cid="0000bbbb", parent="0000aaaa", hint="/etc/passwd"))
        self.assertEqual(0, self.run_on(path, SHOWING[0]))
        for words in COMMANDS:
            self.assertEqual(code, self.run_on(path, words), words)
        self.assertEqual([], self.left())

    def test_one_disk_in_thousands_of_drives(self) -> None:
        """Each would be written once more."""
        drives = "".join(ovf.item(17, f"d{number}", HostResource="ovf:/disk/disk1") for number in range(5000))
        path = self.put("x.ova", described(ovf.machine(ovf.CPU + drives)))
        self.assertEqual(0, self.run_on(path, SHOWING[0]))
        for words in (COMMANDS[2], (*COMMANDS[4], "--metadata-only"), COMMANDS[5]):
            self.assertEqual(LIMIT, self.run_on(path, words), words)
        self.assertEqual([], self.left())

    def test_a_refused_disk_beside_a_sound_one(self) -> None:
        """It is not left out, unless somebody allows it."""
        path = self.put("web.vmx", vmx.text({
            "scsi0:0.fileName": "../above.vmdk", "scsi0:1.present": "TRUE", "scsi0:1.fileName": "web.vmdk",
        }))  # fmt: skip
        self.put("web.vmdk", vmx.disk({}))
        self.assertEqual(UNSAFE, self.run_on(path, COMMANDS[2]))
        self.assertEqual([], self.left())
        self.assertEqual(LOSS, self.run_on(path, (*COMMANDS[2], "--skip-disk", "1")))

    def test_megabytes_of_one_word(self) -> None:
        """Passwords are looked for in settings: in a time that does not grow with the square of their length."""
        items = "".join(setting(f"PV_args{number}", "a" * 65000) for number in range(100))
        path = self.put("x.ova", described(ovf.machine(ovf.ITEMS + items)))
        self.assertEqual(0, self.run_on(path, SHOWING[0]))

    def test_many_passwords(self) -> None:
        properties = "".join(
            f'<Property ovf:key="k{number}" ovf:type="password" ovf:value="x"/>' for number in range(40_000)
        )
        product = f"<ProductSection><Info/>{properties}</ProductSection>"
        path = self.put("x.ova", described(ovf.machine(more=product)))
        self.assertEqual(0, self.run_on(path, SHOWING[0]))
        self.assertEqual(0, self.run_on(path, (*COMMANDS[3], "--no-verify", "-f", "json")))

    def test_a_manifest_of_blanks(self) -> None:
        manifest = (b"SHA256(web.ovf)=" + b" " * 4000 + b"!\n") * 250
        path = self.put("x.ova", ova(Entry("web.ovf", ovf.envelope()), Entry("web.mf", manifest), DISK))
        self.run_on(path, SHOWING[1])


NAMES = ("../../x", "/etc/x", "-rf", "..", "a\nb", "a\u202eb", "\U00020000" * 200, "x" * 100_000, "")


@ddt.ddt
class NameTest(PackagesTestCase):
    @ddt.data(*range(len(NAMES)))
    def test_name_of_a_machine(self, number: int) -> None:
        """It names files, and the terminal shows it."""

        def edit(objects: list[dict[str, Any]]) -> None:
            objects[0]["snapshot"]["name_label"] = NAMES[number]

        path = self.put("v.xva", xva.make(bytes(KIB), edit=edit))
        before = sorted(os.listdir(self.scratch))
        for words in (COMMANDS[4], ("package", "split", "{}", "{out}/split", "-f", "json"), *SHOWING):
            self.assertEqual(0, self.run_on(path, words), words)
        self.assertEqual(before, sorted(os.listdir(self.scratch)))
        for name in self.left():
            self.assertTrue(name.isprintable() and not os.path.basename(name).startswith(("-", ".")), name)
        self.assertEqual(["o", "split"], sorted(os.listdir(self.out)))

    def test_more_machines_than_are_taken_apart(self) -> None:
        path = self.put("x.ova", described(collection(300)))
        self.assertEqual(LIMIT, self.run_on(path, ("package", "split", "{}", "{out}/split")))
        self.assertEqual([], self.left())


class SourceAsOutputTest(PackagesTestCase):
    """No file of a package is written, and none that is somebody else's, whatever its name."""

    def setUp(self) -> None:
        super().setUp()
        (self.source / "sub").mkdir()
        machine = ovf.machine(name="x")
        self.put("a.ovf", ovf.envelope(machine, files=file("sub/x-disk1.vmdk")))
        self.disk = self.source / "sub" / "x-disk1.vmdk"
        self.disk.write_bytes(DATA)

    def assert_refused(self, *words: str) -> None:
        self.assertEqual(USAGE, self.run_on(str(self.source / "a.ovf"), ("package", "convert", "{}", *words)), words)
        self.assertEqual(DATA, self.disk.read_bytes())
        self.assertEqual([], [path for path in self.scratch.rglob("*") if path.name.startswith(".")])

    def test_folder_of_a_disk(self) -> None:
        self.assert_refused(str(self.source / "sub"), "--to", "ovf", "--force")
        self.assert_refused(str(self.source / "sub" / "x.ovf"), "--force")

    def test_folder_with_a_link_to_a_disk(self) -> None:
        (self.out / "x-disk1.vmdk").symlink_to(self.disk)
        self.assert_refused("{out}", "--to", "ovf", "--force")

    def test_an_image_beside_the_output(self) -> None:
        image = self.source / "sub" / "x-disk1.vmdk"
        words = ("package", "convert", "{}", str(image.parent), "--to", "ovf", "--name", "x", "--force")
        self.assertEqual(USAGE, self.run_on(str(image), words))
        self.assertEqual(DATA, self.disk.read_bytes())

    def test_a_list_that_is_none(self) -> None:
        """What is lost is listed beside the output, but not in place of what has that name already."""
        path = self.put("bad.xva", xva.make(b"x" * MIB, b"y" * MIB, fault="badsum"))
        mine = self.out / "o.ova.lost.txt"
        mine.write_text("mine")
        words = (*COMMANDS[3], "--on-disk-error", "salvage")
        self.assertEqual(USAGE, self.run_on(path, words))
        self.assertEqual("mine", mine.read_text())
        self.assertEqual(["o.ova.lost.txt"], self.left())
        self.assertEqual(LOSS, self.run_on(path, (*words, "--force")))
        self.assertEqual(LOSS, self.run_on(path, (*words, "--force")))

    def test_a_directory_is_not_left(self) -> None:
        path = self.put("bad.xva", xva.make(b"x" * MIB, b"y" * MIB, fault="badsum"))
        for words in (("package", "split", "{}", "{out}/o"), COMMANDS[4], (*COMMANDS[5], "--allow-not-ready")):
            self.assertEqual(FORMAT, self.run_on(path, words), words)
        self.assertEqual([], self.left())

    def test_more_files_than_may_be_open(self) -> None:
        """Each is open until all are whole."""
        path = self.put("big.raw", os.urandom(MIB))
        words = ("package", "merge", "{}", "{}", "{out}/o.ovf", "--chunk-size", "2K", "--disk-format", "vhd")
        self.assertEqual(USAGE, self.run_on(path, words))
        self.assertEqual([], self.left())
