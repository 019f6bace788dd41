"""Folders of VMware that are damaged, or mean harm: each has its own error, and nothing outside is opened."""

from __future__ import annotations

import os
import re
from collections import Counter
from typing import TYPE_CHECKING

import ddt

from tests.base import TestCase
from tests.builders import vmdk
from tests.builders import vmx as build
from xenimage.containers.vmx.package import open_vmx
from xenimage.exceptions import FormatError, UnsafeError, UnsupportedError, UsageError, XenimageError
from xenimage.limits import STRICT
from xenimage.model.transfer import Silent

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GRAINS = vmdk.some_grains([0])
SECRET = b"secret" * 100


def flat(name: str, kind: str = "monolithicFlat") -> bytes:
    return vmdk.descriptor(kind, [f'RW 8 FLAT "{name}" 0'])


def over(hint: str, cid: str = "0000aaaa") -> bytes:
    return build.disk(GRAINS, cid="0000bbbb", parent=cid, hint=hint)


def linked(folder: Path) -> None:
    (folder / "web.vmdk").unlink()
    (folder / "web.vmdk").symlink_to(folder.parent / "secret.vmdk")


def linked_directory(folder: Path) -> None:
    (folder / "sub").symlink_to(folder.parent)


def fifo(folder: Path) -> None:
    (folder / "web.vmdk").unlink()
    os.mkfifo(folder / "web.vmdk")


def directory(folder: Path) -> None:
    (folder / "web.vmdk").unlink()
    (folder / "web.vmdk").mkdir()


def linked_parent(folder: Path) -> None:
    (folder / "base.vmdk").symlink_to(folder.parent / "secret.vmdk")


def gone(folder: Path) -> None:
    (folder / "web.vmdk").unlink()


# Keys, the disk, what is done to the folder, the error and its text behind the path of the VMX.
OUTSIDE = r"names the file {name}, expected a file in the directory of the VMX, or below"
DISKS: tuple[tuple[str, dict[str, str], bytes, Callable[[Path], None] | None, type[XenimageError], str], ...] = (
    ("above", {"fileName": "../secret.vmdk"}, b"", None, UnsafeError, OUTSIDE.format(name=r"'\.\./secret\.vmdk'")),
    ("below and above", {"fileName": "a/../../x"}, b"", None, UnsafeError, OUTSIDE.format(name=r"'a/\.\./\.\./x'")),
    ("absolute", {"fileName": "/etc/passwd"}, b"", None, UnsafeError, OUTSIDE.format(name="'/etc/passwd'")),
    ("windows", {"fileName": "C:\\x.vmdk"}, b"", None, UnsafeError, OUTSIDE.format(name=r"'C:\\\\x\.vmdk'")),
    ("network", {"fileName": "\\\\host\\x"}, b"", None, UnsafeError, OUTSIDE.format(name=r"'\\\\\\\\host\\\\x'")),
    ("windows above", {"fileName": "..\\x"}, b"", None, UnsafeError, OUTSIDE.format(name=r"'\.\.\\\\x'")),
    ("address", {"fileName": "http://h/x"}, b"", None, UnsafeError, OUTSIDE.format(name="'http://h/x'")),
    ("slash", {"fileName": "web.vmdk/"}, b"", None, UnsafeError, OUTSIDE.format(name=r"'web\.vmdk/'")),
    ("dot", {"fileName": "."}, b"", None, UnsafeError, OUTSIDE.format(name=r"'\.'")),
    ("control", {"fileName": "we|00b.vmdk"}, b"", None, UnsafeError,
     "names a file in 9 characters that are no name, expected parts of at most 255 bytes that can be printed"),
    ("long", {"fileName": "x" * 256}, b"", None, UnsafeError,
     "names a file in 256 characters that are no name, expected parts of at most 255 bytes that can be printed"),
    ("deep", {"fileName": "a/" * 20 + "x"}, b"", None, UnsafeError,
     "names a file in 41 characters that are no name, expected parts of at most 255 bytes that can be printed"),
    ("link", {}, b"", linked, UnsafeError,
     r"names 'web\.vmdk', which is or passes a symbolic link, expected a regular file in its own directory"),
    ("link on the way", {"fileName": "sub/secret.vmdk"}, b"", linked_directory, UnsafeError,
     r"names 'sub/secret\.vmdk', which is or passes a symbolic link, expected a regular file in its own directory"),
    ("missing", {}, b"", gone, FormatError,
     r".*/web\.vmdk: cannot be opened: No such file or directory, expected every file of the machine beside its VMX"),
    ("fifo", {}, b"", fifo, FormatError,
     r".*/web\.vmdk: is no file, expected every file of the machine beside its VMX"),
    ("directory", {}, b"", directory, FormatError,
     r".*/web\.vmdk: is a directory, expected every file of the machine beside its VMX"),
    ("empty", {}, b"", None, FormatError, r".*/web\.vmdk: is empty, expected a disk image"),
    ("raw", {}, SECRET, None, FormatError, r".*/web\.vmdk: is raw, expected a VMDK"),
    ("qcow2", {}, b"QFI\xfb" + bytes(600), None, FormatError, r".*/web\.vmdk: is qcow2, expected a VMDK"),
    ("extent above", {}, flat("../secret.vmdk"), None, UnsafeError,
     r".*/web\.vmdk: line 8: names the file '\.\./secret\.vmdk', expected a bare name in its own directory"),
    ("extent is a device", {}, flat("/dev/sda", "fullDevice"), None, UnsafeError,
     r".*/web\.vmdk: fullDevice refers to a device, expected a disk that consists of files"),
    ("extent missing", {}, flat("web-flat.vmdk"), None, FormatError,
     r".*/web\.vmdk: line 8: .*/web-flat\.vmdk: cannot be opened: No such file or directory, expected every file of"
     " the machine beside its VMX"),
    ("parent above", {}, over("../secret.vmdk"), None, UnsafeError,
     r"web\.vmdk: stands on the disk '\.\./secret\.vmdk', expected a bare name in its own directory"),
    ("parent absolute", {}, over("/vmfs/volumes/a/b.vmdk"), None, UnsafeError,
     r"web\.vmdk: stands on the disk '/vmfs/volumes/a/b\.vmdk', expected a bare name in its own directory"),
    ("parent on windows", {}, over("C:b.vmdk"), None, UnsafeError,
     r"web\.vmdk: stands on the disk 'C:b\.vmdk', expected a bare name in its own directory"),
    ("parent without a name", {}, over(""), None, UnsafeError,
     r"web\.vmdk: stands on the disk '', expected a bare name in its own directory"),
    ("parent is the directory", {}, over(".."), None, UnsafeError, OUTSIDE.format(name=r"'\.\.'")),
    ("parent missing", {}, over("base.vmdk"), None, FormatError,
     r".*/base\.vmdk: cannot be opened: No such file or directory, expected every file of the machine beside its VMX"),
    ("parent is a link", {}, over("base.vmdk"), linked_parent, UnsafeError,
     r"names 'base\.vmdk', which is or passes a symbolic link, expected a regular file in its own directory"),
    ("parent is itself", {}, over("web.vmdk"), None, FormatError,
     r"the disk 'web\.vmdk' stands on itself, expected a chain with an end"),
    ("parent changed", {}, over("base.vmdk"), lambda folder: put(folder, build.disk(GRAINS, cid="0000aaab")),
     UnsafeError, r"web\.vmdk: its parent is 0000aaaa, but base\.vmdk is 0000aaab, expected the parent that the disk"
     " was made on, unchanged since"),
    ("cycle", {}, over("base.vmdk", "0000aaaa"), lambda folder: put(
        folder, build.disk(GRAINS, cid="0000aaaa", parent="0000bbbb", hint="web.vmdk")), FormatError,
     r"the disk 'web\.vmdk' stands on itself, expected a chain with an end"),
)  # fmt: skip


def put(folder: Path, base: bytes) -> None:
    (folder / "base.vmdk").write_bytes(base)


@ddt.ddt
class VmxTestCase(TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.folder = self.scratch / "folder"
        self.folder.mkdir()
        (self.scratch / "secret.vmdk").write_bytes(build.disk(GRAINS, cid="0000aaaa"))

    @ddt.data(*DISKS)
    def test_disks(
        self,
        case: tuple[str, dict[str, str], bytes, Callable[[Path], None] | None, type[XenimageError], str],
    ) -> None:
        _name, keys, disk, act, kind, text = case
        before = len(os.listdir("/proc/self/fd"))
        path = build.write(self.folder, {f"scsi0:0.{key}": value for key, value in keys.items()}, web=disk)
        if act is not None:
            act(self.folder)
        package = open_vmx(path, STRICT)
        machine_disk = package.package.machines[0].disks[0]
        for _again in range(2):
            with self.assertRaises(kind) as caught:
                package.disk(machine_disk)
            self.assertRegex(str(caught.exception), f"^{re.escape(str(path))}: {text}$")
            self.assertIs(kind, type(caught.exception))
        told = [finding.code for finding in (*package.package.findings, *package.prove(Silent())[1])]
        self.assertIn("vmx.disk.content", told)
        self.assertEqual(before, len(os.listdir("/proc/self/fd")))

    @ddt.data(
        (b"", FormatError, 'is no VMX, expected lines like config.version = "8"'),
        (b"KDMV" + bytes(600), FormatError, 'is no VMX, expected lines like config.version = "8"'),
        (build.text({"encryption.data": "x"}), UnsupportedError,
         "the machine is encrypted (encryption.data), expected a VMX that can be read"),
    )  # fmt: skip
    def test_texts(self, case: tuple[bytes, type[XenimageError], str]) -> None:
        data, kind, text = case
        path = self.folder / "web.vmx"
        path.write_bytes(data)
        with self.assertRaises(kind) as caught:
            open_vmx(path, STRICT)
        self.assertEqual(f"{path}: {text}", str(caught.exception))

    def test_a_missing_vmx(self) -> None:
        with self.assertRaises(UsageError):
            open_vmx(self.folder / "web.vmx", STRICT)

    def test_as_many_drives_as_there_is_room_for_and_more(self) -> None:
        keys = {f"scsi{number // 99}:{number % 99}.present": "TRUE" for number in range(5000)}
        keys |= {key.replace("present", "fileName"): f"../{number}" for number, key in enumerate(keys)}
        opened = open_vmx(build.write(self.folder, keys), STRICT)
        self.assertEqual(4 * 65, len(opened.package.machines[0].disks))
        self.assertEqual((), opened.package.files)
        for findings in (opened.package.findings, opened.prove(Silent())[1]):
            self.assertEqual(50, max(Counter(finding.code for finding in findings).values()))
