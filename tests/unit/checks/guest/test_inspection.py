"""What is said of how much was seen of a guest."""

from __future__ import annotations

import dataclasses

from tests.base import TestCase
from xenimage.checks.guest.inspection import CHECK
from xenimage.model.guest.facts import GuestFacts, Unread
from xenimage.model.guest.layout import Layout
from xenimage.model.guest.linux import LinuxFacts
from xenimage.profiles.registry import BUILTIN

DISK = Layout(index=0, name="a", size=0, scheme="")
LINUX = LinuxFacts(place="disk 0, partition 1")


class InspectionTest(TestCase):
    def found(self, facts: GuestFacts) -> dict[str, tuple[str, tuple[str, ...]]]:
        return {each.code: (each.what, each.evidence) for each in CHECK.judge(facts, BUILTIN["nova-xenapi"])}

    def test_a_guest_that_was_seen_gives_nothing(self) -> None:
        self.assertEqual({}, self.found(GuestFacts(disks=(DISK,), linux=LINUX)))

    def test_a_disk_without_a_system(self) -> None:
        self.assertEqual(
            {"guest.inspection.nothing": ("No operating system was recognised on the disk.", ())},
            self.found(GuestFacts(disks=(DISK,))),
        )

    def test_a_system_may_be_in_what_could_not_be_read(self) -> None:
        facts = GuestFacts(disks=(DISK,), unread=(Unread(what="the volume", why="it is damaged"),))
        unread, nothing = sorted(CHECK.judge(facts, BUILTIN["nova-xenapi"]), key=lambda each: each.severity.value)[::-1]
        self.assertEqual("guest.inspection.unread", unread.code)
        self.assertEqual("There may be one in what could not be read. A disk for data needs none.", nothing.why)
        self.assertIn("see to what could not be read first", nothing.act)

    def test_what_could_not_be_read_is_listed_up_to_a_bound(self) -> None:
        unread = tuple(Unread(what=f"file {number}", why="it is damaged") for number in range(23))
        self.assertEqual(
            {"guest.inspection.unread": ("One part of the guest could not be read.", ("file 0: it is damaged",))},
            self.found(GuestFacts(disks=(DISK,), linux=LINUX, unread=unread[:1])),
        )
        what, evidence = self.found(GuestFacts(disks=(DISK,), linux=LINUX, unread=unread))["guest.inspection.unread"]
        self.assertEqual("23 parts of the guest could not be read.", what)
        self.assertEqual((21, "and 3 more"), (len(evidence), evidence[-1]))

    def test_systems_beside_the_one_that_was_judged(self) -> None:
        facts = GuestFacts(disks=(DISK,), linux=LINUX, systems=("Linux on vg/root", "Windows on disk 1"))
        self.assertEqual(
            {
                "guest.inspection.others": (
                    "2 operating systems were found, and only one was judged: Linux on vg/root.",
                    ("Windows on disk 1",),
                )
            },
            self.found(facts),
        )
        self.assertEqual({}, self.found(dataclasses.replace(facts, systems=facts.systems[:1])))

    def test_an_early_end_says_nothing_of_what_was_not_seen(self) -> None:
        self.assertEqual(
            {
                "guest.inspection.stopped": (
                    "The inspection of the guest ended early: it took longer than 30 s.",
                    (),
                )
            },
            self.found(GuestFacts(disks=(DISK,), stopped="took longer than 30 s")),
        )
