"""Cinder, which makes volumes of bundles."""

from __future__ import annotations

import dataclasses

from xenimage.model.profile import Profile, Rule
from xenimage.profiles import rules

_COPIED = "Not read by Cinder; copied to the volume, and from there to a server that boots from it."
_SOURCE = "cinder, image/image_utils.py; volume/flows/manager/create_volume.py"

PROFILE = Profile(
    name="cinder",
    title="OpenStack Cinder",
    consumer="Cinder, all releases up to 2026.1: image/image_utils.py, replace_xenserver_image_with_coalesced_vhd",
    summary=(
        "Takes disk_format vhd with container_format ovf, unpacks it, coalesces a chain with vhd-util and converts the"
        " result with qemu-img. One VHD needs no vhd-util on the volume host; a chain does."
    ),
    virtual_size_max=rules.VHD_SIZE_MAX,
    virtual_size_reason=rules.VHD_SIZE_REASON,
    properties=(
        dataclasses.replace(rules.VM_MODE, rule=Rule.ALLOW, value="", reason=_COPIED, source=_SOURCE),
        dataclasses.replace(rules.OS_TYPE, reason=_COPIED, source=_SOURCE),
    ),
)
