"""The rules of the record: what an import plugin may write, when, and how it takes it back.

The order and the conditions are those that Glance's own tasks leave room for. ``queued`` to ``queued`` is no legal
transition: of several tasks whose reverts set it, the second would raise, and an exception in a revert stops all that
would follow, the release of the import lock among it. And nothing leads back from ``active``.

Only the standard library is used here, and what the caller hands over from Glance.
"""

from __future__ import annotations

import contextlib
import inspect
import logging
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LOG = logging.getLogger(__name__)

_OPEN = ("importing", "queued")
"""statuses in which formats may be set"""


class Ledger:
    """What one task made and changed, so that it can be undone: files first, then the record, then the properties."""

    def __init__(self, name: str, arguments: Mapping[str, Any]) -> None:
        """Note what Glance gave the plugin.

        :param name: of the plugin, as it stands in the list.
        :param arguments: the keyword arguments of ``get_flow``.
        """
        self.name = name
        self.wrapper = arguments["action_wrapper"]
        self.image_id: str = self.wrapper.image_id
        self.stores = [store for store in arguments.get("backend") or [] if store]
        self.method = str(((arguments.get("import_req") or {}).get("method") or {}).get("name", ""))
        self.source: str | None = None
        """path of the staged file, once it is known"""
        self.made: list[str] = []
        """paths of files that may have been made"""
        self._formats: dict[str, Any] = {}
        self._properties: dict[str, str | None] = {}

    def write(self, attributes: Mapping[str, Any], properties: Mapping[str, str | None]) -> None:
        """Change the record in one short context, and note what was there.

        :param attributes: of those that an import may set.
        :param properties: None deletes one.
        """
        with self.wrapper as action:
            before = action.image_extra_properties
            if "disk_format" in attributes:
                self._formats = {
                    "disk_format": action.image_disk_format,
                    "container_format": action.image_container_format,
                }
            self._properties = {name: before.get(name) for name in properties}
            action.set_image_attribute(**attributes)
            _put(action, properties)

    def undo(self) -> None:
        """Leave nothing behind. Raises nothing, whatever fails, and may be called twice."""
        for path in [*self.made, self.source]:
            with contextlib.suppress(OSError, TypeError):
                os.unlink(path)  # type: ignore[arg-type]
        # The properties apart: one that may not be written must not keep the status from being reset.
        for restore in (self._restore_record, self._restore_properties):
            try:
                with self.wrapper as action:
                    restore(action)
            except Exception:  # the image is deleted, the lock lost, the database away
                LOG.warning("image %s: its record cannot be restored", self.image_id, exc_info=True)

    def _restore_record(self, action: Any) -> None:
        # The staged source is gone, and Glance wants to be told that no store has the image.
        if action.image_status not in _OPEN:
            return
        if self._formats:
            action.set_image_attribute(**self._formats)
        if self.stores:
            action.remove_importing_stores(self.stores)
            action.add_failed_stores(self.stores)
        if action.image_status == "importing" and we_requeue(self.name, self.method):
            action.set_image_attribute(status="queued")

    def _restore_properties(self, action: Any) -> None:
        if self._properties and action.image_status in _OPEN:
            _put(action, self._properties)


def _put(action: Any, properties: Mapping[str, str | None]) -> None:
    for name, value in properties.items():
        if value is None:
            action.pop_extra_property(name)
        else:
            action.set_image_extra_properties({name: value})


def we_requeue(name: str, method: str) -> bool:
    """Whether it is our revert that has to set ``queued``: no task ahead of ours does so in its own.

    The tasks of ``web-download`` and ``glance-download`` do, and the plugin ``image_conversion``.
    """
    if method != "glance-direct":
        return False
    try:
        plugins = _plugins()
        ahead = plugins[: plugins.index(name)] if name in plugins else []
        return not ("image_conversion" in ahead and _conversion_requeues())
    except Exception:  # an image that stays in "importing" is worse than what may follow
        LOG.warning("cannot tell which plugins stand before %s", name, exc_info=True)
        return True


def _plugins() -> Sequence[str]:
    from xenimage.conf import glance

    return list(glance.host_settings(glance.glance_configuration()).get("plugins", ()))


def _conversion_requeues() -> bool:
    """Whether image_conversion's revert sets ``queued``: it does since it knows the stores (Glance 29)."""
    from glance.async_.flows.plugins import image_conversion

    return "stores" in inspect.signature(image_conversion._ConvertImage.__init__).parameters  # noqa: SLF001
