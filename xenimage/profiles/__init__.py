"""Targets as data: one file a consumer, and the rules that turn wishes into image properties."""
