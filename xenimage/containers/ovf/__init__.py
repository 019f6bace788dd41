"""OVF, the Open Virtualization Format: a descriptor in XML, disks beside it, a manifest and a certificate.

Source: DMTF DSP0243 (1.0, 1.1, 2.1), DSP8023; VMware's draft 0.9; the additions of Citrix's XenCenter, from its source.
"""
