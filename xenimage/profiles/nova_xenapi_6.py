"""Nova with the XenAPI driver on the old hosts that take a device id: XenServer 6.1 to 6.5."""

from __future__ import annotations

import dataclasses

from xenimage.profiles import nova_xenapi, rules

PROFILE = dataclasses.replace(
    nova_xenapi.PROFILE,
    name="nova-xenapi-6",
    title="OpenStack Nova on XenServer 6.1 to 6.5",
    consumer="Nova up to Ussuri with the XenAPI driver, image handler direct_vhd, all hosts XenServer 6.1, 6.2 or 6.5",
    summary=(
        "As nova-xenapi, where every host is XenServer 6.1, 6.2 or 6.5: only there a server starts with the property"
        " xenapi_device_id, which Windows with PV drivers of these releases needs."
    ),
    takes_device_id=True,
    properties=tuple(rules.DEVICE_ID_TAKEN if rule is rules.DEVICE_ID else rule for rule in rules.NOVA_XENAPI),
)
