"""Which kind of package a file is: by its content, never by its name, and not a disk that merely looks like one."""

from __future__ import annotations

import gzip
import lzma
import pathlib
from typing import TYPE_CHECKING

import ddt
import zstandard

from tests.base import TestCase
from tests.builders import bundle, ova, ovf, vmdk, vmx, xva
from tests.builders.pattern import pattern
from tests.unit.containers.xva.test_old import XML as APPLIANCE
from xenimage.containers.registry import kind_of, open_container
from xenimage.exceptions import FormatError, LimitError, UsageError, XenimageError
from xenimage.limits import STRICT
from xenimage.model.plan import PackageChoice
from xenimage.sources.file import open_file

if TYPE_CHECKING:
    from xenimage.containers.base import Container

MIB = 1 << 20
TEXT = ovf.envelope().decode()
UTF16 = TEXT.replace("UTF-8", "UTF-16")
PACKAGES = {
    "ovf": ovf.envelope(),
    "ovf of the draft": ovf.draft(),
    "ovf of citrix": ovf.citrix(),
    "ovf with a mark": b"\xef\xbb\xbf" + ovf.envelope(),
    "ovf without a declaration": ovf.envelope(head=""),
    "ovf behind comments": ovf.envelope(head='<?xml version="1.0"?>\n<!-- <html> -->\n<?x y?>\r\n'),
    "ovf with a prefix": TEXT.replace("<Envelope", "<ovf:Envelope").replace("</Envelope", "</ovf:Envelope").encode(),
    "ovf in UTF-16": UTF16.encode("utf-16"),
    "ovf in UTF-16, big end first": b"\xfe\xff" + UTF16.encode("utf-16-be"),
    "ovf in UTF-16 without a mark": UTF16.encode("utf-16-le"),
    "ovf in UTF-16 without a mark, big end first": UTF16.encode("utf-16-be"),
    "ovf with a document type": ovf.envelope(head='<?xml version="1.0"?><!DOCTYPE Envelope [<!ENTITY a "]>">]>'),
    "xva": xva.make(pattern(0, MIB)),
    "xva of posix": xva.make(pattern(0, MIB), tar="ustar"),
    "xva of gnu": xva.make(pattern(0, MIB), tar="gnu"),
    "xva with gzip": xva.make(pattern(0, MIB), compress="gzip"),
    "xva with zstd": xva.make(pattern(0, MIB), compress="zstd"),
    "xva with xz": lzma.compress(xva.make(pattern(0, MIB))),
    "xva by pzstd": b"\x50\x2a\x4d\x18\4\0\0\0size" + xva.make(pattern(0, MIB), compress="zstd"),
    "xva of metadata": xva.make(),
    "xva of the old form": APPLIANCE.encode(),
    "ova": bundle.tar([bundle.Entry("web.ovf", ovf.envelope())]),
    "ova with another file in front": bundle.tar([bundle.Entry("a", b"x"), bundle.Entry("web.OVF", ovf.envelope())]),
    "ova with gzip": ova.ova(compression="gzip"),
    "ova with xz": ova.ova(compression="xz"),
    "ova with zstd": ova.ova(compression="zstd"),
    "vmx": vmx.text(),
    "vmx of Windows": vmx.text(newline="\r\n"),
}
"""by names that begin with the kind"""
OTHERS = {
    "nothing": b"",
    "a byte": b"<",
    "zeros": bytes(MIB),
    "two bytes of gzip": b"\x1f\x8b",
    "gzip cut short": b"\x1f\x8b\x08",
    "gzip of a disk": gzip.compress(pattern(0, MIB)),
    "gzip of a descriptor": gzip.compress(ovf.envelope()),
    "gzip of damage": gzip.compress(xva.make(pattern(0, MIB)))[:40] + bytes(100),
    "zstd of a disk": zstandard.ZstdCompressor().compress(pattern(0, MIB)),
    "a bundle": bundle.zipped(pattern(0, MIB)),
    "a bundle with a description": gzip.compress(
        bundle.tar([bundle.Entry("0.vhd", bytes(512)), bundle.Entry("ova.xml", xva.Xva(disks=[]).xml())])
    ),
    "a disk with the name of a description": b"ova.xml\0" + pattern(0, MIB),
    "a disk with the name of a descriptor": b"web.ovf\0" + pattern(0, MIB),
    "a disk with a tar's magic": pattern(0, 257) + b"ustar\00000" + pattern(0, MIB),
    "a disk that begins like lzo": b"\x89LZO\0\r\n\x1a\n" + pattern(0, MIB),
    "a disk that begins like bzip2": b"BZh91AY&SY" + pattern(0, MIB),
    "a disk that begins like lzma": b"\x5d\0\0" + pattern(0, MIB),
    "a disk that begins like zstd": b"\x28\xb5\x2f\xfd" + pattern(0, MIB),
    "a disk that begins like XML": b'<?xml version="1.0"?><Envelope ' + bytes(MIB),
    "a disk with a whole descriptor": ovf.envelope() + bytes(MIB),
    "a disk with a descriptor behind zeros": bytes(512) + ovf.envelope() + bytes(MIB),
    "a disk with a descriptor in UTF-16": UTF16.encode("utf-16") + bytes(MIB),
    "a disk with a description": APPLIANCE.encode() + bytes(MIB),
    "a disk with a vmx": vmx.text().ljust(MIB, b"\0"),
    "a page": b"<!DOCTYPE html><html><p>text</p></html>",
    "a page about envelopes": b"<html><Envelope /></html>",
    "a comment about envelopes": b"<!-- <Envelope > --><html/>",
    "a descriptor in a descriptor": b"<Envelopes><Envelope /></Envelopes>",
    "a descriptor of a vmdk": b'# Disk DescriptorFile\nversion=1\ncreateType="monolithicFlat"\n',
    "a vmdk": bytes(vmdk.monolithic({0: pattern(0, 65536)}, 128).data),
}


@ddt.ddt
class KindTest(TestCase):
    def kind(self, data: bytes) -> str:
        # The name says nothing.
        path = self.scratch / "image.ovf"
        path.write_bytes(data)
        source = open_file(path)
        self.addCleanup(source.close)
        return kind_of(source, STRICT)

    @ddt.data(*PACKAGES)
    def test_a_package(self, name: str) -> None:
        self.assertEqual(name[:3], self.kind(PACKAGES[name]))

    @ddt.data(*OTHERS)
    def test_what_is_none(self, name: str) -> None:
        self.assertEqual("", self.kind(OTHERS[name]))

    def test_a_large_descriptor(self) -> None:
        """Only the start is looked at, and cutting a text there breaks nothing."""
        for encoding in ("utf-8", "utf-16"):
            text = TEXT.replace("UTF-8", encoding).replace("<Envelope", "<!--é-->" * 100 + "<Envelope")
            self.assertEqual("ovf", self.kind((text + "<!--" + "ж" * 70_001 + "-->").encode(encoding)))


@ddt.ddt
class OpenTest(TestCase):
    def write(self, data: bytes, name: str = "web.ovf") -> pathlib.Path:
        path = self.scratch / name
        path.write_bytes(data)
        return path

    def opened(self, path: pathlib.Path, kind: str = "") -> Container:
        container = open_container(str(path), STRICT, PackageChoice(), kind=kind)
        self.addCleanup(container.close)
        return container

    @ddt.data(*(name for name in PACKAGES if "document type" not in name))
    def test_it_is_opened_as_what_it_is(self, name: str) -> None:
        path = self.write(PACKAGES[name], "ova.xml" if "old" in name else "any.name")
        for kind in ("", name[:3]):
            package = self.opened(path, kind).package
            self.assertEqual((name[:3], 1), (package.kind, len(package.machines)))

    def test_an_archive_with_a_size_beyond_all_limits(self) -> None:
        path = self.write(bundle.tar([bundle.Entry("web.ovf", size=1 << 60)]))
        self.assertRaises(LimitError, self.opened, path)

    def test_a_document_type_is_refused(self) -> None:
        path = self.write(PACKAGES["ovf with a document type"])
        with self.assertRaises(XenimageError) as caught:
            self.opened(path)
        self.assertEqual(5, caught.exception.exit_code)

    @ddt.data(
        ("ovf", "xva", "is of the kind ovf, expected xva"),
        ("xva", "ovf", "is of the kind xva, expected ovf"),
        ("xva of the old form", "vmx", "is of the kind old xva, expected vmx"),
    )
    @ddt.unpack
    def test_another_kind_than_was_said(self, name: str, kind: str, text: str) -> None:
        path = self.write(PACKAGES[name])
        with self.assertRaises(UsageError) as caught:
            self.opened(path, kind)
        self.assertEqual(f"{path}: {text}", str(caught.exception).partition("\n")[0])

    @ddt.data("zeros", "a bundle", "nothing", "a disk with a whole descriptor")
    def test_no_package(self, name: str) -> None:
        path = self.write(OTHERS[name])
        for kind, expected in (("", "one of ova, ovf, vmx, xva"), ("xva", "xva")):
            with self.assertRaises(FormatError) as caught:
                self.opened(path, kind)
            self.assertEqual(f"{path}: is no package, expected {expected}", str(caught.exception).partition("\n")[0])

    def test_there_is_no_such_file(self) -> None:
        with self.assertRaisesRegex(UsageError, "No such file"):
            self.opened(self.scratch / "missing")

    def test_nothing_stays_open(self) -> None:
        before = set(pathlib.Path("/proc/self/fd").iterdir())
        for name, data in (PACKAGES | OTHERS).items():
            path = self.write(data, "ova.xml")
            try:
                open_container(str(path), STRICT, PackageChoice()).close()
            except XenimageError:
                self.assertTrue(name in OTHERS or "document type" in name, name)
        self.assertEqual(len(before), len(set(pathlib.Path("/proc/self/fd").iterdir())))
