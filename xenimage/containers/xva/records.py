"""Records of the XenAPI as an export holds them, with every field that xapi looks for when it imports one.

Source: xen-api, ocaml/idl/datamodel*.ml; Xen Orchestra, @xen-orchestra/xva, whose records the same importer takes.
"""

from __future__ import annotations

import copy

from xenimage.containers.xva.layout import NULL
from xenimage.containers.xva.xmlrpc import Date, Real, Value

Fields = dict[str, Value]

NO_DATE = Date("19700101T00:00:00Z")
VERSION: Fields = {
    "hostname": "localhost",
    "date": "1970-01-01",
    "product_version": "8.2.1",
    "product_brand": "xenimage",
    "build_number": "0",
    "xapi_major": "1",
    "xapi_minor": "20",
    "export_vsn": "2",
}
"""xapi refuses what comes from a newer one than itself: this is that of XenServer 8.2"""


def _operations() -> Fields:
    return {"allowed_operations": [], "current_operations": {}}


def _device() -> Fields:
    return {
        **_operations(),
        "currently_attached": False,
        "status_code": "0",
        "status_detail": "",
        "runtime_properties": {},
        "qos_algorithm_type": "",
        "qos_algorithm_params": {},
        "qos_supported_algorithms": [],
        "metrics": NULL,
    }


def _snapshot_state() -> Fields:
    return {"is_a_snapshot": False, "snapshot_of": NULL, "snapshots": [], "snapshot_time": NO_DATE}


_HALTED: Fields = {
    "uuid": "",
    **_operations(),
    **_snapshot_state(),
    "power_state": "Halted",
    "user_version": "1",
    "is_a_template": False,
    "is_default_template": False,
    "suspend_VDI": NULL,
    "suspend_SR": NULL,
    "resident_on": NULL,
    "scheduled_to_be_resident_on": NULL,
    "affinity": NULL,
    "memory_overhead": "0",
    "memory_target": "0",
    "memory_static_max": "0",
    "memory_dynamic_max": "0",
    "memory_dynamic_min": "0",
    "memory_static_min": "0",
    "VCPUs_params": {},
    "actions_after_shutdown": "destroy",
    "actions_after_softreboot": "soft_reboot",
    "actions_after_reboot": "restart",
    "actions_after_crash": "restart",
    "consoles": [],
    "VUSBs": [],
    "crash_dumps": [],
    "VTPMs": [],
    "PV_bootloader": "",
    "PV_kernel": "",
    "PV_ramdisk": "",
    "PV_args": "",
    "PV_bootloader_args": "",
    "PV_legacy_args": "",
    "HVM_shadow_multiplier": Real("1.0"),
    "PCI_bus": "",
    "other_config": {},
    "domid": "-1",
    "domarch": "",
    "last_boot_CPU_flags": {},
    "is_control_domain": False,
    "metrics": NULL,
    "guest_metrics": NULL,
    "last_booted_record": "",
    "recommendations": "",
    "xenstore_data": {},
    "ha_always_run": False,
    "ha_restart_priority": "",
    "transportable_snapshot_id": "",
    "blobs": {},
    "tags": [],
    "blocked_operations": {},
    "snapshot_info": {},
    "snapshot_metadata": "",
    "parent": NULL,
    "children": [],
    "bios_strings": {},
    "protection_policy": NULL,
    "is_snapshot_from_vmpp": False,
    "snapshot_schedule": NULL,
    "is_vmss_snapshot": False,
    "appliance": NULL,
    "start_delay": "0",
    "shutdown_delay": "0",
    "order": "0",
    "VGPUs": [],
    "attached_PCIs": [],
    "version": "0",
    "generation_id": "",
    "hardware_platform_version": "0",
    "has_vendor_device": False,
    "requires_reboot": False,
    "reference_label": "",
    "NVRAM": {},
}
"""a machine that is switched off"""


def vm(uuid: str, memory: int) -> Fields:
    """A machine that is switched off.

    :param memory: bytes.
    """
    sizes = ("memory_static_max", "memory_dynamic_max", "memory_dynamic_min", "memory_static_min")
    return {**copy.deepcopy(_HALTED), "uuid": uuid, **dict.fromkeys(sizes, str(memory))}


def vbd(uuid: str, machine: str, vdi: str, userdevice: str, kind: str) -> Fields:
    """A drive of a machine.

    :param kind: ``Disk`` or ``CD``.
    """
    return {
        "uuid": uuid,
        **_device(),
        "VM": machine,
        "VDI": vdi,
        "device": "",
        "userdevice": userdevice,
        "bootable": False,
        "mode": "RW" if kind == "Disk" else "RO",
        "type": kind,
        "unpluggable": kind == "Disk",
        "storage_lock": False,
        "empty": vdi == NULL,
        "other_config": {"owner": ""} if kind == "Disk" else {},
    }


def vdi(uuid: str, repository: str, drive: str, size: int) -> Fields:
    """A disk.

    :param size: bytes.
    """
    return {
        "uuid": uuid,
        **_operations(),
        **_snapshot_state(),
        "name_description": "",
        "SR": repository,
        "VBDs": [drive],
        "crash_dumps": [],
        "virtual_size": str(size),
        "type": "user",
        "sharable": False,
        "read_only": False,
        "other_config": {},
        "storage_lock": False,
        "location": uuid,
        "managed": True,
        "missing": False,
        "parent": NULL,
        "xenstore_data": {},
        "sm_config": {},
        "tags": [],
        "allow_caching": False,
        "on_boot": "persist",
        "metadata_of_pool": NULL,
        "metadata_latest": False,
        "is_tools_iso": False,
        "cbt_enabled": False,
    }


def vif(uuid: str, machine: str, network_reference: str, device: str) -> Fields:
    """A network card."""
    return {
        "uuid": uuid,
        **_device(),
        "device": device,
        "network": network_reference,
        "VM": machine,
        "MAC_autogenerated": False,
        "other_config": {},
        "locking_mode": "network_default",
        "ipv4_allowed": [],
        "ipv6_allowed": [],
        "ipv4_configuration_mode": "None",
        "ipv4_addresses": [],
        "ipv4_gateway": "",
        "ipv6_configuration_mode": "None",
        "ipv6_addresses": [],
        "ipv6_gateway": "",
    }


def network(uuid: str, name: str, description: str, cards: list[Value]) -> Fields:
    """A network: xapi looks for one of that name, and makes one if there is none."""
    return {
        "uuid": uuid,
        **_operations(),
        "name_label": name,
        "name_description": description,
        "VIFs": cards,
        "PIFs": [],
        "MTU": "1500",
        "other_config": {},
        "bridge": "",
        "managed": True,
        "blobs": {},
        "tags": [],
        "default_locking_mode": "unlocked",
        "assigned_ips": {},
        "purpose": [],
    }


def repository(uuid: str, disks: list[Value]) -> Fields:
    """The storage that the disks come from; on import they go where the user says."""
    return {
        "uuid": uuid,
        **_operations(),
        "name_label": "Local storage",
        "name_description": "",
        "VDIs": disks,
        "PBDs": [],
        "virtual_allocation": "0",
        "physical_utilisation": "0",
        "physical_size": "0",
        "type": "ext",
        "content_type": "user",
        "shared": False,
        "other_config": {},
        "tags": [],
        "sm_config": {},
        "blobs": {},
        "local_cache_enabled": False,
        "introduced_by": NULL,
        "clustered": False,
        "is_tools_sr": False,
    }
