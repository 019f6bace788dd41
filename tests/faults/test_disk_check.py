"""The fault kit, file by file: each fault is named and none is called sound; what its writer made right is let pass."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import ddt

from tests.base import TestCase
from tests.builders import vhdfaults
from xenimage import api
from xenimage.engine.kinds import KINDS
from xenimage.model.finding import Severity
from xenimage.model.kind import Mend
from xenimage.model.plan import CheckOptions
from xenimage.model.report import DisksReport, Verdict

if TYPE_CHECKING:
    import pathlib

    from tests.builders.vhdfaults import Fault, Sound

FAULTS = {fault.label: fault for fault in (*vhdfaults.faults(), *vhdfaults.chain_faults())}
SOUND = {each.label: each for each in vhdfaults.sound()}
STREAMED = "xcp-ng"
"""a consumer that reads the content only"""


def check(*paths: pathlib.Path, profile: str = "nova-xenapi", directory: str = "") -> DisksReport:
    return api.check_disks(CheckOptions(paths=tuple(map(str, paths)), profile=profile, directory=directory))


@ddt.ddt
class FaultKitTest(TestCase):
    @ddt.data(*FAULTS)
    def test_named(self, label: str) -> None:
        fault: Fault = FAULTS[label]
        report = check(*fault.make(self.scratch / "leaf.vhd"))
        told = {finding.code: finding.severity.value for finding in reversed(report.findings)}
        self.assertEqual(fault.severity, told.get(fault.code), told)
        if fault.severity != "info":
            self.assertIsNot(Verdict.SOUND, report.verdict)
        if fault.severity == "error":
            self.assertIs(Verdict.NOT_READY, report.verdict)
        for finding in report.findings:
            self.assertTrue(finding.what and finding.why and finding.act, finding)
            self.assertNotRegex(finding.what + finding.why + finding.act, r"\{\w*\}")

    @ddt.data(*SOUND)
    def test_sound(self, label: str) -> None:
        each: Sound = SOUND[label]
        paths = each.make(self.scratch / "leaf.vhd")
        streamed = check(*paths, profile=STREAMED)
        self.assertIsNot(Verdict.NOT_READY, streamed.verdict, streamed.findings)
        kept = check(*paths)
        errors = {finding.code for finding in kept.findings if finding.severity is Severity.ERROR}
        self.assertEqual(each.refused, errors)
        self.assertNotIn("vhd.file.extended", {finding.code for finding in kept.findings})

    def test_what_blktap_made_is_sound(self) -> None:
        for label in ("vhd-util", "vhd-util, empty", "vhd-util, with holes", "vhd-util, a chain"):
            report = check(*SOUND[label].make(self.scratch / "leaf.vhd"))
            self.assertEqual((), report.findings, label)
            self.assertIs(Verdict.SOUND, report.verdict)

    def test_labels_are_different(self) -> None:
        labels = Counter(fault.label for fault in (*vhdfaults.faults(), *vhdfaults.chain_faults()))
        self.assertEqual(1, max(labels.values()), labels.most_common(3))

    def test_the_kit_has_every_kind(self) -> None:
        missing = {code for code in KINDS if code.startswith(("vhd.", "chain."))} - {
            each.code for each in FAULTS.values()
        }
        # Told when a disk is read, repaired or rebased, of what a bundle lacks, of a directory, or in need of no fault.
        elsewhere = {
            "chain.members",
            "chain.orphan",
            "chain.sizes",
            "chain.unreadable",
            "vhd.block.first",
            "vhd.fixed.length",
            "vhd.footer.copy",
            "vhd.footer.data_offset",
            "vhd.footer.end",
            "vhd.footer.geometry_short",
            "vhd.lost",
            "vhd.parent.absent",
            "vhd.parent.forced",
            "vhd.parent.larger",
            "vhd.size.chs",
            "vhd.size.residue",
        }
        self.assertEqual(elsewhere, missing)

    def test_what_is_lost_is_not_repairable(self) -> None:
        for fault in FAULTS.values():
            if fault.repairable:
                self.assertIn(KINDS[fault.code].mend, (Mend.SAFE, Mend.CHOICE), fault.label)
