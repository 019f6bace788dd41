"""What Windows writes as text: paths, command lines, configuration and answer files."""

from __future__ import annotations

import unittest

import ddt

from xenimage.guest.windows import answers, conf, paths, vendors
from xenimage.guest.windows.version import release

COMMANDS = (
    ("\\SystemRoot\\System32\\drivers\\xenbus.sys", "\\SystemRoot\\System32\\drivers\\xenbus.sys"),
    ('"C:\\Program Files\\x y.exe" --config "C:\\b.conf"', "C:\\Program Files\\x y.exe"),
    ("C:\\Program Files\\x y.exe -k", "C:\\Program Files\\x y.exe"),
    ("C:\\Windows\\system32\\svchost.exe -k netsvcs", "C:\\Windows\\system32\\svchost.exe"),
    ("C:\\a.exe.d\\b.EXE /x", "C:\\a.exe.d\\b.EXE"),
    ("service arguments", "service"),
    ('"unended', '"unended'),
    ('""', ""),
    ("", ""),
    ("   ", ""),
)
PATHS = (
    ("\\SystemRoot\\System32\\drivers\\a.sys", "Windows/System32/drivers/a.sys"),
    ("\\systemroot\\a", "Windows/a"),
    ("%SystemRoot%\\a", "Windows/a"),
    ("%windir%\\a\\b", "Windows/a/b"),
    ("System32\\drivers\\a.sys", "Windows/System32/drivers/a.sys"),
    ("\\??\\C:\\x\\y.sys", "x/y.sys"),
    ("\\\\?\\C:\\x", "x"),
    ("C:\\Program Files\\x\\", "Program Files/x"),
    ("c:/Program Files/x", "Program Files/x"),
    ("%SystemDrive%\\x", "x"),
    ("C:\\", ""),
    ("\\\\server\\share\\x", ""),
    ("bsdtar.exe", ""),
    ("C:relative", ""),
    ("", ""),
)
RELEASES = (
    (26100, True, "2025"), (25398, True, "2022"), (20348, True, "2022"), (17763, True, "2019"), (14393, True, "2016"),
    (9600, True, "2012 R2"), (7601, True, "2008 R2"), (0, True, ""), (22000, False, "11"), (26200, False, "11"),
    (19045, False, "10"), (9600, False, "8.1"), (7601, False, "7"), (2600, False, "XP"), (1, False, ""),
)  # fmt: skip


@ddt.ddt
class PathsTest(unittest.TestCase):
    @ddt.data(*COMMANDS)
    @ddt.unpack
    def test_the_program_of_a_command_line(self, command: str, program: str) -> None:
        self.assertEqual(program, paths.program(command))

    @ddt.data(*PATHS)
    @ddt.unpack
    def test_the_place_on_the_volume(self, path: str, place: str) -> None:
        self.assertEqual(place, paths.on_volume(path, "Windows"))


class ConfTest(unittest.TestCase):
    def test_a_file_as_people_write_it(self) -> None:
        settings = conf.parse(
            "early=1\n[DEFAULT]\n# comment=1\n; comment=2\n\nname = value # kept\nquoted='x y'\nlist=a,\n  b,\n\tc\n"
            "nonsense\n=nothing\ncolon: x=y\nname2=\nname=last\n[config_drive]\nraw_hdd=FALSE\ntypes=iso\n"
        )
        self.assertEqual("last", conf.text(settings, ("default", "name")))
        self.assertEqual("x y", conf.text(settings, ("default", "quoted")))
        self.assertEqual(("a", "b", "c"), conf.items(settings, ("default", "list")))
        self.assertEqual("x=y", conf.text(settings, ("default", "colon")))
        self.assertEqual("1", conf.text(settings, ("default", "early")))
        self.assertEqual((), conf.items(settings, ("default", "name2")))
        self.assertIsNone(conf.items(settings, ("default", "missing")))
        self.assertIs(False, conf.truth(settings, ("config_drive", "raw_hdd"), default=True))
        self.assertIs(True, conf.truth(settings, ("default", "name"), default=True))
        self.assertIs(False, conf.truth(settings, ("default", "missing"), default=False))
        self.assertEqual("iso", conf.text(settings, ("x", "types"), ("config_drive", "types")))


@ddt.ddt
class AnswersTest(unittest.TestCase):
    PERSIST = "<PersistAllDeviceInstalls>true</PersistAllDeviceInstalls>"
    COMMAND = "<Path>cloudbase-init.exe</Path>"

    def judge(self, text: str) -> tuple[bool, bool]:
        found = answers.answer_file("unattend.xml", text)
        return found.keeps_devices, found.runs_cloudbase

    def test_each_counts_in_its_pass_alone(self) -> None:
        self.assertEqual((True, False), self.judge(f"<settings pass='generalize'>{self.PERSIST}</settings>"))
        self.assertEqual((False, True), self.judge(f'<settings pass = "specialize" >{self.COMMAND}</settings>'))
        self.assertEqual((False, False), self.judge(f"<settings pass='specialize'>{self.PERSIST}</settings>"))
        self.assertEqual((False, False), self.judge(f"<settings pass='oobeSystem'>{self.COMMAND}</settings>"))
        self.assertEqual((False, False), self.judge(f"{self.PERSIST}{self.COMMAND}"))

    def test_comments_do_not_count(self) -> None:
        self.assertEqual((False, False), self.judge(f"<!-- <settings pass='generalize'>{self.PERSIST}</settings> -->"))
        self.assertEqual(
            (True, False), self.judge(f"<!-- a --><settings pass='generalize'><!--b-->{self.PERSIST}<!-- c")
        )

    @ddt.data("", "<settings", "<settings pass='", "<!--", "<settings pass='generalize'>" * 5000, "<!--" * 50000)
    def test_text_that_is_no_answer_file(self, text: str) -> None:
        self.assertEqual((False, False), self.judge(text))


@ddt.ddt
class NamesTest(unittest.TestCase):
    @ddt.data(*RELEASES)
    @ddt.unpack
    def test_the_release_by_its_build(self, build: int, server: bool, name: str) -> None:
        self.assertEqual(name, release(build, server=server))

    def test_vendors_by_what_they_call_themselves(self) -> None:
        for provider, vendor in (
            ("Citrix Systems, Inc.", "XenServer"),
            ("Cloud Software Group, Inc.", "XenServer"),
            ("XenServer", "XenServer"),
            ("Vates", "XCP-ng"),
            ("XCP-ng", "XCP-ng"),
            ("Xen Project", "Xen Project"),
            ("Somebody", "Somebody"),
            ("", ""),
        ):
            self.assertEqual(vendor, vendors.vendor(provider))
        self.assertEqual(["XenServer", "XCP-ng", ""], [vendors.maker(each) for each in ("xs", "XCPng", "XY")])
