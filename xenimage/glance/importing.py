"""One import, as the parent sees it: read the record, decide, let the child work, write the record.

Everything that may fail stands here, behind ``execute``; the content of the image is never looked into.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
import weakref
from typing import TYPE_CHECKING, Any

from xenimage.conf import glance as configuration
from xenimage.exceptions import XenimageError
from xenimage.glance import policy, slots, supervisor
from xenimage.glance.errors import RefusedError, UnusableError
from xenimage.glance.policy import Action, Record
from xenimage.glance.request import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from xenimage.conf.glance import PluginSettings
    from xenimage.glance.record import Ledger

LOG = logging.getLogger(__name__)

_TELL_INTERVAL = 30.0
"""seconds between two notes on the task: they also keep the import lock from being taken over"""
_FILE = "file://"

_ACTED: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()
"""which plugin converted the image of an import, by Glance's wrapper, which all plugins of one import share: what one
made the other must not undo"""


class Teller:
    """Writes how far it is into the task, now and then. A note that cannot be written stops nothing."""

    def __init__(self, repository: Any, task_id: Any) -> None:
        self._repository = repository
        self._task_id = task_id
        self._next = 0.0

    def tell(self, text: str, *, last: bool = False) -> None:
        """Note *text*, if the last note is old enough; always if it is the *last* one, which may stay."""
        now = time.monotonic()
        if now < self._next and not last:
            return
        self._next = now + _TELL_INTERVAL
        try:
            task = self._repository.get(self._task_id)
            task.message = text
            self._repository.save(task)
        except Exception:  # whatever the database says
            LOG.warning("task %s: no note of the progress", self._task_id, exc_info=True)


def run(ledger: Ledger, file_path: str, arguments: Mapping[str, Any]) -> str:
    """Import one image; where its file is now.

    :param file_path: as Glance hands it over, with ``file://``.
    :param arguments: the keyword arguments of ``get_flow``.
    :raises RefusedError: the image is not taken.
    """
    source = ledger.source = file_path.split(_FILE, 1)[-1]
    try:
        settings, host = read_settings()
    except XenimageError as error:
        raise UnusableError(str(error)) from error
    record = _read(ledger)
    action = Action.PASS if ledger.wrapper in _ACTED else policy.decide(ledger.name, record, settings)
    LOG.info(
        "image %s: %s of %s/%s: %s",
        ledger.image_id,
        ledger.name,
        record.disk_format,
        record.container_format,
        action.value,
    )
    if action is Action.PASS:
        return file_path
    teller = Teller(arguments.get("task_repo"), arguments.get("task_id"))
    request = _request(ledger, action, record, settings, host)
    result = _convert(request, settings, host, teller.tell)
    for note in result.get("notes", ()):
        LOG.info("image %s: %s", ledger.image_id, note)
    _write(ledger, result["attributes"], result["properties"])
    if action is Action.CHECK:
        return file_path
    teller.tell("converted", last=True)
    _ACTED[ledger.wrapper] = ledger.name
    os.unlink(source)
    return _FILE + request.output


def read_settings() -> tuple[PluginSettings, Mapping[str, Any]]:
    """Return our own options and those of Glance that matter.

    :raises XenimageError: they make no sense.
    """
    config = configuration.glance_configuration()
    return configuration.plugin_settings(config), configuration.host_settings(config)


def _read(ledger: Ledger) -> Record:
    with ledger.wrapper as action:
        return Record(
            disk_format=action.image_disk_format,
            container_format=action.image_container_format,
            properties={name: value for name, value in action.image_extra_properties.items() if isinstance(value, str)},
        )


def _write(ledger: Ledger, attributes: Mapping[str, Any], properties: Mapping[str, str | None]) -> None:
    """Write the record.

    :raises RefusedError: Glance does not let this user set a property. It knows these exceptions, we their names.
    """
    try:
        ledger.write(attributes, properties)
    except Exception as error:
        names = {kind.__name__ for kind in type(error).__mro__}
        if not names & {"Forbidden", "LimitExceeded", "ImagePropertyLimitExceeded"}:
            raise
        raise RefusedError(
            "The image was converted, but this cloud does not let its owner set all properties that it needs then:"
            f" {', '.join(sorted(properties))}. Ask the operator of the cloud.",
            f"{type(error).__name__}: {error} (property protections, image_property_quota)",
        ) from error


def _request(
    ledger: Ledger, action: Action, record: Record, settings: PluginSettings, host: Mapping[str, Any]
) -> Request:
    assert ledger.source is not None
    # The image's id up to the first dot: so Glance's own cleaner finds what a crash leaves behind.
    stem = os.path.join(os.path.dirname(ledger.source), f"{ledger.image_id}.{ledger.name}")
    request = Request(
        action=action.value,
        source=ledger.source,
        output=stem,
        temporary=f"{stem}-part",
        disk_format=record.disk_format or "",
        container_format=record.container_format or "",
        properties=record.properties,
        settings=settings,
        strict_mbr=bool(host.get("match")) and "nonfatal" in host and "mbr" not in host["nonfatal"],
        parent=os.getpid(),
    )
    ledger.made = [request.output, request.temporary]
    for path in ledger.made:  # of an attempt that a crash ended
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
    return request


def _convert(
    request: Request, settings: PluginSettings, host: Mapping[str, Any], tell: Callable[[str], None]
) -> dict[str, Any]:
    command = supervisor.find_command(settings.worker, host)
    directory = slots.directory_for(settings.lock_path, host)
    with contextlib.closing(slots.acquire(directory, settings.concurrency, settings.wait, tell)) as slot:
        watch = supervisor.Watch(
            plan=lambda needed: slot.reserve(needed, request.temporary, settings.min_free),
            progress=lambda stage, percent: tell(_progress(stage, percent)),
            timeout=settings.timeout,
        )
        tell("converting")
        return supervisor.run(command, request.to_message(), watch)


def _progress(stage: str, percent: int) -> str:
    return f"{'checking' if stage == 'reading' else 'converting'} {percent} %"
