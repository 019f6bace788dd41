"""Where a stored bundle comes from: kept beside it as image properties, so that a second run knows it again."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import pathlib
from typing import TYPE_CHECKING

from xenimage.engine.packages import files_of
from xenimage.model.image import PROFILE, SOURCE_FORMAT, SOURCE_SHA256, VERDICT, VERSION
from xenimage.model.plan import Property
from xenimage.profiles.properties import is_sane
from xenimage.sources.file import open_file
from xenimage.streams.digest import digest_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from xenimage.limits import Limits
    from xenimage.model.machine import Origin
    from xenimage.model.plan import SourceOptions
    from xenimage.model.report import Verdict
    from xenimage.model.transfer import Progress

_REASON = "Tells where the image comes from (xenimage image create --if-exists)."
_SHA256 = "sha256"


def source_digest(options: SourceOptions, sizes: Sequence[int], progress: Progress) -> str:
    """The sha256 of the source: of its file, or of its files' digests, the leaf first, a line for each.

    :param sizes: bytes of all files of each disk that the source was found to have.
    :returns: an empty text where the source has files that the user did not name: parents that were followed, extents
        of a VMDK. A digest of the others would be the same while these change.
    :raises TransferError: a file cannot be read.
    """
    paths = list(dict.fromkeys((options.path, *options.backing)))
    if options.follow or options.snapshot or options.snapshots or len(sizes) not in (1, len(paths)):
        return ""
    if sum(map(_size, paths)) < sum(sizes):
        return ""
    found = [_file_digest(path, progress) for path in paths]
    if len(found) == 1:
        return found[0]
    return hashlib.sha256("".join(f"{each}\n" for each in found).encode()).hexdigest()


def package_digest(options: SourceOptions, origin: Origin, limits: Limits, progress: Progress) -> str:
    """The sha256 of a disk in a package: of its files' digests, the description first, and of what the disk is called.

    A file that holds the whole package is one file, and each of its disks another source.

    :raises TransferError: a file cannot be read.
    :raises XenimageError: as :func:`xenimage.engine.packages.files_of`.
    """
    found = [_file_digest(path, progress) for path in files_of(options, limits)]
    lines = [*found, repr((origin.machine.identifier, origin.disk.identifier))]
    return hashlib.sha256("".join(f"{each}\n" for each in lines).encode()).hexdigest()


def source_format(disk_format: str, origin: Origin | None) -> str:
    """What the source is: the format of the disk, behind the kind of the package that it stands in."""
    if origin is None or origin.kind == disk_format:
        return disk_format
    return f"{origin.kind}/{disk_format}"


def image_name(path: str, origin: Origin | None = None) -> str:
    """A name for the image: the machine's, or the source's without its directory and last ending.

    A name out of a package may be such as would be read as an option where a command is pasted.
    """
    if origin is not None and is_sane(origin.title) and not origin.title.startswith("-"):
        return origin.title
    return pathlib.PurePath(path).stem or "image"


def _size(path: str) -> int:
    with contextlib.closing(open_file(path)) as source:
        return source.size


def _file_digest(path: str, progress: Progress) -> str:
    source = open_file(path)

    def read_into(offset: int, buffer: memoryview) -> int:
        count = min(len(buffer), source.size - offset)
        source.read_into(offset, buffer[:count])
        return count

    progress.start("source digest", source.size)
    try:
        return digest_file([_SHA256], read_into, source.size, 1, progress.advance)[_SHA256]
    finally:
        progress.stop()
        source.close()


def provenance(sha256: str, source_format: str, profile: str, verdict: Verdict) -> Iterator[Property]:
    """Yield the properties. The digest is left out where there is none."""
    pairs = {
        SOURCE_SHA256: sha256,
        SOURCE_FORMAT: source_format,
        PROFILE: profile,
        VERSION: _version(),
        VERDICT: verdict.value,
    }
    for name, value in pairs.items():
        if value:
            yield Property(name=name, value=value, reason=_REASON)


def _version() -> str:
    try:
        return importlib.metadata.version("xenimage")
    except importlib.metadata.PackageNotFoundError:
        return ""
