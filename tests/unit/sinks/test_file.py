"""A file appears under its name when it is whole, or not at all."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import threading
import unittest.mock

import ddt

from tests.base import TestCase
from xenimage.exceptions import TransferError, UsageError
from xenimage.sinks.file import FileSink, check_target


class SinkTestCase(TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.target = self.scratch / "out.tgz"

    def sink(self, path=None, **options) -> FileSink:
        sink = FileSink(os.fspath(path or self.target), **options)
        self.addCleanup(sink.close)
        return sink

    def names(self) -> list[str]:
        return sorted(entry.name for entry in self.scratch.iterdir())


@ddt.ddt
class FileSinkTest(SinkTestCase):
    def test_nothing_has_the_name_before_the_commit(self):
        sink = self.sink()
        sink.write([b"abc", memoryview(b"def"), bytearray(b"g")])
        (name,) = self.names()
        self.assertRegex(name, r"^\.out\.tgz\.[0-9a-f]{12}\.xenimage-part$")
        sink.flush()
        sink.commit()
        sink.close()
        self.assertEqual(["out.tgz"], self.names())
        self.assertEqual(b"abcdefg", self.target.read_bytes())

    def test_the_temporary_name_can_be_given(self):
        sink = self.sink(temporary=str(self.scratch / "out.part"))
        sink.write([b"abc"])
        self.assertEqual(["out.part"], self.names())
        sink.flush()
        sink.commit()
        self.assertEqual(["out.tgz"], self.names())

    def test_a_given_temporary_name_that_is_taken(self):
        (self.scratch / "out.part").write_bytes(b"of somebody else")
        with self.assertRaisesRegex(TransferError, "file exists"):
            self.sink(temporary=str(self.scratch / "out.part"))
        self.assertEqual(b"of somebody else", (self.scratch / "out.part").read_bytes())

    def test_closed_without_a_commit_nothing_stays(self):
        sink = self.sink()
        sink.write([b"abc"])
        sink.close()
        sink.close()
        self.assertEqual([], self.names())

    def test_a_write_that_the_disk_lost_early_is_told_in_the_end(self):
        sink = self.sink()
        lost = OSError(errno.EIO, "Input/output error")
        with (
            unittest.mock.patch("xenimage.sinks.file._EARLY", 4),
            unittest.mock.patch("os.fdatasync", side_effect=lost),
        ):
            sink.write([b"abcd"])
            with self.assertRaisesRegex(TransferError, "out.tgz: cannot be written: input/output error"):
                sink.flush()

    def test_patches_what_was_left_out(self):
        sink = self.sink()
        sink.write([b"ab"])
        sink.skip(4)
        sink.write([b"gh"])
        self.assertEqual(8, sink.size)
        sink.patch(2, b"cdef")
        self.assertEqual(8, sink.size)
        sink.write([b"ij"])
        sink.flush()
        sink.commit()
        self.assertEqual(b"abcdefghij", self.target.read_bytes())

    def test_a_skip_at_the_end_is_a_hole(self):
        sink = self.sink()
        sink.write([b"a"])
        sink.skip(1 << 20)
        sink.flush()
        sink.commit()
        self.assertEqual(b"a" + bytes(1 << 20), self.target.read_bytes())

    def test_more_parts_than_one_call_takes(self):
        parts = [bytes([number % 251]) * (number % 7) for number in range(3000)]
        sink = self.sink()
        sink.write(parts)
        sink.commit()
        self.assertEqual(b"".join(parts), self.target.read_bytes())

    @ddt.data(1, 5, 1000)
    def test_a_short_write_is_continued(self, most):
        real_vector, real = os.pwritev, os.pwrite
        sink = self.sink()
        with (
            unittest.mock.patch("os.pwritev", lambda file, parts, at: real_vector(file, [b"".join(parts)[:most]], at)),
            unittest.mock.patch("os.pwrite", lambda file, data, at: real(file, bytes(data[:most]), at)),
        ):
            sink.write([b"abc" * 100, b"defg" * 100])
            sink.skip(9)
            sink.patch(700, b"123456789")
        sink.commit()
        self.assertEqual(b"abc" * 100 + b"defg" * 100 + b"123456789", self.target.read_bytes())

    def test_reads_back_and_duplicates(self):
        sink = self.sink()
        sink.write([b"0123456789"])
        buffer = memoryview(bytearray(6))
        self.assertEqual(6, sink.read_into(2, buffer))
        self.assertEqual(b"234567", bytes(buffer))
        self.assertEqual(2, sink.read_into(8, buffer))
        descriptor = sink.duplicate()
        sink.close()
        self.assertEqual(b"01", os.pread(descriptor, 2, 0))
        os.close(descriptor)

    @ddt.data(0o022, 0o077)
    def test_the_umask_rules(self, mask):
        before = os.umask(mask)
        self.addCleanup(os.umask, before)
        self.sink().commit()
        self.assertEqual(0o666 & ~mask, self.target.stat().st_mode & 0o777)

    @ddt.data("x" * 255, "é" * 127, "日" * 85, "-", " ", "a\nb", "\udcff.tgz")
    def test_any_name_that_the_file_system_takes(self, name):
        path = os.path.join(self.scratch, name)
        sink = self.sink(path)
        sink.write([b"abc"])
        sink.commit()
        self.assertEqual([name], os.listdir(self.scratch))

    def test_a_relative_name(self):
        before = os.getcwd()
        self.addCleanup(os.chdir, before)
        os.chdir(self.scratch)
        sink = self.sink("out.tgz")
        os.chdir("/")
        sink.commit()
        self.assertEqual(["out.tgz"], self.names())

    def test_several_threads_may_patch(self):
        sink = self.sink()
        threads = [
            threading.Thread(target=sink.patch, args=(number * 1000, bytes([number]) * 1000)) for number in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        sink.skip(8000)
        sink.flush()
        sink.commit()
        self.assertEqual(b"".join(bytes([number]) * 1000 for number in range(8)), self.target.read_bytes())


class ExistingTargetTest(SinkTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.target.write_bytes(b"old")

    def test_is_not_replaced(self):
        with self.assertRaises(UsageError) as caught:
            FileSink(os.fspath(self.target))
        self.assertEqual(f"{self.target}: exists already", str(caught.exception))
        self.assertEqual("Use --force to replace it.", caught.exception.tip)
        self.assertEqual(["out.tgz"], self.names())

    def test_is_replaced_by_force_and_at_once(self):
        before = self.target.stat().st_ino
        sink = self.sink(force=True)
        sink.write([b"new"])
        self.assertEqual(b"old", self.target.read_bytes())
        self.assertEqual(before, self.target.stat().st_ino)
        sink.commit()
        self.assertEqual(b"new", self.target.read_bytes())
        self.assertEqual(["out.tgz"], self.names())

    def test_stays_when_the_work_fails(self):
        sink = self.sink(force=True)
        sink.write([b"new"])
        sink.close()
        self.assertEqual(b"old", self.target.read_bytes())
        self.assertEqual(["out.tgz"], self.names())

    def test_that_came_meanwhile_is_not_replaced(self):
        self.target.unlink()
        sink = self.sink()
        self.target.write_bytes(b"somebody else's")
        with self.assertRaisesRegex(UsageError, "exists already"):
            sink.commit()
        sink.close()
        self.assertEqual(b"somebody else's", self.target.read_bytes())
        self.assertEqual(["out.tgz"], self.names())

    def test_without_hard_links_it_is_renamed(self):
        self.target.unlink()
        sink = self.sink()
        sink.write([b"new"])
        with unittest.mock.patch("os.link", side_effect=PermissionError(errno.EPERM, "no hard links here")):
            sink.commit()
        self.assertEqual(b"new", self.target.read_bytes())
        self.assertEqual(["out.tgz"], self.names())


class LinkTargetTest(SinkTestCase):
    """A symbolic link stays one: the file behind it is what is written."""

    def test_to_a_file(self):
        real = self.scratch / "elsewhere" / "real.tgz"
        real.parent.mkdir()
        real.write_bytes(b"old")
        self.target.symlink_to(real)
        with self.assertRaisesRegex(UsageError, "exists already"):
            FileSink(os.fspath(self.target))
        sink = self.sink(force=True)
        self.assertEqual(2, len(os.listdir(real.parent)))
        sink.write([b"new"])
        sink.commit()
        self.assertTrue(self.target.is_symlink())
        self.assertEqual(b"new", real.read_bytes())

    def test_to_nothing_yet(self):
        self.target.symlink_to("real.tgz")
        sink = self.sink()
        sink.write([b"new"])
        sink.commit()
        self.assertEqual(["out.tgz", "real.tgz"], self.names())
        self.assertEqual(b"new", self.target.read_bytes())

    def test_to_itself(self):
        self.target.symlink_to("out.tgz")
        with self.assertRaisesRegex(UsageError, "cannot be a file: too many levels of symbolic links"):
            FileSink(os.fspath(self.target))
        self.assertEqual(["out.tgz"], self.names())


@ddt.ddt
class CheckTargetTest(SinkTestCase):
    @ddt.data("/dev/null", "/dev/full", "/dev/stdin/..", "/")
    def test_what_is_no_file_is_refused_even_with_force(self, path):
        for force in (False, True):
            with self.assertRaises(UsageError):
                check_target(path, force=force)

    def test_a_device(self):
        with self.assertRaisesRegex(UsageError, "/dev/null: is no regular file, expected a file, or - for a pipe"):
            check_target("/dev/null", force=True)

    def test_a_fifo_is_not_opened(self):
        os.mkfifo(self.target)
        with self.assertRaisesRegex(UsageError, "is no regular file"):
            check_target(os.fspath(self.target), force=True)

    def test_a_directory(self):
        with self.assertRaisesRegex(UsageError, "is no regular file"):
            check_target(os.fspath(self.scratch), force=True)

    def test_a_name_that_is_too_long(self):
        with self.assertRaisesRegex(UsageError, "cannot be a file: file name too long"):
            check_target(os.fspath(self.scratch / ("n" * 256)), force=False)

    def test_a_missing_directory(self):
        with self.assertRaisesRegex(UsageError, "/missing: no such directory"):
            check_target(os.fspath(self.scratch / "missing" / "out.tgz"), force=False)

    def test_no_right_to_write(self):
        with (
            unittest.mock.patch("os.access", return_value=False),
            self.assertRaisesRegex(UsageError, "no right to write into the directory"),
        ):
            check_target(os.fspath(self.target), force=False)

    def test_tells_the_real_place_and_touches_nothing(self):
        self.target.symlink_to("real.tgz")
        found = check_target(os.fspath(self.target), force=False)
        self.assertEqual(os.path.realpath(self.scratch / "real.tgz"), found)
        self.assertEqual(["out.tgz"], self.names())


class OrphanTest(SinkTestCase):
    def orphan(self, name=".out.tgz.0123456789ab.xenimage-part"):
        path = self.scratch / name
        path.write_bytes(b"what a killed process left")
        return path

    def test_of_a_dead_process_is_removed(self):
        first, second = self.orphan(), self.orphan(".out.tgz.aaaaaaaaaaaa.xenimage-part")
        self.sink()
        self.assertFalse(first.exists())
        self.assertFalse(second.exists())

    def test_of_a_live_process_is_kept(self):
        alive = self.orphan()
        with alive.open("rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            self.sink()
            self.assertTrue(alive.exists())

    def test_our_own_is_locked_while_we_live(self):
        first = self.sink()
        first.write([b"first"])
        second = self.sink()
        second.write([b"second"])
        self.assertEqual(2, len(self.names()))
        first.commit()
        with self.assertRaisesRegex(UsageError, "exists already"):
            second.commit()
        second.close()
        self.assertEqual(["out.tgz"], self.names())
        self.assertEqual(b"first", self.target.read_bytes())

    def test_of_another_target_is_kept(self):
        other = [self.orphan(".other.tgz.0123456789ab.xenimage-part"), self.orphan(".out.tgz.0123"), self.orphan("out")]
        self.sink()
        self.assertTrue(all(path.exists() for path in other))

    def test_a_link_of_that_name_is_not_followed(self):
        victim = self.scratch / "victim"
        victim.write_bytes(b"precious")
        (self.scratch / ".out.tgz.0123456789ab.xenimage-part").symlink_to(victim)
        self.sink()
        self.assertEqual(b"precious", victim.read_bytes())

    def test_without_locks_it_is_kept(self):
        orphan = self.orphan()
        with unittest.mock.patch("fcntl.flock", side_effect=OSError(errno.ENOLCK, "no locks here")):
            sink = self.sink()
        self.assertTrue(orphan.exists())
        sink.commit()
        self.assertTrue(self.target.exists())


@ddt.ddt
class FailureTest(SinkTestCase):
    @ddt.data(
        (errno.ENOSPC, "no space left on device", "Free some space"),
        (errno.EDQUOT, "disk quota exceeded", "Free some space"),
        (errno.EFBIG, "file too large", "ulimit -f"),
        (errno.EIO, "input/output error", ""),
    )
    @ddt.unpack
    def test_of_the_device_is_told_and_leaves_nothing(self, number, reason, tip):
        sink = self.sink()
        sink.write([b"x" * 1000])
        error = OSError(number, os.strerror(number))
        for name, call in (
            ("os.pwritev", lambda: sink.write([b"abc"])),
            ("os.pwrite", lambda: sink.patch(0, b"abc")),
            ("os.fsync", sink.flush),
            ("os.preadv", lambda: sink.read_into(0, memoryview(bytearray(4)))),
            ("os.link", sink.commit),
        ):
            patches = [unittest.mock.patch(name, side_effect=error)]
            if name == "os.link":
                patches.append(unittest.mock.patch("os.rename", side_effect=error))
            with unittest.mock.patch("os.unlink"), self.subTest(call=name):
                for patch in patches:
                    patch.start()
                try:
                    with self.assertRaises(TransferError) as caught:
                        call()
                finally:
                    for patch in patches:
                        patch.stop()
                self.assertEqual(f"{self.target}: cannot be written: {reason}, after 1000 bytes", str(caught.exception))
                self.assertEqual(1000, caught.exception.done)
                self.assertIn(tip, caught.exception.tip)
                self.assertIs(error, caught.exception.__cause__)
        sink.close()
        self.assertEqual([], self.names())

    def test_a_file_that_may_grow_no_further(self):
        sink = self.sink()
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_FSIZE, limits)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
        with self.assertRaises(TransferError) as caught:
            for _ in range(20):
                sink.write([b"x" * 7000, b"y" * 3001])
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        self.assertEqual(100_000, caught.exception.done)
        self.assertEqual(7, caught.exception.exit_code)
        sink.close()
        self.assertEqual([], self.names())

    def test_to_make_the_temporary_file(self):
        with (
            unittest.mock.patch("os.open", side_effect=OSError(errno.EROFS, "Read-only file system")),
            self.assertRaisesRegex(TransferError, "cannot be written: read-only file system, after 0 bytes"),
        ):
            FileSink(os.fspath(self.target))
        self.assertEqual([], self.names())

    def test_a_directory_that_cannot_be_synced_is_no_failure(self):
        sink = self.sink()
        sink.flush()
        with unittest.mock.patch("os.fsync", side_effect=OSError(errno.EINVAL, "not here")):
            sink.commit()
        self.assertEqual(["out.tgz"], self.names())
