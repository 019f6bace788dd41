"""What a guest must not have."""

from __future__ import annotations

from tests.base import TestCase
from xenimage.checks.guest.absence import suggest
from xenimage.model.guest.facts import GuestFacts
from xenimage.model.guest.linux import LinuxFacts
from xenimage.model.guest.windows import WindowsFacts
from xenimage.profiles.registry import BUILTIN

NOVA = BUILTIN["nova-xenapi-6"]
LINUX = LinuxFacts(place="disk 0, partition 1")
WINDOWS = WindowsFacts(place="disk 0, partition 2")


class AbsenceTest(TestCase):
    def test_linux_has_no_device_id_of_windows(self) -> None:
        found = [(each.name, each.value, each.also) for each in suggest(GuestFacts(disks=(), linux=LINUX), NOVA)]
        self.assertEqual([("xenapi_device_id", "", ("1",))], found)

    def test_windows_and_what_is_not_known_may_have_it(self) -> None:
        self.assertEqual([], list(suggest(GuestFacts(disks=(), windows=WINDOWS), NOVA)))
        self.assertEqual([], list(suggest(GuestFacts(disks=(), windows=WINDOWS, linux=LINUX), NOVA)))
        self.assertEqual([], list(suggest(GuestFacts(disks=()), NOVA)))
