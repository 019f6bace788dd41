"""What is known beforehand: targets, kinds of findings, samples, and whether the installation is whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.api.bundles import create_bundle
from xenimage.api.disks import convert_disk
from xenimage.engine import diagnosis, hosting, kinds, kit
from xenimage.profiles import registry as profile_registry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from xenimage.model.host import GlanceHost
    from xenimage.model.kind import FindingKind
    from xenimage.model.kit import KitImage, KitReport
    from xenimage.model.profile import Profile
    from xenimage.model.report import Diagnosis


def finding_kinds() -> Mapping[str, FindingKind]:
    """All kinds of findings, by code; an upper-case part of a code stands for any name.

    :raises ExtensionError: an installed check of guests cannot be loaded.
    """
    return kinds.all_kinds()


def profiles() -> Mapping[str, Profile]:
    """All profiles by name, in the order in which they are shown.

    :raises ExtensionError: an installed profile of somebody else cannot be loaded.
    """
    return profile_registry.all_profiles()


def profile(name: str) -> Profile:
    """Return the profile called *name*.

    :raises UsageError: nobody provides it.
    :raises ExtensionError: as for :func:`profiles`.
    """
    return profile_registry.get_profile(name)


def doctor(directory: str, problems: Sequence[Diagnosis] = ()) -> Sequence[Diagnosis]:
    """Look at what the work needs: interpreter, libraries, extensions, free space in *directory*.

    :param problems: what the caller knows already, to stand first: a configuration that does not parse.
    """
    return (*problems, *diagnosis.diagnose(directory))


def doctor_glance(host: GlanceHost) -> Sequence[Diagnosis]:
    """Look at what the import plugins need of a Glance service. To be run where that runs, by its user.

    :param host: as its configuration tells it (``xenimage.conf.host.read_host``).
    """
    return tuple(hosting.diagnose_host(host))


def kit_images() -> tuple[KitImage, ...]:
    """Tell what :func:`write_kit` writes, beside the manifest."""
    return kit.IMAGES


def write_kit(directory: str, *, force: bool = False) -> KitReport:
    """Write sample images into *directory*, and a manifest that lists them: good ones, and ones to be refused.

    :param force: whether files of an earlier kit are replaced.
    :raises UsageError: the directory cannot be made, or holds a file of that name.
    :raises TransferError: a file cannot be written.
    """
    return kit.write(directory, convert_disk, create_bundle, force=force)
