"""What shall become of an image, by its record alone: a pure function. The content is looked at by the child."""

from __future__ import annotations

import dataclasses
import enum
from typing import TYPE_CHECKING

from xenimage.conf.glance import ALWAYS
from xenimage.glance.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from xenimage.conf.glance import PluginSettings

BARE = "bare"
BUNDLE = ("vhd", "ovf")
"""disk_format and container_format of a bundle, as Nova and Cinder expect it"""
FORWARD = "xenimage"
REVERSE = "xenimage_extract"

_KERNELS = ("kernel_id", "ramdisk_id")
"""name images of their own, which a host boots instead of what the disk holds: such a disk is no whole one"""
_TRUE = frozenset({"1", "t", "true", "on", "y", "yes"})
"""as oslo.utils reads them"""
_SIGNATURE = (
    "img_signature",
    "img_signature_hash_method",
    "img_signature_key_type",
    "img_signature_certificate_uuid",
)
"""Glance verifies a signature if all of them are there (cursive.signature_utils.should_create_verifier)"""


class Action(enum.Enum):
    """What is done about the content."""

    PASS = "pass"  # noqa: S105
    """nothing: the image is stored as it came"""
    BUNDLE = "bundle"
    """a disk becomes a bundle"""
    CHECK = "check"
    """a bundle is looked at, and stored as it came"""
    EXTRACT = "extract"
    """a bundle or a VHD becomes a disk"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Record:
    """What the record of an image says before anything is done. Sizes in bytes."""

    disk_format: str | None
    container_format: str | None
    properties: Mapping[str, str]

    @property
    def formats(self) -> tuple[str | None, str | None]:
        """Both formats as the user declared them."""
        return self.disk_format, self.container_format


def decide(name: str, record: Record, settings: PluginSettings) -> Action:
    """Decide.

    :param name: of the plugin.
    :raises RefusedError: the image would have to be converted, and must not be.
    """
    action = _reverse(record, settings) if name == REVERSE else _forward(record, settings)
    if action in (Action.BUNDLE, Action.EXTRACT) and all(record.properties.get(each) for each in _SIGNATURE):
        raise RefusedError(
            f"The image is signed and would have to be converted from {record.disk_format}: the signature does not fit"
            " what would be stored. Remove the properties img_signature*, or convert the image yourself (xenimage"
            " bundle create), sign the result and upload that."
        )
    return action


def _forward(record: Record, settings: PluginSettings) -> Action:
    if record.formats == BUNDLE:
        return Action.CHECK if settings.check_bundles else Action.PASS
    if record.container_format != BARE or record.disk_format not in settings.formats:
        return Action.PASS
    asked = (
        is_true(record.properties.get("xenimage_convert"))
        or str(record.properties.get("hypervisor_type", record.properties.get("img_hv_type", ""))).lower() == "xen"
    )
    whole = not any(record.properties.get(each) for each in _KERNELS)
    return Action.BUNDLE if asked or (whole and settings.convert == ALWAYS) else Action.PASS


def _reverse(record: Record, settings: PluginSettings) -> Action:
    if record.disk_format != "vhd" or record.container_format not in ("ovf", BARE):
        return Action.PASS
    asked = is_true(record.properties.get("xenimage_extract"))
    return Action.EXTRACT if asked or settings.extract == ALWAYS else Action.PASS


def is_true(text: object) -> bool:
    """Whether a property's text means yes."""
    return str(text).strip().lower() in _TRUE
