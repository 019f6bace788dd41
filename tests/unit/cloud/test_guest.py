"""The guest in an image that is stored in a cloud, or on its way there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.builders.guests import windows
from tests.builders.guests.winhives import State
from tests.fakes.cloud_case import CloudTestCase
from xenimage import api
from xenimage.exceptions import NotReadyError
from xenimage.model.image import CloudOptions, ImageOptions
from xenimage.model.plan import BundleOptions, SourceOptions
from xenimage.model.report import Verdict

if TYPE_CHECKING:
    import pathlib

GOOD = State(firmware="bios", active="0001")
BAD = State(firmware="bios", pv="none", sysprep="complete", hibernated=True)


class GuestTest(CloudTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.images = api.connect_cloud(CloudOptions())

    def bundle(self, state: State) -> pathlib.Path:
        path = self.scratch / "made.tgz"
        source = SourceOptions(path=str(windows.disk(state)), format="raw")
        api.create_bundle(BundleOptions(source=source, output=str(path), inspect=False, force=True))
        return path

    def stored(self, state: State, **properties: str) -> str:
        return str(self.cloud.add(self.bundle(state).read_bytes(), min_disk=1, vm_mode="hvm", **properties))

    def wishes(self, path: str, **changes: object) -> ImageOptions:
        options = BundleOptions(source=SourceOptions(path=path), output="-", **changes)  # type: ignore[arg-type]
        return ImageOptions(bundle=options, name="win")

    def test_what_is_wrong_in_it_is_found_in_the_cloud(self) -> None:
        report = api.check_image(self.stored(BAD), self.images)
        self.assertIs(Verdict.NOT_READY, report.verdict)
        self.assertIn("windows.sysprep.installed", [each.code for each in report.findings])

    def test_a_good_one_is_sound_and_nobody_looks_where_that_is_wished(self) -> None:
        self.assertIs(Verdict.SOUND, api.check_image(self.stored(GOOD), self.images).verdict)
        self.assertIs(Verdict.SOUND, api.check_image(self.stored(BAD), self.images, inspect=False).verdict)

    def test_a_property_of_the_record_that_says_other_than_the_guest(self) -> None:
        report = api.check_image(self.stored(GOOD, os_type="linux"), self.images)
        self.assertEqual(["property.os_type.contradicts"], [each.code for each in report.findings])

    def test_a_bundle_with_a_bad_guest_is_not_stored(self) -> None:
        with self.assertRaises(NotReadyError) as caught:
            api.create_image(self.wishes(str(self.bundle(BAD))), self.images)
        self.assertIn("--allow-not-ready", caught.exception.tip)
        self.assertEqual({}, self.cloud.images)

    def test_what_was_found_stands_in_the_record(self) -> None:
        for path in (str(self.bundle(GOOD)), str(windows.disk(GOOD))):
            report = api.create_image(self.wishes(path), self.images)
            image = self.cloud.images[report.image.id]
            self.assertEqual(
                ("windows", "2022", "sound"),
                tuple(image[name] for name in ("os_type", "os_version", "xenimage_verdict")),
            )
