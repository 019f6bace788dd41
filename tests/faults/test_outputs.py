"""Outputs that may not be, and bundles that are not what they should be: refused, and nothing is left or lost."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import pathlib
import random
import threading
import unittest.mock

import ddt

from tests.base import TestCase
from tests.builders import qcow2, vmdk
from tests.builders.bundle import Entry, image, packed
from xenimage import api
from xenimage.containers.bundle.writer import BundleWriter
from xenimage.exceptions import FormatError, NotReadyError, UsageError, XenimageError
from xenimage.model.plan import BundleOptions, Compression, ConvertOptions, SourceOptions
from xenimage.sinks.file import FileSink

MIB = 1 << 20
CONTENT = random.Random(12).randbytes(3 * MIB) + bytes(2 * MIB) + b"end".ljust(MIB, b"\0")


class OutputTestCase(TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.source = self.scratch / "disk.raw"
        self.source.write_bytes(CONTENT)
        self.output = self.scratch / "out.tgz"

    def options(self, **wishes: object) -> BundleOptions:
        options = BundleOptions(source=SourceOptions(path=str(self.source)), output=str(self.output))
        return dataclasses.replace(options, **wishes)

    def state(self) -> dict[str, str]:
        """Name and sum of every file."""
        files = (path for path in self.scratch.rglob("*") if path.is_file())
        return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    def assert_refused(self, error: type[XenimageError], text: str, **wishes: object) -> XenimageError:
        """Refused with *text*, and every file is as before."""
        before = self.state()
        with self.assertRaisesRegex(error, text) as caught:
            api.create_bundle(self.options(**wishes))
        self.assertEqual(before, self.state())
        return caught.exception


@ddt.ddt
class SourceAsOutputTest(OutputTestCase):
    """The source is never written, whatever its other names are, not even with force."""

    @ddt.data(False, True)
    def test_the_same_name(self, force):
        self.assert_refused(
            UsageError, "is the source .*disk.raw, expected another", output=str(self.source), force=force
        )

    @ddt.data("symbolic", "hard")
    def test_another_name(self, kind):
        other = self.scratch / "other"
        if kind == "symbolic":
            other.symlink_to(self.source)
        else:
            other.hardlink_to(self.source)
        self.assert_refused(UsageError, "is the source", output=str(other), force=True)
        convert = ConvertOptions(
            source=SourceOptions(path=str(self.source)), output=str(other), format="raw", force=True
        )
        with self.assertRaisesRegex(UsageError, "is the source"):
            api.convert_disk(convert)
        self.assertEqual(CONTENT, self.source.read_bytes())

    def test_a_way_through_a_directory_that_is_missing(self):
        """The kernel finds no such file, but a sink that resolves the name would."""
        other = self.scratch / "missing" / ".." / self.source.name
        self.assert_refused(UsageError, "is the source", output=str(other), force=True)
        convert = ConvertOptions(
            source=SourceOptions(path=str(self.source)), output=str(other), format="raw", force=True
        )
        with self.assertRaisesRegex(UsageError, "is the source"):
            api.convert_disk(convert)
        self.assertEqual(CONTENT, self.source.read_bytes())

    def test_a_parent(self):
        leaf = qcow2.Image(state=qcow2.State(size=len(CONTENT)), backing=b"disk.raw").write(self.scratch / "leaf.qcow2")
        source = SourceOptions(path=str(leaf), backing=(str(self.source),))
        self.assert_refused(UsageError, "is the source", source=source, output=str(self.source), force=True)

    @ddt.data("itself", "symbolic", "hard")
    def test_a_layer(self, kind):
        state = qcow2.State(size=len(CONTENT))
        leaf = qcow2.Image(state=state, backing=b"base.qcow2").write(self.scratch / "leaf.qcow2")
        base = qcow2.Image(state=state).write(self.scratch / "base.qcow2")
        before = [leaf.read_bytes(), base.read_bytes()]
        directory = self.scratch
        if kind != "itself":
            directory = self.scratch / "out"
            directory.mkdir()
            if kind == "symbolic":
                (directory / "leaf.qcow2").symlink_to(base)
            else:
                (directory / "leaf.qcow2").hardlink_to(base)
        options = ConvertOptions(
            source=SourceOptions(path=str(leaf), backing=(str(base),)),
            output=str(directory),
            format="qcow2",
            layers=True,
            force=True,
        )
        for ask in (api.plan_layers, api.convert_layers):
            with self.assertRaisesRegex(UsageError, "is the source"):
                ask(options)
        self.assertEqual(before, [leaf.read_bytes(), base.read_bytes()])

    def test_a_member(self):
        bundle = self.scratch / "0.vhd"
        bundle.write_bytes(packed(Entry("0.vhd", bytes(image().data))))
        before = bundle.read_bytes()
        with self.assertRaisesRegex(UsageError, "is the source"):
            api.extract_bundle(str(bundle), str(self.scratch), force=True)
        self.assertEqual(before, bundle.read_bytes())

    def test_an_extent(self):
        """A file that the source names, and that lies beside it, belongs to it."""
        text = vmdk.descriptor("monolithicFlat", [f'RW {len(CONTENT) // 512} FLAT "disk.raw" 0'])
        named = self.scratch / "disk.vmdk"
        named.write_bytes(text)
        source = SourceOptions(path=str(named))
        self.assert_refused(UsageError, "is the source", source=source, output=str(self.source), force=True)
        convert = ConvertOptions(source=source, output=str(self.source), format="raw", force=True)
        with self.assertRaisesRegex(UsageError, "is the source"):
            api.convert_disk(convert)
        self.assertEqual(CONTENT, self.source.read_bytes())

    def test_a_missing_source_is_told_as_such(self):
        missing = SourceOptions(path=str(self.scratch / "missing"))
        self.assert_refused(UsageError, "missing: cannot be opened: No such file", source=missing)


class RefusedOutputTest(OutputTestCase):
    """Known before the source is opened: a wrong output is told first, however long the source takes."""

    def setUp(self) -> None:
        super().setUp()
        patcher = unittest.mock.patch("xenimage.engine.bundler.open_whole", side_effect=AssertionError("was opened"))
        patcher.start()
        self.addCleanup(patcher.stop)

    def test_exists_already(self):
        self.output.write_bytes(b"old")
        self.assertIn("--force", self.assert_refused(UsageError, "out.tgz: exists already").tip)

    def test_a_directory(self):
        self.assert_refused(UsageError, "is no regular file", output=str(self.scratch), force=True)

    def test_a_device(self):
        self.assert_refused(UsageError, "is no regular file", output="/dev/null", force=True)

    def test_a_missing_directory(self):
        self.assert_refused(UsageError, "no such directory", output=str(self.scratch / "missing" / "out.tgz"))

    def test_a_pipe_that_shall_be_read_back(self):
        self.assert_refused(UsageError, "a pipe cannot be read back", output="-", verify=True)


@ddt.ddt
class VerifyTest(OutputTestCase):
    """What ``verify`` is for: the machine, the disk or we ourselves went wrong."""

    def damage(self, place: int):
        """Have a byte of the temporary file changed behind the writer's back."""
        real = FileSink.flush

        def flush(sink: FileSink) -> None:
            at = place if place >= 0 else sink.size + place
            buffer = memoryview(bytearray(1))
            sink.read_into(at, buffer)
            sink.patch(at, bytes([buffer[0] ^ 0xFF]))
            real(sink)

        return unittest.mock.patch.object(FileSink, "flush", flush)

    @ddt.data(0, 3, 20, 600, 5000, 1_000_000, -4, -8, -1)
    def test_a_damaged_output_does_not_get_the_name(self, place):
        for compression in (Compression.STORE, Compression.FAST):
            with self.damage(place):
                before = self.state()
                with self.assertRaises((FormatError, NotReadyError)):
                    api.create_bundle(self.options(verify=True, compression=compression))
                self.assertEqual(before, self.state())

    def test_a_source_that_changed_meanwhile(self):
        real = BundleWriter.finish

        def finish(writer: BundleWriter, uuids: list[bytes]) -> None:
            with self.source.open("r+b") as stream:
                stream.seek(0x100123)
                stream.write(b"changed!")
            real(writer, uuids)

        with (
            unittest.mock.patch.object(BundleWriter, "finish", finish),
            self.assertRaisesRegex(NotReadyError, "differs from its source at 0x100123") as caught,
        ):
            api.create_bundle(self.options(verify=True))
        self.assertEqual(6, caught.exception.exit_code)
        self.assertIn("Was the source changed meanwhile?", caught.exception.tip)
        self.assertEqual([self.source], list(self.scratch.iterdir()))

    def test_an_old_output_stays(self):
        self.output.write_bytes(b"old")
        with self.damage(5000), self.assertRaises((FormatError, NotReadyError)):
            api.create_bundle(self.options(verify=True, force=True))
        self.assertEqual(b"old", self.output.read_bytes())

    @ddt.data(*Compression)
    def test_a_good_output_passes(self, compression):
        report = api.create_bundle(self.options(verify=True, compression=compression))
        self.assertTrue(report.verified)
        self.assertEqual(os.path.getsize(self.output), report.receipt.size)


class SomebodyElseTest(OutputTestCase):
    def test_took_the_name_meanwhile(self):
        real = BundleWriter.finish

        def finish(writer: BundleWriter, uuids: list[bytes]) -> None:
            self.output.write_bytes(b"somebody else's")
            real(writer, uuids)

        with (
            unittest.mock.patch.object(BundleWriter, "finish", finish),
            self.assertRaisesRegex(UsageError, "exists already"),
        ):
            api.create_bundle(self.options())
        self.assertEqual(b"somebody else's", self.output.read_bytes())
        self.assertEqual({"disk.raw", "out.tgz"}, {path.name for path in self.scratch.iterdir()})

    def test_threads_and_descriptors_are_given_back(self):
        before = sorted(os.listdir("/proc/self/fd")), threading.active_count()
        for verify in (False, True):
            api.create_bundle(self.options(verify=verify, force=True, jobs=4))
        with (
            unittest.mock.patch.object(BundleWriter, "end", side_effect=RuntimeError("ours")),
            self.assertRaises(RuntimeError) as caught,
        ):
            api.create_bundle(self.options(force=True, jobs=4))
        self.assertIsNotNone(caught.exception)
        self.assertEqual(before, (sorted(os.listdir("/proc/self/fd")), threading.active_count()))
        self.assertEqual({pathlib.Path(self.source), self.output}, set(self.scratch.iterdir()))
