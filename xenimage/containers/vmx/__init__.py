"""VMware's own folders: a VMX, which describes a machine, with its VMDKs beside it.

There is no specification. Sources: VMware's knowledge base (2011654 on the boot order), VMX files that Workstation and
ESXi wrote, and libvirt's documentation of its driver for ESX.
"""
