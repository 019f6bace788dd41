"""MariaDB on a socket of its own: on sqlite two imports at once end in "database is locked"."""

from __future__ import annotations

import getpass
import os
import subprocess
from typing import TYPE_CHECKING

import fixtures

from tests.functional.cloud.process import Server

if TYPE_CHECKING:
    import pathlib

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
"""where Debian has the server; users' PATH often lacks it"""


class Database(fixtures.Fixture):
    """The server, empty, below *place*, whose path has to be short: it holds a socket."""

    def __init__(self, place: pathlib.Path, log: pathlib.Path) -> None:
        super().__init__()
        self._data = place / "mariadb"
        # Two servers that are set up at once would take each other's files of one directory.
        self._temporary = place / "mariadb-tmp"
        self._socket = place / "sql"
        self._log = log

    def _setUp(self) -> None:
        user = f"--user={getpass.getuser()}"
        self._temporary.mkdir()
        temporary = f"--tmpdir={self._temporary}"
        _run(
            "mariadb-install-db", "--no-defaults", user, temporary, f"--datadir={self._data}", "--skip-test-db",
            "--auth-root-authentication-method=normal", "--innodb-log-file-size=16M", "--skip-name-resolve",
        )  # fmt: skip
        # What is lost in a crash is of no interest here, what is waited for is.
        self._server = Server(
            [
                "mariadbd", "--no-defaults", user, temporary, f"--datadir={self._data}", f"--socket={self._socket}",
                "--skip-networking", "--skip-grant-tables", "--character-set-server=utf8mb3", "--max-connections=400",
                "--innodb-flush-log-at-trx-commit=0", "--innodb-log-file-size=16M", "--skip-log-bin",
            ],
            self._log,
            self._answers,
            {"PATH": PATH},
        )  # fmt: skip
        self.useFixture(self._server)

    def _answers(self) -> bool:
        return self._socket.exists() and self._sql("select 1").returncode == 0

    def _sql(self, statement: str) -> subprocess.CompletedProcess[bytes]:
        command = ["mariadb", "--no-defaults", "-S", os.fspath(self._socket), "-e", statement]
        return subprocess.run(command, capture_output=True, check=False, env={**os.environ, "PATH": PATH})

    def create(self, name: str) -> str:
        """A new, empty database; its URL for oslo.db."""
        self._sql(f"create database {name} character set utf8mb3").check_returncode()
        return f"mysql+pymysql://root@localhost/{name}?unix_socket={self._socket}&charset=utf8"


def _run(*command: str) -> None:
    done = subprocess.run(
        command, capture_output=True, check=False, text=True, env={**os.environ, "PATH": PATH}, stdin=subprocess.DEVNULL
    )
    if done.returncode:
        raise RuntimeError(f"{command}: {done.stdout}{done.stderr}")
