"""Whose value of a property stays."""

from __future__ import annotations

import ddt

from tests.base import TestCase
from xenimage.conf.glance import PluginSettings
from xenimage.glance.errors import RefusedError
from xenimage.glance.properties import changed, wishes
from xenimage.model.plan import Property
from xenimage.profiles.registry import BUILTIN

NOVA = BUILTIN["nova-xenapi"]


@ddt.ddt
class WishesTest(TestCase):
    def wishes(self, user, mode="win", profile=NOVA, **properties):
        return wishes(profile, user, PluginSettings(user_properties=mode, properties=properties))

    @ddt.data(
        # the user's, the operator's options, who wins, what the library is told
        ({}, {}, "win", {}),
        ({"vm_mode": "xen"}, {}, "win", {"vm_mode": "xen"}),
        ({"vm_mode": "xen"}, {}, "lose", {"vm_mode": "hvm"}),
        ({"vm_mode": "hvm"}, {}, "refuse", {"vm_mode": "hvm"}),
        ({"hw_vm_mode": "xen"}, {}, "win", {"hw_vm_mode": "xen", "vm_mode": "xen"}),
        ({"hw_vm_mode": "xen"}, {}, "lose", {"hw_vm_mode": "hvm", "vm_mode": "hvm"}),
        ({"hw_vm_mode": "xen", "vm_mode": "xen"}, {}, "win", {"hw_vm_mode": "xen", "vm_mode": "xen"}),
        ({}, {"os_type": "linux"}, "win", {"os_type": "linux"}),
        ({"os_type": "windows"}, {"os_type": "linux"}, "win", {"os_type": "windows"}),
        ({"os_type": "windows"}, {"os_type": "linux"}, "lose", {"os_type": "linux"}),
        ({}, {"vm_mode": "xen"}, "refuse", {"vm_mode": "xen"}),
        ({"mine": "1"}, {}, "lose", {"mine": "1"}),
        ({"os_glance_import_task": "1", "xenimage_profile": "x", "min_disk": "1"}, {}, "win", {}),
    )
    @ddt.unpack
    def test_who_wins(self, user, properties, mode, expected):
        self.assertEqual(expected, self.wishes(user, mode, **properties))

    def test_refused(self):
        with self.assertRaisesRegex(
            RefusedError, "property vm_mode is 'xen', but images of this cloud's Xen hosts have"
        ):
            self.wishes({"vm_mode": "xen"}, "refuse")
        with self.assertRaisesRegex(RefusedError, "mean the same and differ"):
            self.wishes({"vm_mode": "xen", "hw_vm_mode": "hvm"}, "lose")

    def test_a_target_without_properties_reads_no_names(self):
        user = {"vm_mode": "xen", "hw_vm_mode": "hvm"}
        self.assertEqual(user, self.wishes(user, profile=BUILTIN["xcp-ng"]))

    def test_only_what_changes_is_written(self):
        wanted = [Property(name="a", value="1", reason=""), Property(name="b", value="2", reason="")]
        self.assertEqual({"b": "2"}, changed({"a": "1", "b": "1"}, wanted))
