"""A cloud in a thread: as much of Glance's and Keystone's APIs as a client needs, and faults on request.

It keeps to what servers of the 2026.2 release were observed to do: chunked bodies, ids chosen by the client, ranges,
sizes that are compared, tokens that expire, an import that runs behind the request.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import html
import http
import http.server
import json
import re
import socket
import struct
import threading
import time
import urllib.parse
import uuid
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

USER, PASSWORD, PROJECT = "demo", "s3cret-Pässword", "4b1d" * 8
_STRING = {"type": ["null", "string"]}
_SCHEMA = {
    "name": "image",
    "properties": {
        **dict.fromkeys(("name", "status", "owner", "checksum", "os_hash_algo", "os_hash_value", "file"), _STRING),
        **dict.fromkeys(("created_at", "updated_at", "self", "schema", "visibility"), _STRING),
        **{name: {"type": ["null", "integer"]} for name in ("size", "virtual_size")},
        "id": {"type": "string", "pattern": "^[0-9a-f-]{36}$"},
        "min_disk": {"type": "integer"},
        "min_ram": {"type": "integer"},
        "disk_format": {"type": ["null", "string"], "enum": [None, "raw", "vhd", "qcow2", "vmdk"]},
        "container_format": {"type": ["null", "string"], "enum": [None, "bare", "ovf"]},
        "tags": {"type": "array", "items": {"type": "string"}},
        "protected": {"type": "boolean"},
        "os_hidden": {"type": "boolean"},
    },
    "additionalProperties": {"type": "string"},
    "links": [],
}


@dataclasses.dataclass(kw_only=True)
class Faults:
    """What goes wrong. Numbers are bytes of the data; each fault happens once, unless it says otherwise."""

    reset_at: int | None = None
    """the connection is reset when so much has come; always"""
    resets: int = 1 << 30
    """how often"""
    early: tuple[int, int] | None = None
    """(at, status): an answer before the data has ended; always"""
    expired: bool = False
    """401 for data, as for a token that has just expired"""
    chunk_limit: int = 1 << 20
    """bytes: uWSGI answers 500 to a chunk as large; always"""
    lose: int = 0
    """bytes at the end of the data that are not stored; always"""
    flip: bool = False
    """a byte of the stored data is another; always"""
    unanswered_create: int = 0
    """how many times a record is made and no answer comes"""
    busy: int = 0
    """how many requests are answered 503"""
    refuse_delete: bool = False
    """409 for each delete; always"""
    import_failure: str = ""
    """what the task of a failed import says; always"""
    break_at: int | None = None
    """a download ends there, each time it passes that place"""
    breaks: int = 1 << 30
    """how often"""
    no_ranges: bool = False
    """a range is answered with all of it; always"""
    pause: float = 0.0
    """seconds for each chunk; always"""
    say: str = "it went wrong"
    """the text of an error"""


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of connections that broke: that is what they are for."""


class FakeCloud:
    """Serves until :meth:`close`. What it has and was asked for can be looked at meanwhile."""

    def __init__(self) -> None:
        self.faults = Faults()
        self.images: dict[str, dict[str, Any]] = {}
        self.data: dict[str, bytes] = {}
        self.staged: dict[str, bytes] = {}
        self.tasks: dict[str, list[dict[str, Any]]] = {}
        self.requests: list[str] = []
        self.tokens: set[str] = set()
        self.lock = threading.Lock()
        handler = type("Bound", (_Handler,), {"cloud": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def environment(self, *, password: bool = False) -> dict[str, str]:
        """The OS_* variables that lead here."""
        if not password:
            return {"OS_AUTH_TYPE": "none", "OS_ENDPOINT": self.url}
        return {
            "OS_AUTH_URL": f"{self.url}/v3",
            "OS_USERNAME": USER,
            "OS_PASSWORD": PASSWORD,
            "OS_PROJECT_NAME": "demo",
            "OS_USER_DOMAIN_ID": "default",
            "OS_PROJECT_DOMAIN_ID": "default",
        }

    def add(self, data: bytes, **fields: Any) -> str:
        """Put an image there; its id."""
        image_id = fields.pop("id", str(uuid.uuid4()))
        self.images[image_id] = {
            "id": image_id,
            "name": "stored",
            "status": "queued",
            "disk_format": "vhd",
            "container_format": "ovf",
            "min_disk": 1,
            "min_ram": 0,
            "visibility": "shared",
            "owner": PROJECT,
            "tags": [],
            **fields,
        }
        self.store(image_id, data)
        return str(image_id)

    def store(self, image_id: str, data: bytes) -> None:
        image = self.images[image_id]
        image |= {"size": len(data), "status": "active", "os_hash_algo": "sha512"}
        image |= {"checksum": hashlib.md5(data).hexdigest(), "os_hash_value": hashlib.sha512(data).hexdigest()}
        self.data[image_id] = data


class _GoneError(Exception):
    """The connection is cut by us."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    cloud: FakeCloud

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _serve(self) -> None:
        cloud = self.cloud
        split = urllib.parse.urlsplit(self.path)
        cloud.requests.append(f"{self.command} {self.path}")
        query = dict(urllib.parse.parse_qsl(split.query))
        try:
            if split.path.startswith("/v3"):
                self._keystone(split.path)
            elif cloud.faults.busy > 0:
                cloud.faults.busy -= 1
                self._fail(503)
            else:
                self._glance(split.path.rstrip("/"), query)
        except _GoneError:
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815

    # --- keystone

    def _keystone(self, path: str) -> None:
        url = f"{self.cloud.url}/v3"
        if self.command == "GET":
            links = [{"rel": "self", "href": url}]
            version = {"id": "v3.14", "status": "stable", "links": links, "media-types": []}
            self._answer(200, {"version": version})
            return
        asked = json.loads(self._body())["auth"]["identity"]
        user = asked.get("password", {}).get("user", {})
        if path != "/v3/auth/tokens" or (user.get("name"), user.get("password")) != (USER, PASSWORD):
            self._answer(401, {"error": {"code": 401, "title": "Unauthorized", "message": "The request you have made"}})
            return
        token = uuid.uuid4().hex
        self.cloud.tokens.add(token)
        endpoint = {"interface": "public", "region": "R", "region_id": "R", "url": self.cloud.url, "id": "e"}
        body = {
            "methods": ["password"],
            "user": {"id": "u", "name": USER, "domain": {"id": "default", "name": "Default"}},
            "project": {"id": PROJECT, "name": "demo", "domain": {"id": "default", "name": "Default"}},
            "catalog": [{"type": "image", "name": "glance", "id": "s", "endpoints": [endpoint]}],
            "expires_at": "2099-01-01T00:00:00.000000Z",
            "issued_at": "2026-01-01T00:00:00.000000Z",
            "roles": [{"id": "r", "name": "member"}],
        }
        self._answer(201, {"token": body}, {"X-Subject-Token": token})

    # --- glance

    def _glance(self, path: str, query: dict[str, str]) -> None:
        if path == "/v2/schemas/image":
            self._answer(200, _SCHEMA)
            return
        found = re.fullmatch(r"/v2/images(?:/([0-9a-f-]{36})(?:/(file|stage|import|tasks))?)?", path)
        if found is None:
            self._fail(404)
            return
        image_id, part = found.groups()
        if image_id is None:
            self._create() if self.command == "POST" else self._list(query)
        elif image_id not in self.cloud.images:
            self._body()
            self._fail(404, "No image found with ID")
        elif part is None:
            {"GET": self._get, "PATCH": self._patch, "DELETE": self._delete}[self.command](image_id)
        elif part in ("file", "stage") and self.command == "PUT":
            self._put(image_id, part)
        else:
            {"file": self._file, "import": self._import, "tasks": self._tasks}[part](image_id)

    def _create(self) -> None:
        record = json.loads(self._body())
        image_id = record.pop("id")
        with self.cloud.lock:
            if image_id in self.cloud.images:
                self._fail(409, "Image ID already exists!")
                return
            image = {
                "id": image_id,
                "status": "queued",
                "min_disk": 0,
                "min_ram": 0,
                "visibility": "shared",
                "tags": [],
            }
            self.cloud.images[image_id] = image | {"size": None, "checksum": None, "owner": PROJECT} | record
        if self.cloud.faults.unanswered_create > 0:
            self.cloud.faults.unanswered_create -= 1
            self._cut()
        self._get(image_id, 201)

    def _list(self, query: dict[str, str]) -> None:
        wanted = {name: value for name, value in query.items() if name not in ("limit", "marker", "sort")}
        found = [
            image
            for image in self.cloud.images.values()
            if all(str(image.get(name)) == value for name, value in wanted.items())
        ]
        self._answer(200, {"images": found, "schema": "/v2/schemas/images", "first": "/v2/images"})

    def _get(self, image_id: str, status: int = 200) -> None:
        self._answer(status, self.cloud.images[image_id])

    def _patch(self, image_id: str) -> None:
        image = self.cloud.images[image_id]
        for change in json.loads(self._body()):
            name = change["path"].removeprefix("/")
            if change["op"] == "remove":
                del image[name]
            else:
                image[name] = change["value"]
        self._get(image_id)

    def _delete(self, image_id: str) -> None:
        if self.cloud.faults.refuse_delete:
            self._fail(409, "Image is in use")
            return
        for store in (self.cloud.images, self.cloud.data, self.cloud.staged):
            store.pop(image_id, None)  # type: ignore[attr-defined]
        self._answer(204)

    def _put(self, image_id: str, part: str) -> None:
        image, faults = self.cloud.images[image_id], self.cloud.faults
        image["status"] = "saving" if part == "file" else "uploading"
        data = bytearray()
        for chunk in self._chunks():
            if len(chunk) >= faults.chunk_limit:
                self._fail(500, "unable to receive chunked part", close=True)
                return
            data += chunk
            time.sleep(faults.pause)
            if faults.reset_at is not None and len(data) >= faults.reset_at and faults.resets > 0:
                faults.resets -= 1
                image["status"] = "queued"
                self._cut()
            if faults.early is not None and len(data) >= faults.early[0]:
                image["status"] = "queued"
                self._fail(faults.early[1], faults.say, close=True)
                return
        if faults.expired:
            faults.expired = False
            image["status"] = "queued"
            self._fail(401, "This server could not verify that you are authorized")
            return
        if faults.lose:
            del data[-faults.lose :]
        if faults.flip and data:
            data[len(data) // 2] ^= 1
        expected = self.headers.get("x-openstack-image-size")
        if expected is not None and int(expected) != len(data):
            image["status"] = "queued"
            self._fail(400, f"Size mismatch: expected {expected} bytes, got {len(data)} bytes")
            return
        if part == "file":
            self.cloud.store(image_id, bytes(data))
        else:
            self.cloud.staged[image_id] = bytes(data)
            image["size"] = len(data)
        self._answer(204)

    def _import(self, image_id: str) -> None:
        assert json.loads(self._body())["method"] == {"name": "glance-direct"}
        image, failure = self.cloud.images[image_id], self.cloud.faults.import_failure
        image |= {"status": "importing", "os_glance_import_task": "t"}
        task = {"id": uuid.uuid4().hex, "status": "processing", "message": ""}
        self.cloud.tasks.setdefault(image_id, []).append(task)

        def run() -> None:
            time.sleep(0.05)
            if image_id not in self.cloud.images:
                return
            if failure:
                task.update(status="failure", message=failure)
                image["status"] = "queued"
            else:
                self.cloud.store(image_id, self.cloud.staged.pop(image_id, b""))
                task["status"] = "success"
            image.pop("os_glance_import_task", None)

        threading.Thread(target=run, daemon=True).start()
        self._answer(202)

    def _tasks(self, image_id: str) -> None:
        self._answer(200, {"tasks": self.cloud.tasks.get(image_id, [])})

    def _file(self, image_id: str) -> None:
        data, faults = self.cloud.data.get(image_id, b""), self.cloud.faults
        if not data:
            self._answer(204)
            return
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(asked.group(1)) if asked and not faults.no_ranges else 0
        self.send_response(206 if start else 200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        end = len(data)
        if faults.break_at is not None and start < faults.break_at < end and faults.breaks > 0:
            faults.breaks -= 1
            end = faults.break_at
        with contextlib.suppress(OSError):
            self.wfile.write(data[start:end])
        if end < len(data):
            self._cut()

    # --- HTTP

    def _chunks(self) -> Iterator[bytes]:
        if self.headers.get("Transfer-Encoding", "") != "chunked":
            yield self.rfile.read(int(self.headers.get("Content-Length") or 0))
            return
        while True:
            line = self.rfile.readline()
            if not line:
                raise _GoneError
            length = int(line.split(b";")[0], 16)
            chunk = self.rfile.read(length)
            self.rfile.readline()
            if len(chunk) < length:
                raise _GoneError
            if not length:
                return
            yield chunk

    def _body(self) -> bytes:
        return b"".join(self._chunks())

    def _cut(self) -> None:
        """Reset the connection: what waits to be sent is thrown away."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        raise _GoneError

    def _fail(self, status: int, text: str = "", *, close: bool = False) -> None:
        title = f"{status} {http.HTTPStatus(status).phrase}"
        head = f"<html>\n <head>\n  <title>{title}</title>\n </head>\n"
        text = html.escape(text or self.cloud.faults.say, quote=True)
        page = f"{head} <body>\n  <h1>{title}</h1>\n  {text}<br /><br />\n\n\n </body>\n</html>"
        body = page.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=UTF-8")
        self.send_header("Content-Length", str(len(body)))
        if close:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        self.wfile.write(body)

    def _answer(self, status: int, body: Any = None, headers: dict[str, str] | None = None) -> None:
        data = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if body is not None:
            self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
