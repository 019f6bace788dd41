"""Disk image formats: lazy, read-only views of what image files hold, and the writer of the VHD."""
