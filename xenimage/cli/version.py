"""Which version this is, as the installed package says it."""

from __future__ import annotations

import importlib.metadata


def version() -> str:
    """Return the version, or a word where the package runs from its sources without being installed."""
    try:
        return importlib.metadata.version("xenimage")
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"
