"""The profiles by name, and their data."""

from __future__ import annotations

import dataclasses
from unittest import mock

import ddt

from tests.base import TestCase
from xenimage import extensions
from xenimage.exceptions import ExtensionError, UsageError
from xenimage.model.profile import Rule
from xenimage.profiles import registry
from xenimage.units import GIB

NAMES = ["nova-xenapi", "nova-xenapi-6", "nova-vdi-stream", "cinder", "rackspace", "cloudstack", "xcp-ng"]


class RegistryTest(TestCase):
    def installed(self, **profiles: object) -> None:
        patcher = mock.patch.object(extensions, "load_all", return_value=profiles)
        self.load_all = patcher.start()
        self.addCleanup(patcher.stop)

    def test_the_built_in_ones_need_no_extension(self) -> None:
        self.installed()
        self.assertEqual("cinder", registry.get_profile("cinder").name)
        self.load_all.assert_not_called()

    def test_installed_ones_come_behind(self) -> None:
        own = dataclasses.replace(registry.BUILTIN["cinder"], name="own")
        self.installed(own=own)
        self.assertEqual([*NAMES, "own"], list(registry.all_profiles()))
        self.assertIs(own, registry.get_profile("own"))

    def test_a_profile_is_called_what_it_is_registered_as(self) -> None:
        self.installed(own=registry.BUILTIN["cinder"])
        with self.assertRaises(ExtensionError) as caught:
            registry.all_profiles()
        self.assertEqual(
            "extension 'own' of xenimage.profiles: the profile calls itself 'cinder', expected 'own'",
            str(caught.exception),
        )

    def test_an_unknown_name_lists_the_known(self) -> None:
        self.installed()
        with self.assertRaises(UsageError) as caught:
            registry.get_profile("hyper-v")
        self.assertEqual(f"no profile is called 'hyper-v', expected one of {', '.join(NAMES)}", str(caught.exception))


@ddt.ddt
class DataTest(TestCase):
    @ddt.data(*NAMES)
    def test_every_rule_has_a_reason_and_a_source(self, name: str) -> None:
        profile = registry.BUILTIN[name]
        self.assertTrue(profile.title and profile.consumer and profile.summary and profile.virtual_size_reason)
        for rule in profile.properties:
            with self.subTest(rule.name):
                self.assertTrue(rule.reason.endswith("."))
                self.assertTrue(rule.source)
                self.assertEqual(rule.rule is Rule.SET, bool(rule.value))
                if rule.value:
                    self.assertIn(rule.value, rule.values)
        self.assertEqual(len(profile.properties), len({rule.name for rule in profile.properties}))

    @ddt.data(*NAMES)
    def test_no_choice_is_shown_that_is_refused(self, name: str) -> None:
        profile = registry.BUILTIN[name]
        for rule in profile.properties:
            if rule.name == "os_type":
                self.assertEqual(profile.os_types, rule.values)

    @ddt.data(*NAMES)
    def test_sizes_end_where_a_vhd_ends(self, name: str) -> None:
        expected = 160 * GIB if name == "rackspace" else 2040 * GIB
        self.assertEqual(expected, registry.BUILTIN[name].virtual_size_max)

    def test_only_the_streaming_consumers_want_nothing_but_the_vhd(self) -> None:
        strict = [name for name in NAMES if registry.BUILTIN[name].only_regular]
        self.assertEqual(["nova-vdi-stream", "rackspace"], strict)
