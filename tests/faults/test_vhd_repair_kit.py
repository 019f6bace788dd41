"""The kit of faults, repaired: what it calls repairable keeps all that it held, and nothing is ever lost unsaid."""

from __future__ import annotations

from typing import ClassVar

import ddt

from tests.base import TestCase
from tests.builders import vhdfaults
from tests.builders.bundle import image
from tests.builders.vhd import MemorySource
from xenimage import api
from xenimage.exceptions import NotReadyError, UnsupportedError, XenimageError
from xenimage.formats.vhd.reader import open_vhd
from xenimage.limits import STRICT
from xenimage.model.finding import Severity
from xenimage.model.plan import RepairOptions

FAULTS = {fault.label: fault for fault in vhdfaults.faults()}
ELSEWHERE = {
    # Another disk, or a bitmap in which a bit was cleared: the content is not that of the usual image.
    "batmap: bits that no checksum covers",
    "curr_size 4194304",
    *(f"batmap: full block without sector {sector}" for sector in (0, 2000, 4095)),
}


@ddt.ddt
class KitTest(TestCase):
    contents: ClassVar[dict[str, bytes]] = {}

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.contents |= {kind: image(kind).content() for kind in ("base", "child")}
        cls.addClassCleanup(cls.contents.clear)

    @ddt.data(*(label for label, fault in FAULTS.items() if fault.repairable))
    def test_what_is_repairable_keeps_its_content(self, label: str) -> None:
        FAULTS[label].make(self.scratch / "old.vhd")
        report = api.repair_disk(RepairOptions(path=f"{self.scratch}/old.vhd", output=f"{self.scratch}/new.vhd"))
        self.assertEqual((), report.lost)
        self.assertEqual([], [each for each in report.after if each.severity is Severity.ERROR])
        disk = open_vhd(MemorySource((self.scratch / "new.vhd").read_bytes()), STRICT)
        if label in ELSEWHERE:
            return
        found = bytearray(disk.facts.virtual_size)
        disk.read_into(0, memoryview(found))
        kind = "base" if disk.facts.parent is None else "child"
        self.assert_same_bytes(self.contents[kind], bytes(found))

    @ddt.data(*(label for label, fault in FAULTS.items() if not fault.repairable))
    def test_nothing_is_lost_unsaid(self, label: str) -> None:
        FAULTS[label].make(self.scratch / "old.vhd")
        options = RepairOptions(path=f"{self.scratch}/old.vhd", output=f"{self.scratch}/new.vhd")
        try:
            report = api.repair_disk(options)
        except NotReadyError as error:
            self.assertTrue(error.findings)
        except XenimageError as error:
            self.assertIn(error.exit_code, (3, UnsupportedError.exit_code, 5))
        else:
            self.assertEqual((), report.lost)
            self.assertIn(FAULTS[label].code, {each.code for each in (*report.before, *report.after)})
