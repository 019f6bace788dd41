"""Checks of packages of machines: what is asked of them beyond their own format, and what a target makes of them."""
