"""The checks of Windows guests, and the image properties that follow from them."""

from __future__ import annotations

from xenimage.checks.guest import (
    windows_boot,
    windows_cloudbase,
    windows_device,
    windows_drivers,
    windows_leftovers,
    windows_properties,
    windows_state,
    windows_sysprep,
)

CHECKS = (
    windows_device.CHECK,
    windows_drivers.CHECK,
    windows_boot.CHECK,
    windows_cloudbase.CHECK,
    windows_sysprep.CHECK,
    windows_state.CHECK,
    windows_leftovers.CHECK,
)
"""in the order in which their findings are shown"""
SUGGESTERS = (windows_properties.suggest, windows_device.suggest, windows_cloudbase.suggest)
