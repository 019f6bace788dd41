"""Whether a Glance service will convert images at import, and by which program: what only shows when it is too late."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from typing import TYPE_CHECKING

from xenimage import extensions
from xenimage.exceptions import ConfigError, ExtensionError, XenimageError
from xenimage.model.report import Diagnosis
from xenimage.profiles import registry
from xenimage.units import GIB, MIB, format_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.model.host import GlanceHost

PROGRAM = "xenimage-glance-worker"
PLUGINS = ("xenimage", "xenimage_extract")
GROUP = "glance.image_import.plugins"
_CODE = "import sys; from xenimage.glance.worker import main; sys.exit(main())"
_SPOILERS = ("image_decompression", "image_conversion")
"""plugins that take a bundle apart, or refuse it"""
_CHUNK = 16 * MIB
"""bytes: python-glanceclient sends chunks of 1 MiB and a few bytes, which uWSGI's default of 1 MiB refuses"""
_SPACE = GIB
_TIMEOUT = 60.0
"""seconds for the program to say its first word"""


def find_command(worker: str | None, python_interpreter: str | None) -> list[str]:
    """Tell how the child is started. Never by ``sys.executable`` unless that is Python: under uWSGI it is uwsgi.

    :param worker: path of the program, if one is configured.
    :param python_interpreter: that of Glance's [wsgi], if one is configured.
    :raises ConfigError: there is no way.
    """
    if worker:
        if not os.access(worker, os.X_OK):
            raise ConfigError(f"worker in [xenimage]: {worker} cannot be run", expected=f"the path of {PROGRAM}")
        return [worker]
    program = shutil.which(PROGRAM, path=sysconfig.get_path("scripts")) or shutil.which(PROGRAM)
    if program:
        return [program]
    if not python_interpreter and os.path.basename(sys.executable or "").startswith("python"):
        python_interpreter = sys.executable
    if python_interpreter and os.access(python_interpreter, os.X_OK):
        return [python_interpreter, "-c", _CODE]
    raise ConfigError(f"there is no program {PROGRAM}, and [wsgi] python_interpreter names no interpreter")


def diagnose_host(host: GlanceHost) -> Iterator[Diagnosis]:
    """Yield one diagnosis for each thing, good or not."""
    yield Diagnosis(what="glance", good=True, found=", ".join(host.files))
    yield _list(host)
    for name in dict.fromkeys(host.plugins):
        yield _plugin(name)
    if not host.plugins_problem:
        yield _order(host)
    yield _options(host)
    yield _staging(host.staging)
    yield _worker(host)
    yield from _uwsgi(host)


def _list(host: GlanceHost) -> Diagnosis:
    problem, act = host.plugins_problem, "Write: image_import_plugins = [xenimage]"
    doubled = [name for name in dict.fromkeys(host.plugins) if host.plugins.count(name) > 1]
    if not problem and doubled:
        problem, act = f"{', '.join(doubled)} stands in it twice", "Take one of them out."
    if not problem and not set(PLUGINS) & set(host.plugins):
        problem = "neither xenimage nor xenimage_extract stands in it"
    return Diagnosis(what="plugin list", good=not problem, found=problem or ", ".join(host.plugins), act=act)


def _plugin(name: str) -> Diagnosis:
    what = f"plugin {name}"
    try:
        found = extensions.load_one(GROUP, name)
    except ExtensionError as error:
        # Glance leaves such a plugin out without a word, and stores images unconverted.
        return Diagnosis(what=what, good=False, found=str(error), act=error.tip or "Correct the name, or take it out.")
    return Diagnosis(what=what, good=True, found=found)


def _order(host: GlanceHost) -> Diagnosis:
    ours = [number for number, name in enumerate(host.plugins) if name in PLUGINS]
    behind = [name for name in host.plugins[min(ours) :] if name in _SPOILERS] if ours else []
    return Diagnosis(
        what="plugin order",
        good=not behind,
        found=f"{' and '.join(behind)} behind ours would undo it or fail"
        if behind
        else "nothing behind ours undoes it",
        act="Put xenimage behind them.",
    )


def _options(host: GlanceHost) -> Diagnosis:
    problem = host.options_problem
    if not problem and host.profile:
        try:
            registry.get_profile(host.profile)
        except XenimageError as error:
            problem = f"profile in [xenimage]: {error}"
    found = problem or "those of [xenimage] make sense"
    return Diagnosis(what="options", good=not problem, found=found, act="Mend that line.")


def _staging(path: str) -> Diagnosis:
    try:
        free = shutil.disk_usage(path).free
    except OSError as error:
        return Diagnosis(what="staging", good=False, found=f"{path}: {error.strerror}", act=f"mkdir -p {path}")
    writable = os.access(path, os.W_OK)
    return Diagnosis(
        what="staging",
        good=free >= _SPACE and writable,
        found=f"{format_size(free)} free in {path}" + ("" if writable else ", no right to write"),
        act="Give it room for the uploads and their results at a time.",
    )


def _worker(host: GlanceHost) -> Diagnosis:
    """Start the program, which has to say that nothing is no request."""
    what, act = "worker", "Set worker in [xenimage] to the path of xenimage-glance-worker."
    try:
        command = find_command(host.worker, host.python_interpreter)
    except ConfigError as error:
        return Diagnosis(what=what, good=False, found=str(error), act=act)
    said = ""
    try:
        done = subprocess.run(command, input=b"\n", capture_output=True, check=False, timeout=_TIMEOUT, cwd="/")  # noqa: S603
        good = "failed" in json.loads(done.stdout)
    except (OSError, ValueError, TypeError, subprocess.TimeoutExpired) as error:
        good, said = False, f" ({type(error).__name__})"
    found = command[0] if good else f"{command[0]} does not answer as it should{said}"
    return Diagnosis(what=what, good=good, found=found, act=act)


def _uwsgi(host: GlanceHost) -> Iterator[Diagnosis]:
    for path, limit in host.uwsgi:
        small = limit is None or limit <= MIB
        found = "not set, which means 1 MiB" if limit is None else format_size(limit)
        yield Diagnosis(
            what="uwsgi chunks",
            good=not small,
            found=f"chunked-input-limit {found} in {path}"
            + (": uploads by python-glanceclient fail with HTTP 500" if small else ""),
            act=f"Write: chunked-input-limit = {_CHUNK}",
        )
