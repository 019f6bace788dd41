"""A guest's disk made by sfdisk and the programs of the file systems, looked into through every format."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import xenimage
from tests.base import TestCase
from xenimage import api
from xenimage.exceptions import UnsafeError, UsageError
from xenimage.limits import Limits
from xenimage.model.guest.facts import Cost
from xenimage.model.plan import BundleOptions, SourceOptions

if TYPE_CHECKING:
    import pathlib

    from xenimage.model.guest.facts import GuestFacts

MIB = 1 << 20
_TABLE = "label: gpt\nsize=16MiB, type=U, name=esp\nsize=16MiB, type=L, name=root\n"


def without_path(facts: GuestFacts) -> GuestFacts:
    disks = tuple(dataclasses.replace(disk, name="") for disk in facts.disks)
    return dataclasses.replace(facts, disks=disks, cost=Cost())


class GuestTest(TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.disk = self.scratch / "disk.raw"
        with self.disk.open("wb") as file:
            file.truncate(64 * MIB)
        subprocess.run(["sfdisk", "-q", self.disk], input=_TABLE, text=True, check=True, capture_output=True)
        self.run_tool("mkfs.fat", "-F", "16", "-n", "ESP", "--offset", "2048", self.disk, "16384")
        self.run_tool("mkfs.ext4", "-q", "-L", "root", "-E", f"offset={17 * MIB}", self.disk, "16M")

    def looked(self, *paths: pathlib.Path, **options: object) -> GuestFacts:
        sources = [SourceOptions(path=str(path), **options) for path in paths]  # type: ignore[arg-type]
        return api.inspect_guest(sources)

    def test_every_format_shows_the_same(self) -> None:
        expected = self.looked(self.disk)
        kinds = [partition.volume and partition.volume.kind for partition in expected.disks[0].partitions]
        self.assertEqual((["fat16", "ext4"], "", ()), (kinds, expected.stopped, expected.unread))
        for name, options in (
            ("qcow2", "-c"),
            ("vmdk", "-osubformat=streamOptimized"),
            ("vpc", "-oforce_size=on"),
        ):
            path = self.scratch / f"disk.{name}"
            self.run_tool("qemu-img", "convert", "-O", name, options, self.disk, path)
            found = self.looked(path)
            self.assertEqual(without_path(expected), without_path(found), name)
        bundle = self.scratch / "disk.tgz"
        api.create_bundle(BundleOptions(source=SourceOptions(path=str(self.disk)), output=str(bundle)))
        self.assertEqual(without_path(expected), without_path(self.looked(bundle)))

    def test_a_chain(self) -> None:
        child = self.scratch / "child.qcow2"
        self.run_tool("qemu-img", "create", "-q", "-f", "qcow2", "-b", self.disk, "-F", "raw", child)
        with self.assertRaises(UnsafeError):
            self.looked(child)
        given = self.looked(child, backing=(str(self.disk),))
        followed = self.looked(child, follow=str(self.scratch))
        self.assertEqual(without_path(self.looked(self.disk)), without_path(given))
        self.assertEqual(without_path(given), without_path(followed))

    def test_several_disks(self) -> None:
        other = self.scratch / "other.raw"
        other.write_bytes(bytes(MIB))
        facts = self.looked(other, self.disk)
        self.assertEqual([(0, str(other)), (1, str(self.disk))], [(disk.index, disk.name) for disk in facts.disks])
        self.assertEqual(2, len(facts.disks[1].partitions))

    def test_what_makes_no_sense(self) -> None:
        link = self.scratch / "link.raw"
        link.symlink_to(self.disk)
        for paths, message in (
            ((), "no disk is given, expected one disk or more"),
            ((self.disk, link), f"{link}: is the same file as {self.disk}, expected each file once"),
            ((self.scratch / "none.raw",), f"{self.scratch}/none.raw: cannot be opened"),
        ):
            with self.assertRaises(UsageError) as caught:
                self.looked(*paths)
            self.assertTrue(str(caught.exception).startswith(message), caught.exception)

    def test_limits(self) -> None:
        source = [SourceOptions(path=str(self.disk))]
        facts = api.inspect_guest(source, limits=Limits(guest_bytes=4096))
        self.assertIn("(limit guest_bytes)", facts.stopped)
        facts = api.inspect_guest(source, limits=Limits(guest_memory=8 * MIB))
        self.assertEqual("took more than 8 MiB of memory (limit guest_memory)", facts.stopped)

    def test_nothing_comes_from_the_working_directory(self) -> None:
        for name in ("struct", "xenimage", "pyfsext", "encodings"):
            (self.scratch / f"{name}.py").write_text("raise SystemExit(99)")
        code = "import sys; from xenimage import api; from xenimage.model.plan import SourceOptions as S; print(repr(api.inspect_guest([S(path=sys.argv[1])]).stopped))"  # noqa: E501
        done = subprocess.run(
            [sys.executable, "-P", "-c", code, self.disk],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.scratch,
            env={**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(xenimage.__file__))},
        )
        self.assertEqual(("''\n", ""), (done.stdout, done.stderr))


class BelowGlanceTest(TestCase):
    """The child of a child that is confined already, as far as the defaults of the import allow least."""

    def test_it_works_there(self) -> None:
        disk = self.scratch / "disk.raw"
        disk.write_bytes(bytes(16 * MIB))
        self.run_tool("mkfs.ext4", "-q", disk)
        code = """
import json, os, sys
from xenimage.conf.glance import PluginSettings
from xenimage.glance.confinement import confine
from xenimage.glance.request import Request
settings = PluginSettings(memory=512 << 20, cpu_time=60, max_output_size=1)
confine(Request(action="bundle", source="", output="", temporary="", disk_format="", container_format="",
                properties={}, settings=settings, parent=os.getppid()))
from xenimage import api
from xenimage.model.plan import SourceOptions
facts = api.inspect_guest([SourceOptions(path=sys.argv[1], alone=True)])
print(json.dumps([facts.stopped, [each.volume.kind for each in facts.disks[0].partitions]]))
"""
        done = subprocess.run([sys.executable, "-c", code, disk], capture_output=True, text=True, check=False, cwd="/")
        self.assertEqual("", done.stderr)
        self.assertEqual(["", ["ext4"]], json.loads(done.stdout))
