"""Keystone, with the users that the tests are."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING

import fixtures

from tests.functional.cloud import settings
from tests.functional.cloud.process import Server, free_port, listens
from tests.functional.cloud.rest import Rest, sign_in

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Mapping

ENVIRONMENT = "keystone"
PASSWORD = "of-no-secrecy"
REGION = "functional"
USERS = {
    "glance": ("service", ("admin", "service")),
    "tenant": ("tenant", ("member", "trusted")),
    "stranger": ("stranger", ("member",)),
}
"""name: project and roles. "trusted" is a role of these tests, for the rules of protected properties"""


class Keystone(fixtures.Fixture):
    """The service, below *place*, with its database at *database*."""

    def __init__(self, place: pathlib.Path, database: str, logs: pathlib.Path) -> None:
        super().__init__()
        self._place = place / "keystone"
        self._database = database
        self._logs = logs
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}/v3"

    def _setUp(self) -> None:
        for name in ("fernet", "credential"):
            (self._place / name).mkdir(parents=True, mode=0o700)
        settings.write(
            self._place / "keystone.conf",
            {
                "DEFAULT": {"use_stderr": "true"},
                "database": {"connection": self._database},
                "token": {"provider": "fernet", "expiration": 14400},
                "fernet_tokens": {"key_repository": self._place / "fernet"},
                "credential": {"key_repository": self._place / "credential"},
                "cache": {"enabled": "true", "backend": "dogpile.cache.memory"},
            },
        )
        self._manage("db_sync")
        user = getpass.getuser()
        for kind in ("fernet_setup", "credential_setup"):
            self._manage(kind, "--keystone-user", user, "--keystone-group", user)
        self._manage(
            "bootstrap", "--bootstrap-password", PASSWORD, "--bootstrap-region-id", REGION,
            "--bootstrap-public-url", self.url, "--bootstrap-internal-url", self.url, "--bootstrap-admin-url", self.url,
        )  # fmt: skip
        self.useFixture(
            Server(
                settings.uwsgi(ENVIRONMENT, self._port, "--module", "keystone.wsgi.api:application"),
                self._logs / "keystone.log",
                lambda: listens(self._port),
                {"OS_KEYSTONE_CONFIG_DIR": str(self._place)},
            )
        )
        self._admin = Rest(self.url, self.token("admin"))
        self._add_users()

    def _manage(self, *words: str) -> None:
        command = ("--config-file", str(self._place / "keystone.conf"), *words)
        settings.manage(ENVIRONMENT, "keystone-manage", self._logs / "keystone-manage.log", *command)

    def _add_users(self) -> None:
        roles = {role["name"]: role["id"] for role in self._admin.get("/roles")["roles"]}
        for name, (project, wanted) in USERS.items():
            home = self._add("project", name=project, domain_id="default")
            user = self._add("user", name=name, password=PASSWORD, domain_id="default")
            for role in wanted:
                roles[role] = roles.get(role) or self._add("role", name=role)
                self._admin.call("PUT", f"/projects/{home}/users/{user}/roles/{roles[role]}")

    def _add(self, kind: str, **values: object) -> str:
        return str(self._admin.post(f"/{kind}s", {kind: values})[kind]["id"])

    def announce(self, url: str) -> None:
        """Make *url* the catalogue's image service, in place of one that was there."""
        for service in self._admin.get("/services?type=image")["services"]:
            self._admin.call("DELETE", f"/services/{service['id']}")
        service = self._add("service", name="glance", type="image")
        for interface in ("public", "internal"):
            self._add("endpoint", service_id=service, interface=interface, url=url, region_id=REGION)

    def token(self, user: str) -> str:
        """A new token of a user, the administrator among them."""
        return sign_in(self.url, user, PASSWORD, _home(user))

    def variables(self, user: str) -> Mapping[str, str]:
        """What OpenStack's clients read from the environment to be that user."""
        return {
            "OS_AUTH_URL": self.url,
            "OS_USERNAME": user,
            "OS_PASSWORD": PASSWORD,
            "OS_PROJECT_NAME": _home(user),
            "OS_USER_DOMAIN_ID": "default",
            "OS_PROJECT_DOMAIN_ID": "default",
            "OS_IDENTITY_API_VERSION": "3",
            "OS_REGION_NAME": REGION,
        }


def _home(user: str) -> str:
    return USERS[user][0] if user in USERS else user
