from __future__ import annotations

import dataclasses
import unittest
from typing import Any

import ddt

from tests.builders.bundle import MTIME, NOW
from tests.unit.checks.test_naming import members
from xenimage.checks.bundle import check_facts, judge
from xenimage.checks.naming import numbered
from xenimage.model.finding import Finding, Severity
from xenimage.model.report import BundleFacts, Member, Verdict, VhdFacts
from xenimage.profiles import registry

GIB = 1 << 30
VHD = VhdFacts(
    variant="dynamic",
    creator="tap 1.3",
    uuid="base",
    virtual_size=GIB,
    original_size=GIB,
    geometry="2080/16/63",
    timestamp="2000-01-01T00:00:00Z",
    hidden=0,
    saved=0,
    features=2,
    block_size=2 << 20,
    blocks=512,
    allocated=0,
    batmap="1.2",
    parent_uuid="",
    parent_name="",
    file_size=5120,
)


def facts(
    *names: str, vhd: dict[str, Any] | None = None, member: dict[str, Any] | None = None, **more: Any
) -> BundleFacts:
    """A bundle of sound members; the values of *member* and *vhd* hold for all of them."""
    present = []
    for each in members(*names):
        changed: dict[str, Any] = {"mtime": MTIME, **(member or {})}
        if each.name.endswith(".vhd"):
            changed["vhd"] = dataclasses.replace(VHD, **(vhd or {}))
        present.append(dataclasses.replace(each, **changed))
    return of(tuple(present), **more)


def of(present: tuple[Member, ...], **more: Any) -> BundleFacts:
    chain = numbered(present)
    return BundleFacts(
        path="x.tar.gz",
        size=1000,
        inflated_size=20480,
        members=present,
        chain=tuple(each.name for each in chain),
        virtual_size=chain[0].vhd.virtual_size if chain and chain[0].vhd else 0,
        min_disk=1,
        **more,
    )


def check(given: BundleFacts, profile: str = "nova-xenapi") -> list[Finding]:
    return check_facts(given, registry.get_profile(profile), NOW)


def codes(given: BundleFacts, profile: str = "nova-xenapi") -> set[str]:
    return {finding.code for finding in check(given, profile)}


def severities(given: BundleFacts, code: str, profile: str = "nova-xenapi") -> set[Severity]:
    return {finding.severity for finding in check(given, profile) if finding.code == code}


@ddt.ddt
class CheckFactsTest(unittest.TestCase):
    def test_sound_for_every_profile(self) -> None:
        for profile in registry.all_profiles():
            self.assertEqual([], check(facts("0.vhd"), profile), profile)

    @ddt.data(
        ({"gzip_trailing": 4}, "bundle.gzip.trailing", Severity.ERROR),
        ({"gzip_members": 2}, "bundle.gzip.members", Severity.INFO),
        ({"tar_ended": False}, "bundle.tar.unended", Severity.WARNING),
        ({"tar_trailing": 20480}, "bundle.tar.trailing", Severity.WARNING),
        ({"tar_trailing": 1 << 20}, "bundle.tar.trailing", Severity.ERROR),
    )
    @ddt.unpack
    def test_stream(self, more: dict[str, Any], code: str, severity: Severity) -> None:
        self.assertEqual({severity}, severities(facts("0.vhd", **more), code))

    def test_padding_of_a_tar_record_is_fine(self) -> None:
        self.assertEqual(set(), codes(facts("0.vhd", tar_trailing=9728)))

    @ddt.data(
        (["foo.vhd", "readme"], "bundle.name.none"),
        (["0.VHD"], "bundle.name.none"),
        (["0.VHD"], "bundle.name.case"),
        (["x/0.vhd"], "bundle.name.subdirectory"),
        ([], "bundle.name.none"),
        (["1.vhd", "2.vhd"], "bundle.name.none"),
        (["0.vhd", "2.vhd"], "bundle.name.sequence"),
        (["0.vhd", "00.vhd"], "bundle.name.sequence"),
        (["0.vhd", "foo.vhd"], "bundle.name.sequence"),
        (["0.vhd", "d.vhd/"], "bundle.name.sequence"),
        (["0.vhd", "._0.vhd"], "bundle.name.appledouble"),
        (["0.vhd", "snap.vhd"], "bundle.name.overwritten"),
        (["0.vhd", "0.vhd"], "bundle.name.repeated"),
        (["../0.vhd"], "bundle.name.escape"),
        ([f"{number}.vhd" for number in range(17)], "bundle.name.many"),
    )
    @ddt.unpack
    def test_wrong_names(self, names: list[str], code: str) -> None:
        self.assertEqual({Severity.ERROR}, severities(facts(*names), code))

    def test_names_that_some_consumers_take(self) -> None:
        for names in (["foo.vhd"], ["image.vhd"], ["image.vhd", "base.vhd"]):
            self.assertEqual({Severity.WARNING}, severities(facts(*names), "bundle.name.old", "nova-xenapi"))
            self.assertEqual({Severity.ERROR}, severities(facts(*names), "bundle.name.old", "cinder"))

    def test_extra_members(self) -> None:
        for names in (["./", "./0.vhd"], ["0.vhd", "readme.txt"], ["0.vhd", "swap.vhd"]):
            given = facts(*names)
            self.assertEqual({Severity.INFO}, severities(given, "bundle.member.extra", "nova-xenapi"))
            self.assertEqual({Severity.ERROR}, severities(given, "bundle.member.extra", "nova-vdi-stream"))

    def test_chain_at_a_consumer_of_single_disks(self) -> None:
        given = facts("0.vhd", "1.vhd", vhd={"variant": "differencing", "parent_uuid": "base"})
        self.assertNotIn("bundle.name.many", codes(given))
        self.assertIn("bundle.name.many", codes(given, "nova-vdi-stream"))

    @ddt.data(
        ({"kind": "symbolic link"}, "bundle.member.link", Severity.ERROR),
        ({"kind": "hard link"}, "bundle.member.link", Severity.ERROR),
        ({"kind": "fifo"}, "bundle.member.special", Severity.ERROR),
        ({"kind": "sparse file"}, "bundle.member.sparse", Severity.ERROR),
        ({"mode": 0}, "bundle.member.mode", Severity.WARNING),
        ({"mode": 0o4755}, "bundle.member.mode", Severity.WARNING),
        ({"owner": "1000:1000"}, "bundle.member.owner", Severity.INFO),
        ({"header": "pax"}, "bundle.member.pax", Severity.INFO),
        ({"size": 9 * GIB}, "bundle.member.size", Severity.WARNING),
        ({"mtime": 0}, "bundle.member.mtime", Severity.INFO),
        ({"name": "/0.vhd"}, "bundle.name.absolute", Severity.WARNING),
    )
    @ddt.unpack
    def test_member(self, member: dict[str, Any], code: str, severity: Severity) -> None:
        self.assertEqual({severity}, severities(facts("0.vhd", member=member), code))

    def test_no_vhd(self) -> None:
        given = facts("0.vhd")
        given = of((dataclasses.replace(given.members[0], vhd=None),))
        self.assertEqual({"bundle.member.data"}, codes(given))

    def test_time_of_the_base(self) -> None:
        child = {"variant": "differencing", "parent_uuid": "base"}
        for mtime in (0, MTIME - 1, NOW + 5000):
            given = facts("0.vhd", "1.vhd", vhd=child, member={"mtime": mtime})
            self.assertEqual({Severity.INFO, Severity.ERROR}, severities(given, "bundle.member.mtime"))

    def test_too_large(self) -> None:
        self.assertEqual({"bundle.size.max"}, codes(facts("0.vhd", vhd={"virtual_size": 2041 * GIB})))

    def test_links(self) -> None:
        def chain(**child: Any) -> BundleFacts:
            leaf = {"variant": "differencing", "parent_uuid": "base", **child}
            given = facts("0.vhd", "1.vhd")
            upper = dataclasses.replace(given.members[0], vhd=dataclasses.replace(VHD, **leaf))
            return of((upper, given.members[1]))

        self.assertEqual(set(), codes(chain()))
        self.assertEqual({"bundle.chain.type"}, codes(chain(variant="dynamic")))
        self.assertEqual({"bundle.chain.uuid"}, codes(chain(parent_uuid="other")))
        self.assertEqual({"bundle.chain.smaller"}, codes(chain(virtual_size=GIB >> 1)))
        self.assertEqual({"bundle.chain.mib"}, codes(chain(virtual_size=GIB + 512)))
        self.assertEqual({Severity.WARNING}, severities(chain(virtual_size=GIB >> 1), "bundle.chain.smaller"))
        self.assertEqual({Severity.ERROR}, severities(chain(virtual_size=GIB >> 1), "bundle.chain.smaller", "cinder"))

    def test_judge(self) -> None:
        one = Finding(code="x", severity=Severity.INFO, what="", why="", act="")
        two = dataclasses.replace(one, severity=Severity.WARNING)
        three = dataclasses.replace(one, severity=Severity.ERROR)
        self.assertIs(Verdict.SOUND, judge([]))
        self.assertIs(Verdict.SOUND, judge([one]))
        self.assertIs(Verdict.USABLE, judge([one, two]))
        self.assertIs(Verdict.NOT_READY, judge([one, two, three]))
