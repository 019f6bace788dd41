"""Keystone and Glance over HTTP, with nothing between: a client of ours would hide what the servers say."""

from __future__ import annotations

import http.client
import json
import shutil
import urllib.parse
from typing import TYPE_CHECKING, Any

from tests.functional.cloud.process import wait_for

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Mapping

PATCH = "application/openstack-images-v2.1-json-patch"
OCTETS = "application/octet-stream"
IMPORT = 240
"""seconds that an import may take"""


class HttpError(Exception):
    """An answer of 400 or above.

    :ivar status: its number.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text}")
        self.status = status


class Rest:
    """Requests to one service, in JSON, a connection each."""

    def __init__(self, url: str, token: str = "") -> None:
        self._place = urllib.parse.urlsplit(url)
        self.token = token

    def call(
        self, method: str, path: str, body: object = None, *, kind: str = "application/json", into: Any = None
    ) -> tuple[Mapping[str, str], Any]:
        """Send one request; headers and body of the answer.

        :param body: an open file is sent as it is, with its length.
        :param into: a file that the body of the answer is written to.
        :raises HttpError: it was refused.
        """
        headers = {"X-Auth-Token": self.token} if self.token else {}
        data = body
        if body is not None and not hasattr(body, "read"):
            data = json.dumps(body).encode()
        if body is not None:
            headers["Content-Type"] = kind
        connection = http.client.HTTPConnection(self._place.hostname or "", self._place.port, timeout=IMPORT)
        try:
            connection.request(method, self._place.path + path, data, headers)  # type: ignore[arg-type]
            answer = connection.getresponse()
            if answer.status >= 400:
                raise HttpError(answer.status, answer.read().decode(errors="replace"))
            if into is not None:
                shutil.copyfileobj(answer, into)
                return dict(answer.headers), None
            text = answer.read()
            return dict(answer.headers), json.loads(text) if text.strip() else None
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        """What stands there."""
        return self.call("GET", path)[1]

    def post(self, path: str, body: object) -> Any:
        """What comes of it."""
        return self.call("POST", path, body)[1]


def sign_in(url: str, user: str, password: str, project: str) -> str:
    """A token of Keystone's."""
    identity = {"methods": ["password"], "password": {"user": _named(user) | {"password": password}}}
    request = {"auth": {"identity": identity, "scope": {"project": _named(project)}}}
    return Rest(url).call("POST", "/auth/tokens", request)[0]["X-Subject-Token"]


def _named(name: str) -> dict[str, object]:
    return {"name": name, "domain": {"id": "default"}}


class Images(Rest):
    """What one user does with images."""

    def create(self, **record: object) -> str:
        """A new record; its id."""
        values = {"container_format": "bare", "name": "functional", **record}
        return str(self.post("/v2/images", values)["id"])

    def show(self, image: str) -> dict[str, Any]:
        """The record."""
        record: dict[str, Any] = self.get(f"/v2/images/{image}")
        return record

    def change(self, image: str, *steps: Mapping[str, object]) -> None:
        """Change the record."""
        self.call("PATCH", f"/v2/images/{image}", steps, kind=PATCH)

    def stage(self, image: str, path: pathlib.Path) -> None:
        """Send a file to staging."""
        with path.open("rb") as file:
            self.call("PUT", f"/v2/images/{image}/stage", file, kind=OCTETS)

    def upload(self, image: str, path: pathlib.Path) -> None:
        """Send a file to the store: no plugin sees it."""
        with path.open("rb") as file:
            self.call("PUT", f"/v2/images/{image}/file", file, kind=OCTETS)

    def start(self, image: str, *, uri: str = "", copy: bool = False, **options: object) -> None:
        """Begin an import: of what is staged, or of what stands at *uri*; or a copy from store to store."""
        method = {"name": "web-download", "uri": uri} if uri else {"name": "copy-image" if copy else "glance-direct"}
        self.post(f"/v2/images/{image}/import", {"method": method, **options})

    def finish(self, image: str) -> dict[str, Any]:
        """Wait for the end of an import: the lock is gone, which the request had set; its task.

        The image is asked, not the tasks: to list these is to write.
        """
        wait_for(f"the import of {image}", lambda: not self.show(image).get("os_glance_import_task"), IMPORT)
        # The lock goes a moment before the task is marked.
        wait_for(f"the task of {image}", lambda: self.task(image)["status"] in {"success", "failure"})
        return self.task(image)

    def task(self, image: str) -> dict[str, Any]:
        """The image's newest task, as its owner reads it."""
        tasks: list[dict[str, Any]] = self.get(f"/v2/images/{image}/tasks")["tasks"]
        return max(tasks, key=lambda task: str(task["created_at"]))

    def download(self, image: str, path: pathlib.Path) -> pathlib.Path:
        """The bytes."""
        with path.open("wb") as file:
            self.call("GET", f"/v2/images/{image}/file", into=file)
        return path

    def delete(self, image: str) -> None:
        """Remove an image."""
        self.call("DELETE", f"/v2/images/{image}")
