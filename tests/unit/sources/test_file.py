"""Files as sources: positions, holes, and what is no file."""

from __future__ import annotations

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from unittest import mock

import ddt

from tests.base import TestCase
from tests.builders.pattern import pattern
from xenimage.exceptions import FormatError, TransferError, UnsafeError, UsageError
from xenimage.sources.file import open_beside, open_file, open_within
from xenimage.units import KIB, MIB

SIZE = 100 * KIB + 7


@ddt.ddt
class FileSourceTest(TestCase):
    def setUp(self):
        super().setUp()
        self.path = self.scratch / "disk.raw"
        self.path.write_bytes(pattern(0, SIZE))

    def opened(self):
        source = open_file(self.path)
        self.addCleanup(source.close)
        return source

    def test_name_and_size(self):
        source = self.opened()
        self.assertEqual((os.fspath(self.path), SIZE), (source.name, source.size))

    @ddt.data((0, 1), (0, SIZE), (SIZE, 0), (SIZE - 1, 1), (12345, 54321))
    @ddt.unpack
    def test_read(self, offset, length):
        self.assertEqual(pattern(offset, length), self.opened().read(offset, length))

    @ddt.data((-1, 1), (0, SIZE + 1), (SIZE, 1), (SIZE + 1, 0), (1 << 62, 1 << 20))
    @ddt.unpack
    def test_outside(self, offset, length):
        with self.assertRaises(FormatError) as caught:
            self.opened().read_into(offset, memoryview(bytearray(min(length, 1 << 20))))
        self.assertIn(f"lie outside the file of {SIZE} bytes", str(caught.exception))
        self.assertEqual(os.fspath(self.path), caught.exception.where)

    def test_became_shorter(self):
        source = self.opened()
        os.truncate(self.path, 1000)
        with self.assertRaises(TransferError) as caught:
            source.read(500, 1000)
        self.assertEqual(
            f"{self.path}: ends at 0x3e8, expected {SIZE} bytes as when it was opened", str(caught.exception)
        )

    def test_read_error(self):
        source = open_file(self.path)
        source.close()
        with self.assertRaises(TransferError):
            source.read(0, 1)

    def test_threads_share_it(self):
        source = self.opened()
        with ThreadPoolExecutor(4) as pool:
            same = pool.map(lambda at: source.read(at, 999) == pattern(at, 999), range(0, SIZE - 999, 501))
            self.assertTrue(all(same))

    def test_never_writes(self):
        before = (self.path.read_bytes(), self.path.stat().st_mtime_ns)
        self.opened().read(0, SIZE)
        self.assertEqual(before, (self.path.read_bytes(), self.path.stat().st_mtime_ns))
        with self.assertRaises(OSError):
            os.pwrite(self.opened()._descriptor, b"x", 0)

    def test_close_twice(self):
        source = self.opened()
        source.close()
        source.close()

    def test_data_without_holes(self):
        source = self.opened()
        self.assertEqual([(0, SIZE)], list(source.data(0, SIZE)))
        self.assertEqual([(5, 10)], list(source.data(5, 10)))
        self.assertEqual([(SIZE - 5, 5)], list(source.data(SIZE - 5, 100)))
        self.assertEqual([], list(source.data(SIZE, 100)))
        self.assertEqual([], list(source.data(5, 0)))

    def test_data_between_holes(self):
        with self.path.open("wb") as file:
            file.truncate(8 * MIB)
            for at in (MIB, 5 * MIB):
                file.seek(at)
                file.write(b"\1" * 64 * KIB)
        source = self.opened()
        self.assertEqual([(MIB, 64 * KIB), (5 * MIB, 64 * KIB)], list(source.data(0, 8 * MIB)))
        self.assertEqual([(MIB + 1, 64 * KIB - 1)], list(source.data(MIB + 1, MIB)))
        self.assertEqual([], list(source.data(2 * MIB, 3 * MIB)))
        self.assertEqual([], list(source.data(7 * MIB, MIB)))

    def test_data_that_was_found_is_not_looked_for_again(self):
        with self.path.open("wb") as file:
            file.write(b"\1" * MIB)
            file.truncate(8 * MIB)
        source = self.opened()
        with mock.patch("os.lseek", wraps=os.lseek) as seek:
            for at in range(0, MIB, 64 * KIB):
                self.assertEqual([(at, 64 * KIB)], list(source.data(at, 64 * KIB)))
            self.assertEqual(2, seek.call_count)
            for at in range(MIB, 8 * MIB, 64 * KIB):
                self.assertEqual([], list(source.data(at, 64 * KIB)))
            self.assertEqual(3, seek.call_count)

    def test_data_of_a_file_that_became_shorter(self):
        source = self.opened()
        os.truncate(self.path, 1000)
        with self.assertRaisesRegex(TransferError, "ends at 0x3e8, expected 102407 bytes as when it was opened"):
            list(source.data(1000, SIZE - 1000))

    def test_data_that_cannot_be_looked_for_is_no_hole(self):
        source = self.opened()
        with (
            mock.patch("os.lseek", side_effect=OSError(errno.EIO, "Input/output error")),
            self.assertRaisesRegex(TransferError, "cannot look for data at 0x5: Input/output error"),
        ):
            list(source.data(5, 10))

    def test_a_file_of_the_kernel(self):
        with self.assertRaisesRegex(UsageError, "has no size: Invalid argument, expected a file or a block device"):
            open_file("/proc/cpuinfo")

    @ddt.data("missing", "directory", "fifo", "/dev/null")
    def test_what_is_no_file(self, kind):
        path = self.scratch / kind
        if kind == "directory":
            path.mkdir()
        elif kind == "fifo":
            os.mkfifo(path)
        before = len(os.listdir("/proc/self/fd"))
        with self.assertRaises(UsageError) as caught:
            open_file(path)
        self.assertEqual(os.fspath(path), caught.exception.where)
        self.assertEqual(before, len(os.listdir("/proc/self/fd")))

    def test_a_link_that_the_user_names_is_followed(self):
        link = self.scratch / "link"
        link.symlink_to(self.path)
        source = open_file(link)
        self.addCleanup(source.close)
        self.assertEqual(SIZE, source.size)


@ddt.ddt
class OpenBesideTest(TestCase):
    def setUp(self):
        super().setUp()
        self.inner = self.scratch / "inner"
        self.inner.mkdir()
        (self.scratch / "secret").write_bytes(b"s")
        (self.inner / "disk-flat.vmdk").write_bytes(b"flat")
        self.path = self.inner / "disk.vmdk"

    def test_beside(self):
        source = open_beside(self.path, "disk-flat.vmdk")
        self.addCleanup(source.close)
        self.assertEqual(b"flat", source.read(0, 4))
        self.assertEqual(os.fspath(self.inner / "disk-flat.vmdk"), source.name)

    @ddt.data("", ".", "..", "../secret", "/etc/passwd", "a/b", "..\\secret", "a\0b", "C:\\x")
    def test_names_that_lead_elsewhere(self, name):
        with self.assertRaises(UnsafeError):
            open_beside(self.path, name)

    def test_link(self):
        (self.inner / "link").symlink_to(self.scratch / "secret")
        with self.assertRaises(UnsafeError) as caught:
            open_beside(self.path, "link")
        self.assertIn("a symbolic link", str(caught.exception))

    def test_link_that_appears_in_between(self):
        (self.inner / "link").symlink_to(self.scratch / "secret")
        real, os.path.islink = os.path.islink, lambda path: False
        try:
            with self.assertRaises(UsageError):
                open_beside(self.path, "link")
        finally:
            os.path.islink = real

    def test_missing(self):
        with self.assertRaises(UsageError):
            open_beside(self.path, "none.vmdk")

    @ddt.data("directory", "fifo")
    def test_no_file(self, kind):
        path = self.inner / kind
        if kind == "directory":
            path.mkdir()
        else:
            os.mkfifo(path)
        with self.assertRaises(UsageError):
            open_beside(self.path, kind)


@ddt.ddt
class WithinTest(TestCase):
    def setUp(self):
        super().setUp()
        (self.scratch / "secret").write_bytes(b"secret")
        self.inner = self.scratch / "package"
        (self.inner / "sub").mkdir(parents=True)
        (self.inner / "sub" / "disk").write_bytes(b"disk")

    def test_below(self):
        source = open_within(self.inner, "sub/disk")
        self.addCleanup(source.close)
        self.assertEqual((b"disk", os.fspath(self.inner / "sub" / "disk")), (source.read(0, 4), source.name))

    @ddt.data("", ".", "..", "../secret", "sub/../../secret", "/etc/passwd", "sub//disk", "sub\\disk", "a\0b", "sub/")
    def test_names_that_lead_elsewhere(self, name):
        self.assertRaises(UnsafeError, open_within, self.inner, name)

    @ddt.data("file", "folder/disk", "sub/disk/more")
    def test_links_and_files_on_the_way(self, name):
        (self.inner / "file").symlink_to(self.scratch / "secret")
        (self.inner / "folder").symlink_to(self.inner / "sub")
        self.assertRaises(UnsafeError, open_within, self.inner, name)

    @ddt.data("none", "none/disk", "sub")
    def test_missing_and_directories(self, name):
        self.assertRaises(UsageError, open_within, self.inner, name)

    def test_a_directory_that_is_missing(self):
        self.assertRaises(UsageError, open_within, self.inner / "none", "disk")

    def test_a_fifo_does_not_block(self):
        os.mkfifo(self.inner / "fifo")
        self.assertRaises(UsageError, open_within, self.inner, "fifo")
