"""The commands below the real ``openstack`` program, and those of the cloud below our own."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import tomllib

import ddt

from tests.fakes.cloud_case import CloudTestCase
from xenimage import api
from xenimage.cli import catalogue, osc
from xenimage.model.plan import BundleOptions, SourceOptions

ROOT = pathlib.Path(__file__).resolve().parents[3]
MIB = 1 << 20


class ProgramTestCase(CloudTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.disk = self.make_disk(size=3 * MIB)
        bundle = self.scratch / "made.tgz"
        api.create_bundle(BundleOptions(source=SourceOptions(path=str(self.disk)), output=str(bundle)))
        self.image = self.cloud.add(bundle.read_bytes(), min_disk=0)

    def program(self, *words: str, code: int = 0, program: tuple[str, ...] = ("-m", "xenimage")) -> tuple[str, str]:
        done = subprocess.run(
            [sys.executable, *program, *words],
            cwd=self.scratch,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            check=False,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        self.assertEqual(code, done.returncode, done.stdout + done.stderr)
        return done.stdout, done.stderr


@ddt.ddt
class ImageCommandsTest(ProgramTestCase):
    """From the command line to the cloud and back."""

    def test_there_and_back(self) -> None:
        told = json.loads(self.program("image", "create", str(self.disk), "--tag", "a", "-f", "json")[0])
        image = self.cloud.images[told["image"]["id"]]
        self.assertEqual(
            ("disk", "vhd", "ovf", 1, ["a"], "hvm"),
            tuple(image[name] for name in ("name", "disk_format", "container_format", "min_disk", "tags", "vm_mode")),
        )
        self.program("image", "check", image["id"])
        self.program("image", "save", image["id"], "--output", "back.qcow2", "--format", "qcow2")
        self.run_tool("qemu-img", "compare", "-f", "raw", "-F", "qcow2", self.disk, self.scratch / "back.qcow2")

    def test_a_bundle_is_uploaded_as_it_is(self) -> None:
        told = json.loads(self.program("image", "create", "made.tgz", "-f", "json")[0])
        data = self.cloud.data[told["image"]["id"]]
        self.assert_same_bytes((self.scratch / "made.tgz").read_bytes(), data)
        self.assertEqual("bundle", self.cloud.images[told["image"]["id"]]["xenimage_source_format"])

    def test_the_same_bytes_as_to_a_file(self) -> None:
        told = json.loads(self.program("image", "create", str(self.disk), "--import", "-f", "json")[0])
        self.assert_same_bytes((self.scratch / "made.tgz").read_bytes(), self.cloud.data[told["image"]["id"]])

    def test_a_bundle_that_is_not_ready_is_not_uploaded(self) -> None:
        (self.scratch / "9.vhd").write_bytes(b"x" * 1024)
        self.run_tool("tar", "-czf", "bad.tgz", "9.vhd")
        _, err = self.program("image", "create", "bad.tgz", code=6)
        self.assertIn("cannot be an image for nova-xenapi", err)
        self.assertEqual([self.image], list(self.cloud.images))

    def test_a_plan_asks_nobody(self) -> None:
        self.cloud.requests.clear()
        self.program("image", "create", str(self.disk), "--dry-run")
        self.assertEqual([], self.cloud.requests)

    def test_a_target_that_takes_no_image(self) -> None:
        _, err = self.program("image", "create", str(self.disk), "--profile", "xcp-ng", code=2)
        self.assertIn("xcp-ng takes no image from a cloud", err)

    def test_properties_are_looked_at_and_mended(self) -> None:
        self.cloud.images[self.image] |= {"os_type": "Windows", "kernel_id": "k"}
        record = dict(self.cloud.images[self.image])
        told = json.loads(self.program("image", "properties", "stored", "-f", "json", code=6)[0])
        self.assertEqual(record, self.cloud.images[self.image])
        self.assertFalse(told["fixed"])
        told = json.loads(self.program("image", "properties", "stored", "--fix", "-f", "json")[0])
        self.assertEqual((True, [], "sound"), (told["fixed"], told["findings"], told["verdict"]))
        mended = {
            name: self.cloud.images[self.image].get(name) for name in ("os_type", "kernel_id", "vm_mode", "min_disk")
        }
        self.assertEqual({"os_type": "windows", "kernel_id": None, "vm_mode": "hvm", "min_disk": 1}, mended)

    def test_showing_reads_the_head_only(self) -> None:
        large = self.make_disk("large.raw", 64 * MIB)
        made = self.scratch / "large.tgz"
        api.create_bundle(BundleOptions(source=SourceOptions(path=str(large)), output=str(made)))
        image = self.cloud.add(made.read_bytes(), name="large")
        told = json.loads(self.program("image", "show", image, "-f", "json")[0])
        self.assertEqual((64 * MIB, "0.vhd", "dynamic"), (told["virtual_size"], told["member"], told["vhd"]["variant"]))
        self.assertLess(told["downloaded"], 8 * MIB)
        full = json.loads(self.program("image", "show", image, "--full", "-f", "json")[0])
        self.assertEqual(
            json.loads(self.program("bundle", "show", "large.tgz", "-f", "json")[0]) | {"path": f"image {image}"}, full
        )

    def test_an_image_of_another_kind(self) -> None:
        self.run_tool("qemu-img", "create", "-q", "-f", "qcow2", "a.qcow2", "96M")
        data = (self.scratch / "a.qcow2").read_bytes()
        image = self.cloud.add(data, disk_format="qcow2", container_format="bare", name="other", min_disk=0)
        told = json.loads(self.program("image", "show", image, "-f", "json")[0])
        self.assertEqual(("qcow2", 96 * MIB, None), (told["content"], told["virtual_size"], told["vhd"]))
        self.assertIn("image.format", self.program("image", "properties", image, code=6)[0])
        self.program("image", "save", image, "--output", "b.raw", "--format", "raw")
        self.assertEqual(96 * MIB, (self.scratch / "b.raw").stat().st_size)
        self.assertIn("is not in gzip format", self.program("image", "check", image, code=3)[1])

    def test_an_output_that_exists_is_refused_before_anything_comes(self) -> None:
        (self.scratch / "there").write_bytes(b"mine")
        self.cloud.requests.clear()
        for kind in ("stored", "raw"):
            _, err = self.program("image", "save", self.image, "--output", "there", "--format", kind, code=2)
            self.assertIn("exists already", err)
        self.assertNotIn("/file", " ".join(self.cloud.requests))


@ddt.ddt
class OpenstackTest(ProgramTestCase):
    """``openstack xenimage``."""

    password = True

    def openstack(self, *words: str, code: int = 0) -> tuple[str, str]:
        return self.program(
            *words, code=code, program=("-c", "from openstackclient.shell import main; raise SystemExit(main())")
        )

    def test_an_image_there_and_back(self) -> None:
        out, _ = self.openstack("xenimage", "image", "create", str(self.disk), "--name", "disk", "-f", "json")
        image = json.loads(out)["image"]["id"]
        self.assertEqual("active", self.cloud.images[image]["status"])
        self.openstack("xenimage", "image", "save", image, "--output", "back.raw", "--format", "raw")
        self.run_tool("qemu-img", "compare", "-f", "raw", "-F", "raw", self.disk, self.scratch / "back.raw")

    def test_errors_and_exit_codes_are_ours(self) -> None:
        _, err = self.openstack("xenimage", "image", "show", "nobody", code=2)
        self.assertEqual("image nobody: no such image in this cloud\nTIP: See: openstack image list\n", err)
        self.cloud.faults.reset_at = MIB
        before = list(self.cloud.images)
        _, err = self.openstack("xenimage", "image", "create", str(self.disk), code=7)
        self.assertIn("the connection to the cloud failed", err)
        self.assertEqual(before, list(self.cloud.images))

    def test_help_and_completion(self) -> None:
        for name in list(os.environ):
            if name.startswith("OS_"):
                del os.environ[name]
        out, _ = self.openstack("help", "xenimage", "image", "create")
        self.assertIn("openstack xenimage image create debian.qcow2 --name debian", out)
        self.assertNotIn("--os-cloud NAME", out)
        out, _ = self.openstack("complete")
        self.assertIn("cmds_xenimage_image='check create properties save show'", out)

    def test_every_command_of_an_image_is_registered(self) -> None:
        groups = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["entry-points"]
        points = groups["openstack.xenimage.v1"]
        found = {name.removeprefix("xenimage_").replace("_", " "): target for name, target in points.items()}
        wanted = {name for name in catalogue.COMMANDS if name.startswith("image ")}
        self.assertLessEqual(wanted, set(found))
        for name, target in found.items():
            command = getattr(osc, target.partition(":")[2])
            self.assertTrue(issubclass(command, catalogue.COMMANDS[name].load()), name)
