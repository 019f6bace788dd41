"""A Glance service as its configuration files tell it."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class GlanceHost:
    """What of it matters to the import plugins."""

    files: tuple[str, ...]
    """the files that were read, in order"""
    plugins: tuple[str, ...] = ()
    """image_import_plugins, in order"""
    plugins_problem: str = ""
    """why the list cannot be read; empty if it can"""
    options_problem: str = ""
    """why our own options cannot be read; empty if they can"""
    profile: str = ""
    """of [xenimage]; empty where none is set"""
    staging: str = ""
    """directory"""
    python_interpreter: str = ""
    """of [wsgi]; empty where none is set"""
    worker: str = ""
    """of [xenimage]; empty where none is set"""
    uwsgi: tuple[tuple[str, int | None], ...] = ()
    """uWSGI's files beside them, each with its chunked-input-limit in bytes; None where it sets none"""
