"""Nova with the XenAPI driver and the image handler that streams into any storage repository."""

from __future__ import annotations

from xenimage.model.profile import Profile
from xenimage.profiles import rules

PROFILE = Profile(
    name="nova-vdi-stream",
    title="OpenStack Nova on XenServer, streamed",
    consumer="Nova up to Ussuri with the XenAPI driver, image handler vdi_remote_stream; os-xenapi",
    summary=(
        "Every member of the tar is taken for a VHD and sent to XenServer: exactly one member, a regular file called"
        " 0.vhd, dynamic. A directory entry or a read-me breaks it."
    ),
    members_max=1,
    only_regular=True,
    virtual_size_max=rules.VHD_SIZE_MAX,
    virtual_size_reason=rules.VHD_SIZE_REASON,
    vm_mode_reason=rules.VM_MODE_REASON,
    config_drive="disk",
    firmwares=("bios",),
    properties=rules.NOVA_XENAPI,
)
