"""The child process: its limits, its words, and its end."""

from __future__ import annotations

import json
import os
import pathlib
import resource
import signal
import subprocess
import sys
import time
from typing import Any

import ddt

from tests.unit.glance.support import COMMAND, ROOT, GlanceTestCase
from xenimage.engine import hosting
from xenimage.glance import supervisor
from xenimage.glance.errors import UNUSABLE, RefusedError, UnusableError
from xenimage.glance.supervisor import Watch

PARENT = """
import sys, threading, time
sys.path.insert(0, {root!r})
from xenimage.glance import supervisor
watch = supervisor.Watch(plan=lambda needed: (print("planned", flush=True), time.sleep(60)),
                         progress=lambda stage, percent: None, timeout=60)
import json
request = json.loads(sys.argv[1])
import os
request["parent"] = os.getpid()
supervisor.run({command!r}, request, watch)
"""


def watch(**changes: Any) -> Watch:
    base = Watch(plan=lambda needed: None, progress=lambda stage, percent: None, timeout=60)
    return base._replace(**changes)


@ddt.ddt
class DialogueTest(GlanceTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.said: list[tuple[str, int]] = []

    def python(self, code: str, **changes: Any) -> dict[str, Any]:
        """Run a child of a few lines in the place of ours."""
        return supervisor.run([sys.executable, "-c", code], {"any": "thing"}, watch(**changes))

    def test_progress_and_result(self):
        code = """
import json
print('{"stage": "bundle", "progress": 7}')
print('{"result": {"request": ' + input() + '}}')
"""
        found = self.python(code, progress=lambda *words: self.said.append(words))
        self.assertEqual({"request": {"any": "thing"}}, found)
        self.assertEqual([("bundle", 7)], self.said)

    def test_nothing_is_written_before_the_plan_is_agreed_to(self):
        code = """
import sys
input()
print('{"plan": 4711}', flush=True)
answer = sys.stdin.readline().strip()
print('{"result": {"answer": ' + answer + '}}')
"""
        asked: list[int] = []
        self.assertEqual({"answer": {"go": True}}, self.python(code, plan=asked.append))
        self.assertEqual([4711], asked)

    def test_a_plan_that_is_refused_ends_the_child(self):
        def refuse(needed: int) -> None:
            raise RefusedError("no room")

        request = self.request("bundle", self.qcow2(), parent=os.getpid())
        with self.assertRaisesRegex(RefusedError, "no room"):
            supervisor.run(COMMAND, request.to_message(), watch(plan=refuse))
        self.assertEqual(["0f0f"], self.glance.staged())

    def test_a_refusal(self):
        with self.assertRaises(RefusedError) as caught:
            self.python("""print('{"refused": "no", "detail": "more"}')""")
        self.assertEqual(("no", "more"), (caught.exception.text, caught.exception.detail))

    @ddt.data(
        ("""print('{"failed": "a traceback"}')""", "a traceback"),
        ("""print("Segmentation fault"); raise SystemExit(3)""", "ended with 3 and without a result; it said: Segm"),
        ("pass", "ended with 0 and without a result"),
        ("""print("[1]"); print('"text"')""", r"it said: \[1\]"),
    )
    @ddt.unpack
    def test_a_fault_of_its_own(self, code: str, detail: str) -> None:
        with self.assertRaises(UnusableError) as caught:
            self.python(code)
        self.assertEqual(UNUSABLE, caught.exception.text)
        self.assertRegex(caught.exception.detail, detail)

    @ddt.data("SIGKILL", "SIGSEGV", "SIGXCPU")
    def test_an_end_by_a_signal(self, name: str) -> None:
        with self.assertRaises(RefusedError) as caught:
            self.python(f"import os, signal; print('last words', flush=True); os.kill(os.getpid(), signal.{name})")
        self.assertIn("more memory or computing time", caught.exception.text)
        self.assertIn(f"{name}: the kernel's memory killer, a limit or a crash; it said: last", caught.exception.detail)

    @ddt.data(
        "import time; time.sleep(60)", "import itertools\nfor each in itertools.repeat('x'): print(each, flush=True)"
    )
    def test_the_wall_clock(self, code: str) -> None:
        with self.assertRaisesRegex(RefusedError, "took longer than the 1 min"):
            self.python(code, timeout=0.5)

    def test_a_line_without_an_end(self):
        with self.assertRaises(UnusableError) as caught:
            self.python("import sys\nwhile True: sys.stdout.write('x' * 65536)")
        self.assertEqual("the child wrote a line without an end", caught.exception.detail)

    def test_what_the_child_started_ends_with_it(self):
        code = f"""
import subprocess
child = subprocess.Popen(["/bin/sleep", "60"])
open({str(self.scratch / "pid")!r}, "w").write(str(child.pid))
print('{{"result": {{}}}}', flush=True)
"""
        self.python(code)
        self.assert_ends(int((self.scratch / "pid").read_text()))

    def assert_ends(self, pid: int) -> None:
        for _ in range(200):
            try:
                state = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            except FileNotFoundError:
                return
            if state == "Z":
                return
            time.sleep(0.05)
        self.fail(f"process {pid} still runs")

    def test_it_dies_with_its_parent(self):
        """The parent is killed outright while the child waits for its answer."""
        message = self.request("bundle", self.qcow2()).to_message()
        code = PARENT.format(root=ROOT, command=COMMAND)
        parent = subprocess.Popen([sys.executable, "-c", code, json.dumps(message)], stdout=subprocess.PIPE, text=True)
        assert parent.stdout is not None
        self.assertEqual("planned\n", parent.stdout.readline())
        found = self.run_tool("ps", "-o", "pid=", "--ppid", str(parent.pid)).split()
        self.assertEqual(1, len(found), found)
        parent.kill()
        parent.wait()
        parent.stdout.close()
        self.assert_ends(int(found[0]))


class ConfinementTest(GlanceTestCase):
    def limits(self, **settings: Any) -> dict[str, str]:
        """What the kernel says of the child while it waits for the answer to its plan."""
        request = self.request("bundle", self.qcow2(), parent=os.getpid(), settings=settings)
        found: dict[str, str] = {}

        def look(needed: int) -> None:
            (pid,) = self.run_tool("pgrep", "-P", str(os.getpid()), "-f", "xenimage.glance.worker").split()
            for line in pathlib.Path(f"/proc/{pid}/limits").read_text().splitlines()[1:]:
                found[line[:26].strip()] = line[26:].split()[1]

        supervisor.run(COMMAND, request.to_message(), watch(plan=look))
        return found

    def test_the_kernel_knows_the_limits(self):
        found = self.limits(memory=1 << 30, cpu_time=77, max_output_size=20 << 20)
        expected = {
            "Max address space": str(1 << 30),
            "Max cpu time": "77",
            "Max file size": str(20 << 20),
            "Max open files": "64",
            "Max core file size": "0",
        }
        self.assertEqual(expected, {name: found[name] for name in expected})

    def test_a_lower_limit_of_the_service_stays(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
        self.assertEqual("0", self.limits()["Max core file size"])
        self.assertEqual((soft, hard), resource.getrlimit(resource.RLIMIT_CORE))

    def test_a_child_of_somebody_else(self):
        request = self.request("bundle", self.qcow2(), parent=1)
        with self.assertRaises(UnusableError) as caught:
            supervisor.run(COMMAND, request.to_message(), watch())
        self.assertIn("and not by 1", caught.exception.detail)

    def test_another_version(self):
        message = self.request("bundle", self.qcow2(), parent=os.getpid()).to_message()
        for change, detail in (
            ({"protocol": 0}, "speaks protocol 0, the installed xenimage 1: restart"),
            ({"colour": "red"}, "no request that this version understands"),
            ({"settings": {"colour": "red"}}, "no request that this version understands"),
        ):
            with self.subTest(change=change), self.assertRaises(UnusableError) as caught:
                supervisor.run(COMMAND, {**message, **change}, watch())
            self.assertIn(detail, caught.exception.detail)

    def test_computing_time(self):
        code = "import resource\nresource.setrlimit(resource.RLIMIT_CPU, (1, 1))\nwhile True: pass"
        with self.assertRaises(RefusedError) as caught:
            supervisor.run([sys.executable, "-c", code], {}, watch())
        self.assertRegex(caught.exception.detail, signal.Signals.SIGXCPU.name + "|" + signal.Signals.SIGKILL.name)


class CommandTest(GlanceTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.bin = self.scratch / "bin"
        self.bin.mkdir()
        self.patch(hosting.sysconfig, "get_path", lambda name: str(self.bin))
        self.patch(hosting.shutil, "which", lambda name, path="": str(self.bin / name) if self.there else None)
        self.there = False

    def find(self, configured: str | None = None, **host: str) -> list[str]:
        return REAL_FIND(configured, host)

    def program(self, name: str) -> str:
        path = self.bin / name
        path.touch(0o755)
        return str(path)

    def test_the_configured_program(self):
        path = self.program("mine")
        self.assertEqual([path], self.find(path))
        with self.assertRaisesRegex(UnusableError, "cannot convert"):
            self.find(str(self.bin / "missing"))

    def test_the_installed_program(self):
        self.there = True
        self.assertEqual([str(self.bin / "xenimage-glance-worker")], self.find(python_interpreter="/usr/bin/python3"))

    def test_glances_interpreter(self):
        python = self.program("python3.11")
        self.assertEqual([python, "-c"], self.find(python_interpreter=python)[:2])

    def test_never_uwsgi(self):
        """There ``sys.executable`` is uwsgi itself, and would start a second service."""
        self.patch(hosting.sys, "executable", self.program("uwsgi"))
        with self.assertRaises(UnusableError) as caught:
            self.find()
        self.assertIn("python_interpreter", caught.exception.detail)

    def test_our_own_interpreter_where_it_is_one(self):
        self.assertEqual([sys.executable, "-c"], self.find()[:2])


REAL_FIND = supervisor.find_command
