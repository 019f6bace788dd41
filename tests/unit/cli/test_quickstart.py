"""The quick start, for real, and its sample."""

from __future__ import annotations

import re

from tests.unit.cli.support import CliTestCase
from xenimage import api
from xenimage.engine import sample
from xenimage.exceptions import UsageError
from xenimage.formats.qcow2.writer import CLUSTER
from xenimage.model.extent import Kind
from xenimage.model.plan import ConvertOptions, SourceOptions


class QuickstartTest(CliTestCase):
    def test_all_steps(self) -> None:
        place = self.scratch / "new" / "place"
        run = self.run_cli("quickstart", str(place))
        self.assertEqual((0, ""), (run.code, run.err))
        self.assertEqual(["sample.qcow2", "sample.tgz", "sample.vhd"], sorted(path.name for path in place.iterdir()))
        self.assertIn("sound for nova-xenapi", run.out)
        self.assertIn("openstack image create", run.out)

    def test_the_commands_that_it_shows_work(self) -> None:
        place = self.scratch / "place"
        run = self.run_cli("quickstart", str(place))
        commands = re.findall(r"^   \$ xenimage (.*)$", run.out, re.MULTILINE)
        self.assertEqual(5, len(commands))
        for path in (place / "sample.tgz", place / "sample.vhd"):
            path.unlink()
        for command in commands:
            again = self.run_cli(*command.split())
            self.assertEqual((0, ""), (again.code, again.err), command)

    def test_it_runs_again_in_its_own_directory(self) -> None:
        first, second = (self.run_cli("quickstart", str(self.scratch / "s")) for _ in range(2))
        self.assertEqual((0, ""), (second.code, second.err))
        self.assertEqual(first.out, second.out)

    def test_it_leaves_other_files_alone(self) -> None:
        (self.scratch / "x").touch()
        run = self.run_cli("quickstart", str(self.scratch))
        message = f"{self.scratch}: holds other files, expected a new directory, or that of an earlier run\n"
        self.assertEqual((2, "", message), (run.code, run.out, run.err))

    def test_a_directory_that_cannot_be_made(self) -> None:
        (self.scratch / "x").touch()
        run = self.run_cli("quickstart", str(self.scratch / "x" / "y"))
        self.assertEqual(2, run.code)
        self.assertIn("cannot be made: Not a directory", run.err)


class SampleTest(CliTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.path = str(self.scratch / "sample.qcow2")
        self.size = sample.write_sample(self.path)

    def test_it_is_the_same_each_time(self) -> None:
        other = self.scratch / "other.qcow2"
        sample.write_sample(other)
        content = other.read_bytes()
        self.assertEqual(self.size, len(content))
        self.assertEqual((self.scratch / "sample.qcow2").read_bytes(), content)

    def test_qemu_finds_it_sound(self) -> None:
        self.assertIn("No errors were found", self.run_tool("qemu-img", "check", self.path))

    def test_it_has_a_partition_with_text_up_to_its_end(self) -> None:
        raw = self.scratch / "sample.raw"
        api.convert_disk(ConvertOptions(source=SourceOptions(path=self.path), output=str(raw), format="raw"))
        content = raw.read_bytes()
        self.assertEqual(sample.VIRTUAL_SIZE, len(content))
        self.assertEqual(b"\x55\xaa", content[510:512])
        entry = content[446:462]
        start, length = (int.from_bytes(entry[n : n + 4], "little") * 512 for n in (8, 12))
        self.assertEqual((0x80, 0x83), (entry[0], entry[4]))
        self.assertEqual((sample.PARTITION_START, sample.VIRTUAL_SIZE), (start, start + length))
        self.assertTrue(content[start:].startswith(b"This is line      0 of the xenimage sample disk"))
        self.assertTrue(content.endswith(b"The end of the xenimage sample disk.\n"))

    def test_most_of_it_is_empty(self) -> None:
        stored = sum(e.length for e in api.map_disk(SourceOptions(path=self.path)).extents if e.kind is Kind.DATA)
        self.assertEqual(sample.TEXT_SIZE + 2 * CLUSTER, stored)

    def test_an_existing_file_stays(self) -> None:
        with self.assertRaises(UsageError) as caught:
            sample.write_sample(self.path)
        self.assertEqual(f"{self.path}: exists already", str(caught.exception))
