"""XCP-ng and XenServer by themselves."""

from __future__ import annotations

from xenimage.model.profile import Profile
from xenimage.profiles import rules

PROFILE = Profile(
    name="xcp-ng",
    title="XCP-ng or XenServer without a cloud",
    consumer="XCP-ng 8.x and XenServer 7 and 8: xe vdi-import, Xen Orchestra",
    summary=(
        "Takes the bare VHD, not the bundle. A direct import needs a VDI of exactly the virtual size first; above"
        " 2040 GiB XCP-ng 8.3 has qcow2 instead."
    ),
    members_max=1,
    virtual_size_max=rules.VHD_SIZE_MAX,
    virtual_size_reason=rules.VHD_SIZE_REASON,
    severities=rules.WITHOUT_CLOUD,
    payload=(
        "Write the VHD alone (xenimage disk convert SOURCE disk.vhd --format vhd), create a VDI of its virtual size,"
        " then: xe vdi-import uuid=VDI filename=disk.vhd format=vhd."
    ),
)
