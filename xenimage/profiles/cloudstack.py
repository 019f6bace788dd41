"""Apache CloudStack with XenServer or XCP-ng hosts."""

from __future__ import annotations

from xenimage.model.profile import Profile
from xenimage.profiles import rules

PROFILE = Profile(
    name="cloudstack",
    title="Apache CloudStack on XenServer or XCP-ng",
    consumer="Apache CloudStack, templates for the hypervisor XenServer, format VHD",
    summary=(
        "Takes the bare VHD as a template, not the bundle. It resizes and snapshots disks with vhd-util, which wants"
        " the creator tap and a batmap; VHDs of qemu-img have neither."
    ),
    members_max=1,
    virtual_size_max=rules.VHD_SIZE_MAX,
    virtual_size_reason=rules.VHD_SIZE_REASON,
    payload=(
        "Write the VHD alone (xenimage disk convert SOURCE template.vhd --format vhd) and register that template; it"
        " may be packed first (gzip template.vhd)."
    ),
)
