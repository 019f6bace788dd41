"""The real command, ended from outside at any moment: the output's name holds the old file, the new one, or nothing."""

from __future__ import annotations

import os
import pathlib
import random
import resource
import signal
import subprocess
import sys
import time

import ddt

from tests.base import TestCase
from tests.fakes.vhd_util import Vhd, unpack_bundle

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
MIB = 1 << 20
NOISE = random.Random(11).randbytes(MIB)
OLD = b"what was there before"
# Truncates the source as soon as somebody reads behind 8 MiB, then goes on as the program does.
TRUNCATING = """
import os, sys
from xenimage.cli.app import main
from xenimage.sources.file import FileSource
real = FileSource.read_into
def read_into(self, offset, buffer):
    if offset + len(buffer) > 8 << 20 and self.name.endswith(".raw"):
        os.truncate(self.name, 8 << 20)
    real(self, offset, buffer)
FileSource.read_into = read_into
sys.exit(main())
"""
# Stops itself when the method of the sink was called and the output has so many bytes, for the test to send a signal.
HOLDING = """
import os, signal, sys
from xenimage.cli.app import main
from xenimage.sinks.file import FileSink
real = FileSink.{method}
def method(self, *arguments):
    real(self, *arguments)
    if self.size >= {size}:
        FileSink.{method} = real
        os.kill(os.getpid(), signal.SIGSTOP)
FileSink.{method} = method
sys.exit(main())
"""
# A source whose device fails behind 8 MiB.
FAILING = """
import errno, os, sys
from xenimage.cli.app import main
real = os.preadv
def preadv(descriptor, buffers, offset, *rest):
    if offset >= 8 << 20:
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    return real(descriptor, buffers, offset, *rest)
os.preadv = preadv
sys.exit(main())
"""


class CommandTestCase(TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.source = self.scratch / "disk.raw"
        with self.source.open("wb") as stream:
            for _ in range(24):
                stream.write(NOISE)
        self.directory = self.scratch / "out"
        self.directory.mkdir()
        self.output = self.directory / "out.tgz"
        self.environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    def words(self, *more: str, output: str | None = None, code: str = "") -> list[str]:
        program = ["-c", code] if code else ["-m", "xenimage"]
        create = ["bundle", "create", str(self.source), "--output", output or str(self.output), "--jobs", "2"]
        return [sys.executable, *program, *create, *more]

    def start(self, words: list[str], **options: object) -> subprocess.Popen[bytes]:
        def prepare() -> None:
            # A runner in the background of a shell ignores it, and children inherit that.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.nice(5)

        process = subprocess.Popen(
            words,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "preexec_fn": prepare, **options},  # type: ignore[call-overload]
        )
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def run_words(self, words: list[str], **options: object) -> tuple[int, str]:
        """Exit code, and what was said on standard error."""
        process = self.start(words, **options)
        _, said = process.communicate(timeout=60)
        return process.returncode, said.decode()

    def names(self) -> list[str]:
        return sorted(os.listdir(self.directory))

    def orphans(self) -> list[pathlib.Path]:
        return [self.directory / name for name in self.names() if name.endswith(".xenimage-part")]

    def hold(self, method: str, size: int, *more: str) -> subprocess.Popen[bytes]:
        """A run that has stopped behind a call of the sink's *method*."""
        process = self.start(self.words(*more, code=HOLDING.format(method=method, size=size)))
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        self.assertTrue(os.WIFSTOPPED(status), "ended before it stopped")
        return process

    def wait_for_bytes(self, process: subprocess.Popen[bytes], count: int, known: list[pathlib.Path]) -> None:
        """Return as soon as the process's own temporary file has *count* bytes, or the process is over."""
        while process.poll() is None:
            for path in self.orphans():
                try:
                    if path not in known and path.stat().st_size >= count:
                        return
                except FileNotFoundError:
                    return
            time.sleep(0.001)

    def assert_whole(self) -> None:
        """The output is the bundle, all of it."""
        _, data = unpack_bundle(self.output)
        disk = Vhd(data)
        disk.check()
        self.assert_same_bytes(disk.content(), NOISE * 24)


@ddt.ddt
class KillTest(CommandTestCase):
    @ddt.data(False, True)
    def test_at_any_moment_nothing_half_made_has_the_name(self, replaces):
        chance = random.Random(replaces)
        moments = ["write", "patch", "flush", 0, 3 * MIB, 24 * MIB, 24 * MIB]
        for moment in moments:
            if replaces:
                self.output.write_bytes(OLD)
            else:
                self.output.unlink(missing_ok=True)
            force = ["--force"] if replaces else []
            before = self.orphans()
            if isinstance(moment, str):
                process = self.hold(moment, 0, *force)
            else:
                process = self.start(self.words(*force))
                self.wait_for_bytes(process, moment, before)
                time.sleep(chance.random() * 0.03)
            process.kill()
            process.wait()
            if isinstance(moment, str):
                self.assertTrue(self.is_old(replaces))
                self.assertEqual(1, len(self.orphans()))
            elif not self.is_old(replaces):
                self.assert_whole()
            # The run removed what the one before left, before it left something itself. Between naming and removing
            # the temporary name, both are there.
            self.assertLessEqual(len(self.orphans()), 1)
        self.output.unlink(missing_ok=True)
        self.assertEqual((0, ""), self.run_words(self.words("--quiet")))
        self.assertEqual(["out.tgz"], self.names())
        self.assert_whole()

    def is_old(self, replaces: bool) -> bool:
        if replaces:
            return self.output.read_bytes() == OLD
        return not self.output.exists()


@ddt.ddt
class SignalTest(CommandTestCase):
    @ddt.data(
        *[
            (number, code, method, size, replaces)
            for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130))
            for method, size, replaces in (
                ("write", 0, False),
                ("write", 5 * MIB, True),
                ("patch", 24 * MIB, False),
                ("flush", 0, True),
                ("duplicate", 0, False),
            )
        ]
    )
    @ddt.unpack
    def test_leaves_nothing(self, number, code, method, size, replaces):
        if replaces:
            self.output.write_bytes(OLD)
        before = self.names()
        process = self.hold(method, size, "--verify", *(["--force"] if replaces else []))
        self.assertEqual(len(before) + 1, len(self.names()))
        process.send_signal(number)
        process.send_signal(signal.SIGCONT)
        _, said = process.communicate(timeout=60)
        self.assertEqual(code, process.returncode, said)
        self.assertNotIn(b"Traceback", said)
        self.assertEqual(before, self.names())
        if replaces:
            self.assertEqual(OLD, self.output.read_bytes())

    def test_ends_a_pipe_too(self):
        process = self.start(self.words("--compression", "best", output="-"))
        self.assertTrue(process.stdout.read(1000))
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        self.assertEqual(143, process.returncode)

    def test_a_reader_that_goes_away_is_no_failure_to_tell_of(self):
        process = self.start(self.words(output="-"))
        self.assertTrue(process.stdout.read(1000))
        process.stdout.close()
        said = process.stderr.read()
        process.wait()
        self.assertEqual((141, b""), (process.returncode, said))


@ddt.ddt
class FullTest(CommandTestCase):
    def limited(self, count: int):
        return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (count, count))

    @ddt.data(0, 10, 100_000, 5 * MIB, 24 * MIB)
    def test_a_file_that_may_not_grow(self, count):
        code, said = self.run_words(self.words("--quiet"), preexec_fn=self.limited(count))
        self.assertEqual(7, code, said)
        self.assertRegex(said, r"out\.tgz: cannot be written: file too large, after \d+ bytes")
        self.assertIn("TIP: Raise the file size limit (ulimit -f)", said)
        self.assertEqual([], self.names())

    def test_the_last_byte_does_not_fit(self):
        self.assertEqual((0, ""), self.run_words(self.words("--quiet")))
        size = self.output.stat().st_size
        for missing in (1, 8, 13):
            self.output.write_bytes(OLD)
            code, said = self.run_words(self.words("--quiet", "--force"), preexec_fn=self.limited(size - missing))
            self.assertEqual(7, code, said)
            self.assertEqual(["out.tgz"], self.names())
            self.assertEqual(OLD, self.output.read_bytes())
        self.assertEqual(0, self.run_words(self.words("--force"), preexec_fn=self.limited(size))[0])
        self.assert_whole()

    def test_a_full_device_behind_the_pipe(self):
        with open("/dev/full", "wb") as full:
            code, said = self.run_words(self.words(output="-"), stdout=full)
        self.assertEqual(7, code, said)
        self.assertIn("standard output: cannot be written: no space left on device, after 0 bytes", said)

    @ddt.data(
        ("raw",),
        ("vhd",),
        ("vhd", "--subformat", "fixed"),
        ("qcow2",),
        ("qcow2", "--compression", "zstd"),
        ("vmdk",),
    )
    def test_disk_convert(self, form):
        words = [
            sys.executable,
            "-m",
            "xenimage",
            "disk",
            "convert",
            str(self.source),
            str(self.output),
            "--format",
            *form,
        ]
        code, said = self.run_words(words, preexec_fn=self.limited(5 * MIB))
        self.assertEqual(7, code, said)
        self.assertEqual([], self.names())


@ddt.ddt
class ConvertTest(CommandTestCase):
    """disk convert, as bundle create."""

    def convert(self, form: str, *more: str, code: str = "") -> list[str]:
        program = ["-c", code] if code else ["-m", "xenimage"]
        words = ["disk", "convert", str(self.source), str(self.output), "--format", form, "--jobs", "2", "--quiet"]
        return [sys.executable, *program, *words, *more]

    @ddt.data(
        *[
            (form, method, size, end)
            for form, method in (("raw", "skip"), ("qcow2", "patch"), ("vmdk", "write"))
            for method, size, end in (
                (method, 5 * MIB, signal.SIGKILL),
                (method, 24 * MIB, signal.SIGTERM),
                ("flush", 0, signal.SIGKILL),
            )
        ]
    )
    @ddt.unpack
    def test_ended_at_any_moment(self, form, method, size, end):
        self.output.write_bytes(OLD)
        process = self.start(self.convert(form, "--force", code=HOLDING.format(method=method, size=size)))
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        self.assertTrue(os.WIFSTOPPED(status), "ended before it stopped")
        self.assertEqual(1, len(self.orphans()))
        process.send_signal(end)
        process.send_signal(signal.SIGCONT)
        process.communicate(timeout=60)
        self.assertEqual({signal.SIGKILL: -9, signal.SIGTERM: 143}[end], process.returncode)
        self.assertEqual(OLD, self.output.read_bytes())
        self.assertEqual(int(end is signal.SIGKILL), len(self.orphans()))
        code, said = self.run_words(self.convert(form, "--force"))
        self.assertEqual((0, ["out.tgz"]), (code, self.names()), said)
        self.run_tool("qemu-img", "convert", "-f", form, "-O", "raw", self.output, "back.raw")
        self.assert_same_bytes(NOISE * 24, (self.scratch / "back.raw").read_bytes())


@ddt.ddt
class SourceTest(CommandTestCase):
    @ddt.data(False, True)
    def test_truncated_while_it_is_read(self, replaces):
        if replaces:
            self.output.write_bytes(OLD)
        before = self.names()
        code, said = self.run_words(self.words(*(["--force"] if replaces else []), code=TRUNCATING))
        self.assertEqual(7, code, said)
        self.assertRegex(said, rf"disk\.raw: ends at 0x[0-9a-f]+, expected {24 * MIB} bytes as when it was opened")
        self.assertEqual(before, self.names())

    def test_truncated_on_the_way_to_a_pipe(self):
        code, said = self.run_words(self.words(output="-", code=TRUNCATING), stdout=subprocess.DEVNULL)
        self.assertEqual(7, code, said)

    def test_its_device_fails(self):
        code, said = self.run_words(self.words(code=FAILING))
        self.assertEqual(7, code, said)
        self.assertRegex(said, r"disk\.raw: cannot read at 0x[0-9a-f]+: Input/output error")
        self.assertEqual([], self.names())
