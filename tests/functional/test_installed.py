"""The installed program, as a user meets it: started by its name, on a terminal, in a pipe."""

from __future__ import annotations

import json
import os
import pathlib
import pty
import re
import subprocess
import sys
import termios

from tests.base import TestCase
from tests.builders.pattern import pattern

MIB = 1 << 20
PROGRAM = pathlib.Path(sys.executable).with_name("xenimage")
PERCENT = re.compile(r"(\d+) %")


class InstalledTest(TestCase):
    def run_program(self, *words: str) -> str:
        return self.run_tool(PROGRAM, *words)

    def make_source(self, size: int) -> pathlib.Path:
        """A qcow2 with data in every block, by qemu-img."""
        raw = self.scratch / "source.raw"
        raw.write_bytes(pattern(0, size))
        self.run_tool("qemu-img", "convert", "-O", "qcow2", raw, self.scratch / "source.qcow2")
        return self.scratch / "source.qcow2"

    def test_quickstart_shows_the_whole_way(self) -> None:
        text = self.run_program("quickstart", "sample")
        self.assertIn("sound for nova-xenapi", text)
        self.assertEqual(["0.vhd"], self.run_tool("tar", "-tzf", "sample/sample.tgz").split())

    def test_every_source_gives_the_same_sound_bundle(self) -> None:
        source = self.make_source(20 * MIB)
        sums = set()
        for name, options in {
            "plain.qcow2": ("-O", "qcow2"),
            "old.qcow2": ("-O", "qcow2", "-o", "compat=0.10,cluster_size=4k"),
            "packed.qcow2": ("-c", "-O", "qcow2", "-o", "compression_type=zstd,cluster_size=2M"),
            "extended.qcow2": ("-O", "qcow2", "-o", "extended_l2=on,cluster_size=128k"),
            "sparse.vmdk": ("-O", "vmdk"),
            "stream.vmdk": ("-O", "vmdk", "-o", "subformat=streamOptimized"),
            "split.vmdk": ("-O", "vmdk", "-o", "subformat=twoGbMaxExtentSparse"),
            "flat.vmdk": ("-O", "vmdk", "-o", "subformat=monolithicFlat"),
            "dynamic.vhd": ("-O", "vpc", "-o", "force_size=on"),
            "fixed.vhd": ("-O", "vpc", "-o", "force_size=on,subformat=fixed"),
            "copy.raw": ("-O", "raw"),
        }.items():
            self.run_tool("qemu-img", "convert", *options, source, name)
            self.run_program("bundle", "create", name, "--output", f"{name}.tgz", "--verify")
            sums.add(self.run_tool("sha256sum", f"{name}.tgz").split()[0])
        self.assertEqual(1, len(sums))
        for profile in json.loads(self.run_program("profile", "list", "-f", "json")):
            checked = self.run_program("bundle", "check", f"{name}.tgz", "--profile", profile["name"], "-f", "json")
            self.assertEqual("sound", json.loads(checked)["verdict"])

    def test_the_bar_on_a_terminal_is_true(self) -> None:
        source = self.make_source(64 * MIB)
        command = [PROGRAM, "bundle", "create", source, "--output", self.scratch / "out.tgz", "--compression", "best"]
        leader, follower = pty.openpty()
        termios.tcsetwinsize(follower, (24, 100))
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=follower, close_fds=True) as process:
            os.close(follower)
            shown = self.read_all(leader)
        self.assertEqual(0, process.returncode)
        stages = re.split(r"(?=checksums)", shown, maxsplit=1, flags=re.IGNORECASE)
        percents = [int(each) for each in PERCENT.findall(stages[0])]
        self.assertEqual(sorted(percents), percents, "a bar never goes back")
        self.assertEqual(100, percents[-1])
        self.assertGreater(len(set(percents)), 2, "it was seen on its way")

    def read_all(self, descriptor: int) -> str:
        parts = []
        try:
            while part := os.read(descriptor, 4096):
                parts.append(part)
        except OSError:  # the other end of a terminal was closed
            pass
        os.close(descriptor)
        return b"".join(parts).decode()

    def test_a_pipe_gets_the_bytes_of_the_file(self) -> None:
        source = self.make_source(9 * MIB)
        self.run_program("bundle", "create", os.fspath(source), "--output", "file.tgz")
        piped = f"'{PROGRAM}' bundle create source.qcow2 --output - 2>report | tee pipe.tgz | tar -tzv"
        self.assertIn("0.vhd", self.run_tool("sh", "-c", piped))
        self.assertEqual((self.scratch / "file.tgz").read_bytes(), (self.scratch / "pipe.tgz").read_bytes())

    def test_a_refused_source_leaves_nothing(self) -> None:
        self.run_tool("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", "/etc/passwd", "evil.qcow2", "1M")
        done = subprocess.run(
            [PROGRAM, "bundle", "create", "evil.qcow2", "--output", "out.tgz"],
            cwd=self.scratch, capture_output=True, text=True, check=False,
        )  # fmt: skip
        self.assertEqual(5, done.returncode)
        self.assertEqual(
            "evil.qcow2: wants the parent '/etc/passwd', which is not opened on the word of an image, "
            "expected a disk that needs no other, or its parent from you\n"
            "TIP: Give it with --backing FILE, if you trust both files.\n",
            done.stderr,
        )
        self.assertEqual(["evil.qcow2"], sorted(os.listdir(self.scratch)))
