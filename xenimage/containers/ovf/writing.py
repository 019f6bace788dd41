"""What a package that is written is made of, and how it is to be."""

from __future__ import annotations

import dataclasses
import re
import unicodedata
from typing import TYPE_CHECKING, TypeAlias

from xenimage.containers.ovf.layout import FORMATS
from xenimage.exceptions import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from xenimage.model.machine import Machine, Network
    from xenimage.model.transfer import PatchSink

DIGESTS = ("sha256", "sha1", "sha512")
"""the first is the default; SHA-1 is for VMware's products up to 5.5 alone"""
DISK_FORMATS = tuple(FORMATS)
_OTHERS = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST = 60
"""characters: with what comes behind it a name has to fit into the 100 of a tar header"""

FileWriter: TypeAlias = "Callable[[PatchSink, str], int]"
"""writes a whole file, given its name for formats that want to know it; the bytes that the guest has stored in it.

It may leave out the start, and elsewhere only what stays zeros; what it patches is the start."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Content:
    """What is written into a file of the package."""

    size: int
    """bytes: of a disk, as its file tells the guest; of anything else, as it is"""
    write: FileWriter


@dataclasses.dataclass(frozen=True, kw_only=True)
class NewPackage:
    """What is written."""

    machines: Sequence[Machine]
    disks: Mapping[str, Content] = dataclasses.field(default_factory=dict)
    """by the identifier of the :class:`xenimage.model.machine.MachineDisk`; one that is not among them is described,
    and comes without content"""
    images: Mapping[str, Content] = dataclasses.field(default_factory=dict)
    """for the drives of CDs, by the identifier of the file; a drive of another one becomes empty"""
    networks: Sequence[Network] = ()
    """what is known of them beside their names"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class OvfOptions:
    """How a package is written.

    :raises UsageError: something that there is not.
    """

    name: str = ""
    """of the package, of which its files get theirs; that of the first machine where it is empty"""
    disk_format: str = "vmdk"
    """one of :data:`DISK_FORMATS`: what *disks* write"""
    digest: str = DIGESTS[0]
    """one of :data:`DIGESTS`"""
    chunk_size: int | None = None
    """bytes of the pieces that files are split into; None for whole files. VirtualBox reads no pieces."""
    compress: bool = False
    """whether each file is deflated with gzip"""
    compress_archive: bool = False
    """whether an archive is deflated as a whole. It cannot be read back: what *disks* write must not be patched."""
    sign: tuple[str, str] | None = None
    """paths of a private key and its certificate, both PEM"""
    timestamp: int = 0
    """Unix seconds, of the members of an archive"""
    jobs: int = 1
    """threads that deflate"""

    def __post_init__(self) -> None:
        """Refuse what there is not."""
        if self.disk_format not in DISK_FORMATS:
            raise UsageError(f"disks of the format {self.disk_format!r}", expected=" or ".join(DISK_FORMATS))
        if self.digest not in DIGESTS:
            raise UsageError(f"the digest {self.digest!r}", expected=" or ".join(DIGESTS))
        if self.chunk_size is not None and self.chunk_size <= 0:
            raise UsageError(f"pieces of {self.chunk_size} bytes", expected="one byte at least")


def base_name(name: str) -> str:
    """What the files of a package begin with: the name in plain ASCII, as every importer and file system takes it."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode("ascii")
    return _OTHERS.sub("-", plain).strip("-.")[:_LONGEST].rstrip("-.") or "package"
