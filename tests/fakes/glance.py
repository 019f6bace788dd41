"""The part of Glance that an import plugin meets: the record with its rules, the lock, the tasks around the plugin.

Written after what Glance 26 to 33 do: ``domain/__init__.py``, ``async_/flows/api_image_import.py`` and
the plugins beside it. Flows are run by the real taskflow.
"""

from __future__ import annotations

import copy
import pathlib
import sys
import types
import uuid
from typing import TYPE_CHECKING, Any

import fixtures
from oslo_config import cfg
from taskflow import engines, exceptions, retry, task
from taskflow.patterns import linear_flow
from taskflow.types import failure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

TRANSITIONS = {
    "queued": ("saving", "uploading", "importing", "active", "deleted"),
    "uploading": ("importing", "queued", "deleted"),
    "importing": ("active", "deleted", "queued"),
    "active": ("pending_delete", "deleted", "deactivated"),
}
SETTABLE = ("status", "disk_format", "container_format", "virtual_size", "size")
LOCK = "os_glance_import_task"
IMPORTING = "os_glance_importing_to_stores"
FAILED = "os_glance_failed_import"


class GlanceError(Exception):
    """Base of what Glance raises."""


class UploadException(GlanceError):  # noqa: N818 - Glance's name
    """The one exception whose text the user gets to see."""


class Forbidden(GlanceError):  # noqa: N818 - Glance's name
    """403."""


class ReservedProperty(Forbidden):
    """A property that the operator protects."""


class NotFound(GlanceError):  # noqa: N818 - Glance's name
    """404."""


class InvalidTransition(GlanceError):  # noqa: N818 - Glance's name
    """From one status to another that does not follow."""


class TaskAborted(GlanceError):  # noqa: N818 - Glance's name
    """Another import took the lock."""


class Image:
    """A record. The rules are in the setters."""

    def __init__(self, image_id: str, disk_format: str, container_format: str, properties: dict[str, str]) -> None:
        self.image_id = image_id
        self._formats = {"disk_format": disk_format, "container_format": container_format}
        self._status = "queued"
        self.size: int | None = None
        self.virtual_size: int | None = None
        self.extra_properties = dict(properties)
        self.locations: list[str] = []

    @property
    def status(self) -> str:
        return self._status

    @status.setter
    def status(self, status: str) -> None:
        if status not in TRANSITIONS.get(self._status, ()):
            raise InvalidTransition(f"{self._status} to {status}")
        if status == "queued":
            self.size = self.virtual_size = None
        self._status = status

    def _set_format(self, name: str, value: str) -> None:
        if self._status not in ("queued", "importing"):
            raise Forbidden(f"{name} in status {self._status}")
        self._formats[name] = value

    disk_format = property(
        lambda self: self._formats["disk_format"], lambda self, value: self._set_format("disk_format", value)
    )
    container_format = property(
        lambda self: self._formats["container_format"],
        lambda self, value: self._set_format("container_format", value),
    )


class Repository:
    """All images, as the database has them."""

    def __init__(self) -> None:
        self.images: dict[str, Image] = {}
        self.protected: set[str] = set()
        self.saves: list[dict[str, Any]] = []
        self.broken = False

    def get(self, image_id: str) -> Image:
        if self.broken:
            raise GlanceError("the database is away")
        if image_id not in self.images:
            raise NotFound(image_id)
        return copy.deepcopy(self.images[image_id])

    def save(self, image: Image) -> None:
        self.get(image.image_id)
        self.images[image.image_id] = copy.deepcopy(image)
        self.saves.append({"status": image.status, "formats": (image.disk_format, image.container_format)})


class Actions:
    """What an import may do with the record."""

    def __init__(self, image: Image, protected: set[str]) -> None:
        self._image = image
        self._protected = protected
        self.image_id = image.image_id

    image_size = property(lambda self: self._image.size)
    image_status = property(lambda self: self._image.status)
    image_disk_format = property(lambda self: self._image.disk_format)
    image_container_format = property(lambda self: self._image.container_format)
    image_extra_properties = property(lambda self: dict(self._image.extra_properties))

    def set_image_attribute(self, **attributes: Any) -> None:
        for name, value in attributes.items():
            if name not in SETTABLE:
                raise AttributeError(f"Setting {name} is not allowed")
            setattr(self._image, name, value)

    def set_image_extra_properties(self, properties: dict[str, str]) -> None:
        for name, value in properties.items():
            if name in self._protected:
                raise ReservedProperty(f"Attribute '{name}' is reserved.")
            if not name.startswith("os_glance"):
                self._image.extra_properties[name] = value

    def pop_extra_property(self, name: str) -> None:
        if name in self._protected:
            raise ReservedProperty(f"Attribute '{name}' is reserved.")
        self._image.extra_properties.pop(name, None)

    def _merge(self, key: str, stores: Sequence[str | None], *, subtract: bool = False) -> None:
        there = set(filter(None, self._image.extra_properties.get(key, "").split(",")))
        named = set(filter(None, stores))
        self._image.extra_properties[key] = ",".join(sorted(there - named if subtract else there | named))

    def add_importing_stores(self, stores: Sequence[str | None]) -> None:
        self._merge(IMPORTING, stores)

    def remove_importing_stores(self, stores: Sequence[str | None]) -> None:
        self._merge(IMPORTING, stores, subtract=True)

    def add_failed_stores(self, stores: Sequence[str | None]) -> None:
        self._merge(FAILED, stores)

    def remove_failed_stores(self, stores: Sequence[str | None]) -> None:
        self._merge(FAILED, stores, subtract=True)


class ActionWrapper:
    """``ImportActionWrapper``: a context re-reads the image, and saves it on a clean exit only."""

    def __init__(self, repository: Repository, image_id: str, task_id: str) -> None:
        self._repository = repository
        self._task_id = task_id
        self.image_id = image_id
        self._image: Any = None

    def __enter__(self) -> Actions:
        self._image = self._repository.get(self.image_id)
        self._assert_lock(self._image)
        return Actions(self._image, self._repository.protected)

    def __exit__(self, kind: object, value: object, trace: object) -> None:
        if kind is None:
            self._assert_lock(self._repository.get(self.image_id))
            self._repository.save(self._image)

    def _assert_lock(self, image: Image) -> None:
        if image.extra_properties.get(LOCK) != self._task_id:
            raise TaskAborted

    def drop_lock(self) -> None:
        image = self._repository.get(self.image_id)
        image.extra_properties.pop(LOCK, None)
        self._repository.save(image)


class Task:
    """The task that users look at."""

    def __init__(self) -> None:
        self.status = "processing"
        self.message = ""


class TaskRepository:
    """One task, and every message that it ever had."""

    def __init__(self) -> None:
        self.task = Task()
        self.messages: list[str] = []
        self.broken = False

    def get(self, task_id: str) -> Task:
        if self.broken:
            raise GlanceError("database is locked")
        return copy.copy(self.task)

    def save(self, saved: Task) -> None:
        self.task = saved
        self.messages.append(saved.message)


class _Step(task.Task):
    """A task of Glance's own."""

    def __init__(self, wrapper: ActionWrapper, **more: Any) -> None:
        super().__init__(f"{type(self).__name__}-{uuid.uuid4()}")
        self.wrapper = wrapper
        self.more = more


class ImageLock(_Step):
    def execute(self) -> None:
        with self.wrapper:
            pass

    def revert(self, *_words: Any, **_more: Any) -> None:
        self.wrapper.drop_lock()


class WebDownload(_Step):
    """Sets ``queued`` in its revert, whatever the status is."""

    def execute(self) -> None:
        pass

    def revert(self, *_words: Any, **_more: Any) -> None:
        with self.wrapper as action:
            action.set_image_attribute(status="queued")
            action.remove_importing_stores(self.more["stores"])
            action.add_failed_stores(self.more["stores"])


class VerifyStaging(_Step):
    default_provides = "file_path"

    def execute(self) -> str:
        return f"file://{self.more['path']}"


class ConvertImage(_Step):
    """``image_conversion``: to raw; since Glance 29 it sets ``queued`` in its revert."""

    default_provides = "file_path"

    def execute(self, file_path: str) -> str:
        source = pathlib.Path(file_path.removeprefix("file://"))
        target = source.with_name(f"{source.name}.raw")
        source.rename(target)
        with self.wrapper as action:
            action.set_image_attribute(disk_format="raw", container_format="bare", size=target.stat().st_size)
        return f"file://{target}"

    def revert(self, *_words: Any, **_more: Any) -> None:
        if self.more["requeues"]:
            with self.wrapper as action:
                action.set_image_attribute(status="queued")


class Fail(_Step):
    """Something behind the plugins that goes wrong."""

    def execute(self, file_path: str) -> None:
        raise GlanceError("something behind the plugins")


class ImportToStore(_Step):
    def execute(self, file_path: str) -> None:
        path = pathlib.Path(file_path.removeprefix("file://"))
        data = path.read_bytes()
        with self.wrapper as action:
            if action.image_size != len(data):
                raise UploadException("size of uploaded data is different from the size of the image")
            self.more["store"][self.wrapper.image_id] = data
            action.set_image_attribute(status="active")
            action.remove_importing_stores(self.more["stores"])
        path.unlink()


class Glance:
    """A service with a staging area, one user, and stores one and two."""

    def __init__(self, staging: pathlib.Path, *, requeues: bool = True) -> None:
        """Begin.

        :param requeues: whether image_conversion sets ``queued`` in its revert.
        """
        self.staging = staging
        self.repository = Repository()
        self.tasks = TaskRepository()
        self.store: dict[str, bytes] = {}
        self.stores = ["one", "two"]
        self._requeues = requeues

    def stage(self, data: bytes, disk_format: str, container_format: str = "bare", **properties: str) -> str:
        image_id = str(uuid.uuid4())
        image = Image(image_id, disk_format, container_format, properties)
        self.repository.images[image_id] = image
        self.restage(image_id, data)
        return image_id

    def restage(self, image_id: str, data: bytes) -> None:
        path = self.staging / image_id
        if path.exists():
            raise GlanceError("has data on staging")
        image = self.repository.images[image_id]
        image.status = "uploading"
        path.write_bytes(data)
        image.size = len(data)

    def arguments(self, image_id: str, method: str = "glance-direct") -> dict[str, Any]:
        """What Glance calls ``get_flow`` with."""
        task_id = str(uuid.uuid4())
        self.repository.images[image_id].extra_properties[LOCK] = task_id
        return {
            "action_wrapper": ActionWrapper(self.repository, image_id, task_id),
            "backend": list(self.stores),
            "context": None,
            "image_factory": None,
            "image_id": image_id,
            "image_repo": self.repository,
            "import_req": {"method": {"name": method}},
            "task_id": task_id,
            "task_repo": self.tasks,
            "task_type": "api_image_import",
        }

    def run_import(
        self, image_id: str, plugins: Sequence[Callable[..., Any] | str], method: str = "glance-direct"
    ) -> Image:
        """Import with the flows of *plugins*, or of ``image_conversion`` and ``fail``; the record afterwards."""
        self.tasks.task = Task()
        arguments = self.arguments(image_id, method)
        flow = linear_flow.Flow("import", retry=retry.AlwaysRevert())
        flow.add(*self._steps(arguments, plugins))
        with arguments["action_wrapper"] as action:
            action.set_image_attribute(status="importing")
            action.add_importing_stores(self.stores)
            action.remove_failed_stores(self.stores)
        try:
            engines.run(flow)
        except Exception as error:  # noqa: BLE001 - as Glance does
            self._note(error)
        else:
            self.tasks.task.status = "success"
            arguments["action_wrapper"].drop_lock()
        return self.repository.images.get(image_id)  # type: ignore[return-value]

    def _steps(self, arguments: dict[str, Any], plugins: Sequence[Callable[..., Any] | str]) -> Iterator[Any]:
        wrapper = arguments["action_wrapper"]
        yield ImageLock(wrapper)
        if arguments["import_req"]["method"]["name"] == "web-download":
            yield WebDownload(wrapper, stores=self.stores)
        yield VerifyStaging(wrapper, path=self.staging / wrapper.image_id)
        for plugin in plugins:
            if plugin == "image_conversion":
                yield ConvertImage(wrapper, requeues=self._requeues)
            elif plugin == "fail":
                yield Fail(wrapper)
            else:
                assert callable(plugin)
                yield plugin(**arguments)
        yield ImportToStore(wrapper, store=self.store, stores=self.stores)

    def _note(self, error: Exception) -> None:
        """Only the text of an UploadException reaches the user; a failing revert costs even that."""
        causes = (
            list(error) if isinstance(error, exceptions.WrappedFailure) else [failure.Failure.from_exception(error)]
        )
        texts = [str(each.exception) for each in causes if isinstance(each.exception, UploadException)]
        self.tasks.task.status = "failure"
        self.tasks.task.message = texts[0] if texts and len(causes) == 1 else "Task failed due to Internal Error"

    def staged(self) -> list[str]:
        return sorted(path.name for path in self.staging.iterdir())


class GlanceModules(fixtures.Fixture):
    """Glance's modules, as far as a plugin imports them."""

    def __init__(self, *, requeues: bool = True) -> None:
        super().__init__()
        self._requeues = requeues

    def _setUp(self) -> None:
        def old(self: object, context: object, task_id: str, task_type: str, action_wrapper: object) -> None: ...

        def new(
            self: object, context: object, task_id: str, task_type: str, wrapper: object, stores: object
        ) -> None: ...

        exception = types.ModuleType("glance.common.exception")
        exception.UploadException = UploadException  # type: ignore[attr-defined]
        conversion = types.ModuleType("glance.async_.flows.plugins.image_conversion")
        conversion._ConvertImage = type("_ConvertImage", (), {"__init__": new if self._requeues else old})  # type: ignore[attr-defined]
        made: dict[str, types.ModuleType] = {}
        for module in (exception, conversion):
            made[module.__name__] = module
            parent, _, name = module.__name__.rpartition(".")
            while parent:
                made.setdefault(parent, types.ModuleType(parent))
                setattr(made[parent], name, made[f"{parent}.{name}"])
                parent, _, name = parent.rpartition(".")
        for full, module in made.items():
            self.useFixture(Module(full, module))


class Module(fixtures.Fixture):
    """A module as it is found by its name; None cannot be imported."""

    def __init__(self, name: str, module: types.ModuleType | None) -> None:
        super().__init__()
        self._name = name
        self._module = module

    def _setUp(self) -> None:
        if self._name in sys.modules:
            self.addCleanup(sys.modules.__setitem__, self._name, sys.modules[self._name])
        else:
            self.addCleanup(sys.modules.pop, self._name, None)
        sys.modules[self._name] = self._module  # type: ignore[assignment]


def configuration(*files: pathlib.Path, plugins: Sequence[str] = ()) -> cfg.ConfigOpts:
    """Glance's configuration, with the options that it registers itself."""
    config = cfg.ConfigOpts()
    config.register_opts([cfg.ListOpt("image_import_plugins", default=list(plugins))], group="image_import_opts")
    config.register_opts([cfg.StrOpt("python_interpreter")], group="wsgi")
    config.register_opts([cfg.StrOpt("lock_path")], group="oslo_concurrency")
    config.register_opts(
        [
            cfg.ListOpt("gpt_safety_checks_nonfatal", default=[]),
            cfg.BoolOpt("require_image_format_match", default=True),
        ],
        group="image_format",
    )
    config([], project="glance", default_config_files=[str(path) for path in files], default_config_dirs=[])
    return config
