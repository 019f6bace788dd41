"""Damaged guests: always an answer. A sample of what ``tools/fuzz_guests.py`` does at length."""

from __future__ import annotations

import ctypes
import dataclasses
import os
import pathlib
import tempfile
import time
from typing import ClassVar
from unittest import mock

import ddt

from tests.base import TestCase
from tests.builders.guests import damage, fleet
from tests.builders.guests.damage import Image
from xenimage.guest.sandbox import parent

CASES = 30
"""of each kind of disk"""


class FleetTestCase(TestCase):
    """A test with disks that are made once."""

    directory: ClassVar[tempfile.TemporaryDirectory[str]]
    images: ClassVar[dict[str, Image]]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.directory = tempfile.TemporaryDirectory(prefix="xenimage-fleet-")
        cls.addClassCleanup(cls.directory.cleanup)
        cls.images = {}

    def image(self, name: str) -> Image:
        if name not in self.images:
            path = pathlib.Path(self.directory.name) / f"{name}.raw"
            fleet.MAKERS[name](path)
            self.images[name] = Image(name, path)
        return self.images[name]


@ddt.ddt
class DamageTest(FleetTestCase):
    @ddt.data(*fleet.MAKERS)
    def test_there_is_always_an_answer(self, name: str) -> None:
        image = self.image(name)
        self.assertEqual(((), ""), (image.facts.unread, image.facts.stopped))
        self.assertTrue(image.facts.systems)
        outcome = damage.run(image, range(CASES))
        self.assertEqual(([], CASES), (outcome.faults, outcome.cases))
        # Damage that hits nothing proves nothing.
        self.assertLess(outcome.untouched, CASES)

    @ddt.data("windows-bios", "ext4")
    def test_the_sandbox_gives_the_same_answer(self, name: str) -> None:
        image = self.image(name)
        for number in range(5):
            expected = damage.without_cost(damage.answer(image, number))
            found = parent.inspect([damage.damaged(image, number)], damage.LIMITS, [name])
            self.assertEqual(expected, damage.without_cost(found), number)


class HarnessTest(FleetTestCase):
    """What the harness is for, it finds."""

    def run_with(self, answer: object, **limits: float) -> damage.Outcome:
        image = self.image("ext2")
        with mock.patch.multiple(damage, answer=answer, **limits):
            return damage.run(image, range(5))

    def test_a_crash(self) -> None:
        sound = damage.answer
        outcome = self.run_with(lambda image, number: ctypes.string_at(0) if number == 2 else sound(image, number))
        self.assertEqual((["ext2 2: ends its process: -11"], 5), (outcome.faults, outcome.cases))

    def test_a_hang(self) -> None:
        sound = damage.answer
        outcome = self.run_with(
            lambda image, number: time.sleep(60) if number == 1 else sound(image, number),
            GRACE=0.5,
            LIMITS=dataclasses.replace(damage.LIMITS, guest_time=2),
        )
        self.assertEqual((["ext2 1: hangs"], 5), (outcome.faults, outcome.cases))

    def test_an_exception(self) -> None:
        sound = damage.answer
        outcome = self.run_with(lambda image, number: os.stat("/none") if number == 4 else sound(image, number))
        self.assertIn("FileNotFoundError", outcome.faults[0])
        self.assertEqual((1, 5), (len(outcome.faults), outcome.cases))
