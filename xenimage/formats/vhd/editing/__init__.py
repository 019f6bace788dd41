"""Changing a VHD in place: what blktap's vhd-util does, in an order that leaves a readable disk wherever it ends."""
