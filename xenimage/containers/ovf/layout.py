"""Names and numbers of OVF. Source: DSP0243, DSP8023; XenCenter's source; VMware's and VirtualBox's descriptors."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMESPACES = {
    "http://www.vmware.com/schema/ovf/1/envelope": "0.9",
    "http://schemas.dmtf.org/ovf/envelope/1": "1",
    "http://schemas.dmtf.org/ovf/envelope/2": "2",
}
"""of the envelope, to the version that it stands for"""
VERSIONS = frozenset(
    {
        "0.9", "1", "1.0", "1.0.0", "1.0.0a", "1.0.0b", "1.0.0.b", "1.0.0c", "1.0.0d", "1.0.0e", "1.0.1",
        "1.1", "1.1.0", "1.1.1", "2.0", "2.0.0", "2.0.1", "2.1", "2.1.0", "2.1.1",
    }
)  # fmt: skip
ENVELOPE = "http://schemas.dmtf.org/ovf/envelope/1"
"""of the envelopes that are written"""
RASD = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
VSSD = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData"
CITRIX = "http://schemas.citrix.com/ovf/envelope/1"
VMWARE = "http://www.vmware.com/schema/ovf"
VIRTUALBOX = "http://www.virtualbox.org/ovf/machine"
XSI_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"
XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"

CPU, MEMORY, IDE, SCSI, ETHERNET, FLOPPY, CD, DVD, DISK = 3, 4, 5, 6, 10, 14, 15, 16, 17
OTHER_DEVICE = 1
EXTENT, OTHER_STORAGE, SERIAL, LOGICAL_DISK, VOLUME = 19, 20, 21, 31, 32
HARDWARE = {
    1: "other device", 2: "computer system", 7: "Fibre Channel adapter", 8: "iSCSI adapter", 9: "InfiniBand adapter",
    11: "network adapter", 12: "I/O slot", 13: "I/O device", 14: "floppy drive", 18: "tape drive", 21: "serial port",
    22: "parallel port", 23: "USB controller", 24: "display", 25: "FireWire controller", 26: "partitionable unit",
    27: "base partitionable unit", 28: "power", 29: "cooling capacity", 30: "Ethernet switch port",
    33: "Ethernet connection", 34: "reserved device", 35: "vendor's device",
}  # fmt: skip
"""CIM_ResourceAllocationSettingData.ResourceType of what is not kept, as it is shown"""

CPUS_MAX = "VCPUs_max"
"""our own name of a setting for Xen: the processors that can be added while the machine runs"""
FORMATS = {
    "vhd": "http://www.microsoft.com/technet/virtualserver/downloads/vhdspec.mspx",
    "vmdk": "http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized",
}
"""of disks that are written, as Disk elements name them"""

CERTIFICATE_ELEMENT = 0x20
"""of a serialized certificate of Windows: the X.509 certificate itself"""
_ELEMENT = struct.Struct("<III")
"""number of the property, 1, length in bytes"""
assert _ELEMENT.size == 12


def serialized_elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the (number, content) of each whole element of a Windows serialized certificate."""
    at = 0
    while at + _ELEMENT.size <= len(data):
        number, _, length = _ELEMENT.unpack_from(data, at)
        at += _ELEMENT.size
        if length > len(data) - at:
            return
        yield number, data[at : at + length]
        at += length
