"""What comes from an image is shown, and never obeyed: not by a terminal, not by a shell."""

from __future__ import annotations

import dataclasses
import subprocess

import ddt

from tests.unit.cli.support import CliTestCase, Terminal, disk_facts, finding
from xenimage import exceptions
from xenimage.cli.text import Style, finding_lines, section, table, visible, wrap
from xenimage.model.disk import ParentReference

HOSTILE = 'x\x1b]0;title\x07\x1b[2J\r\n\x9b31m\u202e"; $(echo ran) `echo ran` \\" $HOME'
COLOURED = Style(colour=True)


@ddt.ddt
class VisibleTest(CliTestCase):
    @ddt.data(
        ("plain", "plain"), ("ünïcödé  →", "ünïcödé  →"), ("\x1b[2J", "\\x1b[2J"), ("a\nb\tc", "a\\nb\\tc"),
        ("\x9b\u202e\udcff", "\\x9b\\u202e\\udcff"), ("\U000e0041", "\\U000e0041"),
    )  # fmt: skip
    @ddt.unpack
    def test_visible(self, text: str, shown: str) -> None:
        self.assertEqual(shown, visible(text))

    @ddt.data(
        wrap(HOSTILE, Style(), "  "),
        table((HOSTILE, "b"), [(HOSTILE, HOSTILE)], Style()),
        list(section(HOSTILE, [("name", HOSTILE)], Style())),
        list(
            finding_lines(finding(where=HOSTILE, what=HOSTILE, why=HOSTILE, act=HOSTILE, evidence=(HOSTILE,)), Style())
        ),
    )
    def test_every_way_to_show_a_text(self, lines: list[str]) -> None:
        for line in lines:
            self.assertTrue(line.isprintable(), line)

    def test_colours_are_ours_alone(self) -> None:
        self.assertEqual("\x1b[1m\\x1b[31mx\x1b[0m", COLOURED.paint("\x1b[31mx", "bold"))


class FindingLinesTest(CliTestCase):
    def test_each_piece_of_evidence_has_a_line(self) -> None:
        seen = ("SYSTEM\\Services\\xenbus: Start=4", "etc/fstab: /dev/sda1")
        *_, act, first, second = finding_lines(finding(evidence=seen), Style())
        self.assertEqual(
            [
                "         act: Make the bundle anew.",
                "         seen: SYSTEM\\Services\\xenbus: Start=4",
                "         seen: etc/fstab: /dev/sda1",
            ],
            [act, first, second],
        )


@ddt.ddt
class HostileTest(CliTestCase):
    def facts(self) -> object:
        return dataclasses.replace(
            disk_facts(),
            variant=HOSTILE,
            parent=ParentReference(name=HOSTILE, identity=HOSTILE, format=HOSTILE),
            details=(("backing file", HOSTILE),),
            findings=(finding(what=HOSTILE),),
        )

    @ddt.data("table", "json", "yaml", "value", "shell")
    def test_no_format_passes_it_on(self, formatter: str) -> None:
        self.patch_api(show_disk=self.facts())
        run = self.run_cli("disk", "show", HOSTILE, "-f", formatter)
        self.assertEqual((0, ""), (run.code, run.err))
        self.assertTrue(run.out.replace("\n", "").isprintable(), run.out)

    @ddt.data((), ("--debug",))
    def test_an_error(self, words: tuple[str, ...]) -> None:
        self.patch_api(show_disk=exceptions.FormatError(HOSTILE, expected=HOSTILE, where=HOSTILE, tip=HOSTILE))
        run = self.run_cli("disk", "show", HOSTILE, *words, kind=Terminal)
        self.assertEqual(3, run.code)
        self.assertTrue(run.err.replace("\n", "").isprintable(), run.err)
        self.assertIn("TIP: x\\x1b]0;title", run.err)

    def test_a_shell_reads_values_and_runs_none(self) -> None:
        self.patch_api(show_disk=self.facts())
        out = self.run_cli("disk", "show", "x", "-f", "shell").out
        script = f'{out}\nprintf %s "$variant"'
        read = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
        self.assertEqual((visible(HOSTILE), ""), (read.stdout, read.stderr))
