"""Images in a cloud: how it is reached, what shall be stored in it, what was found there. No input or output."""

from __future__ import annotations

import dataclasses
import enum
from typing import TYPE_CHECKING, Protocol

from xenimage.model.plan import is_refused

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from xenimage.model.check import Readiness
    from xenimage.model.finding import Finding
    from xenimage.model.plan import BundleOptions, Plan, Property
    from xenimage.model.report import BundleReport, CheckReport, ConvertReport, Verdict, VhdFacts

SOURCE_SHA256 = "xenimage_source_sha256"
SOURCE_FORMAT = "xenimage_source_format"
PROFILE = "xenimage_profile"
VERSION = "xenimage_version"
VERDICT = "xenimage_verdict"
PROVENANCE = (SOURCE_SHA256, SOURCE_FORMAT, PROFILE, VERSION, VERDICT)
"""image properties that tell where a stored bundle comes from"""

VISIBILITIES = ("private", "shared", "community", "public")
"""of an image, as Glance has them"""


class IfExists(enum.Enum):
    """What is done where the cloud has an image of the same source and profile."""

    CREATE = "create"
    """nobody looks: there may be two of it"""
    SKIP = "skip"
    REPLACE = "replace"
    """the others are deleted once the new one is whole"""
    FAIL = "fail"


class Action(enum.Enum):
    """What was done for a wish."""

    CREATED = "created"
    SKIPPED = "skipped"
    REPLACED = "replaced"


@dataclasses.dataclass(frozen=True, kw_only=True)
class CloudOptions:
    """Which cloud, where ``clouds.yaml`` and the ``OS_*`` variables leave a choice."""

    cloud: str | None = None
    """a name in ``clouds.yaml``; None: what OS_CLOUD says, or the other variables"""
    settings: tuple[tuple[str, str], ...] = ()
    """what shall be other than there: (name, value), the names as openstacksdk has them: ``region_name``, ``auth_url``;
    no secrets"""
    timeout: float = 600.0
    """seconds that the cloud may be silent, unless the configuration says ``api_timeout``"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageRecord:
    """What Glance says of an image. Sizes in bytes; None where Glance does not know."""

    id: str
    name: str
    status: str
    disk_format: str
    container_format: str
    size: int | None
    virtual_size: int | None
    min_disk: int
    """GiB"""
    visibility: str
    owner: str
    checksum: str
    """md5, hexadecimal; empty where there is none"""
    hash_algorithm: str
    hash_value: str
    """hexadecimal; empty where there is none"""
    importing: bool
    """whether an import works on it"""
    properties: Mapping[str, str]
    """all others: the ones that people set"""


class Body(Protocol):
    """What is uploaded: read once, from its start to its end."""

    def read(self, size: int, /) -> bytes:
        """Return at most *size* bytes, and none at the end."""


class Images(Protocol):
    """The images of a cloud: see :class:`xenimage.cloud.images.GlanceImages`. All raise TransferError."""

    @property
    def project(self) -> str:
        """Id of the project whose images these are; empty where the cloud has none."""

    def create(self, record: Mapping[str, object]) -> ImageRecord:
        """Make a record without data."""

    def get(self, image: str) -> ImageRecord:
        """Return the record of an image that is named by its id, or by a name that only it has."""

    def find(self, filters: Mapping[str, str]) -> list[ImageRecord]:
        """Return the records whose fields and properties have these values."""

    def update(self, image_id: str, values: Mapping[str, object], remove: Sequence[str]) -> ImageRecord:
        """Set fields and properties, and take properties away."""

    def delete(self, image_id: str) -> None:
        """Delete an image; it is no error if there is none."""

    def upload(self, image_id: str, body: Body, *, size: int | None, stage: bool) -> None:
        """Store the data of an image, or stage it for :meth:`import_staged`."""

    def import_staged(self, image_id: str, advance: Progressed, timeout: float) -> None:
        """Import what was staged, and wait for the end of it."""

    def download(self, image_id: str, offset: int) -> Iterator[bytes]:
        """Yield the data of an image from *offset* on, none of the pieces empty."""


class Progressed(Protocol):
    """Told now and then what a long wait is for."""

    def __call__(self, text: str, /) -> None:
        """*text* is in the cloud's own words."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageOptions:
    """An image as the user wants it."""

    bundle: BundleOptions
    """what it is made of, and for whom; the output is of no meaning"""
    name: str
    """empty: the machine's in a package, or the source's without its ending"""
    visibility: str | None = None
    """None: the cloud's default"""
    tags: tuple[str, ...] = ()
    staged: bool = False
    """whether it goes through the cloud's import, whose plugins then see it, and not straight into the store"""
    if_exists: IfExists = IfExists.CREATE
    rebuild: bool = False
    """whether a bundle is made anew rather than stored as it is"""
    keep_failed: bool = False
    retries: int = 0
    """how often a failed upload begins anew"""
    import_timeout: float = 3600.0
    """seconds"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImagePlan:
    """Everything that is decided about an image before the first byte is moved."""

    options: ImageOptions
    name: str
    plan: Plan | None
    """of the bundle that is made on the way; None where one is stored as it is"""
    check: CheckReport | None
    """of the bundle that is stored as it is"""
    disk_format: str
    container_format: str
    min_disk: int
    """GiB"""
    virtual_size: int
    """bytes"""
    source_sha256: str
    """empty where the source consists of files that nobody named"""
    properties: tuple[Property, ...]
    """with those of its provenance"""
    existing: tuple[ImageRecord, ...]
    """images of the same source and profile, as far as anybody asked"""
    findings: tuple[Finding, ...]
    guest: Readiness | None = None
    """None where the guest was not looked at"""

    @property
    def refused(self) -> bool:
        """Whether findings keep the image from being made."""
        return is_refused(self.findings, self.guest, allowed=self.options.bundle.allow_not_ready)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageReport:
    """An image is in the cloud."""

    plan: ImagePlan
    image: ImageRecord
    action: Action
    bundle: BundleReport | None
    """of the bundle that was made on the way"""
    sent: int
    """bytes"""
    md5: str
    """of what was sent, hexadecimal; compared with what the cloud stored"""
    sha512: str
    replaced: tuple[str, ...]
    """ids of the images that were deleted for it"""
    attempts: int
    seconds: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageFacts:
    """What an image holds, as far as its head tells."""

    image: ImageRecord
    content: str
    """``bundle``, or what it is instead"""
    member: str
    """name of the first VHD; empty where the head has none"""
    vhd: VhdFacts | None
    virtual_size: int
    """bytes; 0 where it is not known"""
    min_disk: int
    """GiB that a flavor needs; 0 where it is not known"""
    read: int
    """bytes that were downloaded to know it, at most"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PropertyChange:
    """One property, or field, of a record that shall become different."""

    name: str
    before: str | None
    """None: it is not there"""
    after: str | None
    """None: it goes away"""
    reason: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecordReport:
    """What is wrong with an image's record."""

    image: ImageRecord
    """as it is afterwards"""
    profile: str
    verdict: Verdict
    """of the record as it is afterwards"""
    virtual_size: int
    """bytes, read from the bundle's head; 0 where it is not known"""
    findings: tuple[Finding, ...]
    """of the record as it is afterwards"""
    changes: tuple[PropertyChange, ...]
    """what mends it, or has mended it"""
    fixed: bool
    """whether the changes were made"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SaveReport:
    """An image was taken out of the cloud."""

    image: ImageRecord
    path: str
    format: str
    size: int
    """bytes of the file"""
    downloaded: int
    """bytes"""
    proved: bool
    """whether the data was compared with the digest that the cloud has of it"""
    conversion: ConvertReport | None
    """None where it was saved as it is stored"""
    seconds: float
