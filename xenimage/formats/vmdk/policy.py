"""What is not read, and why: known from the descriptor alone, before any other file is touched.

An extent's name comes from whoever made the image. A flat extent called ``/etc/shadow`` turned a conversion into a way
to read the server's files (CVE-2022-47951), so that only bare names of files beside the descriptor are looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.exceptions import UnsafeError, UnsupportedError

if TYPE_CHECKING:
    from xenimage.exceptions import XenimageError
    from xenimage.formats.vmdk.descriptor import Descriptor, ExtentLine

SPARSE_TYPES = frozenset({"SPARSE", "VMFSSPARSE"})
FLAT_TYPES = frozenset({"FLAT", "VMFS"})
_READ = SPARSE_TYPES | FLAT_TYPES | {"ZERO"}
_DEVICES = frozenset({"fulldevice", "partitioneddevice", "2gbmaxextentdevice"})
_MAPPED = frozenset({"vmfsraw", "vmfsrdm", "vmfsrdmp", "vmfsrawdevicemap", "vmfspassthroughrawdevicemap"})
_CONVERT = "Export the disk from its hypervisor as a stream-optimized or flat VMDK."


def refusal(descriptor: Descriptor, where: str) -> XenimageError | None:
    """Why the disk that *descriptor* describes is not read; None if nothing speaks against it."""
    error = _whole(descriptor)
    if error is not None:
        return error.within(where)
    for extent in descriptor.extents:
        error = _of_extent(extent)
        if error is not None:
            return error.within(f"{where}: line {extent.line}")
    return None


def _whole(descriptor: Descriptor) -> XenimageError | None:
    kind = descriptor.create_type.lower()
    if kind in _DEVICES:
        return UnsafeError(f"{descriptor.create_type} refers to a device", expected="a disk that consists of files")
    if kind in _MAPPED:
        return UnsupportedError(
            f"{descriptor.create_type} maps a raw device", expected="a disk that consists of files", tip=_CONVERT
        )
    if _encrypted(descriptor):
        return UnsupportedError(
            "the disk is encrypted",
            expected="plain content",
            tip="Remove the encryption in the hypervisor, then export again.",
        )
    return None


def _encrypted(descriptor: Descriptor) -> bool:
    filters = descriptor.values.get("ddb.iofilters", "").lower()
    return "vmcrypt" in filters or any(key.startswith("encryption.") for key in descriptor.values)


def _of_extent(extent: ExtentLine) -> XenimageError | None:
    if extent.access == "NOACCESS":
        return UnsupportedError("an extent of access NOACCESS", expected="RW or RDONLY")
    if extent.name is not None:
        error = _name_refusal(extent.name, extent.device)
        if error is not None:
            return error
    if extent.type not in _READ:
        return UnsupportedError(f"an extent of type {extent.type}", expected=", ".join(sorted(_READ)), tip=_CONVERT)
    return None


def _name_refusal(name: str, device: str) -> XenimageError | None:
    if device or name.lower().startswith(("/dev/", "\\\\.\\", "/vmfs/devices/")):
        return UnsafeError(f"names the device {name!r}", expected="a bare name in its own directory")
    if not name or name in (".", "..") or any(mark in name for mark in "/\\\0"):
        return UnsafeError(f"names the file {name!r}", expected="a bare name in its own directory")
    return None
