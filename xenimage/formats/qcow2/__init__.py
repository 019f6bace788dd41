"""qcow2 images: :func:`open_qcow2` gives a read-only view, of the active state or of an internal snapshot."""

from __future__ import annotations

from xenimage.formats.qcow2.opening import open_qcow2
from xenimage.formats.qcow2.reader import Qcow2Disk

__all__ = ["Qcow2Disk", "open_qcow2"]
