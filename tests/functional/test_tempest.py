"""Tempest against Glance 33: our own plugin for it, and upstream's tests of images with and without our plugins."""

from __future__ import annotations

import collections
import os
import subprocess
from typing import TYPE_CHECKING

from tests.base import TestCase
from tests.functional.cloud.cloud import shared
from tests.functional.cloud.keystone import PASSWORD, REGION
from tests.functional.cloud.places import program
from tests.functional.cloud.process import clean
from tests.functional.cloud.settings import write
from xenimage import api
from xenimage.engine.sample import write_sample

if TYPE_CHECKING:
    from collections.abc import Mapping

RELEASE = "33"
OFF = ("nova", "neutron", "cinder", "swift", "horizon")


class TempestTest(TestCase):
    maxDiff = None

    def setUp(self) -> None:
        super().setUp()
        self.cloud = shared()
        self.glance = self.cloud.glance(RELEASE)
        write_sample(self.scratch / "sample.qcow2")
        self.fetched = self.cloud.web.url(self.scratch / "sample.qcow2")

    def prepare(self, plugins: str, settings: Mapping[str, object] | None = None, **options: object) -> None:
        """A cloud with these plugins, set up with *settings*, and a workspace of tempest's with *options*."""
        self.glance.start(plugins, {"xenimage": settings or {}})
        self.cloud.keystone.announce(self.glance.url)
        self.place = self.scratch / f"workspace{plugins.strip('[]').replace(', ', '-')}"
        workspaces = str(self.scratch / "workspaces.yaml")
        self.tempest("init", "--workspace-path", workspaces, str(self.place))
        write(
            self.place / "etc" / "tempest.conf",
            {
                "DEFAULT": {"log_file": "tempest.log", "use_stderr": "false"},
                "oslo_concurrency": {"lock_path": self.place / "locks"},
                "auth": {
                    "use_dynamic_credentials": "true",
                    "admin_username": "admin",
                    "admin_password": PASSWORD,
                    "admin_project_name": "admin",
                    "admin_domain_name": "Default",
                    "tempest_roles": "member,trusted",
                },
                "identity": {
                    "uri_v3": self.cloud.keystone.url,
                    "auth_version": "v3",
                    "region": REGION,
                    "v3_endpoint_type": "public",
                },
                "service_available": {"glance": "true", **dict.fromkeys(OFF, "false")},
                # What upstream's tests would fetch from the internet.
                "image": {"region": REGION, "http_image": self.fetched, "http_qcow2_image": self.fetched},
                "image-feature-enabled": {"import_image": "true"},
                "enforce_scope": {"glance": "true", "keystone": "true"},
            },
            {"service_available": {"xenimage": str("xenimage" in plugins).lower()}, "xenimage": options},
        )

    def tempest(self, *words: str) -> str:
        done = subprocess.run(
            [program("tempest", "tempest"), *words],
            cwd=self.place if self.place.exists() else self.scratch,
            env=clean() | {"HOME": os.fspath(self.scratch)},
            capture_output=True,
            check=False,
            text=True,
        )
        self.last = done.stdout + done.stderr
        return self.last

    def results(self, *words: str) -> Mapping[str, str]:
        """Run tests; what came of each."""
        text = self.tempest("run", "--concurrency", "2", *words)
        found = {}
        for line in text.splitlines():
            if line.startswith("{") and " ... " in line:
                name, _, result = line.partition("} ")[2].partition(" ... ")
                found[name.partition(" [")[0]] = result.partition(":")[0]
        self.assertTrue(found, text)
        return found

    def assert_all_pass(self, found: Mapping[str, str], expected: int) -> None:
        bad = {name: result for name, result in found.items() if result != "ok"}
        self.assertEqual(({}, expected), (bad, len(found)), self.last)

    def test_our_tests_of_disks_that_become_bundles(self) -> None:
        self.prepare("[xenimage]")
        found = self.results("--regex", r"xenimage\.tempest.*(GoodImages|BadImages)")
        self.assert_all_pass(found, len(api.kit_images()))

    def test_our_tests_of_bundles_that_become_disks(self) -> None:
        self.prepare("[xenimage, xenimage_extract]", extract="true")
        self.assert_all_pass(self.results("--regex", r"xenimage\.tempest.*Extract"), 1)

    def test_our_tests_fail_without_the_plugin(self) -> None:
        # Which Glance does not say by itself: it stores all as it comes.
        self.prepare("[]")
        settings = self.place / "etc" / "tempest.conf"
        settings.write_text(settings.read_text().replace("xenimage = false", "xenimage = true"))
        found = self.results("--regex", r"xenimage\.tempest.*GoodImages.*qcow2-compressed")
        self.assertEqual(["FAILED"], list(found.values()), self.last)

    def test_upstream_tests_find_no_difference(self) -> None:
        self.glance.load_metadata_definitions()
        found = []
        for plugins in ("[]", "[xenimage, xenimage_extract]"):
            # Where both plugins take everything, what one makes the other undoes.
            self.prepare(plugins, {"extract": "on-request"})
            found.append(self.results("--regex", r"^tempest\.api\.image"))
        self.assertEqual(*found)
        self.assertGreater(collections.Counter(found[0].values())["ok"], 40, self.last)
        self.assertNotIn("FAILED", found[0].values(), self.last)
