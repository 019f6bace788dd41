"""The image properties that Nova's XenAPI driver reads: rules that several profiles share.

The driver left Nova with the Victoria release; what is said here holds for every release up to Ussuri. Several of its
paths read the legacy name of a property only, so these are the names that the rules speak of.
"""

from __future__ import annotations

import dataclasses

from xenimage.model.finding import Severity
from xenimage.model.profile import PropertyRule, Rule
from xenimage.units import GIB

VHD_SIZE_MAX = 2040 * GIB
VHD_SIZE_REASON = (
    "A VHD with 2 MiB blocks ends at 2040 GiB: tapdisk and XenServer's storage manager refuse more"
    " (sm, vhdutil.validate_and_round_vhd_size)."
)

BOOLEANS = ("true", "True", "false", "False", "1", "0", "yes", "no", "on", "off", "t", "f", "y", "n")

VM_MODE_REASON = (
    "Without vm_mode the driver starts a VHD paravirtualised; pygrub then looks for a kernel that it can read, and most"
    " distributions of today have none."
)

VM_MODE = PropertyRule(
    name="vm_mode",
    rule=Rule.SET,
    value="hvm",
    values=("hvm", "xen"),
    reason=VM_MODE_REASON,
    source="nova, virt/xenapi/vm_utils.py: determine_vm_mode; compute/api.py: _inherit_properties_from_image",
)

OS_TYPE = PropertyRule(
    name="os_type",
    rule=Rule.ALLOW,
    values=("linux", "windows"),
    reason=(
        "Switches the viridian features, the agent and the host name's length. Lower case only: the driver compares"
        " the text as it stands. Taken from the disk where one system is found there, and never without vm_mode, since"
        " linux alone means paravirtualised."
    ),
    source="nova, virt/xenapi/vm_utils.py: determine_vm_mode, create_vm; virt/xenapi/agent.py",
)

HYPERVISOR_TYPE = PropertyRule(
    name="hypervisor_type",
    rule=Rule.ALLOW,
    values=("xen", "xapi"),
    reason=(
        "Keeps the scheduler from placing the image on KVM hosts of the same cloud. XenServer is no legal value and"
        " makes the request fail."
    ),
    source="nova, scheduler/filters/image_props_filter.py; objects/fields.py: HVType",
)

ARCHITECTURE = PropertyRule(
    name="architecture",
    rule=Rule.ALLOW,
    reason="Read by the scheduler's image filter, and by the lookup of an agent build.",
    source="nova, scheduler/filters/image_props_filter.py; virt/xenapi/vmops.py",
)

AUTO_DISK_CONFIG = PropertyRule(
    name="auto_disk_config",
    rule=Rule.ALLOW,
    values=(*BOOLEANS, "disabled"),
    reason=(
        "The host then grows the file system itself. It works only with exactly one partition, number 1, ext3 or ext4"
        " and clean; a dirty one makes the start fail. Leave it out where cloud-init grows the disk."
    ),
    source="nova, virt/xenapi/vm_utils.py: try_auto_configure_disk, _auto_configure_disk",
)

DEVICE_ID = PropertyRule(
    name="xenapi_device_id",
    rule=Rule.ALLOW,
    values=("1", "2", "3", "0001", "0002", "0003"),
    reason=(
        "Windows with PV tools of XenServer 6.1 or 6.2 needs 0002. Trap: on XenServer 7 and later every image with"
        " this property fails to boot, because the driver's version test wants an equal major version."
    ),
    source="nova, virt/xenapi/vm_utils.py: get_vm_device_id, _hypervisor_supports_device_id",
)

DEVICE_ID_TAKEN = dataclasses.replace(
    DEVICE_ID,
    reason=(
        "Windows comes up with the device that its PV drivers were bound to: 0002 with PV tools of XenServer 6.1 and"
        " later. Of no use to Linux, whose older kernels crash with 0002."
    ),
)

USE_AGENT = PropertyRule(
    name="xenapi_use_agent",
    rule=Rule.ALLOW,
    values=BOOLEANS,
    reason="True without nova-agent in the guest costs a wait of up to 300 s at each start.",
    source="nova, virt/xenapi/agent.py: should_use_agent",
)

SKIP_AGENT_SSH = PropertyRule(
    name="xenapi_skip_agent_inject_ssh",
    rule=Rule.ALLOW,
    values=BOOLEANS,
    reason="True where cloud-init sets the SSH keys and an agent runs as well.",
    source="nova, virt/xenapi/agent.py: XenAPIBasedAgent.inject_ssh_key",
)

SKIP_AGENT_FILES = PropertyRule(
    name="xenapi_skip_agent_inject_files_at_boot",
    rule=Rule.ALLOW,
    values=BOOLEANS,
    reason="True where cloud-init writes the files and an agent runs as well.",
    source="nova, virt/xenapi/agent.py: XenAPIBasedAgent.inject_files",
)

CACHE_IN_NOVA = PropertyRule(
    name="cache_in_nova",
    rule=Rule.ALLOW,
    values=BOOLEANS,
    reason="Read only where the hosts are configured with cache_images=some.",
    source="nova, virt/xenapi/vm_utils.py: _create_image",
)

CONFIG_DRIVE = PropertyRule(
    name="img_config_drive",
    rule=Rule.ALLOW,
    values=("optional", "mandatory"),
    reason="Mandatory attaches a config drive whatever the user asked for; cloud-init then needs no metadata service.",
    source="nova, virt/configdrive.py: required_by",
)

FIRMWARE = PropertyRule(
    name="hw_firmware_type",
    rule=Rule.ALLOW,
    values=("bios",),
    reason="Ignored: the driver starts every guest with BIOS, and a disk that boots with UEFI only does not start.",
    source="nova, virt/xenapi/vm_utils.py: create_vm",
)

KERNEL_ID = PropertyRule(
    name="kernel_id",
    rule=Rule.FORBID,
    reason="Makes the host boot the guest paravirtualised with a kernel image of its own, whatever the disk holds.",
    source="nova, virt/xenapi/vm_utils.py: determine_vm_mode, create_kernel_and_ramdisk",
)

RAMDISK_ID = PropertyRule(
    name="ramdisk_id",
    rule=Rule.FORBID,
    reason="Belongs to a kernel image that the host boots; a whole disk brings its own.",
    source="nova, virt/xenapi/vm_utils.py: create_kernel_and_ramdisk",
)

NOVA_XENAPI = (
    VM_MODE,
    OS_TYPE,
    HYPERVISOR_TYPE,
    ARCHITECTURE,
    AUTO_DISK_CONFIG,
    CONFIG_DRIVE,
    DEVICE_ID,
    USE_AGENT,
    SKIP_AGENT_SSH,
    SKIP_AGENT_FILES,
    CACHE_IN_NOVA,
    FIRMWARE,
    KERNEL_ID,
    RAMDISK_ID,
)
"""in the order in which they are shown"""

_CLOUDBASE = (
    "none", "file", "disabled", "idle", "early", "metadata", "http", "drive", "helper", "plugins", "unattend-conf",
    "specialize", "devices", "booted",
)  # fmt: skip
WITHOUT_CLOUD: dict[str, Severity] = dict.fromkeys(
    (
        "windows.sysprep.installed",
        *(f"windows.cloudbase-init.{name}" for name in _CLOUDBASE),
        *(f"linux.cloud-init.{name}" for name in ("missing", "disabled", "datasource", "ran")),
        *(f"linux.identity.{name}" for name in ("machine-id", "host-keys", "keys")),
    ),
    Severity.INFO,
)
"""how much findings matter where a guest goes on as itself: nobody hands it metadata, and there is one of it"""
