"""From exceptions to messages and exit codes."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time

import ddt

from tests.unit.cli.support import CliTestCase, finding
from xenimage import exceptions
from xenimage.cli import errors
from xenimage.cli.text import Style
from xenimage.model.finding import Severity


@ddt.ddt
class ExitCodeTest(CliTestCase):
    @ddt.data(
        (exceptions.UsageError("x"), 2),
        (exceptions.ConfigError("x"), 2),
        (exceptions.ExtensionError("x"), 2),
        (exceptions.FormatError("x"), 3),
        (exceptions.UnsupportedError("x"), 4),
        (exceptions.UnsafeError("x"), 5),
        (exceptions.LimitError("x"), 5),
        (exceptions.NotReadyError("x"), 6),
        (exceptions.TransferError("x"), 7),
        (exceptions.XenimageError("x"), 1),
        (ValueError("x"), 1),
        (MemoryError(), 1),
        (KeyboardInterrupt(), 130),
        (BrokenPipeError(), 141),
        (errors.Terminated(15), 143),
        (SystemExit(2), 2),
        (SystemExit(), 0),
        (SystemExit("text"), 1),
    )
    @ddt.unpack
    def test_every_class_has_its_code(self, error: BaseException, code: int) -> None:
        self.patch_api(show_disk=error)
        self.assertEqual(code, self.run_cli("disk", "show", "x").code)

    @ddt.data(
        (
            exceptions.FormatError("version 9", expected="2 or 3", where="header"),
            "header: version 9, expected 2 or 3\n",
        ),
        (
            exceptions.UsageError("no such file", where="a.raw", tip="Look again."),
            "a.raw: no such file\nTIP: Look again.\n",
        ),
        (
            exceptions.TransferError("no space left on device", where="out.tgz", done=3 << 20),
            "out.tgz: no space left on device, after 3145728 bytes\n",
        ),
        (
            ValueError("oops"),
            "xenimage: internal error: ValueError: oops\n"
            "TIP: Run it again with --debug and report what it prints: this is a bug of xenimage.\n",
        ),
        (
            MemoryError(),
            "xenimage: out of memory\nTIP: Use fewer threads (--jobs 1), or give the process more memory.\n",
        ),
        (KeyboardInterrupt(), "xenimage: interrupted\n"),
        (BrokenPipeError(), ""),
        (errors.Terminated(15), ""),
    )
    @ddt.unpack
    def test_the_whole_message(self, error: BaseException, message: str) -> None:
        self.patch_api(show_disk=error)
        run = self.run_cli("disk", "show", "x")
        self.assertEqual(("", message), (run.out, run.err))

    def test_failed_checks_list_every_finding(self) -> None:
        found = (finding(), finding(Severity.WARNING, code="vhd.size", where="", offset=None))
        error = exceptions.NotReadyError("cannot be a bundle for nova-xenapi", findings=found, where="x.raw")
        self.patch_api(show_disk=error)
        self.assertEqual(
            "error    vhd.footer.checksum  [0.vhd at 0x1e00]\n"
            "         The checksum of the trailing footer is wrong.\n"
            "         why: XenServer repairs it silently; Cinder reads another size.\n"
            "         act: Make the bundle anew.\n"
            "warning  vhd.size\n"
            "         The checksum of the trailing footer is wrong.\n"
            "         why: XenServer repairs it silently; Cinder reads another size.\n"
            "         act: Make the bundle anew.\n"
            "x.raw: cannot be a bundle for nova-xenapi\n",
            self.run_cli("disk", "show", "x").err,
        )

    @ddt.data(exceptions.FormatError("broken"), ValueError("oops"))
    def test_the_traceback_only_with_debug(self, error: Exception) -> None:
        self.patch_api(show_disk=error)
        self.assertNotIn("Traceback", self.run_cli("disk", "show", "x").err)
        run = self.run_cli("disk", "show", "x", "--debug")
        self.assertIn("Traceback", run.err)
        self.assertIn(str(error), run.err.splitlines()[-2] + run.err.splitlines()[-1])

    def test_a_pipe_that_broke_below_an_error_of_ours(self) -> None:
        error = exceptions.TransferError("cannot be written")
        error.__cause__ = BrokenPipeError()
        self.patch_api(show_disk=error)
        run = self.run_cli("disk", "show", "x")
        self.assertEqual((141, ""), (run.code, run.err))

    def test_settle_colours_only_on_a_terminal(self) -> None:
        stream = io.StringIO()
        self.assertEqual(3, errors.settle(exceptions.FormatError("x"), stream, debug=False))
        self.assertEqual("x\n", stream.getvalue())
        text = list(errors.describe(exceptions.NotReadyError("x", findings=(finding(),)), Style(colour=True)))
        self.assertIn("\x1b[1;31merror", text[0])


class SignalTest(CliTestCase):
    def start(self, body: str) -> subprocess.Popen[str]:
        code = (
            "import sys, time, pathlib\nfrom unittest import mock\nfrom xenimage.cli.app import main\n"
            f"def work(*a, **k):\n{body}\n"
            "with mock.patch('xenimage.api.show_disk', work):\n    sys.exit(main(['disk', 'show', 'x']))\n"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=os.getcwd()
        )
        self.addCleanup(process.communicate)
        return process

    def test_sigterm_lets_the_work_clean_up(self) -> None:
        mark, gone = self.scratch / "mark", self.scratch / "gone"
        body = (
            f"    try:\n        pathlib.Path({str(mark)!r}).touch()\n        time.sleep(60)\n"
            f"    finally:\n        pathlib.Path({str(gone)!r}).touch()"
        )
        process = self.start(body)
        for _ in range(600):
            if mark.exists():
                break
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(143, process.wait(30))
        self.assertTrue(gone.exists())

    def test_a_reader_that_left(self) -> None:
        process = self.start("    print('x' * 10_000_000)")
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        self.assertEqual("", process.stderr.read())
        self.assertEqual(141, process.wait(30))
        process.stdout = None
