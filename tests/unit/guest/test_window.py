"""Ways to the bytes of a disk."""

from __future__ import annotations

import contextlib
import io

import ddt

from tests.base import TestCase
from tests.builders.guests.tables import Area
from tests.builders.pattern import pattern
from tests.builders.vhd import MemorySource
from xenimage.exceptions import FormatError, LimitError, TransferError
from xenimage.formats.raw import open_raw
from xenimage.guest.notes import Stopped
from xenimage.guest.window import Budget, DiskReader, Part, Window, reason
from xenimage.limits import STRICT, Limits
from xenimage.model.guest.facts import Cost
from xenimage.units import KIB, MIB


class Clock:
    """Seconds as a test sets them."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


class BudgetTest(TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.clock = Clock()
        self.budget = Budget(Limits(guest_bytes=4096, guest_time=10), self.clock)

    def test_what_was_spent(self) -> None:
        self.budget.spend(4000)
        self.budget.spend(96)
        self.clock.now += 2.5
        self.assertEqual(Cost(reads=2, bytes_read=4096, seconds=2.5), self.budget.cost())

    def test_bytes(self) -> None:
        self.budget.spend(4096)
        with self.assertRaisesRegex(Stopped, r"^read 4 KiB of the disks \(limit guest_bytes\)$"):
            self.budget.spend(1)
        self.assertEqual(4096, self.budget.bytes_read)

    def test_seconds(self) -> None:
        self.clock.now += 10
        self.budget.check()
        self.clock.now += 0.1
        with self.assertRaisesRegex(Stopped, r"^took longer than 10 s \(limit guest_time\)$"):
            self.budget.check()


class FailingSource(MemorySource):
    """A source that fails behind its first page."""

    error: Exception = TransferError("cannot read")

    def read_into(self, offset: int, buffer: memoryview) -> None:
        if offset:
            raise self.error
        super().read_into(offset, buffer)


class DiskReaderTest(TestCase):
    size = 10 * MIB + 1000
    content = b""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.content = pattern(0, cls.size)

    def setUp(self) -> None:
        super().setUp()
        self.source = MemorySource(self.content)
        self.budget = Budget(STRICT)
        self.disk = DiskReader(open_raw(self.source, STRICT), self.budget)

    def test_any_range(self) -> None:
        places = (0, 1, 32 * KIB - 1, 32 * KIB, 64 * KIB - 5, MIB, self.size - 3)
        for offset in places:
            for length in (0, 1, 9, 32 * KIB, 32 * KIB + 1, 64 * KIB, 200 * KIB):
                self.assert_same_bytes(
                    self.content[offset : offset + length].ljust(min(length, self.disk.size - offset), b"\0"),
                    self.disk.read(offset, length),
                )
        self.assertEqual(b"", self.disk.read(self.disk.size, 10))
        self.assertEqual(b"", self.disk.read(self.disk.size + 10, 10))
        self.assertEqual(b"", self.disk.read(-5, 10))

    def test_small_reads_beside_each_other_cost_one(self) -> None:
        for offset in range(0, 32 * KIB, 64):
            self.disk.read(offset, 64)
        self.assertEqual((1, 32 * KIB), (self.budget.reads, self.budget.bytes_read))

    def test_a_large_read_takes_what_it_needs(self) -> None:
        self.disk.read(5, MIB)
        self.assertEqual((1, MIB), (self.budget.reads, self.budget.bytes_read))

    def test_what_is_kept_is_bounded(self) -> None:
        for _ in range(2):
            for offset in range(0, 10 * MIB, 32 * KIB):
                self.disk.read(offset, 1)
        self.assertEqual(2 * 320, self.budget.reads)

    def test_the_budget_holds_for_kept_pages_too(self) -> None:
        clock = Clock()
        disk = DiskReader(open_raw(self.source, STRICT), Budget(STRICT, clock))
        disk.read(0, 1)
        clock.now += 31
        with self.assertRaises(Stopped):
            disk.read(0, 1)

    def test_a_source_that_fails_ends_the_inspection(self) -> None:
        disk = DiskReader(open_raw(FailingSource(bytes(MIB), "x.raw"), STRICT), self.budget)
        disk.read(0, 1)
        with self.assertRaisesRegex(Stopped, "^the disk could not be read: cannot read"):
            disk.read(MIB - 1, 1)

    def test_a_damaged_image_does_not(self) -> None:
        source = FailingSource(bytes(MIB), "x.raw")
        source.error = FormatError("points outside")
        with self.assertRaises(FormatError):
            DiskReader(open_raw(source, STRICT), self.budget).read(MIB - 1, 1)


@ddt.ddt
class PartTest(TestCase):
    @ddt.data(
        (10, 20, 0, 5, 10, 15), (10, 20, 15, 50, 25, 30), (10, 500, 0, 500, 10, 100), (10, 20, 20, 5, 0, 0),
        (10, 20, -5, 5, 0, 0), (200, 5, 0, 5, 0, 0), (90, 20, 9, 5, 99, 100),
    )  # fmt: skip
    @ddt.unpack
    def test_it_ends_where_it_ends(self, at: int, size: int, offset: int, length: int, start: int, stop: int) -> None:
        part = Part(Area(bytes(range(100))), at, size)
        self.assertEqual(bytes(range(start, stop)), part.read(offset, length))

    def test_sizes(self) -> None:
        whole = Area(bytes(100))
        self.assertEqual([20, 90, 0], [Part(whole, 10, 20).size, Part(whole, 10, 2**70).size, Part(whole, 101, 5).size])


class WindowTest(TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.window = Window(Area(bytes(range(100))))

    def test_it_is_a_file(self) -> None:
        self.assertEqual((100, 0), (self.window.get_size(), self.window.tell()))
        self.assertEqual(bytes(range(5)), self.window.read(5))
        self.assertEqual(5, self.window.tell())
        self.assertEqual(7, self.window.seek(2, io.SEEK_CUR))
        self.assertEqual(bytes([7, 8]), self.window.read(2))
        self.assertEqual(98, self.window.seek(-2, io.SEEK_END))
        self.assertEqual(bytes([98, 99]), self.window.read(10))
        self.assertEqual(b"", self.window.read(10))
        self.assertEqual(100, self.window.tell())
        self.assertEqual(0, self.window.seek(-5))
        self.assertEqual(100, len(self.window.read()))
        self.assertEqual(500, self.window.seek(500))
        self.assertEqual(b"", self.window.read(1))

    def test_a_read_that_makes_no_sense(self) -> None:
        with self.assertRaisesRegex(FormatError, "99999999999 bytes would have to be read at once"):
            self.window.read(99_999_999_999)

    def test_a_library_that_fails(self) -> None:
        text = "pyx_open: unable to open. libx_volume_read: unsupported version: 9. libx_y: unable to z."
        with self.assertRaises(FormatError) as caught, self.window.calling("a/b"):
            raise OSError(text)
        self.assertEqual("a/b: cannot be read: unsupported version: 9", str(caught.exception))
        with self.assertRaisesRegex(FormatError, "cannot be read: UnicodeEncodeError"), self.window.calling("x"):
            "\ud800".encode()
        with self.assertRaisesRegex(LimitError, "limit guest_memory"), self.window.calling("x"):
            raise MemoryError

    def test_the_windows_own_exception_wins(self) -> None:
        class Broken(Area):
            def read(self, offset: int, length: int) -> bytes:
                raise Stopped("time is up")

        window = Window(Broken(b"x"))
        with self.assertRaisesRegex(Stopped, "^time is up$"), window.calling("x"):
            try:
                window.read(1)
            except Stopped as error:
                raise OSError(f"pyx_read: unable to read. {error!r}") from None

    def test_it_is_forgotten_with_the_next_call(self) -> None:
        with self.window.calling("x"), contextlib.suppress(FormatError):
            self.window.read(99_999_999_999)
        with self.assertRaisesRegex(FormatError, "^x: cannot be read: y$"), self.window.calling("x"):
            raise OSError("libx_a: z. libx_b: y. libx_c: w.")


class ReasonTest(TestCase):
    def test_texts(self) -> None:
        for text, expected in (
            ("pyfsext_a: one. libfsext_b: two: 0x0005. libfsext_c: three.", "two: 0x0005"),
            ("pyfsext_a: one.", "one"),
            ("something else", "OSError"),
            ("", "OSError"),
            ("pyfsext_a: one. libfsext_b: " + "x" * 5000, "one"),
        ):
            self.assertEqual(f"cannot be read: {expected}", reason(OSError(text)))
