"""A web server for web-download, in a thread of the tests."""

from __future__ import annotations

import functools
import http.server
import shutil
import threading
from typing import TYPE_CHECKING

import fixtures

if TYPE_CHECKING:
    import pathlib


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        """Say nothing."""


class Web(fixtures.Fixture):
    """Serves the files of *place* on the loopback."""

    def __init__(self, place: pathlib.Path) -> None:
        super().__init__()
        self._place = place

    def _setUp(self) -> None:
        self._place.mkdir(parents=True, exist_ok=True)
        handler = functools.partial(_Quiet, directory=str(self._place))
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.port = self._server.server_address[1]
        thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(self._server.server_close)
        self.addCleanup(self._server.shutdown)

    def url(self, path: pathlib.Path) -> str:
        """Put a file there; its address."""
        shutil.copy(path, self._place)
        return f"http://127.0.0.1:{self.port}/{path.name}"
