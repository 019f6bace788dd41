"""Extensions by name, through stevedore. Everything fails closed: what cannot be loaded is an error, never a warning.

Loading costs some 50 ms, so callers come here only for a name that they do not know themselves, or to list all.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from xenimage.exceptions import ExtensionError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

LOG = logging.getLogger(__name__)


def load_all(group: str, kind: type[Any], *, builtin: Collection[str] = (), own: str = "xenimage") -> dict[str, Any]:
    """Load everything that is registered in *group*, by name.

    :param kind: the type that each of them has to be an instance of.
    :param builtin: names that the project provides. Entry points of the project's own modules under these names are
        left out; anybody else's are refused, so that nothing replaces a built-in one silently.
    :param own: the package whose entry points are the project's own.
    :raises ExtensionError: an extension cannot be loaded, is of another type, takes a built-in name, or two of them
        share a name.
    """
    loaded: dict[str, Any] = {}
    for extension in _extensions(group):
        name = extension.name
        place = f"extension {name!r} of {group}"
        if name in builtin:
            if extension.entry_point.module.partition(".")[0] == own:
                continue
            raise ExtensionError(
                f"{extension.entry_point.value} takes a name that xenimage itself provides",
                expected="a name of its own",
                where=place,
            )
        if name in loaded:
            raise ExtensionError("two installed packages provide it", expected="one", where=place)
        if not isinstance(extension.plugin, kind):
            found = type(extension.plugin).__name__
            raise ExtensionError(f"{extension.entry_point.value} is a {found}", expected=kind.__name__, where=place)
        LOG.debug("loaded %s from %s", place, extension.entry_point.value)
        loaded[name] = extension.plugin
    return loaded


def load_one(group: str, name: str) -> str:
    """Load what is registered as *name* in *group*, which may be somebody else's, and tell where it comes from.

    :raises ExtensionError: there is none or more than one, or it cannot be loaded.
    """
    from importlib import metadata

    place = f"extension {name!r} of {group}"
    found = list(metadata.entry_points(group=group, name=name))
    if not found:
        known = ", ".join(sorted({each.name for each in metadata.entry_points(group=group)})) or "nothing"
        raise ExtensionError("no installed package provides it", expected=f"one of these: {known}", where=place)
    if len({each.value for each in found}) > 1:
        raise ExtensionError("two installed packages provide it", expected="one", where=place)
    try:
        found[0].load()
    except Exception as error:  # noqa: BLE001 - whatever a module may raise
        _refuse(None, found[0], error)
    return found[0].value


def _extensions(group: str) -> Iterable[Any]:
    """Return stevedore's extensions of *group*. Imported here: most commands need no extension and do not wait."""
    from stevedore import ExtensionManager

    manager: ExtensionManager[Any] = ExtensionManager(group, on_load_failure_callback=_refuse)
    return manager


def _refuse(manager: object, entry_point: Any, error: BaseException) -> None:
    """Turn stevedore's "log and go on" into an error."""
    del manager
    raise ExtensionError(
        f"{entry_point.value} cannot be loaded: {type(error).__name__}: {error}",
        where=f"extension {entry_point.name!r} of {entry_point.group}",
        tip="Repair or uninstall the package that provides it.",
    ) from error
