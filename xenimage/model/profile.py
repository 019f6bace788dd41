"""A target: what a consumer of bundles takes, and which image properties it wants, each with its reason."""

from __future__ import annotations

import dataclasses
import enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from xenimage.model.finding import Severity


class Rule(enum.Enum):
    """What a profile says of one image property."""

    SET = "set"
    """xenimage sets it to the default value unless the user gave one"""
    REQUIRE = "require"
    """the user must give it: there is no sensible default"""
    ALLOW = "allow"
    """read by the consumer; set on request only"""
    FORBID = "forbid"
    """breaks or misleads the consumer"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PropertyRule:
    """One image property at one consumer."""

    name: str
    rule: Rule
    value: str = ""
    """the default, for :attr:`Rule.SET`"""
    values: tuple[str, ...] = ()
    """the values that the consumer understands; empty: any"""
    reason: str
    source: str
    """who says so: the consumer's function, or the document"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Profile:
    """A target as data. Sizes in bytes."""

    name: str
    title: str
    consumer: str
    """which programs this stands for, with their releases"""
    summary: str
    disk_format: str = "vhd"
    container_format: str = "ovf"
    members_max: int = 16
    """VHDs in one bundle"""
    only_numbered: bool = True
    """whether a single member must be called 0.vhd"""
    only_regular: bool = False
    """whether any member beside the VHDs breaks the consumer, directories included"""
    virtual_size_max: int
    virtual_size_reason: str
    os_types: tuple[str, ...] = ("linux", "windows")
    vm_mode: str = "hvm"
    """the default mode"""
    vm_mode_reason: str = ""
    properties: tuple[PropertyRule, ...] = ()
    severities: Mapping[str, Severity] = dataclasses.field(default_factory=dict)
    """how much findings in a guest matter here, by code, where that is not as usual"""
    config_drive: str = ""
    """how the guest sees its config drive: ``disk`` (a plain read-only disk), ``cdrom``; empty where there is none"""
    takes_device_id: bool = False
    """whether a server starts with the property xenapi_device_id"""
    firmwares: tuple[str, ...] = ("bios", "uefi")
    """what its servers can start with"""
    payload: str = ""
    """how the VHD reaches the consumer, where it does not take the bundle itself"""
