"""Clouds that fail: a clear error, the right exit code, and neither an image nor a file is left."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import threading
from unittest import mock

import ddt

from tests.fakes.cloud_case import CloudTestCase
from tests.fakes.glance_api import PROJECT
from xenimage import api
from xenimage.exceptions import ConfigError, ExtensionError, TransferError, UsageError, XenimageError
from xenimage.model.image import Action, CloudOptions, IfExists, ImageOptions
from xenimage.model.plan import BundleOptions, ConvertOptions, SourceOptions

MIB = 1 << 20


class UploadTestCase(CloudTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.disk = self.make_disk()
        self.images = api.connect_cloud(CloudOptions())

    def options(self, **wishes: object) -> ImageOptions:
        bundle = BundleOptions(source=SourceOptions(path=str(self.disk)), output="-")
        return dataclasses.replace(ImageOptions(bundle=bundle, name="disk"), **wishes)

    def assert_fails(self, text: str, error: type[XenimageError] = TransferError, **wishes: object) -> XenimageError:
        """It fails with *text*; no image is left, no file, no thread."""
        before = {each.name for each in self.scratch.iterdir()}
        with self.assertRaisesRegex(error, text) as caught:
            api.create_image(self.options(**wishes), self.images)
        self.assertEqual(before, {each.name for each in self.scratch.iterdir()})
        self.assertEqual([], [each for each in threading.enumerate() if each.name == "upload"])
        if not wishes.get("keep_failed"):
            self.assertEqual({}, self.cloud.images)
        return caught.exception


@ddt.ddt
class UploadTest(UploadTestCase):
    """What can go wrong while a disk becomes an image."""

    @ddt.data(False, True)
    def test_the_connection_is_reset_at_half(self, staged):
        self.cloud.faults.reset_at = 4 * MIB
        error = self.assert_fails(
            r"^image [0-9a-f-]{36}: .*(reset|closed|aborted|Broken pipe).*, after \d+ bytes$", staged=staged
        )
        self.assertEqual(7, error.exit_code)
        self.assertLess(3 * MIB, error.done)
        self.assertIn("address", error.tip)

    def test_the_connection_is_reset_and_the_next_one_is_not(self):
        self.cloud.faults.reset_at, self.cloud.faults.resets = 4 * MIB, 1
        report = api.create_image(self.options(retries=1), self.images)
        self.assertEqual(2, report.attempts)
        self.assertEqual([report.image.id], list(self.cloud.images))

    def test_retries_end(self):
        self.cloud.faults.reset_at = MIB
        self.assert_fails("after", retries=2)
        self.assertEqual(3, sum(each.startswith("POST /v2/images") for each in self.cloud.requests))

    def test_a_token_that_expires_is_the_end_and_no_empty_image(self):
        self.cloud.faults.expired = True
        error = self.assert_fails("the cloud answered 401: .*could not verify")
        self.assertIn("token", error.tip)
        self.assertEqual(1, sum(each.endswith("/file") for each in self.cloud.requests))

    @ddt.data((413, "Denying attempt to upload image because it exceeds the quota", "quota"), (409, "conflict", "else"))
    @ddt.unpack
    def test_an_early_answer(self, status, text, tip):
        self.cloud.faults.early, self.cloud.faults.say = (2 * MIB, status), text
        error = self.assert_fails(f"the cloud answered {status}: .*{text}|connection|reset|aborted")
        if f"answered {status}" in str(error):
            self.assertIn(tip, error.tip)

    def test_a_server_with_small_chunks_tells_its_setting(self):
        self.cloud.faults.chunk_limit = 4096
        error = self.assert_fails("answered 500: .*unable to receive chunked part|connection|reset|aborted")
        if "answered 500" in str(error):
            self.assertIn("chunked-input-limit", error.tip)

    def test_chunks_stay_below_the_usual_limit_of_uwsgi(self):
        self.cloud.faults.chunk_limit = MIB
        report = api.create_image(self.options(), self.images)
        self.assertEqual("active", report.image.status)

    @ddt.data(
        ({"lose": 1}, r"the cloud stored something else: its size is \d+, expected \d+, as it was sent"),
        (
            {"flip": True},
            "the cloud stored something else: its md5 is [0-9a-f]{32}, expected [0-9a-f]{32}, as it was sent",
        ),
    )
    @ddt.unpack
    def test_what_is_stored_is_not_what_was_sent(self, faults, text):
        self.cloud.faults = dataclasses.replace(self.cloud.faults, **faults)
        self.assert_fails(text)

    def test_another_hash_is_noticed_where_there_is_no_md5(self):
        whole = self.cloud.store

        def store(image_id: str, data: bytes) -> None:
            whole(image_id, data)
            self.cloud.images[image_id] |= {"checksum": None, "os_hash_value": "0" * 128}

        with mock.patch.object(self.cloud, "store", store):
            self.assert_fails("its sha512 is 0{128}, expected [0-9a-f]{128}")

    @ddt.data({"lose": 1}, {"flip": True})
    def test_a_stage_that_loses_something_is_noticed(self, faults):
        self.cloud.faults = dataclasses.replace(self.cloud.faults, **faults)
        self.assert_fails("the cloud stored something else", staged=True)

    def test_an_import_that_fails_says_why(self):
        self.cloud.faults.import_failure = "the disk has a backing file"
        self.assert_fails("the cloud did not import the image: the disk has a backing file", staged=True)

    def test_an_import_that_does_not_end(self):
        with mock.patch.object(self.cloud, "store"):
            error = self.assert_fails("the import has not ended after 0 s", staged=True, import_timeout=0.0)
        self.assertIn("--import-timeout", error.tip)

    def test_the_failed_image_is_kept_on_request(self):
        self.cloud.faults.lose = 1
        error = self.assert_fails("something else", keep_failed=True)
        (kept,) = self.cloud.images
        self.assertIn(f"The failed image {kept} is still there", error.tip)

    def test_a_failed_image_that_cannot_be_deleted_is_named(self):
        self.cloud.faults.lose, self.cloud.faults.refuse_delete = 1, True
        with self.assertRaisesRegex(TransferError, "something else") as caught:
            api.create_image(self.options(), self.images)
        (left,) = self.cloud.images
        self.assertIn(f"could not be deleted: openstack image delete {left}", caught.exception.tip)

    def test_an_answer_that_was_lost_makes_no_second_image(self):
        self.cloud.faults.unanswered_create = 1
        report = api.create_image(self.options(), self.images)
        self.assertEqual([report.image.id], list(self.cloud.images))

    def test_a_cloud_that_is_busy_is_asked_again(self):
        self.cloud.faults.busy = 2
        self.assertIs(Action.CREATED, api.create_image(self.options(), self.images).action)

    def test_a_cloud_that_stays_busy_is_the_end(self):
        self.cloud.faults.busy = 1 << 30
        self.assert_fails("the cloud answered 503: it went wrong")

    def test_a_value_that_the_cloud_does_not_know(self):
        self.assert_fails("", UsageError, visibility=3)

    def test_a_source_that_fails_in_between_is_no_whole_image(self):
        from xenimage.formats.raw import RawDisk

        calls = []
        read = RawDisk.read_into

        def broken(disk: RawDisk, offset: int, buffer: memoryview) -> None:
            calls.append(offset)
            if len(calls) > 6:  # four blocks are read to map them
                raise TransferError("cannot read", where="disk.raw")
            read(disk, offset, buffer)

        with mock.patch.object(RawDisk, "read_into", broken):
            self.assert_fails("disk.raw: cannot read")
        self.assertEqual({}, self.cloud.data)

    def test_an_interrupt_leaves_nothing(self):
        from xenimage.sinks.glance import GlanceSink

        def interrupted(_sink: GlanceSink) -> None:
            raise KeyboardInterrupt

        with (
            mock.patch.object(GlanceSink, "finish", interrupted),
            self.assertRaises(KeyboardInterrupt),
        ):
            api.create_image(self.options(), self.images)
        self.assertEqual({}, self.cloud.images)


class ExistsTest(UploadTestCase):
    """A rerun."""

    def test_a_rerun_uploads_nothing(self):
        first = api.create_image(self.options(), self.images)
        self.cloud.requests.clear()
        again = api.create_image(self.options(if_exists=IfExists.SKIP), self.images)
        self.assertEqual((Action.SKIPPED, first.image.id), (again.action, again.image.id))
        self.assertEqual([], [each for each in self.cloud.requests if not each.startswith("GET")])

    def test_another_profile_and_another_source_are_other_images(self):
        first = api.create_image(self.options(), self.images)
        wishes = self.options(if_exists=IfExists.SKIP)
        other = dataclasses.replace(wishes, bundle=dataclasses.replace(wishes.bundle, profile="cinder"))
        self.assertIs(Action.CREATED, api.create_image(other, self.images).action)
        self.disk.write_bytes(bytes(MIB))
        second = api.create_image(wishes, self.images)
        self.assertIs(Action.CREATED, second.action)
        self.assertNotEqual(first.image.id, second.image.id)

    def test_replacing_deletes_the_other_once_the_new_one_is_whole(self):
        first = api.create_image(self.options(), self.images)
        self.cloud.faults.lose = 1
        with self.assertRaises(TransferError):
            api.create_image(self.options(if_exists=IfExists.REPLACE), self.images)
        self.assertEqual([first.image.id], list(self.cloud.images))
        self.cloud.faults.lose = 0
        again = api.create_image(self.options(if_exists=IfExists.REPLACE), self.images)
        self.assertEqual((Action.REPLACED, (first.image.id,)), (again.action, again.replaced))
        self.assertEqual([again.image.id], list(self.cloud.images))

    def test_failing_names_the_other(self):
        first = api.create_image(self.options(), self.images)
        with self.assertRaisesRegex(UsageError, f"is in the cloud already: image {first.image.id}"):
            api.create_image(self.options(if_exists=IfExists.FAIL), self.images)

    def test_an_image_that_is_not_whole_counts_for_nothing(self):
        first = api.create_image(self.options(), self.images)
        self.cloud.images[first.image.id]["status"] = "queued"
        self.assertIs(Action.CREATED, api.create_image(self.options(if_exists=IfExists.SKIP), self.images).action)

    def test_a_source_of_unnamed_files_cannot_be_known_again(self):
        base = self.make_disk("base.raw")
        self.run_tool("qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "raw", self.scratch / "leaf.qcow2")
        wishes = self.options(if_exists=IfExists.SKIP)
        source = SourceOptions(path=str(self.scratch / "leaf.qcow2"), follow=str(self.scratch))
        wishes = dataclasses.replace(wishes, bundle=dataclasses.replace(wishes.bundle, source=source))
        with self.assertRaisesRegex(UsageError, "files that are not all named"):
            api.create_image(wishes, self.images)
        named = dataclasses.replace(source, follow=None, backing=(str(base),))
        wishes = dataclasses.replace(wishes, bundle=dataclasses.replace(wishes.bundle, source=named))
        first = api.create_image(wishes, self.images)
        self.assertIs(Action.SKIPPED, api.create_image(wishes, self.images).action)
        base.write_bytes(bytes(8 * MIB))
        self.assertIs(Action.CREATED, api.create_image(wishes, self.images).action)
        self.assertTrue(first.plan.source_sha256)


@ddt.ddt
class DownloadTest(CloudTestCase):
    """What can go wrong while an image comes down."""

    def setUp(self) -> None:
        super().setUp()
        self.disk = self.make_disk()
        self.stored = self.scratch / "made.tgz"
        api.create_bundle(BundleOptions(source=SourceOptions(path=str(self.disk)), output=str(self.stored)))
        self.image = self.cloud.add(self.stored.read_bytes())
        self.images = api.connect_cloud(CloudOptions())
        self.output = self.scratch / "out"

    def save(self, kind: str):
        options = ConvertOptions(source=SourceOptions(path=self.image), output=str(self.output), format=kind)
        return api.save_image(options, self.images)

    @ddt.data("stored", "raw", "qcow2")
    def test_a_download_that_breaks_goes_on(self, kind):
        self.cloud.faults.break_at, self.cloud.faults.breaks = 3 * MIB, 2
        report = self.save(kind)
        self.assertTrue(report.proved)
        self.assertEqual(self.stored.stat().st_size, report.downloaded)
        self.assertIn(f"GET /v2/images/{self.image}/file", self.cloud.requests)

    def test_a_server_without_ranges_sends_all_of_it_again(self):
        self.cloud.faults.break_at, self.cloud.faults.breaks, self.cloud.faults.no_ranges = 3 * MIB, 1, True
        self.assertTrue(self.save("stored").proved)
        self.assert_same_bytes(self.stored.read_bytes(), self.output.read_bytes())

    @ddt.data("stored", "raw", "qcow2")
    def test_a_download_that_stays_broken_leaves_nothing(self, kind):
        self.cloud.faults.break_at, self.cloud.faults.no_ranges = 3 * MIB, True
        with self.assertRaisesRegex(TransferError, rf"image {self.image}: .*, after \d+ bytes"):
            self.save(kind)
        self.assertEqual({"disk.raw", "made.tgz"}, {each.name for each in self.scratch.iterdir()})

    @ddt.data("stored", "raw", "qcow2")
    def test_data_that_is_not_what_was_recorded_leaves_nothing(self, kind):
        self.cloud.images[self.image]["os_hash_value"] = "0" * 128
        with self.assertRaisesRegex(
            TransferError, "has the sha512 [0-9a-f]{128}, expected 0{128}, as the cloud recorded"
        ):
            self.save(kind)
        self.assertEqual({"disk.raw", "made.tgz"}, {each.name for each in self.scratch.iterdir()})

    def test_the_md5_serves_where_there_is_no_other(self):
        self.cloud.images[self.image] |= {"os_hash_value": None, "os_hash_algo": None, "checksum": "0" * 32}
        with self.assertRaisesRegex(TransferError, "has the md5"):
            self.save("raw")

    def test_no_digest_is_said(self):
        self.cloud.images[self.image] |= {"os_hash_value": None, "os_hash_algo": None, "checksum": None}
        self.assertFalse(self.save("raw").proved)

    def test_an_image_that_is_shorter_than_its_record(self):
        self.cloud.data[self.image] = self.cloud.data[self.image][:MIB]
        with self.assertRaisesRegex(TransferError, f"ends at 0x100000, expected {self.stored.stat().st_size} bytes"):
            self.save("stored")

    def test_an_image_without_data(self):
        self.cloud.images[self.image] |= {"status": "queued", "size": None}
        with self.assertRaisesRegex(UsageError, "the image has no data: it is queued, expected an active image"):
            self.save("raw")

    def test_two_images_of_one_name(self):
        other = self.cloud.add(b"x")
        with self.assertRaisesRegex(UsageError, "image stored: 2 images have this name, expected an id") as caught:
            api.show_image("stored", self.images)
        self.assertIn(other, caught.exception.tip)

    @ddt.data("nobody", "00000000-0000-4000-8000-000000000000")
    def test_no_such_image(self, name):
        with self.assertRaisesRegex(UsageError, f"image {name}: no such image in this cloud"):
            api.show_image(name, self.images)

    def test_a_chain_is_flattened_though_it_comes_in_another_order(self):
        self.run_tool("qemu-img", "create", "-q", "-f", "qcow2", "-b", self.disk, "-F", "raw", self.scratch / "l.qcow2")
        self.run_tool("qemu-io", "-f", "qcow2", "-c", "write -q -P 9 1M 3M", self.scratch / "l.qcow2")
        chained = self.scratch / "chain.tgz"
        source = SourceOptions(path=str(self.scratch / "l.qcow2"), backing=(str(self.disk),))
        api.create_bundle(BundleOptions(source=source, output=str(chained), chain=True))
        self.image = self.cloud.add(chained.read_bytes(), name="chain")
        self.assertTrue(self.save("qcow2").proved)
        self.run_tool("qemu-img", "compare", self.scratch / "l.qcow2", self.output)


class ConnectionTest(CloudTestCase):
    """Clouds that are not reached."""

    def test_no_cloud_at_all(self):
        for name in [name for name in os.environ if name.startswith("OS_")]:
            del os.environ[name]
        with self.assertRaises(ConfigError) as caught:
            api.connect_cloud(CloudOptions())
        self.assertIn("--os-cloud", caught.exception.tip)

    def test_an_unknown_cloud(self):
        with self.assertRaisesRegex(ConfigError, "nowhere"):
            api.connect_cloud(CloudOptions(cloud="nowhere"))

    def test_nobody_answers(self):
        self.cloud.close()
        self.addCleanup(setattr, self, "cloud", self.cloud)
        images = api.connect_cloud(CloudOptions())
        with mock.patch.object(self.cloud, "close"), self.assertRaises(TransferError) as caught:
            images.get("x")
        self.assertEqual(7, caught.exception.exit_code)

    def test_the_libraries_are_missing(self):
        with mock.patch.dict("sys.modules", {"glanceclient": None}), self.assertRaises(ExtensionError) as caught:
            api.connect_cloud(CloudOptions())
        self.assertEqual(
            "the library glanceclient is not installed, expected the client's libraries", str(caught.exception)
        )
        self.assertEqual("Run: pip install 'xenimage[client]'", caught.exception.tip)


class KeystoneTest(CloudTestCase):
    """With user and password."""

    password = True

    def test_an_image_by_clouds_yaml(self):
        for name in [name for name in os.environ if name.startswith("OS_") and name != "OS_CLIENT_CONFIG_FILE"]:
            del os.environ[name]
        environment = self.cloud.environment(password=True)
        pathlib.Path(os.environ["OS_CLIENT_CONFIG_FILE"]).write_text(
            f"""
clouds:
  here:
    auth:
      auth_url: {environment["OS_AUTH_URL"]}
      username: {environment["OS_USERNAME"]}
      password: {environment["OS_PASSWORD"]}
      project_name: demo
      user_domain_id: default
      project_domain_id: default
    region_name: R
""",
            "utf-8",
        )
        images = api.connect_cloud(CloudOptions(cloud="here"))
        self.assertEqual(PROJECT, images.project)
        self.assertEqual([], images.find({}))

    def test_a_wrong_password(self):
        os.environ["OS_PASSWORD"] = "wr0ng"
        with self.assertRaisesRegex(TransferError, "the cloud answered 401") as caught:
            api.connect_cloud(CloudOptions())
        self.assertNotIn("wr0ng", f"{caught.exception} {caught.exception.tip}")

    def test_no_such_region(self):
        with self.assertRaisesRegex(TransferError, "region"):
            api.connect_cloud(CloudOptions(settings=(("region_name", "elsewhere"),))).find({})

    def test_a_token_is_fetched_right_before_data_is_sent(self):
        disk = self.make_disk(size=MIB)
        images = api.connect_cloud(CloudOptions())
        bundle = BundleOptions(source=SourceOptions(path=str(disk)), output="-")
        api.create_image(ImageOptions(bundle=bundle, name="disk"), images)
        asked = [each.split("?")[0] for each in self.cloud.requests]
        put = next(number for number, each in enumerate(asked) if each.startswith("PUT"))
        self.assertEqual("POST /v3/auth/tokens", asked[put - 1])
