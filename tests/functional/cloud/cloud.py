"""The whole: a database, Keystone, and Glance of the releases that are asked for.

Alone it runs a command with the variables of a user in its environment, and then stops all::

    python -m tests.functional.cloud --release 33 --plugins "[xenimage]" -- bash
"""

from __future__ import annotations

import atexit
import functools
import os
import pathlib
import tempfile

import fixtures

from tests.functional.cloud.database import Database
from tests.functional.cloud.glance import Glance
from tests.functional.cloud.keystone import Keystone
from tests.functional.cloud.places import LOGS
from tests.functional.cloud.rest import Images
from tests.functional.cloud.web import Web

RELEASES = ("33", "30", "26")


class Cloud(fixtures.Fixture):
    """One of each, in a directory of its own."""

    def __init__(self) -> None:
        super().__init__()
        self._glances: dict[str, Glance] = {}

    def _setUp(self) -> None:
        # Not below TMPDIR, which may be longer than the path of a socket can be.
        directory = self.useFixture(fixtures.TempDir(rootdir=_short()))
        self._place = pathlib.Path(directory.path)
        self._logs = LOGS / str(os.getpid())
        self.web = self.useFixture(Web(self._place / "web"))
        self.database = self.useFixture(Database(self._place, self._logs / "mariadb.log"))
        self.keystone = self.useFixture(
            Keystone(self._place, self.database.create("keystone"), self._logs),
        )

    def glance(self, release: str) -> Glance:
        """The Glance of a release, made when it is first asked for; not yet started."""
        if release not in self._glances:
            database = self.database.create(f"glance{release}")
            self._glances[release] = self.useFixture(
                Glance(release, self._place, database, self.keystone, self._logs, self.web.port)
            )
        return self._glances[release]

    def images(self, glance: Glance, user: str) -> Images:
        """What *user* does with that Glance's images."""
        return Images(glance.url, self.keystone.token(user))


def _short() -> str:
    return "/tmp" if len(tempfile.gettempdir()) > 50 else tempfile.gettempdir()


@functools.cache
def shared() -> Cloud:
    """The cloud of this process: it takes half a minute to make, so all tests share one."""
    cloud = Cloud()
    cloud.setUp()
    atexit.register(cloud.cleanUp)
    return cloud
