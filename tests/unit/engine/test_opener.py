"""From paths to disks: chains of what the user gave, and nothing that an image names."""

from __future__ import annotations

import os
import random
import sys
from unittest import mock

import ddt

from tests.base import TestCase
from tests.builders import qcow2, vhd, vmdk
from tests.builders.pattern import pattern
from xenimage import api
from xenimage.engine.opener import open_chain, open_leaf, open_source
from xenimage.engine.samefile import same_file
from xenimage.exceptions import FormatError, LimitError, UnsafeError, UnsupportedError, UsageError
from xenimage.limits import STRICT, Limits
from xenimage.model.extent import Kind
from xenimage.model.plan import BundleOptions, SourceOptions
from xenimage.streams.gunzip import GunzipSource

KIB64 = 64 << 10
MIB = 1 << 20
SIZE = 4 * MIB
OPENED: list[str] = []
RECORDING = [False]


def audit(event: str, arguments: tuple[object, ...]) -> None:
    if RECORDING[0] and event == "open":
        OPENED.append(str(arguments[0]))


sys.addaudithook(audit)


class OpenerTestCase(TestCase):
    def put(self, name: str, data: bytes | bytearray) -> str:
        path = self.scratch / name
        path.write_bytes(data)
        return str(path)

    def qcow2(self, name: str, form: str = "plain", backing: bytes = b"", seed: int = 0, first: int = 0) -> str:
        forms = ("absent",) * first + (form,)
        state = qcow2.State(size=SIZE, forms=forms, seed=seed)  # type: ignore[arg-type]
        return self.put(name, qcow2.Image(state=state, backing=backing).build())

    def open(self, path: str, *backing: str, limits: Limits = STRICT, **more: object):
        disk = open_source(SourceOptions(path=path, backing=backing, **more), limits)
        self.addCleanup(disk.close)
        return disk

    def read(self, disk, offset=0, length=KIB64) -> bytes:
        buffer = bytearray(length)
        disk.read_into(offset, memoryview(buffer))
        return bytes(buffer)

    def files(self) -> list[str]:
        return os.listdir("/proc/self/fd")


@ddt.ddt
class ChainTest(OpenerTestCase):
    def test_each_disk_answers_where_it_has_something(self):
        base = self.put("base.raw", pattern(0, SIZE, seed=1))
        middle = self.qcow2("middle.qcow2", backing=b"base.raw", seed=2, first=1)
        leaf = self.qcow2("leaf.qcow2", backing=b"middle.qcow2", seed=3)
        disk = self.open(leaf, middle, base)
        self.assertEqual(pattern(0, KIB64, 3), self.read(disk))
        self.assertEqual(pattern(KIB64, KIB64, 2), self.read(disk, KIB64))
        self.assertEqual(pattern(2 * KIB64, KIB64, 1), self.read(disk, 2 * KIB64))
        self.assertEqual({Kind.DATA}, {extent.kind for extent in disk.extents(0, SIZE)})

    def test_closing_it_closes_all(self):
        base = self.put("base.raw", pattern(0, SIZE))
        leaf = self.qcow2("leaf.qcow2", backing=b"base.raw")
        before = self.files()
        disk = open_source(SourceOptions(path=leaf, backing=(base,)), STRICT)
        self.assertEqual(len(before) + 2, len(self.files()))
        disk.close()
        self.assertEqual(before, self.files())

    def refused(self, error: type[Exception], text: str, *paths: str, limits: Limits = STRICT, **more: object):
        before = self.files()
        with self.assertRaisesRegex(error, text) as caught:
            open_source(SourceOptions(path=paths[0], backing=paths[1:], **more), limits)
        self.assertEqual(before, self.files(), "a file stayed open")
        return caught.exception

    def test_a_parent_that_was_not_given(self):
        leaf = self.qcow2("leaf.qcow2", backing=b"base.raw")
        self.put("base.raw", bytes(SIZE))
        error = self.refused(
            UnsafeError,
            "leaf.qcow2: wants the parent 'base.raw', which is not opened on the word of an image, "
            "expected a disk that needs no other, or its parent from you",
            leaf,
        )
        self.assertIn("--backing FILE", error.tip)

    def test_the_parent_of_the_parent(self):
        middle = self.qcow2("middle.qcow2", backing=b"base.raw")
        leaf = self.qcow2("leaf.qcow2", backing=b"middle.qcow2")
        self.refused(UnsafeError, "middle.qcow2: wants the parent 'base.raw'", leaf, middle)

    def test_a_parent_too_many(self):
        leaf, base = self.qcow2("leaf.qcow2"), self.put("base.raw", bytes(SIZE))
        self.refused(UsageError, "leaf.qcow2: wants no parent, but .*base.raw was given", leaf, base)

    def test_a_raw_disk_has_no_parent(self):
        one, two = self.put("one.raw", bytes(SIZE)), self.put("two.raw", bytes(SIZE))
        self.refused(UsageError, "one.raw: wants no parent", one, two)

    def differencing(self, parent: bytes) -> bytes:
        return bytes(
            vhd.Vhd(
                size=SIZE,
                kind=vhd.DIFFERENCING,
                blocks={1: [0]},
                parent=parent,
                locators=vhd.blktap_locators("base.vhd"),
                seed=9,
            )
            .build()
            .data
        )

    def test_the_wrong_parent(self):
        leaf = self.put("leaf.vhd", self.differencing(b"r" * 16))
        right = self.put("right.vhd", vhd.Vhd(size=SIZE, blocks={0: [0]}, identity=b"r" * 16).build().data)
        wrong = self.put("wrong.vhd", vhd.Vhd(size=SIZE, blocks={0: [0]}, identity=b"w" * 16).build().data)
        disk = self.open(leaf, right)
        self.assertEqual(pattern(0, 512), self.read(disk, 0, 512))
        self.assertEqual(pattern(2 * MIB, 512, 9), self.read(disk, 2 * MIB, 512))
        error = self.refused(UnsafeError, "leaf.vhd: its parent is .*, but .*wrong.vhd is ", leaf, wrong)
        self.assertIn("garbage", error.tip)

    @ddt.data("same", "symbolic", "hard", "dotted")
    def test_the_same_file_twice(self, kind):
        leaf = self.qcow2("leaf.qcow2", backing=b"leaf.qcow2")
        other = {"same": leaf, "dotted": os.path.join(self.scratch, ".", "leaf.qcow2")}.get(kind)
        if other is None:
            other = str(self.scratch / "other")
            (os.symlink if kind == "symbolic" else os.link)(leaf, other)
        self.refused(UsageError, "is the same file as .*leaf.qcow2, expected each disk of the chain once", leaf, other)

    def test_a_chain_that_is_too_long(self):
        paths = [self.put(f"{number}.raw", b"x") for number in range(4)]
        self.refused(LimitError, "the number of disks in the chain is 4", *paths, limits=Limits(chain_depth=3))

    def test_a_missing_file(self):
        leaf = self.qcow2("leaf.qcow2", backing=b"base")
        self.refused(UsageError, "missing: cannot be opened: No such file", leaf, str(self.scratch / "missing"))
        self.refused(UsageError, "is a directory, expected a file or a block device", str(self.scratch))

    def test_a_missing_piece_is_as_wrong_as_a_missing_parent(self):
        path = self.put("disk.vmdk", vmdk.descriptor("monolithicFlat", ['RW 2 FLAT "flat.vmdk" 0']))
        error = self.refused(UsageError, "disk.vmdk: line [0-9]+: .*flat.vmdk: cannot be opened: No such file", path)
        self.assertEqual(f"All files of the disk have to lie beside {path}, and be readable.", error.tip)
        leaf = self.qcow2("leaf.qcow2", backing=b"base")
        parent = self.refused(UsageError, "cannot be opened: No such file", leaf, str(self.scratch / "missing"))
        self.assertEqual((2, 2), (error.exit_code, parent.exit_code))

    def test_a_broken_parent(self):
        leaf, base = self.qcow2("leaf.qcow2", backing=b"base"), self.put("base", b"QFI\xfb\0\0\0\3")
        self.refused(FormatError, "", leaf, base)

    def test_a_parent_that_cannot_be_read(self):
        leaf = self.qcow2("leaf.qcow2", backing=b"base")
        state = qcow2.State(size=SIZE)
        base = self.put("base", qcow2.Image(state=state, encryption=1).build())
        self.refused(UnsupportedError, "base", leaf, base)

    def test_options_are_those_of_the_leaf(self):
        taken = qcow2.Taken(identity="1", name="old", state=qcow2.State(size=SIZE, forms=("plain",), seed=5))
        leaf = self.put(
            "leaf", qcow2.Image(state=qcow2.State(size=SIZE, forms=("plain",)), taken=(taken,), backing=b"b").build()
        )
        base = self.put("base.raw", bytes(SIZE))
        self.assertEqual(pattern(0, KIB64, 5), self.read(self.open(leaf, base, format="qcow2", snapshot="old")))
        self.assertEqual(pattern(0, KIB64), self.read(self.open(leaf, base)))
        self.refused(UsageError, "snapshot", base, snapshot="old")

    def test_a_forced_format(self):
        path = self.qcow2("disk.qcow2")
        self.assert_same_bytes(self.read(self.open(path, format="raw"), 0, 4), b"QFI\xfb")
        self.refused(FormatError, "", path, format="vhd")
        self.refused(UsageError, "'bogus' is no format", path, format="bogus")

    @ddt.data(({}, 1), ({"scattered": True}, 0))
    @ddt.unpack
    def test_a_bundle_that_is_read_to_and_fro(self, wishes, from_the_start):
        """Also as the layers of a chain. What is kept of any stream, its first 8 MiB, is not what is read here."""
        raw, bundle = self.put("a.raw", random.Random(1).randbytes(16 * MIB)), str(self.scratch / "a.tgz")
        api.create_bundle(BundleOptions(source=SourceOptions(path=raw), output=bundle, inspect=False))
        source = SourceOptions(path=bundle)
        for opened in (open_source, lambda *words, **more: open_chain(*words, members=True, **more).disks[0]):
            disk = opened(source, STRICT, **wishes)
            self.addCleanup(disk.close)
            self.read(disk, 15 * MIB)
            with mock.patch.object(GunzipSource, "_restart", autospec=True, side_effect=GunzipSource._restart) as begun:
                self.read(disk, 11 * MIB)
            self.assertEqual(from_the_start, sum(call.args[1:] in ((), (None,)) for call in begun.call_args_list))

    def test_a_bundle_is_a_disk(self):
        raw, bundle = self.put("a.raw", pattern(0, SIZE)), str(self.scratch / "a.tgz")
        api.create_bundle(BundleOptions(source=SourceOptions(path=raw), output=bundle))
        for form in (None, "bundle"):
            self.assertEqual(pattern(0, KIB64), self.read(self.open(bundle, format=form)))
        self.refused(UsageError, "a bundle has no internal snapshots", bundle, snapshot="1")
        self.refused(FormatError, "", raw, format="bundle")

    def test_a_leaf_is_shown_without_its_parents(self):
        leaf = self.qcow2("leaf.qcow2", backing=b"base.raw")
        disk = open_leaf(SourceOptions(path=leaf), STRICT)
        self.addCleanup(disk.close)
        self.assertEqual("base.raw", disk.facts.parent.name)

    def test_same_file(self):
        one = self.put("one", b"")
        self.assertTrue(same_file(one, one))
        self.assertFalse(same_file(one, one + "missing"))
        self.assertFalse(same_file(one, self.put("two", b"")))


class DeclaredFormatTest(OpenerTestCase):
    """A qcow2 may say of what format its parent is: that is believed of the file with that name, and of no other."""

    def leaf(self, backing: bytes, kind: bytes) -> str:
        state = qcow2.State(size=SIZE, forms=("absent",))
        return self.put(
            "leaf.qcow2", qcow2.Image(state=state, backing=backing, extensions=((0xE2792ACA, kind),)).build()
        )

    def test_a_raw_disk_that_looks_like_an_image(self):
        inner = self.qcow2("base.img", seed=5)
        disk = self.open(self.leaf(b"/vm/base.img", b"raw"), inner)
        self.assertEqual(b"QFI\xfb", self.read(disk, 0, 4))

    def test_a_base_that_was_converted_meanwhile(self):
        converted = self.qcow2("base.qcow2", seed=5)
        self.assertEqual(pattern(0, KIB64, 5), self.read(self.open(self.leaf(b"base.raw", b"raw"), converted)))

    def test_a_format_that_is_none_of_ours_is_looked_for(self):
        base = self.qcow2("base.vhd", seed=5)
        self.assertEqual(pattern(0, KIB64, 5), self.read(self.open(self.leaf(b"base.vhd", b"vpc"), base)))


@ddt.ddt
class OtherNameTest(OpenerTestCase):
    """A qcow2 keeps nothing of its parent but the name, which is a hint for the user and no more."""

    def findings(self, stored: str, given: str) -> list[tuple[str, str, str]]:
        base = self.put(given, bytes(SIZE))
        leaf = self.qcow2("leaf.qcow2", backing=stored.encode())
        found = self.open(leaf, base).facts.findings
        self.assertLessEqual({each.where for each in found}, {leaf})
        return [(each.code, each.severity.value, each.what.replace(str(self.scratch), "DIR")) for each in found]

    @ddt.data(
        "base.raw", "/vm/base.raw", "../base.raw", "C:\\vm\\base.raw", "file:base.raw", "file:///vm/base.raw",
        "https://host/a/base.raw", 'json:{"driver":"raw","file":{"driver":"file","filename":"/vm/base.raw"}}',
        'json:{"file.filename":"base.raw"}',
    )  # fmt: skip
    def test_the_same_bare_name(self, stored: str) -> None:
        self.assertEqual([], self.findings(stored, "base.raw"))

    @ddt.data("other.raw", "/vm/base.raw/other.raw", "database.raw", "base.raw.old", 'json:{"filename":"database.raw"}')
    def test_another_name(self, stored: str) -> None:
        what = f"The image was made on {stored!r}, and 'DIR/base.raw' was given for it."
        self.assertEqual([("source.backing.other-name", "warning", what)], self.findings(stored, "base.raw"))

    def test_a_name_that_is_no_text(self) -> None:
        base = self.put(os.fsdecode(b"b\xff.raw"), bytes(SIZE))
        state = qcow2.State(size=SIZE)
        leaf = self.put("leaf.qcow2", qcow2.Image(state=state, backing=b"/vm/b\xff.raw").build())
        self.assertEqual((), self.open(leaf, base).facts.findings)

    def test_an_identity_tells_more_than_a_name(self) -> None:
        image = vhd.Vhd(
            size=SIZE,
            kind=vhd.DIFFERENCING,
            parent=b"r" * 16,
            parent_name="base.vhd",
            locators=vhd.blktap_locators("base.vhd"),
        )
        leaf = self.put("leaf.vhd", image.build().data)
        moved = self.put("moved.vhd", vhd.Vhd(size=SIZE, blocks={0: [0]}, identity=b"r" * 16).build().data)
        self.assertEqual((), self.open(leaf, moved).facts.findings)

    def test_the_findings_of_a_chain_name_their_files(self) -> None:
        state = qcow2.State(size=SIZE)
        base = self.put("base", qcow2.Image(state=state, incompatible=2).build())
        leaf = self.put("leaf", qcow2.Image(state=state, incompatible=1, backing=b"old").build())
        disk = self.open(leaf, base)
        expected = [("source.backing.other-name", leaf), ("qcow2.dirty", leaf), ("qcow2.corrupt", base)]
        self.assertEqual(expected, [(each.code, each.where) for each in disk.facts.findings])
        self.assertEqual(bytes(KIB64), self.read(disk))
        self.assertIsNone(disk.unreadable())


class NamesInsideTest(OpenerTestCase):
    """No name in an image is ever opened: watched at the interpreter's own door."""

    SECRET = "/etc/passwd"

    def watch(self, call) -> None:
        OPENED.clear()
        RECORDING[0] = True
        try:
            with self.assertRaises((UnsafeError, FormatError, UsageError)) as caught:
                call()
        finally:
            RECORDING[0] = False
        self.assertNotIn(self.SECRET, OPENED)
        self.assertNotIn(os.path.basename(self.SECRET), [os.path.basename(path) for path in OPENED])
        self.assertTrue(OPENED, "the watcher saw nothing at all")
        self.assertNotIn("root:", str(caught.exception))

    def try_everything(self, path: str) -> None:
        output = str(self.scratch / "out.tgz")
        options = SourceOptions(path=path)
        self.watch(lambda: open_source(options, STRICT))
        self.watch(lambda: api.plan_bundle(BundleOptions(source=options, output=output)))
        self.watch(lambda: api.create_bundle(BundleOptions(source=options, output=output, force=True)))
        self.assertFalse(os.path.exists(output))

    def test_the_backing_file_of_a_qcow2(self):
        for name in (b"/etc/passwd", b"file:///etc/passwd", b'json:{"driver":"raw","file.filename":"/etc/passwd"}'):
            self.try_everything(self.qcow2("evil.qcow2", backing=name))

    def test_the_data_file_of_a_qcow2(self):
        state = qcow2.State(size=SIZE, forms=("plain",))
        image = qcow2.Image(state=state, incompatible=4, extensions=((0x44415441, b"/etc/passwd"),))
        self.try_everything(self.put("evil.qcow2", image.build()))

    def test_the_extent_of_a_vmdk(self):
        for name in ("/etc/passwd", "../../../../../../../../etc/passwd", "..\\etc\\passwd"):
            text = vmdk.descriptor("monolithicFlat", [f'RW 2 FLAT "{name}" 0'])
            self.try_everything(self.put("evil.vmdk", text))

    def test_the_extent_of_a_vmdk_that_must_be_alone(self):
        """Beside the file of one stranger lie those of others, in Glance's staging area."""
        secret = self.put("another-image", b"not yours" * 512)
        text = vmdk.descriptor("monolithicFlat", ['RW 2 FLAT "another-image" 0'])
        options = SourceOptions(path=self.put("evil.vmdk", text), alone=True)
        for act in (
            lambda: open_source(options, STRICT),
            lambda: api.create_bundle(BundleOptions(source=options, output=str(self.scratch / "out.tgz"))),
        ):
            OPENED.clear()
            RECORDING[0] = True
            try:
                with self.assertRaisesRegex(UnsafeError, "consists of several files"):
                    act()
            finally:
                RECORDING[0] = False
            self.assertNotIn(secret, OPENED)

    def test_a_link_beside_a_vmdk(self):
        (self.scratch / "flat.vmdk").symlink_to(self.SECRET)
        text = vmdk.descriptor("monolithicFlat", ['RW 2 FLAT "flat.vmdk" 0'])
        path = self.put("evil.vmdk", text)
        with self.assertRaisesRegex(UnsafeError, "symbolic link"):
            open_source(SourceOptions(path=path), STRICT)

    def test_the_parent_of_a_vmdk(self):
        text = vmdk.descriptor("monolithicSparse", ['RW 8192 SPARSE "evil.vmdk"'], parent="12345678", hint=self.SECRET)
        self.try_everything(self.put("evil.vmdk", vmdk.monolithic({}, 8192, text=text).data))

    def test_the_parent_of_a_vhd(self):
        image = vhd.Vhd(
            size=SIZE,
            kind=vhd.DIFFERENCING,
            parent_name=self.SECRET,
            parent=b"p" * 16,
            locators=vhd.blktap_locators("../../../../../../etc/passwd"),
        )
        self.try_everything(self.put("evil.vhd", image.build().data))
