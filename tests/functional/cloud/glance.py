"""Glance, of a release, with two stores; it can be started anew with other settings, or killed."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from typing import TYPE_CHECKING

import fixtures

from tests.functional.cloud import settings
from tests.functional.cloud.keystone import PASSWORD
from tests.functional.cloud.places import ENVIRONMENTS, application, program
from tests.functional.cloud.process import Server, clean, free_port, resident
from tests.functional.cloud.rest import HttpError, Rest

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterator

    from tests.functional.cloud.keystone import Keystone
    from tests.functional.cloud.settings import Sections

STORES = ("one", "two")

# Whoever is trusted may do all; of the others' properties vm_mode alone is kept from them.
PROTECTION = """\
[^vm_mode$]
create = admin,trusted
read = @
update = admin,trusted
delete = admin,trusted
[.*]
create = @
read = @
update = @
delete = @
"""


class Glance(fixtures.Fixture):
    """The service, below *place*; started by :meth:`start`, as often as wanted.

    :param release: the number of the environment: 33 for glance33.
    :param web_port: the one port that web-download may ask, of the loopback.
    """

    def __init__(
        self, release: str, place: pathlib.Path, database: str, keystone: Keystone, logs: pathlib.Path, web_port: int
    ) -> None:
        super().__init__()
        self.environment = f"glance{release}"
        self._place = place / self.environment
        self._database = database
        self._keystone = keystone
        self._logs = logs
        self.log = logs / f"{self.environment}.log"
        self._web_port = web_port
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self.staging = self._place / "staging"
        self._server: Server | None = None
        self._running: tuple[object, ...] = ()

    def _setUp(self) -> None:
        for name in ("staging", "tasks", "locks", *(f"store-{store}" for store in STORES)):
            (self._place / name).mkdir(parents=True)
        (self._place / "protection.conf").write_text(PROTECTION)
        paste = ENVIRONMENTS / self.environment / "etc" / "glance" / "glance-api-paste.ini"
        shutil.copy(paste, self._place)
        # Glance leaves out what it does not find, and all tests would tell of images that are stored as they are.
        if not {"xenimage", "xenimage_extract"} <= self.names():
            raise RuntimeError(f"no xenimage in {self.environment}: run tools/functional.sh --prepare")
        self._configure("[]", {}, {})
        self._manage("db_sync")
        self.addCleanup(self.stop)

    def _manage(self, *words: str) -> None:
        command = ("--config-file", str(self._place / "glance-api.conf"), *words)
        settings.manage(self.environment, "glance-manage", self._logs / f"{self.environment}-manage.log", *command)

    def load_metadata_definitions(self) -> None:
        """Fill in what upstream's tests of them expect to be there."""
        self._manage("db_load_metadefs", str(ENVIRONMENTS / self.environment / "etc" / "glance" / "metadefs"))

    def names(self) -> set[str]:
        """The import plugins that are installed there."""
        code = "from importlib.metadata import entry_points as e; print(*e(group='glance.image_import.plugins').names)"
        command = [program(self.environment, "python"), "-I", "-c", code]
        return set(subprocess.run(command, check=True, capture_output=True, text=True, env=clean()).stdout.split())

    def start(self, plugins: str = "[]", plugin: Sections | None = None, api: Sections | None = None) -> None:
        """Run with these settings; a service that already does is left alone.

        :param plugins: the value of ``image_import_plugins`` as an operator writes it.
        :param plugin: sections of ``glance-image-import.conf``.
        :param api: sections of ``glance-api.conf``, over those that are always there.
        """
        wanted = (plugins, plugin or {}, api or {})
        if self._server is not None and self._server.alive() and self._running == wanted:
            return
        self.stop()
        self._configure(*wanted)
        server = Server(
            settings.uwsgi(
                self.environment, self._port, *application(self.environment),
                "--http-chunked-input", "--http-auto-chunked", "--http-raw-body",
                # Clients send pieces of 1 MiB, which is the limit without this.
                "--chunked-input-limit", str(16 << 20),
            ),
            self.log,
            self._answers,
            {"OS_GLANCE_CONFIG_DIR": str(self._place)},
        )  # fmt: skip
        server.setUp()
        self._server = server
        self._running = wanted

    def stop(self) -> None:
        """End it; running imports end first."""
        if self._server is not None:
            self._server.cleanUp()
            self._server = None

    def kill(self) -> None:
        """End it as the kernel does when memory is short."""
        self.server.kill()

    @property
    def server(self) -> Server:
        """What runs."""
        assert self._server is not None
        return self._server

    @property
    def worker(self) -> int:
        """The pid of the process that serves requests."""
        master, worker, *_ = self.server.family()
        assert master == self.server.pid
        return worker

    @property
    def memory(self) -> int:
        """Bytes that it holds."""
        return resident(self.worker)

    def _answers(self) -> bool:
        with contextlib.suppress(OSError, HttpError):
            Rest(self.url).get("/")
            return True
        return False

    def _configure(self, plugins: str, plugin: Sections, api: Sections) -> None:
        settings.write(
            self._place / "glance-image-import.conf",
            {
                "image_import_opts": {"image_import_plugins": plugins},
                "import_filtering_opts": {"allowed_ports": f"[{self._web_port}]", "allowed_hosts": "[127.0.0.1]"},
            },
            plugin,
        )
        settings.write(self._place / "glance-api.conf", self._service(), api)

    def _service(self) -> Sections:
        stores = {name: {"filesystem_store_datadir": self._place / f"store-{name}"} for name in STORES}
        return {
            "DEFAULT": {
                "use_stderr": "true",
                "enabled_import_methods": "[glance-direct,web-download,copy-image]",
                "enabled_backends": ",".join(f"{name}:file" for name in STORES),
                "worker_self_reference_url": self.url,
                "property_protection_file": self._place / "protection.conf",
            },
            "database": {"connection": self._database},
            "glance_store": {"default_backend": STORES[0]},
            **stores,
            "os_glance_staging_store": {"filesystem_store_datadir": self.staging},
            "os_glance_tasks_store": {"filesystem_store_datadir": self._place / "tasks"},
            "oslo_concurrency": {"lock_path": self._place / "locks"},
            "paste_deploy": {"flavor": "keystone", "config_file": self._place / "glance-api-paste.ini"},
            # Under uWSGI sys.executable is uWSGI, which nobody can start children with.
            "wsgi": {"python_interpreter": program(self.environment, "python")},
            "keystone_authtoken": {
                "www_authenticate_uri": self._keystone.url,
                "auth_url": self._keystone.url,
                "auth_type": "password",
                "username": "glance",
                "password": PASSWORD,
                "project_name": "service",
                "user_domain_id": "default",
                "project_domain_id": "default",
            },
        }

    def staged(self) -> list[str]:
        """Names of what lies in staging."""
        return sorted(path.name for path in self.staging.iterdir())

    def children(self) -> Iterator[int]:
        """Yield the pids of what the workers started."""
        worker = self.worker
        for pid in self.server.family():
            if pid not in {self.server.pid, worker}:
                yield pid
