"""What the parent asks of the child: one line of JSON."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

from xenimage.conf.glance import settings_from
from xenimage.glance.errors import UnusableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from xenimage.conf.glance import PluginSettings

PROTOCOL = 1
"""raised when either side would misunderstand the other: an upgrade replaces the child below a running parent"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """One image."""

    action: str
    """a value of :class:`xenimage.glance.policy.Action`"""
    source: str
    """path of the staged file"""
    output: str
    """path of the result"""
    temporary: str
    """path of the result while it is written"""
    disk_format: str
    """as declared"""
    container_format: str
    properties: Mapping[str, str]
    """of the image"""
    settings: PluginSettings
    strict_mbr: bool = False
    """whether Glance refuses a raw disk with a boot signature and no sound partition table"""
    parent: int = 0
    """process id: the child ends with it"""

    def to_message(self) -> dict[str, Any]:
        """Return it as an object of JSON."""
        return {"protocol": PROTOCOL, **dataclasses.asdict(self)}


def parse(line: str | bytes) -> Request:
    """Read a request.

    :raises UnusableError: another version of this package wrote it.
    """
    try:
        message = json.loads(line)
        spoken = message.pop("protocol")
        if spoken != PROTOCOL:
            raise UnusableError(
                f"the service speaks protocol {spoken}, the installed xenimage {PROTOCOL}: restart the service"
            )
        return Request(**{**message, "settings": settings_from(message["settings"])})
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UnusableError(f"no request that this version understands ({error}): restart the service") from error
