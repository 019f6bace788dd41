"""Guests' disks of any state, made with programs of the system and the standard library, nothing of xenimage."""
