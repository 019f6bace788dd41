"""Passwords and tokens: never on a command line, in a log, in a message, in an image."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import time

import ddt

from tests.fakes.cloud_case import CloudTestCase
from tests.fakes.glance_api import PASSWORD

ROOT = pathlib.Path(__file__).resolve().parents[2]
MIB = 1 << 20


@ddt.ddt
class SecretsTest(CloudTestCase):
    """The program itself, in a process of its own, as talkative as it gets."""

    password = True

    def setUp(self) -> None:
        super().setUp()
        self.disk = self.make_disk(size=4 * MIB)
        self.log = self.scratch / "log"

    def start(self, *words: str, **environ: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "xenimage", "--debug", "-vv", "--log-file", str(self.log), "image", *words]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **environ}
        return subprocess.Popen(
            command, cwd=self.scratch, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def told(self, process: subprocess.Popen[str], code: int) -> str:
        """All that it said, anywhere."""
        out, err = process.communicate(timeout=120)
        self.assertEqual(code, process.returncode, err)
        return out + err + self.log.read_text("utf-8")

    def assert_no_secret(self, text: str, *more: str) -> None:
        for secret in (PASSWORD, PASSWORD.encode().hex(), *self.cloud.tokens, *more):
            self.assertNotIn(secret, text)

    def test_an_upload(self) -> None:
        self.cloud.faults.pause = 0.1
        process = self.start("create", str(self.disk), "--name", "disk")
        seen = set()
        while process.poll() is None and not any("PUT" in each for each in self.cloud.requests):
            time.sleep(0.01)
        for entry in pathlib.Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    seen.add((entry / "cmdline").read_bytes().decode("utf-8", "replace"))
                except OSError:
                    continue
        text = self.told(process, 0)
        self.assertTrue(self.cloud.tokens)
        self.assertTrue(any(str(self.disk) in each for each in seen))
        self.assert_no_secret("\n".join(seen))
        self.assert_no_secret(text)
        self.assert_no_secret(str(self.cloud.images))

    @ddt.data({"reset_at": MIB}, {"expired": True}, {"early": (MIB, 413)}, {"busy": 9}, {"lose": 3})
    def test_an_upload_that_fails(self, faults: dict[str, object]) -> None:
        for name, value in faults.items():
            setattr(self.cloud.faults, name, value)
        self.assert_no_secret(self.told(self.start("create", str(self.disk)), 7))

    def test_a_wrong_password(self) -> None:
        text = self.told(self.start("show", "x", OS_PASSWORD="wr0ng-Pass"), 7)
        self.assertIn("the cloud answered 401", text)
        self.assert_no_secret(text, "wr0ng-Pass")

    def without_keystone(self, **environ: str) -> None:
        for name in self.cloud.environment(password=True):
            del os.environ[name]
        os.environ.update(environ)

    def test_a_token_of_ones_own(self) -> None:
        self.without_keystone(OS_AUTH_TYPE="admin_token", OS_ENDPOINT=self.cloud.url, OS_TOKEN="t0ken-of-mine")
        text = self.told(self.start("show", "x"), 2)
        self.assertIn("no such image", text)
        self.assert_no_secret(text, "t0ken-of-mine")

    def test_a_password_in_an_address(self) -> None:
        url = self.cloud.url.replace("http://", "http://someone:hidd3n@")
        self.without_keystone(OS_AUTH_TYPE="none", OS_ENDPOINT=url)
        self.assert_no_secret(self.told(self.start("show", "x"), 2), "hidd3n")
        self.cloud.faults.busy = 9
        self.assert_no_secret(self.told(self.start("show", "x"), 7), "hidd3n")

    def test_settings_of_two_ways_to_log_in(self) -> None:
        text = self.told(self.start("show", "x", OS_AUTH_TYPE="none", OS_ENDPOINT=self.cloud.url), 2)
        self.assertIn("TIP: Unset the OS_* variables", text)
        self.assert_no_secret(text)

    @ddt.data("--os-password", "--os-token", "--os-auth-token", "--os-application-credential-secret")
    def test_a_command_line_is_no_place_for_it(self, option: str) -> None:
        for words in ((option, "l3aked-P"), (f"{option}=l3aked-P",)):
            process = self.start("show", "x", *words)
            out, err = process.communicate(timeout=120)
            self.assertEqual(2, process.returncode)
            self.assertNotIn("l3aked-P", out + err + (self.log.read_text("utf-8") if self.log.exists() else ""))
            self.assertIn(f"{option} is not taken", err)
            self.assertIn(f"Set {option[2:].replace('-', '_').upper()} in the environment", " ".join(err.split()))
