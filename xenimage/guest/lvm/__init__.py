"""Logical volumes of LVM2. Own code: libvslvm opens no group of several physical volumes, and names no kinds."""
