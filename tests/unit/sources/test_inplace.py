"""A file that is changed where it stands."""

from __future__ import annotations

import errno
import os
import unittest.mock

from tests.base import TestCase
from xenimage.exceptions import FormatError, TransferError, UnsafeError, UsageError
from xenimage.sources.inplace import open_inplace


class InplaceTest(TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.path = self.scratch / "disk"
        self.path.write_bytes(b"0123456789")
        self.file = open_inplace(self.path)
        self.addCleanup(self.file.close)

    def test_what_is_written_is_read_at_once(self) -> None:
        self.file.write(2, b"ab")
        self.assertEqual(b"01ab456789", self.file.read(0, 10))
        self.file.write(12, memoryview(b"xy"))
        self.assertEqual((14, b"89\0\0xy"), (self.file.size, self.file.read(8, 6)))
        self.file.sync()
        self.assertEqual(b"01ab456789\0\0xy", self.path.read_bytes())

    def test_the_length_can_be_set(self) -> None:
        self.file.resize(4)
        self.assertEqual((4, b"0123"), (self.file.size, self.path.read_bytes()))
        with self.assertRaises(FormatError):
            self.file.read(0, 5)
        self.file.resize(6)
        self.assertEqual(b"0123\0\0", self.file.read(0, 6))

    def test_short_writes_go_on(self) -> None:
        real = os.pwrite
        with unittest.mock.patch.object(os, "pwrite", lambda file, data, at: real(file, data[:3], at)):
            self.file.write(1, b"abcdefgh")
        self.assertEqual(b"0abcdefgh9", self.path.read_bytes())

    def test_failures_say_where(self) -> None:
        for name, act, message in (
            ("pwrite", lambda: self.file.write(5, b"x"), "cannot be written at 0x5: no space left on device"),
            ("ftruncate", lambda: self.file.resize(5), "cannot be cut at 0x5: no space left on device"),
            ("fdatasync", self.file.sync, "cannot be written at 0xa: no space left on device"),
        ):
            error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            with unittest.mock.patch.object(os, name, side_effect=error), self.assertRaises(TransferError) as caught:
                act()
            self.assertEqual(f"{self.path}: {message}", str(caught.exception))
            self.assertIs(error, caught.exception.__cause__)

    def test_one_at_a_time(self) -> None:
        with self.assertRaisesRegex(UnsafeError, "is being changed by another process"):
            open_inplace(self.path)
        self.file.close()
        open_inplace(self.path).close()

    def test_a_file_system_without_locks(self) -> None:
        other = self.scratch / "other"
        other.touch()
        with unittest.mock.patch("fcntl.flock", side_effect=OSError(errno.ENOLCK, "no locks")):
            open_inplace(other).close()

    def test_only_files(self) -> None:
        (self.scratch / "link").symlink_to(self.path)
        os.mkfifo(self.scratch / "fifo")
        with self.assertRaises(UnsafeError):
            open_inplace(self.scratch / "fifo")
        for name, number in (("link", errno.ELOOP), ("none", errno.ENOENT), (".", errno.EISDIR)):
            with self.assertRaises(UsageError) as caught:
                open_inplace(self.scratch / name)
            self.assertEqual(number, caught.exception.__cause__.errno)  # type: ignore[union-attr]
