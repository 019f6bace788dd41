"""Streams of bytes: inflating and deflating, without knowledge of what the bytes mean."""
