"""Kinds of findings about packages, whichever way they are packed, and about what their targets make of them."""

from __future__ import annotations

from xenimage.checks.package import openstack, proxmox, virtualbox, vmware, writing, xcpng
from xenimage.checks.package.words import INFO, WARNING, kind
from xenimage.model.kind import Mend, by_code

GENERAL = (
    kind(
        INFO,
        "unverified",
        "Package that was not verified",
        "The package was not held against its manifest, as was asked for.",
        "Damage on its way here, or a change by somebody else, would not be seen.",
        "Run xenimage package check on it, without --no-verify.",
        mend=Mend.NONE,
    ),
    kind(
        WARNING,
        "property.contradiction",
        "Package that says other than its disk",
        "The package asks for {name}={claim}, but what is on the disk asks for {found}.",
        "{reason} The disk is believed: what a package says of its machine may be older, or of its host alone.",
        "Nothing, unless you know better: --property {name}={claim}.",
        mend=Mend.CHOICE,
    ),
    kind(
        WARNING,
        "firmware",
        "Machine with another firmware than the target has",
        "The machine {machine!r} started with {firmware}, and servers of {profile} start with {known} alone.",
        "A disk that only the one firmware starts does not start with the other. It was not found out which do.",
        "Let the guest be looked at, or choose another profile (xenimage profile list).",
        mend=Mend.CHOICE,
    ),
    kind(
        WARNING,
        "disk.size",
        "Disk of another size than the package says",
        "The disk {disk!r} has {size} bytes, and the package says {capacity}.",
        "The disk itself is believed. Others may believe the package, and make a disk that is too small.",
        "Check that the disk has the size that its guest expects.",
        mend=Mend.CHOICE,
    ),
)
KINDS = GENERAL + writing.KINDS + openstack.KINDS + vmware.KINDS + proxmox.KINDS + virtualbox.KINDS + xcpng.KINDS
BY_CODE = by_code(KINDS)
