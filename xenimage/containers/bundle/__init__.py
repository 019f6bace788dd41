"""The bundle of XenServer: one gzipped tar of VHDs, the leaf called 0.vhd."""
