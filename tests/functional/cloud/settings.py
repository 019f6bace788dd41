"""Configuration files, and the options of uWSGI that both services share."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from tests.functional.cloud.places import ENVIRONMENTS, program
from tests.functional.cloud.process import clean

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Mapping

    Sections = Mapping[str, Mapping[str, object]]


def write(path: pathlib.Path, *settings: Sections) -> None:
    """Write a file for oslo.config; of two settings of one option the later one holds."""
    merged: dict[str, dict[str, object]] = {}
    for sections in settings:
        for name, options in sections.items():
            merged.setdefault(name, {}).update(options)
    lines = []
    for name, options in merged.items():
        lines += [f"[{name}]", *(f"{key} = {value}" for key, value in options.items()), ""]
    path.write_text("\n".join(lines))


def manage(environment: str, name: str, log: pathlib.Path, *words: str) -> None:
    """Run a service's program for administrators."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        done = subprocess.run(
            [program(environment, name), *words],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=clean(),
            check=False,
        )
    if done.returncode:
        raise RuntimeError(f"{name} {words} ended with {done.returncode}, see {log}")


def uwsgi(environment: str, port: int, *options: str) -> list[str]:
    """The command of a service under uWSGI."""
    return [
        program(environment, "uwsgi"),
        "--http-socket", f"127.0.0.1:{port}",
        "--virtualenv", str(ENVIRONMENTS / environment),
        "--master", "--processes", "1", "--threads", "8", "--enable-threads",
        "--die-on-term", "--need-app", "--lazy-apps",
        "--buffer-size", "65535", "--socket-timeout", "60",
        # Clients would run into a reset when they use a connection again.
        "--add-header", "Connection: close",
        *options,
    ]  # fmt: skip
