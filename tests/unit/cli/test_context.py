"""The surroundings of a command: terminal, progress, configuration, other cliff applications."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import os
import shlex
import subprocess
from typing import TYPE_CHECKING, Any

import cliff.app
import cliff.command
import cliff.commandmanager
import ddt

from tests.unit.cli import support
from tests.unit.cli.support import CliTestCase, Terminal
from xenimage.cli import catalogue
from xenimage.cli.cliffapp import CliffApp, Complete
from xenimage.cli.command import Command
from xenimage.profiles.registry import BUILTIN

if TYPE_CHECKING:
    from xenimage.model.report import BundleFacts
    from xenimage.model.transfer import Progress

TERM = {"TERM": "xterm"}


def work(path: str, *, progress: Progress, **_: Any) -> BundleFacts:
    """Do some work that progress can show."""
    progress.start("Reading", 100)
    progress.advance(100)
    progress.stop()
    return support.bundle_facts()


@ddt.ddt
class ProgressTest(CliTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.patch_api(show_bundle=None)["show_bundle"].side_effect = work

    def test_a_bar_on_a_terminal(self) -> None:
        run = self.run_cli("bundle", "show", "x", kind=Terminal, environ=TERM)
        self.assertIn("100 %  100 B of 100 B", run.err)
        self.assertIn("\x1b[1mBundle\x1b[0m\n", run.out)

    def test_none_where_nobody_looks(self) -> None:
        self.assertEqual("", self.run_cli("bundle", "show", "x").err)
        self.assertEqual("", self.run_cli("-q", "bundle", "show", "x", kind=Terminal, environ=TERM).err)
        self.assertEqual("", self.run_cli("bundle", "show", "x", kind=Terminal, environ={"TERM": "dumb"}).err)
        self.assertEqual("", self.run_cli("--progress", "none", "bundle", "show", "x", kind=Terminal).err)

    def test_no_colour_on_request(self) -> None:
        run = self.run_cli("bundle", "show", "x", kind=Terminal, environ={**TERM, "NO_COLOR": "1"})
        self.assertNotIn("\x1b", run.out)

    def test_a_bar_on_request(self) -> None:
        self.assertIn("100 %", self.run_cli("--progress", "bar", "bundle", "show", "x").err)

    def test_json_lines(self) -> None:
        lines = [json.loads(line) for line in self.run_cli("--progress=json", "bundle", "show", "x").err.splitlines()]
        self.assertEqual(
            [("Reading", 0, 100), ("Reading", 100, 100)], [(e["stage"], e["done"], e["total"]) for e in lines]
        )

    def test_json_lines_to_a_descriptor(self) -> None:
        read, write = os.pipe()
        self.assertEqual("", self.run_cli("--progress-fd", str(write), "bundle", "show", "x").err)
        os.close(write)
        with os.fdopen(read) as stream:
            self.assertEqual(100, json.loads(stream.read().splitlines()[-1])["done"])

    @ddt.data(("-1", "Bad file descriptor"), ("99999999999999999999", "no such descriptor"))
    @ddt.unpack
    def test_a_descriptor_that_is_none(self, descriptor: str, reason: str) -> None:
        run = self.run_cli("--progress-fd", descriptor, "bundle", "show", "x")
        self.assertEqual(2, run.code)
        self.assertEqual(f"--progress-fd {descriptor}: {reason}, expected an open file descriptor\n", run.err)

    def test_an_error_takes_the_bar_away(self) -> None:
        def fail(path: str, *, progress: Progress, **_: Any) -> None:
            progress.start("Reading", 100)
            raise ValueError("oops")

        self.patch_api(show_bundle=None)["show_bundle"].side_effect = fail
        run = self.run_cli("bundle", "show", "x", kind=Terminal, environ=TERM)
        self.assertIn("\r\x1b[Kxenimage: internal error", run.err)


class LogTest(CliTestCase):
    def setUp(self) -> None:
        super().setUp()

        def tell(path: str, **_: Any) -> BundleFacts:
            logging.getLogger("xenimage.test").debug("some detail")
            logging.getLogger("xenimage.test").info("some step")
            return support.bundle_facts()

        self.patch_api(show_bundle=None)["show_bundle"].side_effect = tell

    def test_silent_by_default(self) -> None:
        self.assertEqual("", self.run_cli("bundle", "show", "x").err)

    def test_verbose(self) -> None:
        self.assertEqual("INFO xenimage.test: some step\n", self.run_cli("bundle", "show", "x", "-v").err)

    def test_more_verbose(self) -> None:
        self.assertIn("DEBUG xenimage.test: some detail\n", self.run_cli("-vv", "bundle", "show", "x").err)

    def test_to_a_file(self) -> None:
        path = self.scratch / "log"
        self.assertEqual("", self.run_cli("--log-file", str(path), "bundle", "show", "x").err)
        for _ in range(2):
            self.assertIn("some detail", path.read_text(encoding="utf-8"))
            self.assertEqual(0, self.run_cli("--log-file", str(path), "bundle", "show", "x").code)

    def test_to_what_is_no_file(self) -> None:
        self.assertEqual(0, self.run_cli("--log-file", "/dev/null", "bundle", "show", "x").code)

    def test_wrong_use_leaves_no_log(self) -> None:
        path = self.scratch / "log"
        self.assertEqual(2, self.run_cli("--log-file", str(path), "bundle", "show").code)
        self.assertFalse(path.exists())


@ddt.ddt
class LogFileTest(CliTestCase):
    """A log is never written into what the command reads or writes."""

    def setUp(self) -> None:
        super().setUp()
        for name in ("disk", "base", "plain.txt"):
            (self.scratch / name).write_bytes(b"all of this is text\n" * 512)
        (self.scratch / "link").symlink_to("disk")
        (self.scratch / "hard").hardlink_to(self.scratch / "disk")
        (self.scratch / "log").symlink_to("out")

    def refused(self, log: str, words: str, reason: str) -> None:
        def content() -> dict[str, bytes]:
            return {each.name: each.read_bytes() for each in self.scratch.iterdir() if each.exists()}

        before = content()
        names = [word.replace("@", f"{self.scratch}/") for word in words.split()]
        run = self.run_cli("--log-file", f"{self.scratch}/{log}", *names)
        self.assertEqual((2, ""), (run.code, run.out))
        self.assertIn(f"--log-file {self.scratch}/{log}: {reason}", run.err)
        self.assertEqual(before, content())

    @ddt.data(
        ("disk", "disk show @disk"),
        ("link", "disk map @disk"),
        ("hard", "bundle create @link --output @out"),
        ("out", "bundle create @disk --output @out"),
        ("log", "bundle create @disk --output @out --force --dry-run"),
        ("out", "disk convert @disk @out --format raw"),
        ("base", "disk show @disk --backing @plain.txt --backing @base"),
        ("base", "disk compare @disk @base"),
        ("disk", "disk compare @disk @base"),
        ("plain.txt", "disk compare @disk @base --second-backing @plain.txt"),
        ("disk", "bundle check @disk"),
        ("base", "disk check @disk @base"),
        ("base", "chain show @disk @base"),
        ("disk", "disk repair @disk"),
        ("base", "disk repair @disk --undo @base"),
        ("base", "disk rebase @disk --parent @base"),
        ("disk", "disk rebase @disk --parent @base"),
        ("disk", "bundle repair @disk --output @out"),
        ("base", "--config-file @base doctor"),
    )
    @ddt.unpack
    def test_a_file_of_the_command(self, log: str, words: str) -> None:
        self.refused(log, words, "is the file ")

    def test_a_piece_of_a_disk_that_only_the_image_names(self) -> None:
        (self.scratch / "disk-flat.vmdk").write_bytes(bytes(8192))
        self.refused("disk-flat.vmdk", "disk show @disk", "holds data that is no text, expected a log, or a new file")


@ddt.ddt
class CliffTest(CliTestCase):
    """The contract with cliff, held against the real one."""

    @ddt.data(*catalogue.COMMANDS)
    def test_a_plain_cliff_application_runs_our_commands(self, name: str) -> None:
        manager = cliff.commandmanager.CommandManager("xenimage.no.such.namespace")
        manager.add_command(name, catalogue.COMMANDS[name].load())  # type: ignore[arg-type]
        app = cliff.app.App("a program", "1.0", manager)
        with contextlib.redirect_stderr(io.StringIO()), self.assertRaises(SystemExit) as caught:
            app.run([*name.split(), "--no-such-option"])
        self.assertEqual(2, caught.exception.code)

    def test_results_reach_its_output(self) -> None:
        self.patch_api(doctor=support.diagnoses()[:1])
        manager = cliff.commandmanager.CommandManager("xenimage.no.such.namespace")
        manager.add_command("image doctor", catalogue.COMMANDS["doctor"].load())  # type: ignore[arg-type]
        app = cliff.app.App("a program", "1.0", manager)
        with contextlib.redirect_stdout(io.StringIO()) as out:
            self.assertEqual(0, app.run(["-q", "image", "doctor", "-f", "json"]))
        self.assertEqual("python", json.loads(out.getvalue())[0]["what"])

    def test_our_commands_are_known_as_its_own(self) -> None:
        CliffApp()
        self.assertTrue(issubclass(Command, cliff.command.Command))

    def test_completion_knows_commands_and_options(self) -> None:
        run = self.run_cli("complete")
        self.assertEqual((0, ""), (run.code, run.err))
        self.assertIn("cmds_bundle='check create extract repair show'", run.out)
        self.assertIn("--vm-mode", run.out)
        script = self.scratch / "complete.sh"
        script.write_text(run.out, encoding="utf-8")
        subprocess.run(["bash", "-n", str(script)], check=True)

    def test_completion_of_the_last_word(self) -> None:
        script = self.run_cli("complete").out
        profiles = " ".join(BUILTIN)
        for words, expected in (
            (("",), " ".join(sorted({name.split()[0] for name in catalogue.COMMANDS} | {"complete", "help"}))),
            (("qui",), "quickstart"),
            (("disk", "con"), "convert"),
            (("disk", "convert"), "convert"),
            (("--debug", "disk", "con"), "convert"),
            (("--log-file", "x.log", "disk", "con"), "convert"),
            (("disk", "no-such", ""), "check compare convert map rebase repair show"),
            (("bundle", "create", "my-disk.qcow2", "--ch"), "--chain"),
            (("bundle", "create", "my disk's (1).qcow2", "--prog"), "--progress --progress-fd"),
            # what stands for no file
            (("disk", "convert", "a.qcow2", "b", "--format", ""), "raw vhd qcow2 vmdk"),
            (("disk", "convert", "a.qcow2", "b", "--format", "v"), "vhd vmdk"),
            (("disk", "convert", "--format", "=", "q"), "qcow2"),
            (("disk", "convert", "--format", "="), "raw vhd qcow2 vmdk"),
            (("disk", "convert", "a", "--compression", "z"), "zlib zstd"),
            (("bundle", "create", "a", "--compression", ""), "store fast balanced best"),
            (("disk", "show", "--format", ""), "raw qcow2 vmdk vhd bundle ova ovf vmx xva"),
            (("disk", "compare", "--second-format", "v"), "vmdk vhd vmx"),
            (("disk", "map", "a", "-f", "c"), "csv"),
            (("chain", "show", "a", "-f", "c"), ""),
            (("bundle", "check", "--profile", ""), profiles),
            (("disk", "check", "a", "--profile", "ci"), "cinder"),
            (("doctor", "--progress", "j"), "json"),
            (("complete", "--shell", ""), "bash none"),
            (("--progress", "n"), "none"),
            # where bash itself completes names of files
            (("disk", "convert", ""), ""),
            (("disk", "convert", "--format", "raw", ""), ""),
            (("disk", "convert", "--backing", ""), ""),
        ):
            line = (
                f"COMP_WORDS=(xenimage {shlex.join(words)})\nCOMP_CWORD={len(words)}\n_xenimage\necho ${{COMPREPLY[@]}}"
            )
            run = subprocess.run(["bash", "-c", f"{script}\n{line}"], capture_output=True, text=True, check=True)
            self.assertEqual((f"{expected}\n", ""), (run.stdout, run.stderr), words)

    def test_completion_of_all_options_with_choices(self) -> None:
        script = self.run_cli("complete").out
        for name in catalogue.COMMANDS:
            actions = Complete(CliffApp(), argparse.Namespace()).get_actions(name.split())
            for action in (each for each in actions if each.choices):
                words = " ".join(map(str, action.choices or ()))
                for option in action.option_strings:
                    self.assertIn(f"\n    '{name.replace(' ', '_')} {option}') completed='{words}' ;;\n", script)

    def test_completion_under_another_name(self) -> None:
        script = self.run_cli("complete", "--name", "xen-image").out
        self.assertTrue(script.startswith("_xen_image()\n"), script[:20])
        self.assertTrue(script.endswith("\ncomplete -o bashdefault -o default -F _xen_image xen-image\n"), script[-80:])

    def test_completion_for_an_unknown_shell(self) -> None:
        self.assertEqual(2, self.run_cli("complete", "--shell", "dos").code)
