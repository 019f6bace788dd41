"""Looks into a guest's disks: facts, no opinions. Read-only, without mounts, root or other programs."""
