"""VHDs mended where they stand: footers only, the replaced bytes saved, a readable disk wherever it is ended."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import ddt

from tests.base import TestCase
from tests.builders.bundle import NOW
from tests.builders.vhd import CREATORS, DIFFERENCING, FIXED, MemorySource, Vhd, blktap_locators
from xenimage import api
from xenimage.engine import mender
from xenimage.exceptions import FormatError, NotReadyError, UnsafeError, UnsupportedError, UsageError
from xenimage.formats.vhd.reader import open_vhd
from xenimage.limits import STRICT
from xenimage.model.finding import Severity
from xenimage.model.plan import RepairOptions
from xenimage.sources.inplace import InplaceFile

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.builders.vhd import Image
    from xenimage.model.report import RepairReport

MIB = 1 << 20
SIZE = 8 * MIB
DISK = Vhd(size=SIZE, blocks={0: range(128), 2: range(4096)})
CHILD = Vhd(
    size=SIZE, kind=DIFFERENCING, blocks={1: range(8, 100)}, parent=b"\x02" * 16, locators=blktap_locators("base.vhd")
)


def field(name: str, value: int | bytes, **where: bool) -> Callable[[Image], None]:
    return lambda image: image.footer(name, value, **where)


def tail(data: bytes) -> Callable[[Image], None]:
    def change(image: Image) -> None:
        image.data[-512:] = data

    return change


MENDED = {
    "features": field("features", 6),
    "version": field("ff_version", 0x00020000),
    "future": field("timestamp", 0xF0000000),
    "unix time": field("timestamp", NOW),
    "space": field("crtr_app", b"tap "),
    "geometry": field("geometry", 65535 << 16 | 16 << 8 | 255),
    "no geometry": field("geometry", 0),
    "saved": field("saved", 1),
    "hidden": field("hidden", 1),
    "hidden 2": field("hidden", 2),
    "reserved": field("reserved_end", 1),
    "uuid": field("uuid", bytes(16)),
    "original size": field("orig_size", 2 * SIZE),
    "end, checksum": field("checksum", 1, front=False),
    "copy, checksum": field("checksum", 1, end=False),
    "both, checksum": field("checksum", 1),
    "end, cookie": field("cookie", b"garbage!", front=False, seal=False),
    "copy, cookie": field("cookie", b"garbage!", end=False, seal=False),
    "differ": field("timestamp", 5, front=False),
    "end missing": tail(b""),
    "end zeroed": tail(bytes(512)),
    "end of a disk in use": tail(b"\xc7" * 512),
    "last byte missing": lambda image: image.data.__delitem__(-1),
    "junk behind": lambda image: image.data.extend(b"junk" * 25),
    "sectors behind": lambda image: image.data.extend(bytes(1024)),
}
REFUSED = {
    "creator of the future": (NotReadyError, field("crtr_ver", 0x00010004)),
    "no batmap": (NotReadyError, lambda image: image.batmap("cookie", b"garbage!")),
    "header": (NotReadyError, lambda image: image.header("res1", 1)),
    "an entry outside": (NotReadyError, lambda image: image.table(2, 1 << 20)),
    "cut": (NotReadyError, lambda image: image.data.__delitem__(slice(-MIB, None))),
    "much behind": (UnsupportedError, lambda image: image.data.extend(bytes(3 * MIB))),
    "poison": (UnsupportedError, field("cookie", b"v_poison")),
}


class _KilledError(Exception):
    """The process ends here."""


class _Dying(InplaceFile):
    """A file whose user is killed after so many calls."""

    left = 0

    def _count(self) -> None:
        if self.left == 0:
            raise _KilledError
        self.left -= 1

    def write(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        self._count()
        super().write(offset, data)

    def resize(self, size: int) -> None:
        self._count()
        super().resize(size)


@ddt.ddt
class MendTestCase(TestCase):
    """``repair --in-place``."""

    def setUp(self) -> None:
        super().setUp()
        self.path = f"{self.scratch}/disk.vhd"

    def _put(self, image: Image) -> bytes:
        data = bytes(image.data)
        with open(self.path, "wb") as file:
            file.write(data)
        return data

    def _get(self) -> bytes:
        with open(self.path, "rb") as file:
            return file.read()

    def _mend(self, **options: object) -> RepairReport:
        return api.repair_disk(RepairOptions(path=self.path, in_place=True, force=True, **options))  # type: ignore[arg-type]

    @ddt.data(*MENDED)
    def test_mended_and_undone(self, name: str) -> None:
        for disk in (DISK, CHILD):
            image = disk.build()
            sound = bytes(image.data)
            MENDED[name](image)
            damaged = self._put(image)
            report = self._mend()
            self.assertTrue(report.written)
            self.assertEqual([], [each for each in report.after if each.severity is not Severity.INFO])
            data = self._get()
            self.assertEqual(len(sound), len(data))
            self.assertEqual(data[:512], data[-512:])
            self.assert_same_bytes(sound[512:-512], data[512:-512])
            self.assertEqual(self.path, report.path)
            self.assertEqual(len(damaged), api.undo_repair(self.path, report.backup))
            self.assert_same_bytes(damaged, self._get())
            os.unlink(report.backup)

    @ddt.data(*REFUSED)
    def test_refused(self, name: str) -> None:
        error, change = REFUSED[name]
        image = DISK.build()
        change(image)
        damaged = self._put(image)
        with self.assertRaises(error):
            self._mend()
        self.assertEqual(damaged, self._get())
        self.assertEqual(["disk.vhd"], os.listdir(self.scratch))

    @ddt.data("end, checksum", "copy, checksum", "junk behind", "end missing", "hidden", "last byte missing")
    def test_killed(self, name: str) -> None:
        image = DISK.build()
        MENDED[name](image)
        self._put(image)
        report = self._mend()
        mended = self._get()
        deaths = 0
        for left in range(9):
            damaged = self._put(image)
            deaths += self._die(left)
            disk = open_vhd(MemorySource(self._get()), STRICT)
            buffer = bytearray(SIZE)
            disk.read_into(0, memoryview(buffer))
            self.assert_same_bytes(image.content(), bytes(buffer))
            if left == 3:
                api.undo_repair(self.path, report.backup)
                self.assertEqual(damaged, self._get())
        self.assertIn(deaths, (2, 3))
        self.assertEqual(mended, self._get())

    def _die(self, left: int) -> bool:
        """Mend as far as *left* writes go; whether that ended it."""
        before = mender.open_inplace

        def dying(path: str) -> InplaceFile:
            file = _Dying(os.open(path, os.O_RDWR), path)
            file.left = left
            return file

        mender.open_inplace = dying  # type: ignore[assignment]
        try:
            self._mend()
        except _KilledError:
            return True
        finally:
            mender.open_inplace = before
        return False

    def test_nothing_to_mend(self) -> None:
        data = self._put(DISK.build())
        stamp = os.stat(self.path).st_mtime_ns
        self.assertFalse(self._mend().written)
        self.assertEqual(data, self._get())
        self.assertEqual(stamp, os.stat(self.path).st_mtime_ns)
        self.assertEqual(["disk.vhd"], os.listdir(self.scratch))

    def test_in_use(self) -> None:
        image = DISK.build()
        MENDED["end of a disk in use"](image)
        damaged = self._put(image)
        with self.assertRaisesRegex(UnsafeError, "looks as if a host had it attached"):
            api.repair_disk(RepairOptions(path=self.path, in_place=True))
        self.assertEqual(damaged, self._get())

    def test_a_merge_that_was_interrupted(self) -> None:
        image = DISK.build()
        MENDED["end missing"](image)
        damaged = self._put(image)
        (self.scratch / ".disk.vhd.merge.json").write_text("{}")
        with self.assertRaisesRegex(UnsafeError, "Xen Orchestra was merging it"):
            api.repair_disk(RepairOptions(path=self.path, in_place=True))
        self.assertEqual(damaged, self._get())

    def test_dry_run(self) -> None:
        image = DISK.build()
        image.footer("saved", 2)
        damaged = self._put(image)
        report = self._mend(dry_run=True)
        self.assertFalse(report.written)
        self.assertEqual(["vhd.footer.saved"], [each.code for each in report.mendings if each.mended])
        self.assertEqual(damaged, self._get())

    def test_fixed(self) -> None:
        image = Vhd(size=SIZE, kind=FIXED, creator=CREATORS["win"]).build()
        image.footer("saved", 2)
        self._put(image)
        report = self._mend()
        self.assertEqual({"vhd.footer.fixed"}, {each.code for each in report.after})
        self.assertEqual(0, self._get()[-512 + 84])
        self.assert_same_bytes(image.content(), self._get()[:-512])

    def test_other_options(self) -> None:
        self._put(DISK.build())
        for options in ({"output": "x"}, {"size": SIZE}, {"accept_loss": True}):
            with self.assertRaises(UsageError):
                self._mend(**options)

    def test_backup_over_a_link(self) -> None:
        image = DISK.build()
        image.footer("saved", 2)
        damaged = self._put(image)
        backup = self._mend().backup
        victim = self.scratch / "victim"
        for content in (b"precious", None):
            self._put(image)
            os.unlink(backup)
            if content is None:
                victim.unlink()
            else:
                victim.write_bytes(content)
            os.symlink(victim, backup)
            with self.assertRaisesRegex(UnsafeError, "is a symbolic link"):
                self._mend()
            self.assertEqual(damaged, self._get())
            self.assertEqual(content, victim.read_bytes() if victim.exists() else None)

    def test_undo_refuses_another_disk(self) -> None:
        image = DISK.build()
        image.footer("saved", 2)
        self._put(image)
        backup = self._mend().backup
        data = bytearray(self._get())
        data[20] ^= 1
        with open(self.path, "wb") as file:
            file.write(data)
        with self.assertRaisesRegex(UnsafeError, "other bytes stand at 0x0"):
            api.undo_repair(self.path, backup)
        self.assertEqual(data, self._get())

    @ddt.data(b"", b"{}", b"[1]", b'{"format": "xenimage-backup", "version": 2}', b"\xff", b"[" * 9000)
    def test_no_backup(self, text: bytes) -> None:
        data = self._put(DISK.build())
        (self.scratch / "bad").write_bytes(text)
        with self.assertRaises(FormatError):
            api.undo_repair(self.path, f"{self.scratch}/bad")
        self.assertEqual(data, self._get())

    def test_backup_says_what_was_replaced(self) -> None:
        image = DISK.build()
        image.footer("saved", 2)
        damaged = self._put(image)
        with open(self._mend().backup, encoding="ascii") as file:
            record = json.load(file)
        self.assertEqual(("disk.vhd", len(damaged), len(damaged)), (record["file"], record["size"], record["new_size"]))
        for each in record["ranges"]:
            before = bytes.fromhex(each["before"])
            self.assertEqual(damaged[each["offset"] :][: len(before)], before)
