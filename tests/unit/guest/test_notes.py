"""What could not be read."""

from __future__ import annotations

import ddt

from tests.base import TestCase
from xenimage.exceptions import FormatError, LimitError, TransferError, UnsupportedError, XenimageError
from xenimage.guest.notes import Notes, Stopped
from xenimage.model.guest.facts import Unread


@ddt.ddt
class NotesTest(TestCase):
    @ddt.data(FormatError, UnsupportedError, LimitError)
    def test_damage_is_noted_and_the_rest_goes_on(self, kind: type[XenimageError]) -> None:
        notes = Notes()
        with notes.tried("a file"):
            raise kind("is odd", expected="even", where="there")
        self.assertEqual([Unread(what="a file", why="there: is odd, expected even")], notes.unread)

    @ddt.data(Stopped, TransferError, ValueError)
    def test_everything_else_passes(self, kind: type[Exception]) -> None:
        notes = Notes()
        with self.assertRaises(kind), notes.tried("a file"):
            raise kind("x")
        self.assertEqual([], notes.unread)

    def test_the_same_twice_and_very_many(self) -> None:
        notes = Notes()
        for number in range(1000):
            notes.add("a", str(number // 2))
        self.assertEqual(200, len(notes.unread))
        self.assertEqual("199", notes.unread[-1].why)
