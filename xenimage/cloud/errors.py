"""What the cloud's libraries raise, in our own words.

Their errors share no base class below Exception: openstacksdk's configuration, keystoneauth1 and python-glanceclient
each have their own. Glance's texts come escaped for HTML, and some libraries repeat URLs with what stands in them.
"""

from __future__ import annotations

import contextlib
import html
import http.client
import re
from typing import TYPE_CHECKING

from xenimage.exceptions import ConfigError, TransferError, UsageError, XenimageError

if TYPE_CHECKING:
    from collections.abc import Iterator

_USERINFO = re.compile(r"(\w+://)[^/@\s]+@")
_TAG = re.compile(r"<[^>]*>")
_NOISE = re.compile(r"\s*\((?:Request-ID: |HTTP )[^)]*\)")
_TEXT_MAX = 400
"""characters: some servers answer with a whole page"""

_TIPS = {
    401: "Check user, password and project, or fetch a new token: the cloud does not know this one (any more).",
    403: "Ask the owner of the cloud whether your project may do this, and whether a quota is used up.",
    409: "Somebody else works on the image: look at it with openstack image show.",
    413: "A quota or the size limit of the cloud is used up: delete what is not needed, or ask for more.",
    500: "The log of glance-api says why. Behind uWSGI, its chunked-input-limit has to be 1 MiB or more.",
    503: "The store of the cloud is full or away: ask its owner.",
}


class CloudError(TransferError):
    """The cloud failed, or said no.

    :param status: of HTTP; 0 where there was no answer.
    """

    def __init__(self, found: str, *, status: int = 0, done: int | None = None, where: str = "", tip: str = "") -> None:
        super().__init__(found, done=done, where=where, tip=tip)
        self.status = status

    @property
    def transient(self) -> bool:
        """Whether the same request may succeed a moment later."""
        return self.status in (0, 429, 502, 503, 504)


class NoImageError(UsageError):
    """There is no such image, or not for this project."""


@contextlib.contextmanager
def translated(where: str) -> Iterator[None]:
    """Turn what the libraries raise into errors of ours.

    :param where: what was worked on.
    :raises ConfigError: the configuration does not do.
    :raises NoImageError: Glance has no such image.
    :raises CloudError: everything else.
    """
    try:
        yield
    except XenimageError:
        raise
    except Exception as error:
        raise _explained(error, where) from error


def _explained(error: Exception, where: str) -> XenimageError:
    from glanceclient import exc as glance_errors
    from keystoneauth1 import exceptions as keystone_errors
    from openstack import exceptions as sdk_errors

    if isinstance(error, glance_errors.HTTPException):
        return _refused(error.code, error.details or str(error), where)
    if isinstance(error, keystone_errors.HttpError):
        return _refused(error.http_status or 0, error.message or "", f"{where}: keystone")
    if isinstance(error, keystone_errors.MissingRequiredOptions | sdk_errors.ConfigException):
        tip = "Name one of clouds.yaml with --os-cloud, or set the OS_* variables."
        return ConfigError(_plain(str(error)), expected="a cloud", where=where, tip=tip)
    if isinstance(error, TypeError | ValueError):  # glanceclient holds a record against the cloud's schema
        return UsageError(_plain(str(error)), where=where)
    root = _root(error)
    if root is not None:
        return _broken(root, where)
    known = isinstance(error, keystone_errors.ClientException | glance_errors.BaseException)
    text = _plain(str(error)) if known else f"{type(error).__name__}: {_plain(str(error))}"
    return CloudError(text, where=where, tip="Check the cloud's configuration: its region and interface.")


def _root(error: BaseException) -> OSError | http.client.HTTPException | None:
    """What the libraries wrapped: how the connection ended."""
    found: OSError | http.client.HTTPException | None = error if isinstance(error, OSError) else None
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
        if isinstance(error, OSError | http.client.HTTPException):
            found = error
    return found


def _broken(root: OSError | http.client.HTTPException, where: str) -> CloudError:
    reason = (root.strerror if isinstance(root, OSError) else "") or str(root) or type(root).__name__
    return CloudError(
        f"the connection to the cloud failed: {_plain(reason)[:1].lower()}{_plain(reason)[1:]}",
        where=where,
        tip="Check the address and the network; the log of glance-api says whether it was the server.",
    )


def _refused(status: int, text: str, where: str) -> XenimageError:
    if status == 404 and "keystone" not in where:
        return NoImageError("no such image in this cloud", where=where, tip="See: openstack image list")
    text = re.sub(rf"^{status} [\w' -]+: ", "", _plain(text))
    return CloudError(f"the cloud answered {status}: {text}", status=status, where=where, tip=_TIPS.get(status, ""))


def _plain(text: str) -> str:
    """One line without markup, without what stands in a URL in front of its host, and not a whole page."""
    text = html.unescape(_TAG.sub(" ", _NOISE.sub("", text)))
    text = " ".join(_USERINFO.sub(r"\1", text).split()).rstrip(" .")
    return text if len(text) <= _TEXT_MAX else f"{text[:_TEXT_MAX]} ..."
