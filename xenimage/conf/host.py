"""A Glance service's configuration files, read as a service reads them, for ``doctor``."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING, Any

from xenimage.conf.files import sections
from xenimage.conf.glance import GROUP, plugin_settings
from xenimage.exceptions import ConfigError
from xenimage.model.host import GlanceHost

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = ("glance-image-import.conf", "glance-api.conf")
"""in the order in which a WSGI server reads them: the later one wins"""
_STAGING_STORE = "os_glance_staging_store"
_STAGING_DEFAULT = f"/var/lib/glance/{_STAGING_STORE}"
_STAGING_URI = "file:///tmp/staging/"
"""where files are staged without enabled_backends, and without node_staging_uri"""


def read_host(directory: str) -> GlanceHost:
    """Read the configuration in *directory*, which is /etc/glance mostly.

    :raises ConfigError: there is none, or a file cannot be read.
    """
    there = [pathlib.Path(directory) / name for name in NAMES]
    files = tuple(str(path) for path in there if path.exists())
    if not files:
        raise ConfigError("holds neither of Glance's files", expected=" or ".join(NAMES), where=directory)
    read = [sections(path) for path in files]

    def option(group: str, name: str) -> str:
        values = [found[group][name][-1] for found in read if name in found.get(group, {})]
        return values[-1].strip() if values else ""

    plugins, problem = _plugins(option("image_import_opts", "image_import_plugins"))
    return GlanceHost(
        files=files,
        plugins=plugins,
        plugins_problem=problem,
        options_problem=_options_problem(files),
        profile=option(GROUP, "profile"),
        staging=_staging(option),
        python_interpreter=option("wsgi", "python_interpreter"),
        worker=option(GROUP, "worker"),
        uwsgi=tuple(_uwsgi(pathlib.Path(directory))),
    )


def _plugins(text: str) -> tuple[tuple[str, ...], str]:
    """Return the names and what is wrong with the text: without brackets Glance fails every import."""
    if not text:
        return (), "image_import_plugins is not set"
    if not (text.startswith("[") and text.endswith("]")):
        return (), f"{text!r} has no brackets around it"
    names = [name.strip().strip("'\"") for name in text[1:-1].replace("\n", " ").split(",")]
    return tuple(filter(None, names)), ""


def _staging(option: Any) -> str:
    if option("DEFAULT", "enabled_backends"):
        return option(_STAGING_STORE, "filesystem_store_datadir") or _STAGING_DEFAULT
    return str((option("DEFAULT", "node_staging_uri") or _STAGING_URI).removeprefix("file://"))


def _options_problem(files: tuple[str, ...]) -> str:
    from oslo_config import cfg

    config = cfg.ConfigOpts()
    config([], project="glance", default_config_files=list(files), default_config_dirs=[])
    try:
        plugin_settings(config)
    except ConfigError as error:
        return str(error)
    return ""


def _uwsgi(directory: pathlib.Path) -> Iterator[tuple[str, int | None]]:
    """Yield uWSGI's files and what each of them allows for one chunk of an upload."""
    for path in sorted(directory.glob("*.ini")):
        try:
            found = sections(str(path)).get("uwsgi")
        except ConfigError:  # a paste file, or of somebody else: not for us to judge
            continue
        if found is not None:
            limit = found.get("chunked-input-limit", [""])[-1].strip()
            yield str(path), int(limit) if limit.isdigit() and len(limit) < 20 else None
