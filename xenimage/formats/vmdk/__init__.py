"""VMDK: sparse, stream-optimized, flat, split and delta disks of VMware's products, as read-only disks.

References: VMware, "Virtual Disk Format 5.0" (2011), and what qemu, VirtualBox, open-vmdk and Xen Orchestra write.
"""

from xenimage.formats.vmdk.reader import VmdkDisk, open_vmdk

__all__ = ["VmdkDisk", "open_vmdk"]
