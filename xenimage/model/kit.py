"""The kit of sample images: what is in it, and what was written."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class KitImage:
    """One image of the kit."""

    name: str
    filename: str
    format: str
    """what it is to be declared as: Glance's disk_format"""
    container: str = "bare"
    """Glance's container_format"""
    usable: bool
    """whether it is to be taken; else it is to be refused"""
    about: str
    """one line: what it is, or what is wrong with it"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class KitReport:
    """A kit was written."""

    directory: str
    manifest: str
    """path of the file that lists the images"""
    images: tuple[KitImage, ...]
    virtual_size: int
    """bytes that the disk in each good image shows to its guest"""
    size: int
    """bytes of all images together"""
