"""The library's door: the same operations that the command line offers, typed.

Everything here takes frozen option values, returns frozen results, and raises the errors of
:mod:`xenimage.exceptions`. Nothing prints, exits or reads the environment.
"""

from __future__ import annotations

from xenimage.api.bundles import (
    check_bundle,
    create_bundle,
    extract_bundle,
    plan_bundle,
    repair_bundle,
    show_bundle,
)
from xenimage.api.common import DEFAULT_PROFILE, usable_cpus
from xenimage.api.disks import (
    check_disks,
    compare_disks,
    convert_disk,
    convert_layers,
    map_disk,
    plan_conversion,
    plan_layers,
    rebase_disk,
    repair_disk,
    show_chain,
    show_disk,
    undo_repair,
)
from xenimage.api.guests import check_guest, inspect_guest
from xenimage.api.images import (
    check_image,
    connect_cloud,
    connect_region,
    create_image,
    judge_image,
    plan_image,
    save_image,
    show_image,
    show_image_bundle,
)
from xenimage.api.knowledge import doctor, doctor_glance, finding_kinds, kit_images, profile, profiles, write_kit
from xenimage.api.packages import PACKAGE_TARGETS, check_package, show_package
from xenimage.api.packaging import convert_package, package_kind, plan_package, split_package

__all__ = [
    "DEFAULT_PROFILE",
    "PACKAGE_TARGETS",
    "check_bundle",
    "check_disks",
    "check_guest",
    "check_image",
    "check_package",
    "compare_disks",
    "connect_cloud",
    "connect_region",
    "convert_disk",
    "convert_layers",
    "convert_package",
    "create_bundle",
    "create_image",
    "doctor",
    "doctor_glance",
    "extract_bundle",
    "finding_kinds",
    "inspect_guest",
    "judge_image",
    "kit_images",
    "map_disk",
    "package_kind",
    "plan_bundle",
    "plan_conversion",
    "plan_image",
    "plan_layers",
    "plan_package",
    "profile",
    "profiles",
    "rebase_disk",
    "repair_bundle",
    "repair_disk",
    "save_image",
    "show_bundle",
    "show_chain",
    "show_disk",
    "show_image",
    "show_image_bundle",
    "show_package",
    "split_package",
    "undo_repair",
    "usable_cpus",
    "write_kit",
]
