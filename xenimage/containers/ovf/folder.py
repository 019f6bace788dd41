"""A package in a directory: the descriptor, and its files beside it or below."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from xenimage.containers.ovf.names import spellings
from xenimage.containers.ovf.package import OvfPackage
from xenimage.exceptions import FormatError, UsageError, XenimageError
from xenimage.sources.file import open_file, open_within

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xenimage.containers.ovf.kinds import Notes
    from xenimage.limits import Limits
    from xenimage.model.disk import ByteSource


class FolderStore:
    """See :class:`xenimage.containers.ovf.store.Store`. No link is followed, neither of a file nor of a directory."""

    kind = "ovf"
    compression = ""

    def __init__(self, path: str) -> None:
        self.path = path
        self._directory, self.descriptor = os.path.split(path)

    def find(self, name: str) -> str | None:
        """See :meth:`xenimage.containers.ovf.store.Store.find`."""
        for spelling in spellings(name):
            try:
                open_within(self._directory, spelling).close()
            except UsageError:
                continue
            return spelling
        return None

    def open(self, name: str) -> ByteSource:
        """See :meth:`xenimage.containers.ovf.store.Store.open`."""
        try:
            return open_within(self._directory, name)
        except UsageError as error:
            raise FormatError(error.found, expected="a file of the package", where=error.where) from error

    def others(self, _suffix: str, /) -> list[str]:
        """None: what else lies in the directory may belong to another package."""
        return []

    def judge(self, files: Sequence[str], notes: Notes) -> None:
        """Note nothing: a directory has no order."""

    def close(self) -> None:
        """Do nothing: files are opened one by one."""


def open_ovf(
    path: str | os.PathLike[str], limits: Limits, *, deployment: str = "", password: str | None = None
) -> OvfPackage:
    """Open the package whose descriptor is at *path*. Reads the descriptor, and looks for its files.

    :param deployment: id of a deployment option; empty for the default.
    :param password: of an encrypted package; asked for when a disk of it is opened.
    :raises UsageError: the descriptor is missing, or there is no such deployment option.
    :raises FormatError: it is no descriptor of OVF, or damaged.
    :raises UnsupportedError: a version that is not read.
    :raises UnsafeError: it has a document type. :class:`LimitError`: a number passes its limit.
    """
    source = open_file(path)
    try:
        limits.require("xml_size", source.size, "the bytes of the XML")
        data = source.read(0, source.size)
        return OvfPackage(FolderStore(source.name), data, limits, deployment=deployment, password=password)
    except XenimageError as error:
        raise error if error.where.startswith(source.name) else error.within(source.name) from error.__cause__
    finally:
        source.close()
