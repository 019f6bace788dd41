"""So many at a time, and room for each."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import tempfile

from tests.base import TestCase
from tests.unit.glance.support import ROOT
from xenimage.glance import slots
from xenimage.glance.errors import RefusedError, UnusableError

HOLDER = """
import sys
sys.path.insert(0, {root!r})
from xenimage.glance import slots
slot = slots.acquire({directory!r}, 1, 0, print)
slot.reserve({needed}, {part!r}, 0)
print("held", flush=True)
sys.stdin.read()
"""


class SlotsTestCase(TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.part = str(self.scratch / "part")
        self.told: list[str] = []

    def acquire(self, count: int = 1, wait: float = 0) -> slots.Slot:
        slot = slots.acquire(str(self.scratch), count, wait, self.told.append)
        self.addCleanup(slot.close)
        return slot

    def other_process(self, needed: int) -> subprocess.Popen[str]:
        code = HOLDER.format(root=ROOT, directory=str(self.scratch), needed=needed, part=self.part)
        process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        assert process.stdout is not None
        self.assertEqual("held\n", process.stdout.readline())
        return process


class SlotTest(SlotsTestCase):
    def test_so_many_and_no_more(self):
        first, _ = self.acquire(2), self.acquire(2)
        with self.assertRaisesRegex(RefusedError, "busy with converting other images"):
            self.acquire(2)
        first.close()
        first.close()
        self.acquire(2)

    def test_waiting_is_told(self):
        self.acquire()
        with self.assertRaises(RefusedError):
            self.acquire(wait=0.1)
        self.assertEqual(["waiting: other images are being converted"], self.told)

    def test_a_slot_is_free_when_its_process_is_gone(self):
        process = self.other_process(1)
        with self.assertRaises(RefusedError):
            self.acquire()
        process.kill()
        process.wait()
        self.acquire()


class RoomTest(SlotsTestCase):
    def setUp(self) -> None:
        super().setUp()
        about = os.statvfs(self.scratch)
        self.free = about.f_bavail * about.f_frsize

    def test_there_is_room(self):
        self.acquire().reserve(1 << 20, self.part, 1 << 20)

    def test_there_is_none(self):
        with self.assertRaises(RefusedError) as caught:
            self.acquire().reserve(2 * self.free, self.part, 0)
        self.assertIn("more than this server has room for now", caught.exception.text)
        self.assertNotIn(str(self.scratch), caught.exception.text)
        self.assertIn(f"{self.scratch}: {2 * self.free} bytes wanted", caught.exception.detail)

    def test_what_has_to_be_left(self):
        with self.assertRaises(RefusedError):
            self.acquire().reserve(1, self.part, 2 * self.free)

    def test_what_another_process_may_write_is_not_free(self):
        process = self.other_process(self.free * 3 // 4)
        slot = self.acquire(2)
        with self.assertRaises(RefusedError):
            slot.reserve(self.free // 2, self.part, 0)
        process.kill()
        process.wait()
        slot.reserve(self.free // 2, self.part, 0)

    def test_what_is_written_already_counts_once(self):
        self.other_process(64 << 20)
        (path,) = [each for each in self.scratch.glob("xenimage.slot.*") if b"needed" in each.read_bytes()]
        device = os.stat(self.scratch).st_dev
        self.assertEqual(64 << 20, slots._remaining(str(path), device))
        pathlib.Path(self.part).write_bytes(os.urandom(16 << 20))
        os.sync()
        self.assertEqual(48 << 20, slots._remaining(str(path), device) & ~0xFFFFF)
        self.assertEqual(0, slots._remaining(str(path), device + 1))

    def test_a_note_that_makes_no_sense_counts_nothing(self):
        path = self.scratch / "xenimage.slot.9"
        device = os.stat(self.scratch).st_dev
        for text in ("", "{", "[]", json.dumps({"device": device}), json.dumps({"device": device, "needed": "x"})):
            path.write_text(text)
            self.assertEqual(0, slots._remaining(str(path), device), text)


class DirectoryTest(SlotsTestCase):
    def test_the_configured_ones(self):
        directory = str(self.scratch)
        self.assertEqual(directory, slots.directory_for(directory, {"lock_path": "/nowhere"}))
        self.assertEqual(directory, slots.directory_for(None, {"lock_path": directory}))

    def test_a_missing_one(self):
        with self.assertRaises(UnusableError) as caught:
            slots.directory_for("/nowhere", {})
        self.assertEqual("lock_path /nowhere is no directory", caught.exception.detail)

    def test_one_of_our_own(self):
        kept = tempfile.tempdir
        tempfile.tempdir = str(self.scratch)
        self.addCleanup(setattr, tempfile, "tempdir", kept)
        path = slots.directory_for(None, {})
        self.assertEqual(0o700, os.stat(path).st_mode & 0o777)
        self.assertEqual(path, slots.directory_for(None, {}))
        os.rmdir(path)
        os.symlink("/", path)
        with self.assertRaises(UnusableError):
            slots.directory_for(None, {})
