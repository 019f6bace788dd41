"""A browser without a window, told what to do through a pipe in the Chrome DevTools protocol."""

from __future__ import annotations

import collections
import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import pathlib

_PATIENCE = 60
"""seconds for one answer"""

# Not a shell: that of Debian takes no descriptor above 9 for its redirections.
_LAUNCHER = """
import fcntl, os, sys
orders, answers = (fcntl.fcntl(int(each), fcntl.F_DUPFD, 10) for each in sys.argv[1:3])
os.dup2(orders, 3)
os.dup2(answers, 4)
os.execvp(sys.argv[3], sys.argv[3:])
"""


class Browser:
    """One tab. *profile*: a directory of its own."""

    def __init__(self, profile: pathlib.Path) -> None:
        hearing, saying = os.pipe(), os.pipe()
        # The browser reads orders from descriptor 3 and answers on 4.
        words = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe"]
        words += [f"--user-data-dir={profile}", "about:blank"]
        self._process = subprocess.Popen(
            [sys.executable, "-c", _LAUNCHER, str(saying[0]), str(hearing[1]), *words],
            pass_fds=(saying[0], hearing[1]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(saying[0])
        os.close(hearing[1])
        self._hearing, self._saying = hearing[0], saying[1]
        self._number, self._left = 0, b""
        self._session = ""
        self.events: collections.deque[dict[str, Any]] = collections.deque()

    def __enter__(self) -> Self:
        """Open a tab."""
        target = self.tell("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.tell("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log", "DOM", "Accessibility"):
            self.tell(f"{domain}.enable")
        return self

    def __exit__(self, *_: object) -> None:
        """End the browser."""
        self._process.terminate()
        self._process.wait(_PATIENCE)
        os.close(self._hearing)
        os.close(self._saying)

    def tell(self, method: str, **params: Any) -> dict[str, Any]:
        """Give one order, and return the answer; what happens meanwhile is kept in :attr:`events`."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._saying, json.dumps(message).encode() + b"\0")
        while True:
            heard = self._hear()
            if heard.get("id") == self._number:
                assert "error" not in heard, heard
                return dict(heard["result"])
            self.events.append(heard)

    def _hear(self) -> dict[str, Any]:
        end = time.monotonic() + _PATIENCE
        while b"\0" not in self._left:
            assert time.monotonic() < end, "the browser is silent"
            part = os.read(self._hearing, 1 << 16)
            assert part, "the browser is gone"
            self._left += part
        line, _, self._left = self._left.partition(b"\0")
        return dict(json.loads(line))

    def open(self, path: pathlib.Path) -> None:
        """Show a file."""
        self.events.clear()
        self.tell("Page.navigate", url=path.as_uri())
        while not any(each.get("method") == "Page.loadEventFired" for each in self.events):
            self.events.append(self._hear())

    def value(self, expression: str) -> Any:
        """What a piece of JavaScript says: that of a debugger, which no policy of a page keeps from running."""
        return self.tell("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def press(self, key: str, code: int) -> None:
        """Press a key and let it go."""
        text = {"text": "\r"} if key == "Enter" else {}
        self.tell("Input.dispatchKeyEvent", type="keyDown", key=key, code=key, windowsVirtualKeyCode=code, **text)
        self.tell("Input.dispatchKeyEvent", type="keyUp", key=key, code=key, windowsVirtualKeyCode=code)
