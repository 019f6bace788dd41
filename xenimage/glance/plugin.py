"""The plugins, as Glance finds them by their entry points.

A plugin that does not load, or whose ``get_flow`` raises, is left out by Glance, and the image is stored unconverted as
if all were well. So this module imports nothing but the standard library and taskflow, on which Glance itself runs, and
``get_flow`` swallows whatever happens: what is wrong with the set-up is said by ``execute``, which fails the import.
"""

from __future__ import annotations

import contextlib
import logging
import os
from typing import Any

from taskflow import task
from taskflow.patterns import linear_flow

LOG = logging.getLogger(__name__)

_UNUSABLE = (
    "This server cannot convert images at present, so the image was not taken. Tell the operator of the cloud: the log"
    " of its image service says what is wrong."
)
"""as in errors.py, which may be what cannot be imported"""


class ImportTask(task.Task):  # type: ignore[misc]
    """One image on its way through one of the plugins."""

    default_provides = "file_path"

    def __init__(self, name: str, arguments: dict[str, Any]) -> None:
        """Prepare, without touching the image: its flow is still being built. Raises nothing.

        :param name: of the plugin.
        :param arguments: the keyword arguments that Glance calls ``get_flow`` with.
        """
        super().__init__(f"{arguments.get('task_type')}-{name}-{arguments.get('task_id')}")
        self._plugin = name
        self._arguments = arguments
        self._staged = ""
        self._ledger: Any = None
        self._importing: Any = None
        # Both at once and early: an upgrade below a running service must not mix two versions in one import.
        try:
            from xenimage.glance import record

            self._ledger = record.Ledger(name, arguments)
            from xenimage.glance import importing

            self._importing = importing
        except Exception:
            LOG.exception("%s cannot be used on this server", name)

    def execute(self, file_path: str, **_more: Any) -> str:
        """Convert, check or pass on the staged file; where it is now, as Glance wants it."""
        self._staged = file_path.split("file://", 1)[-1]
        text, detail, path = _UNUSABLE, "", ""
        try:
            if self._importing is not None:
                path = self._importing.run(self._ledger, file_path, self._arguments)
        except Exception as error:
            text, detail = getattr(error, "text", text), getattr(error, "detail", "")
            if not hasattr(error, "text"):
                LOG.exception("image %s: %s failed", self._image_id(), self._plugin)
        if not path:
            LOG.error("image %s: refused by %s: %s %s", self._image_id(), self._plugin, text, detail)
            _refuse(text)
        return path

    def _image_id(self) -> Any:
        return getattr(self._ledger, "image_id", self._arguments.get("image_id"))

    def revert(self, result: Any = None, **_more: Any) -> None:
        """Take back whatever was done, after a failure here or behind us. Raises nothing."""
        del result
        with contextlib.suppress(OSError):
            os.unlink(self._staged)
        try:
            if self._ledger is not None:
                self._ledger.undo()
        except Exception:
            LOG.exception("%s cannot undo its import", self._plugin)


def _refuse(text: str) -> None:
    """Fail the task with a text that reaches the user: of this exception alone Glance passes it on."""
    from glance.common import exception

    raise exception.UploadException(text) from None


def get_flow(**kwargs: Any) -> Any:
    """Return the flow of ``xenimage``: disks become bundles."""
    return _flow("xenimage", kwargs)


def get_extract_flow(**kwargs: Any) -> Any:
    """Return the flow of ``xenimage_extract``: bundles become disks."""
    return _flow("xenimage_extract", kwargs)


def _flow(name: str, arguments: dict[str, Any]) -> Any:
    return linear_flow.Flow(arguments.get("task_type") or name).add(ImportTask(name, arguments))
