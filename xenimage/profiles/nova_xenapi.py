"""Nova with the XenAPI driver, its default way of fetching images."""

from __future__ import annotations

from xenimage.model.profile import Profile
from xenimage.profiles import rules

PROFILE = Profile(
    name="nova-xenapi",
    title="OpenStack Nova on XenServer",
    consumer="Nova up to Ussuri with the XenAPI driver, image handler direct_vhd; os-xenapi's dom0 plug-ins",
    summary=(
        "The bundle is unpacked by tar in dom0, the VHDs are checked by vhd-util and moved into a file-based storage"
        " repository. Up to 16 VHDs, 0.vhd being the leaf."
    ),
    # A lone VHD is renamed to 0.vhd whatever its name (since Liberty).
    only_numbered=False,
    virtual_size_max=rules.VHD_SIZE_MAX,
    virtual_size_reason=rules.VHD_SIZE_REASON,
    vm_mode_reason=rules.VM_MODE_REASON,
    config_drive="disk",
    firmwares=("bios",),
    properties=rules.NOVA_XENAPI,
)
