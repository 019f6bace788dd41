"""The image service, in the few calls that are needed, each as safe to repeat as it can be made.

python-glanceclient sends data in chunks, and a chunked body cannot be sent twice. After a 401, keystoneauth1 would
fetch a new token and send the request again, with a body that is used up by then: Glance would store nothing, and say
that all went well. So a token is fetched right before data is sent, and a 401 in between is the end of it.
"""

from __future__ import annotations

import logging
import time
import uuid
from typing import TYPE_CHECKING, Any, TypeVar

from xenimage.cloud.errors import CloudError, NoImageError, translated
from xenimage.exceptions import TransferError, UsageError
from xenimage.model.image import ImageRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from xenimage.model.image import Body, Progressed

LOG = logging.getLogger(__name__)

Result = TypeVar("Result")

_PAUSES = (0.5, 2.0)
"""seconds before the second and the third attempt"""
_POLL = 1.0
"""seconds between two looks at an import"""
_FIELDS = frozenset(
    {
        "checksum",
        "container_format",
        "created_at",
        "direct_url",
        "disk_format",
        "file",
        "id",
        "locations",
        "min_disk",
        "min_ram",
        "name",
        "os_hash_algo",
        "os_hash_value",
        "os_hidden",
        "owner",
        "protected",
        "schema",
        "self",
        "size",
        "status",
        "stores",
        "tags",
        "updated_at",
        "virtual_size",
        "visibility",
    }
)
"""what every image has, as opposed to its properties"""
_RESERVED = "os_glance"
_LOCK = "os_glance_import_task"


class GlanceImages:
    """Glance, through python-glanceclient. See :class:`xenimage.model.image.Images`.

    :param client: of the version 2.
    :param place: where it is, for messages.
    :param project: id of the caller's project; empty where the cloud has none.
    """

    def __init__(self, client: Any, place: str, project: str) -> None:
        self._client = client
        self.place = place
        self.project = project

    def create(self, record: Mapping[str, object]) -> ImageRecord:
        """Make a record without data.

        It has an id of our own choice, so that one that was made although no answer came is found and not made twice.

        :raises UsageError: the cloud knows no such format or property.
        :raises CloudError: the cloud failed or said no.
        """
        image_id = str(uuid.uuid4())
        tries = 0

        def make() -> ImageRecord:
            nonlocal tries
            tries += 1
            try:
                with translated(f"image {record.get('name')}"):
                    return _record(self._client.images.create(id=image_id, **record))
            except CloudError as error:
                if error.status == 409 and tries > 1:
                    return self._get(image_id)
                raise

        return _persistently(make)

    def get(self, image: str) -> ImageRecord:
        """Return the record of an image that is named by its id, or by a name that only it has.

        :raises NoImageError: there is none.
        :raises UsageError: several have the name.
        :raises CloudError: the cloud failed or said no.
        """
        if _is_uuid(image):
            return self._get(image)
        found = self.find({"name": image})
        if not found:
            raise NoImageError("no such image in this cloud", where=f"image {image}", tip="See: openstack image list")
        if len(found) > 1:
            raise UsageError(
                f"{len(found)} images have this name",
                expected="an id",
                where=f"image {image}",
                tip=f"Name one of: {', '.join(each.id for each in found[:5])}",
            )
        return found[0]

    def _get(self, image_id: str) -> ImageRecord:
        def ask() -> ImageRecord:
            with translated(f"image {image_id}"):
                return _record(self._client.images.get(image_id))

        return _persistently(ask)

    def find(self, filters: Mapping[str, str]) -> list[ImageRecord]:
        """Return the records whose fields and properties have these values.

        :raises CloudError: the cloud failed or said no.
        """

        def ask() -> list[ImageRecord]:
            with translated("the list of images"):
                return [_record(each) for each in self._client.images.list(filters=dict(filters))]

        return _persistently(ask)

    def update(self, image_id: str, values: Mapping[str, object], remove: Sequence[str]) -> ImageRecord:
        """Set fields and properties, and take properties away.

        :raises UsageError: the cloud knows no such property or value.
        :raises CloudError: the cloud failed or said no.
        """

        def change() -> ImageRecord:
            with translated(f"image {image_id}"):
                return _record(self._client.images.update(image_id, remove_props=list(remove), **values))

        return _persistently(change)

    def delete(self, image_id: str) -> None:
        """Delete an image; it is no error if there is none.

        :raises CloudError: the cloud failed or said no.
        """

        def forget() -> None:
            try:
                with translated(f"image {image_id}"):
                    self._client.images.delete(image_id)
            except NoImageError:
                LOG.debug("image %s is gone already", image_id)

        _persistently(forget)

    def upload(self, image_id: str, body: Body, *, size: int | None, stage: bool) -> None:
        """Store the data of an image, or stage it for :meth:`import_staged`. Done once, never repeated.

        :param size: bytes, where they are known beforehand: Glance 33 and later compare them.
        :raises CloudError: the cloud failed or said no. What *body* raises comes through.
        """
        with translated(f"image {image_id}"):
            headers = {"Content-Type": "application/octet-stream"}
            if size is not None:
                headers["x-openstack-image-size"] = str(size)
            http = self._client.http_client
            http.invalidate()
            http.get_token()
            path = f"/v2/images/{image_id}/{'stage' if stage else 'file'}"
            http.put(path, headers=headers, data=body, allow_reauth=False)

    def import_staged(self, image_id: str, advance: Progressed, timeout: float) -> None:
        """Import what was staged, and wait for the end of it.

        The image is asked for and not its tasks, since reading these writes to the cloud's database.

        :param advance: told what the cloud says of it.
        :param timeout: seconds to wait at most.
        :raises CloudError: the cloud failed or said no, or the import failed: with the reason that its task gives.
        """
        known = {task["id"] for task in self._tasks(image_id)}
        with translated(f"image {image_id}"):
            self._client.images.image_import(image_id, method="glance-direct", allow_failure=False)
        end = time.monotonic() + timeout
        image = self._get(image_id)
        while image.importing or image.status in ("uploading", "importing"):
            if time.monotonic() > end:
                raise TransferError(
                    f"the import has not ended after {timeout:.0f} s",
                    where=f"image {image_id}",
                    tip="Wait longer with --import-timeout, and look at the log of glance-api.",
                )
            time.sleep(_POLL)
            image = self._get(image_id)
            advance(image.status)
        if image.status != "active":
            raise TransferError(
                f"the cloud did not import the image: {self._reason(image_id, known)}",
                where=f"image {image_id}",
                tip="The log of glance-api says more.",
            )

    def _reason(self, image_id: str, known: set[str]) -> str:
        """What the newest task says. The lock goes a moment before the task is marked."""
        for _ in range(5):
            for task in self._tasks(image_id):
                if task["id"] not in known and task.get("status") == "failure":
                    return str(task.get("message") or "no reason is given")
            time.sleep(_POLL / 2)
        return "no reason is given"

    def _tasks(self, image_id: str) -> list[dict[str, Any]]:
        """The imports of an image. Not through the client's own call, which asks for a version of the API first."""

        def ask() -> list[dict[str, Any]]:
            with translated(f"image {image_id}"):
                return list(self._client.http_client.get(f"/v2/images/{image_id}/tasks")[1]["tasks"])

        return _persistently(ask)

    def download(self, image_id: str, offset: int) -> Iterator[bytes]:
        """Yield the data of an image from *offset* on, none of the pieces empty.

        :raises CloudError: the cloud failed or said no; later too, while it is read.
        """
        with translated(f"image {image_id}"):
            headers = {"Range": f"bytes={offset}-"} if offset else {}
            response, pieces = self._client.http_client.get(f"/v2/images/{image_id}/file", headers=headers)
            if response.status_code == 204 or pieces is None:
                raise CloudError("the image has no data", where=f"image {image_id}")
            # A server that knows no ranges sends all of it.
            skipped = offset if response.status_code == 200 else 0
            try:
                for piece in pieces:
                    rest = piece[skipped:] if skipped else piece
                    skipped -= min(skipped, len(piece))
                    if rest:
                        yield rest
            finally:
                response.close()


def _persistently(call: Callable[[], Result]) -> Result:
    """Call again, after a pause, where the cloud gave no answer or is busy; only for what does no harm twice."""
    for pause in _PAUSES:
        try:
            return call()
        except CloudError as error:
            if not error.transient:
                raise
            LOG.warning("%s; trying again in %.1f s", error, pause)
            time.sleep(pause)
    return call()


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


def _record(image: Mapping[str, Any]) -> ImageRecord:
    properties = {
        name: str(value)
        for name, value in image.items()
        if name not in _FIELDS and not name.startswith(_RESERVED) and value is not None
    }
    return ImageRecord(
        id=str(image["id"]),
        name=str(image.get("name") or ""),
        status=str(image.get("status") or ""),
        disk_format=str(image.get("disk_format") or ""),
        container_format=str(image.get("container_format") or ""),
        size=_number(image.get("size")),
        virtual_size=_number(image.get("virtual_size")),
        min_disk=_number(image.get("min_disk")) or 0,
        visibility=str(image.get("visibility") or ""),
        owner=str(image.get("owner") or ""),
        checksum=str(image.get("checksum") or ""),
        hash_algorithm=str(image.get("os_hash_algo") or ""),
        hash_value=str(image.get("os_hash_value") or ""),
        importing=bool(image.get(_LOCK)),
        properties=properties,
    )


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and value >= 0 else None
