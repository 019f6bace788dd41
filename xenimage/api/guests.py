"""What the disks of a guest hold, and whether it is ready."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.engine import inspecting, readiness
from xenimage.limits import STRICT
from xenimage.profiles import registry as profile_registry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xenimage.limits import Limits
    from xenimage.model.guest.facts import GuestFacts
    from xenimage.model.plan import GuestOptions, SourceOptions
    from xenimage.model.report import GuestReport


def inspect_guest(sources: Sequence[SourceOptions], *, limits: Limits = STRICT) -> GuestFacts:
    """Look into the disks of one guest: partitions, file systems, the operating system, its drivers and its set-up.

    A child process does it that has nothing but pipes to this one. Damage ends up in the facts: what could not be read,
    and why the inspection ended early if it did.

    :param sources: the guest's disks, in their order; a bundle is one disk.
    :raises UsageError: no disk, no such file, or the same one twice.
    :raises TransferError: a source failed.
    :raises XenimageError: a disk cannot be opened: as :func:`show_disk`, or it needs a parent that was not given.
    """
    return inspecting.inspect(sources, limits)


def check_guest(options: GuestOptions, *, limits: Limits = STRICT) -> GuestReport:
    """Look into the disks of a guest, and tell whether its target would boot and configure it; all findings.

    A failing check is no exception, nor is damage in the guest: what cannot be read is told.

    :raises UsageError: no such file, an unknown profile, a property given twice.
    :raises XenimageError: a disk cannot be opened, as for :func:`plan_bundle`.
    """
    return readiness.check(options, profile_registry.get_profile(options.profile), limits)
