"""Rackspace's public cloud, as its documents for importing images describe it."""

from __future__ import annotations

import dataclasses

from xenimage.model.profile import Profile, PropertyRule, Rule
from xenimage.profiles import rules
from xenimage.units import GIB

_DOCUMENT = "Rackspace, Preparing an image for import into the Rackspace Open Cloud: Set the proper image metadata"

PROFILE = Profile(
    name="rackspace",
    title="Rackspace Public Cloud (classic)",
    consumer="Rackspace Cloud Images, image import (documents of 2020)",
    summary=(
        "One VHD, a system disk of at most 160 GB, Linux only. The import takes no metadata but the name: set the"
        " properties afterwards."
    ),
    members_max=1,
    only_regular=True,
    # 160 GB is the root disk of Rackspace's flavors, and Nova counts a flavor's disk in GiB.
    virtual_size_max=160 * GIB,
    virtual_size_reason=(
        "Rackspace imports no system disk above 160 GB. Read as GiB, the unit in which Nova counts a flavor's disk."
    ),
    os_types=("linux",),
    config_drive="disk",
    firmwares=("bios",),
    vm_mode_reason="Rackspace: without it the server stops with bootloader errors.",
    properties=(
        dataclasses.replace(
            rules.VM_MODE,
            reason="Boots in the right virtualisation mode; without it the server stops with bootloader errors.",
            source=_DOCUMENT,
        ),
        dataclasses.replace(
            rules.CONFIG_DRIVE,
            rule=Rule.SET,
            value="mandatory",
            values=("mandatory",),
            reason="Network and SSH keys reach servers of this image through the config drive only.",
            source=_DOCUMENT,
        ),
        PropertyRule(
            name="ssh_user",
            rule=Rule.REQUIRE,
            reason="The user that SSH keys are installed for, such as debian, ubuntu or admin. Only you know it.",
            source=_DOCUMENT,
        ),
        dataclasses.replace(rules.OS_TYPE, values=("linux",)),
        rules.AUTO_DISK_CONFIG,
        dataclasses.replace(
            rules.DEVICE_ID,
            rule=Rule.FORBID,
            values=(),
            reason="Of use to Windows guests only, which Rackspace does not import.",
            source="Rackspace, Preparing an image for import: Microsoft Windows; " + rules.DEVICE_ID.source,
        ),
        rules.USE_AGENT,
        rules.FIRMWARE,
    ),
    payload=(
        "Write the VHD alone (xenimage disk convert SOURCE image.vhd --format vhd), upload it to Cloud Files, import it"
        " with Cloud Images, then set the properties on the image."
    ),
)
