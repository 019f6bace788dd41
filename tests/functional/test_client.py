"""The installed program against Keystone and three releases of Glance: images there and back, and what fails."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import random
import resource
import socket
import struct
import subprocess
import sys
import threading
from typing import Any, ClassVar
from urllib.parse import urlsplit

from tests.base import TestCase
from tests.functional.cloud.cloud import shared

MIB = 1 << 20
PROGRAM = pathlib.Path(sys.executable).with_name("xenimage")
OPENSTACK = pathlib.Path(sys.executable).with_name("openstack")


class Breaker:
    """A way to a server on which connections are reset once a client has sent so many bytes."""

    def __init__(self, url: str, at: int) -> None:
        self._there = (urlsplit(url).hostname, urlsplit(url).port)
        self._at = at
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._there)
                threading.Thread(target=self._pass, args=(client, server, self._at), daemon=True).start()
                threading.Thread(target=self._pass, args=(server, client, None), daemon=True).start()

    @staticmethod
    def _pass(source: socket.socket, target: socket.socket, at: int | None) -> None:
        count = 0
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
                count += len(data)
                if at is not None and count > at:
                    for each in (source, target):
                        each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                        each.close()
                    return
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)


class ClientCases(TestCase):
    """With a Glance of :attr:`release`, as the project's member."""

    release: ClassVar[str]

    def setUp(self) -> None:
        super().setUp()
        self.cloud = shared()
        self.glance = self.cloud.glance(self.release)
        self.glance.start("[]")
        self.cloud.keystone.announce(self.glance.url)
        self.images = self.cloud.images(self.glance, "tenant")
        self.home = self.scratch / "home"
        self.temporary = self.scratch / "tmp"
        self.home.mkdir()
        self.temporary.mkdir()

    def environment(self, user: str = "tenant", **more: str) -> dict[str, str]:
        """What the program finds: the way to the cloud, and empty directories for whatever it might write."""
        kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
        places = {"HOME": str(self.home), "TMPDIR": str(self.temporary)}
        return kept | places | dict(self.cloud.keystone.variables(user)) | more

    def start(self, *words: str, code: int = 0, program: pathlib.Path = PROGRAM, **environ: Any) -> tuple[str, str]:
        done = subprocess.run(
            [program, *words],
            cwd=self.scratch,
            env=self.environment(**environ),
            capture_output=True,
            check=False,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        self.assertEqual(code, done.returncode, done.stdout + done.stderr)
        self.assertEqual([], list(self.temporary.iterdir()))
        # stevedore keeps a list of entry points there, nobody anything else.
        self.assertLess(sum(each.stat().st_size for each in self.home.rglob("*") if each.is_file()), MIB)
        return done.stdout, done.stderr

    def made(self, *words: str, **environ: Any) -> dict[str, Any]:
        """The image that ``image create`` made; it goes with the test."""
        told = json.loads(self.start("image", "create", *words, "-f", "json", **environ)[0])
        self.addCleanup(self._forget, told["image"]["id"])
        return told

    def _forget(self, image: str) -> None:
        with contextlib.suppress(Exception):
            self.images.delete(image)

    def named(self, name: str) -> list[str]:
        """Ids of the images of that name."""
        out, _ = self.start("image", "list", "--name", name, "-f", "json", program=OPENSTACK)
        return [each["ID"] for each in json.loads(out)]

    def make_disk(self, size: int = 12 * MIB) -> pathlib.Path:
        """Data that does not get smaller, and holes: one MiB of four."""
        path = self.scratch / "disk.raw"
        data = random.Random(size).randbytes(3 * MIB)
        with path.open("wb") as file:
            file.truncate(size)
            for offset in range(0, size, 4 * MIB):
                file.seek(offset)
                file.write(data)
        return path

    def assert_comes_back(self, image: str, disk: pathlib.Path) -> None:
        self.start("image", "save", image, "--output", "back.qcow2", "--format", "qcow2", "--force")
        self.run_tool("qemu-img", "compare", "-f", "raw", "-F", "qcow2", disk, "back.qcow2")

    def test_there_and_back_by_an_upload(self) -> None:
        disk = self.make_disk()
        told = self.made(str(disk), "--name", "up", "--os-type", "linux")
        record = self.images.show(told["image"]["id"])
        expected = ("active", "vhd", "ovf", 1, "hvm", "linux", "nova-xenapi", told["sent"], told["md5"], told["sha512"])
        names = ("status", "disk_format", "container_format", "min_disk", "vm_mode", "os_type", "xenimage_profile")
        found = tuple(record[name] for name in (*names, "size", "checksum", "os_hash_value"))
        self.assertEqual(expected, found)
        self.assertIn("sound", self.start("image", "check", record["id"])[0])
        self.assert_comes_back(record["id"], disk)
        self.start("image", "save", "up", "--output", "stored.tgz")
        self.assertEqual("0.vhd\n", self.run_tool("tar", "-tzf", "stored.tgz"))

    def test_there_and_back_by_an_import(self) -> None:
        disk = self.make_disk()
        told = self.made(str(disk), "--name", "imported", "--import")
        self.assertEqual("active", self.images.show(told["image"]["id"])["status"])
        self.assertEqual([], self.glance.staged())
        self.assert_comes_back(told["image"]["id"], disk)

    def test_a_rerun_is_free_and_a_replacement_leaves_one(self) -> None:
        disk = self.make_disk()
        first = self.made(str(disk), "--name", "again")["image"]["id"]
        told = self.made(str(disk), "--name", "again", "--if-exists", "skip")
        self.assertEqual(("skipped", first, 0), (told["action"], told["image"]["id"], told["sent"]))
        told = self.made(str(disk), "--name", "again", "--if-exists", "replace")
        self.assertEqual([first], told["replaced"])
        self.assertEqual([told["image"]["id"]], self.named("again"))
        self.start("image", "create", str(disk), "--if-exists", "fail", code=2)

    def test_a_connection_that_is_reset_leaves_no_image(self) -> None:
        disk = self.make_disk(24 * MIB)
        breaker = Breaker(self.glance.url, 8 * MIB)
        self.addCleanup(breaker.close)
        for words in ((), ("--import",)):
            _, err = self.start(
                "image", "create", str(disk), "--name", "broken", *words, code=7, OS_IMAGE_ENDPOINT_OVERRIDE=breaker.url
            )
            self.assertRegex(
                err, r"^image [0-9a-f-]{36}: the connection to the cloud failed: .*, after \d+ bytes\nTIP: "
            )
        self.assertEqual([], self.named("broken"))

    def test_what_the_cloud_forbids_leaves_no_image(self) -> None:
        _, err = self.start("image", "create", str(self.make_disk()), "--name", "forbidden", code=7, user="stranger")
        self.assertIn("the cloud answered 403", err)
        self.assertEqual([], self.named("forbidden"))

    def test_properties_are_mended(self) -> None:
        disk = self.make_disk()
        image = self.made(str(disk), "--name", "mend")["image"]["id"]
        words = ("--min-disk", "0", "--property", "os_type=Windows", "--property", "hw_vm_mode=hvm", image)
        self.start("image", "set", *words, program=OPENSTACK)
        self.start("image", "unset", "--property", "vm_mode", image, program=OPENSTACK)
        self.start("image", "properties", image, code=6)
        self.start("image", "properties", image, "--fix")
        record = self.images.show(image)
        self.assertEqual((1, "windows", "hvm"), (record["min_disk"], record["os_type"], record["vm_mode"]))
        self.start("image", "properties", image)

    def test_below_the_openstack_command(self) -> None:
        disk = self.make_disk()
        words = ("xenimage", "image", "create", str(disk), "--name", "below", "-f", "json")
        image = json.loads(self.start(*words, program=OPENSTACK)[0])["image"]["id"]
        self.addCleanup(self._forget, image)
        self.assertIn("below", self.start("xenimage", "image", "show", image, program=OPENSTACK)[0])


class Client33Test(ClientCases):
    release = "33"

    def test_a_large_disk_takes_little_memory_and_no_space(self) -> None:
        disk = self.make_disk(1024 * MIB)
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        told = self.made(str(disk), "--name", "large")
        used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        self.assertGreater(told["sent"], 700 * MIB)
        self.assertTrue(used <= 200 * 1024 or used == before, f"{used} KiB")
        self.assertEqual({"disk.raw", "home", "tmp"}, {each.name for each in self.scratch.iterdir()})


class Client30Test(ClientCases):
    release = "30"


class Client26Test(ClientCases):
    release = "26"


del ClientCases
