"""What upstream does otherwise, or was not observed: refusals, loops, strange names, exact bytes."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import threading

import ddt

from tests.builders import vhd as build
from tests.fakes.vhd_util import Vhd
from tests.unit.vhdutil.base import BASE_ID, MIB, SIZE, UtilTestCase
from xenimage.sources.inplace import open_inplace


class CreateTest(UtilTestCase):
    def test_nothing_is_overwritten(self) -> None:
        self.base()
        before = pathlib.Path("a.vhd").read_bytes()
        for words in (("create", "-s", "10"), ("create", "-s", "10", "-r"), ("snapshot", "-p", "a.vhd")):
            self.assert_prints("", *words, "-n", "a.vhd", status=17)
            self.assertIn("is not overwritten", self.said)
        self.assertEqual(before, pathlib.Path("a.vhd").read_bytes())
        pathlib.Path("empty.vhd").touch()
        self.assert_prints("", "create", "-n", "empty.vhd", "-s", "10")
        self.assertEqual(["a.vhd", "empty.vhd"], sorted(os.listdir(".")))

    def test_sizes(self) -> None:
        self.assert_prints("", "create", "-n", "odd.vhd", "-s", "101")
        self.assert_prints("102\n", "query", "-n", "odd.vhd", "-v")
        for size in ("0", "2088962", "99999999999999999999"):
            self.assertEqual(22, self.run_util("create", "-n", "x.vhd", "-s", size)[0])
        self.assertFalse(os.path.exists("x.vhd"))

    def test_fixed(self) -> None:
        self.assert_prints("", "create", "-n", "f.vhd", "-s", "10", "-r")
        self.assert_prints("", "check", "-n", "f.vhd")
        data = pathlib.Path("f.vhd").read_bytes()
        self.assertEqual(bytes(10 * MIB), Vhd(data).content())
        self.assert_prints(
            "10\nf.vhd has no parent\nchain depth: 1\n0\n", "query", "-v", "-p", "-d", "-S", "-n", "f.vhd"
        )
        self.assert_prints(f"{10 * MIB + 512}\n", "query", "-s", "-n", "f.vhd")


class SnapshotTest(UtilTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.base()

    def test_a_child_of_an_empty_child_goes_past_it(self) -> None:
        self.run_util("snapshot", "-n", "b.vhd", "-p", "a.vhd")
        self.assert_prints("", "snapshot", "-n", "c.vhd", "-p", "b.vhd")
        self.assert_prints("./a.vhd\n", "query", "-p", "-u", "-n", "c.vhd")
        self.assert_prints("", "snapshot", "-n", "d.vhd", "-p", "b.vhd", "-e")
        self.assert_prints("./b.vhd\nchain depth: 3\n", "query", "-p", "-u", "-d", "-n", "d.vhd")
        here = os.path.realpath(".")
        self.assert_prints(
            f"d.vhd is valid\n{here}/b.vhd is valid\n{here}/a.vhd is valid\n", "check", "-p", "-n", "d.vhd"
        )

    def test_the_depth_has_a_limit(self) -> None:
        expected = "snapshot depth exceeded: current depth: 1, limit: 1\n"
        self.assert_prints(expected, "snapshot", "-n", "b.vhd", "-p", "a.vhd", "-l", "1", status=28)
        self.assert_prints("", "snapshot", "-n", "b.vhd", "-p", "a.vhd", "-l", "2")

    def test_in_another_directory(self) -> None:
        os.makedirs("x/y")
        self.assert_prints("", "snapshot", "-n", "x/y/b.vhd", "-p", "a.vhd")
        self.assert_prints("../../a.vhd\n", "query", "-p", "-u", "-n", "x/y/b.vhd")
        self.assert_prints("x/y/b.vhd is valid\n", "check", "-n", "x/y/b.vhd")

    def test_raw_parents(self) -> None:
        pathlib.Path("p.raw").write_bytes(b"r" * 4 * MIB)
        self.assert_prints("", "snapshot", "-n", "b.vhd", "-p", "p.raw", "-m")
        self.assert_prints("4\nchain depth: 2\n", "query", "-v", "-d", "-n", "b.vhd")
        self.assertEqual((0, b"r" * 1024), self.run_raw("read", "-r", "8190", "-c", "2", "-n", "b.vhd"))
        self.child("b.vhd", size=4 * MIB, parent="p.raw", parent_name="p.raw")
        status, _ = self.run_util("modify", "-n", "b.vhd", "-p", "p.raw", "-m")
        self.assertEqual(0, status)
        self.assert_prints("Coalesced 2 sectors", "coalesce", "-n", "b.vhd")
        expected = bytearray(b"r" * 4 * MIB)
        image = build.Vhd(size=4 * MIB, kind=build.DIFFERENCING, blocks={0: [0, 200]}, seed=7).build()
        self.assert_same_bytes(image.content(bytes(expected)), pathlib.Path("p.raw").read_bytes())

    def test_no_vhd_is_written_over_as_a_raw_parent(self) -> None:
        for fields in ({}, {"kind": build.FIXED}):
            self.base("p.vhd", **fields)
            before = pathlib.Path("p.vhd").read_bytes()
            image = build.Vhd(
                size=4 * MIB, kind=build.DIFFERENCING, blocks={0: range(40)}, locators=build.blktap_locators("p.vhd")
            ).build()
            pathlib.Path("b.vhd").write_bytes(image.data)
            self.assert_prints(
                f"failed to open parent {os.path.realpath('p.vhd')}: -22\nerror coalescing: -22\n",
                *("coalesce", "-n", "b.vhd"),
                status=22,
            )
            self.assert_same_bytes(before, pathlib.Path("p.vhd").read_bytes())

    def test_strange_names(self) -> None:
        os.rename("a.vhd", "\u00e4.vhd")
        self.assert_prints("", "snapshot", "-n", "b.vhd", "-p", "\u00e4.vhd", status=84)
        os.rename("\u00e4.vhd", "a b.vhd")
        self.assert_prints("", "snapshot", "-n", "b.vhd", "-p", "a b.vhd")
        self.assert_prints("./a b.vhd\n", "query", "-p", "-u", "-n", "b.vhd")
        os.mkdir("d" * 20)
        long = f"{'d' * 20}/{'x' * 250}"
        os.rename("a b.vhd", long)
        self.assert_prints("", "snapshot", "-n", "c.vhd", "-p", long, "-e", status=36)
        self.assertFalse(os.path.exists("c.vhd"))


@ddt.ddt
class ModifyTest(UtilTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.base()

    def test_a_child_without_locators_gets_some(self) -> None:
        image = self.child(locators=(), blocks={0: range(4096), 3: [9]})
        self.assert_prints("", "modify", "-n", "b.vhd", "-p", "a.vhd")
        self.assert_prints("b.vhd is valid\n", "check", "-n", "b.vhd")
        self.assert_same_bytes(image.content(), Vhd(pathlib.Path("b.vhd").read_bytes()).content())

    def test_length(self) -> None:
        self.assert_prints("", "modify", "-n", "a.vhd", "-s", str(8 * MIB))
        self.assertEqual(8 * MIB, os.path.getsize("a.vhd"))
        self.assert_prints("a.vhd is valid\n", "check", "-n", "a.vhd")
        self.assert_prints("4203008\n", "query", "-n", "a.vhd", "-s")
        expected = "failed to set physical size to 4202496: -22\n"
        self.assert_prints(expected, "modify", "-n", "a.vhd", "-s", "4202496", status=22)
        self.assert_prints("", "modify", "-n", "a.vhd", "-s", "4203008")
        self.assert_prints("a.vhd is valid\n", "check", "-n", "a.vhd")

    def test_text_from_files_is_not_acted_on(self) -> None:
        self.child(locators=[(b"MacX", b"file://./a\x1b[2J\nb is valid\n.vhd")])
        self.assert_prints("./a\ufffd[2J\ufffdb is valid\ufffd.vhd\n", "query", "-p", "-u", "-n", "b.vhd")
        self.assertNotIn("\x1b", self.run_util("read", "-p", "-n", "b.vhd")[1])

    def test_one_at_a_time(self) -> None:
        file = open_inplace("a.vhd")
        for words in (("set", "-f", "hidden", "-v", "1"), ("resize", "-s", "200", "-j", "jr"), ("repair",)):
            self.assert_prints("error opening a.vhd: -11\n", *words, "-n", "a.vhd", status=11)
            self.assertIn("is being changed by another process", self.said)
        file.close()
        self.assert_prints("", "set", "-n", "a.vhd", "-f", "hidden", "-v", "1")

    def test_links_are_not_written_through(self) -> None:
        """A bundle may hold one, and tar and Cinder take it."""
        os.symlink("a.vhd", "1.vhd")
        self.child("0.vhd", parent="1.vhd")
        before = pathlib.Path("a.vhd").read_bytes()
        for words in (("resize", "-s", "200", "-j", "jr"), ("set", "-f", "hidden", "-v", "1"), ("repair",)):
            self.assert_prints("error opening 1.vhd: -40\n", *words, "-n", "1.vhd", status=40)
        self.assertEqual(40, self.run_util("coalesce", "-n", "0.vhd")[0])
        self.assertEqual(before, pathlib.Path("a.vhd").read_bytes())
        self.assert_prints("hidden: 0\n", "query", "-n", "1.vhd", "-f")

    def test_what_set_refuses(self) -> None:
        for field, value in (("hidden", "2"), ("marker", "256"), ("other", "1"), ("hidden", "-1")):
            status, text = self.run_util("set", "-n", "a.vhd", "-f", field, "-v", value)
            self.assertEqual(22, status)
            self.assertIn("options:", text)
        self.assert_prints("hidden: 0\n", "query", "-f", "-n", "a.vhd")

    @ddt.data("/dev/null", ".", "fifo")
    def test_other_than_files(self, name):
        os.mkfifo("fifo")
        for words in (("query", "-v"), ("check",), ("repair",), ("modify", "-p", "a.vhd"), ("read", "-p")):
            self.assertNotEqual(0, self.run_util(*words, "-n", name)[0])


class CoalesceTest(UtilTestCase):
    def test_a_parent_that_cannot_take_it(self) -> None:
        """Refused before anything is written: one that is packed, one that is too small."""
        for fields in (
            {"creator": build.Creator(b"tap\0", 0x00010003, bytes(4), batmap=True)},
            {"size": 8 * MIB, "blocks": {}},
        ):
            image = self.base(**fields)
            self.child(blocks={5: [0]})
            status, text = self.run_util("coalesce", "-n", "b.vhd")
            self.assertEqual((22, "error coalescing: -22"), (status, text.splitlines()[-1]))
            self.assertEqual(bytes(image.data), pathlib.Path("a.vhd").read_bytes())

    def test_into_a_fixed_parent(self) -> None:
        base = self.write("a.vhd", build.Vhd(size=4 * MIB, kind=build.FIXED, identity=BASE_ID).build())
        child = self.child(size=4 * MIB, blocks={0: [5, 6], 1: range(4096)})
        self.assert_prints("Coalesced 4098 sectors", "coalesce", "-n", "b.vhd")
        found = pathlib.Path("a.vhd").read_bytes()
        self.assert_same_bytes(child.content(base.content()), found[: 4 * MIB])
        self.assertEqual(bytes(base.data[-512:]), found[-512:])

    def test_the_chain_is_read_through(self) -> None:
        base, child = self.base(), self.child()
        expected = child.content(base.content())
        status, found = self.run_raw("read", "-n", "b.vhd", "-r", "0", "-c", str(SIZE // 512))
        self.assertEqual(0, status)
        self.assert_same_bytes(expected, found)


class ProcessTest(UtilTestCase):
    def test_no_module_of_another_command_is_loaded(self) -> None:
        """It is started several times for one disk: what is not needed is not imported."""
        self.base()
        code = (
            "import sys; from xenimage.vhdutil.app import main; main(['query', '-n', 'a.vhd', '-v']);"
            "print([name for name in sys.modules if name.split('.')[0] in "
            "('cliff', 'oslo_config', 'isal', 'logging', 'asyncio', 'argparse') or name.endswith(('resize', 'check'))])"
        )
        environment = {**os.environ, "PYTHONPATH": os.fspath(pathlib.Path(__file__).parents[3])}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        self.assertEqual("100\n[]\n", done.stdout)

    def test_a_reader_that_goes_away(self) -> None:
        self.base()
        environment = {**os.environ, "PYTHONPATH": os.fspath(pathlib.Path(__file__).parents[3])}
        command = [sys.executable, "-m", "xenimage.vhdutil", "read", "-n", "a.vhd", "-d", "5"]
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout and process.stderr
            process.stdout.close()
            said: list[bytes] = []
            thread = threading.Thread(target=lambda: said.append(process.stderr.read()))  # type: ignore[union-attr]
            thread.start()
            thread.join(30)
        self.assertEqual((141, [b""]), (process.returncode, said))
