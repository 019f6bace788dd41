"""The family: what an error says, and the exit code that it ends with."""

from __future__ import annotations

import inspect
import pickle

import ddt

from tests.base import TestCase
from xenimage import exceptions
from xenimage.exceptions import FormatError, LimitError, NotReadyError, TransferError, UsageError, XenimageError

CODES = {
    "XenimageError": 1, "UsageError": 2, "PasswordError": 2, "ConfigError": 2, "ExtensionError": 2, "FormatError": 3,
    "UnsupportedError": 4, "UnsafeError": 5, "LimitError": 5, "NotReadyError": 6, "TransferError": 7,
}  # fmt: skip


@ddt.ddt
class ErrorTest(TestCase):
    def test_exit_codes(self):
        members = inspect.getmembers(exceptions, lambda each: inspect.isclass(each) and issubclass(each, Exception))
        self.assertEqual(CODES, {name: kind.exit_code for name, kind in members})
        self.assertTrue(all(issubclass(kind, XenimageError) for _, kind in members))

    @ddt.data(
        ({}, "is bad"),
        ({"expected": "good"}, "is bad, expected good"),
        ({"where": "a.vhd"}, "a.vhd: is bad"),
        ({"where": "a.vhd", "expected": "good", "tip": "Mend it."}, "a.vhd: is bad, expected good"),
    )
    @ddt.unpack
    def test_message(self, parts, text):
        error = UsageError("is bad", **parts)
        self.assertEqual(text, str(error))
        self.assertEqual(parts.get("tip", ""), error.tip)

    def test_places_gather_from_inside_out(self):
        error = FormatError("is bad", expected="good")
        self.assertIs(error, error.within("footer"))
        error.within("0.vhd").within("a.tgz")
        self.assertEqual("a.tgz: 0.vhd: footer: is bad, expected good", str(error))

    def test_what_some_carry(self):
        self.assertEqual(5, TransferError("x", done=5).done)
        self.assertIsNone(TransferError("x").done)
        self.assertEqual((1, 2), NotReadyError("x", findings=[1, 2]).findings)

    @ddt.data(
        UsageError("is bad", expected="good", where="here", tip="Do it."),
        LimitError("is 8", expected="at most 7"),
        TransferError("broke", done=7, where="disk"),
        NotReadyError("no", findings=("a",)),
    )
    def test_survives_the_way_from_another_process(self, error):
        again = pickle.loads(pickle.dumps(error))
        self.assertIs(type(error), type(again))
        self.assertEqual(str(error), str(again))
        self.assertEqual(vars(error), vars(again))
