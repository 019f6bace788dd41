"""The files of a package as their content: pieces joined, decrypted, inflated; nothing is unpacked."""

from __future__ import annotations

import os.path
from typing import TYPE_CHECKING

from xenimage.containers.ovf.crypt import DecryptedSource, unlock
from xenimage.containers.ovf.kinds import found
from xenimage.exceptions import FormatError, PasswordError, UnsafeError, UnsupportedError, UsageError, XenimageError
from xenimage.sources.joined import JoinedSource
from xenimage.streams.gunzip import MAGIC, GunzipSource

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from xenimage.containers.ovf.descriptor import Description
    from xenimage.containers.ovf.kinds import Notes
    from xenimage.containers.ovf.store import Store
    from xenimage.limits import Limits
    from xenimage.model.disk import ByteSource
    from xenimage.model.machine import PackageFile

_DIGITS = 9
"""of the number behind the name of a piece"""


class Contents:
    """Opens files of a package.

    :param password: for encrypted ones; None if there is none.
    """

    def __init__(self, store: Store, description: Description, limits: Limits, password: str | None) -> None:
        self._store = store
        self._description = description
        self._limits = limits
        self._password = password
        self._cut: dict[str, list[str]] = {}
        """real names of pieces, by that of the first: the same ones can be spelt in many ways"""

    def names(self, file: PackageFile) -> list[str]:
        """Real names of what a file consists of, in order.

        :raises FormatError: it is missing, or a piece is.
        """
        whole = self._store.find(file.name)
        if whole is not None:
            return [whole]
        if not file.chunk_size:
            raise FormatError(
                f"the file {file.name!r} is missing",
                expected="every file that the descriptor names",
                where=self._store.path,
                tip="Copy all files of the package into one directory." if self._store.kind == "ovf" else "",
            )
        return self._pieces(file)

    def _pieces(self, file: PackageFile) -> list[str]:
        assert file.chunk_size
        names = self._numbered(file.name)
        self._limits.require("extents", len(names), f"the number of pieces of {file.name!r}")
        expected = -(-file.size // file.chunk_size) if file.size else max(1, len(names))
        if len(names) < expected:
            raise FormatError(
                f"the piece {file.name}.{len(names):0{_DIGITS}} is missing", expected=f"{expected} pieces"
            )
        return names

    def _numbered(self, name: str) -> list[str]:
        """The pieces that are there, up to one more than there may be."""
        first = self._store.find(f"{name}.{0:0{_DIGITS}}")
        if first is None:
            return []
        if first not in self._cut:
            names = self._cut[first] = [first]
            while len(names) <= self._limits.extents:
                following = self._store.find(f"{name}.{len(names):0{_DIGITS}}")
                if following is None:
                    break
                names.append(following)
        return self._cut[first]

    def stored(self, identifier: str) -> ByteSource:
        """A file as it is stored, its pieces one behind the other.

        :raises FormatError: it is missing, or a piece is missing or has the wrong size.
        :raises UnsafeError: its name leads out of the package.
        """
        file = self._file(identifier)
        names = self.names(file)
        sources: list[ByteSource] = []
        try:
            for name in names:
                sources.append(self._store.open(name))
                if len(sources) < len(names) and sources[-1].size != file.chunk_size:
                    raise FormatError(
                        f"the piece {name} has {sources[-1].size} bytes",
                        expected=f"{file.chunk_size}, as all but the last",
                    )
        except BaseException:
            for source in sources:
                source.close()
            raise
        return sources[0] if len(sources) == 1 else JoinedSource(sources, os.path.join(self._store.path, file.name))

    def _file(self, identifier: str) -> PackageFile:
        refused = self._description.refused.get(identifier)
        if refused is not None:
            raise type(refused)(refused.found, expected=refused.expected, where=self._store.path, tip=refused.tip)
        file = self._description.files.get(identifier)
        if file is None:
            raise FormatError(
                f"has no file {identifier!r}", expected="one among its References", where=self._store.path
            )
        return file

    def plain(self, identifier: str) -> tuple[ByteSource, bool]:
        """A file's content, decrypted and inflated, and whether going back in it is dear.

        :raises UsageError: it is encrypted, and the password is missing or wrong.
        :raises UnsupportedError: it is compressed in a way that is not read.
        """
        file = self._file(identifier)
        if file.compression not in ("", "gzip"):
            raise UnsupportedError(
                f"the file {file.name!r} is compressed with {file.compression!r}", expected="gzip, or nothing"
            )
        source = self.stored(identifier)
        try:
            if file.encrypted:
                source = self._decrypted(source)
            # Some descriptors say gzip of files that are not: XenConvert's, where compressing did not pay.
            if file.compression == "gzip" and source.read(0, min(2, source.size)) == MAGIC:
                packed = GunzipSource(source, self._limits)
                packed.scan()
                return packed, True
        except BaseException:
            source.close()
            raise
        return source, False

    def _decrypted(self, source: ByteSource) -> ByteSource:
        if self._password is None:
            raise PasswordError(
                "is encrypted",
                expected="the password",
                where=source.name,
                tip="Give it with --password-file FILE, or in the environment variable XENIMAGE_PACKAGE_PASSWORD.",
            )
        security = self._description.security
        chosen = unlock(self._password, security.known, legacy=security.legacy)
        return DecryptedSource(source, chosen, legacy=security.legacy)

    def distinct(self) -> Iterator[PackageFile]:
        """Each file once: a thousand references to one that is in a thousand pieces would be a million to look at."""
        seen: set[str] = set()
        for file in {file.name: file for file in self._description.files.values()}.values():
            try:
                first = self.names(file)[:1]
            except XenimageError:
                first = []
            if not seen.intersection(first):
                seen.update(first)
                yield file

    def judge(self, files: Iterable[PackageFile], notes: Notes) -> None:
        """Note each of *files* that is missing, or has another size than the descriptor says."""
        for file in files:
            try:
                with_pieces = self.stored(file.identifier)
            except UnsafeError as error:
                notes.add(found("file.name", identifier=file.identifier, error=error))
            except (FormatError, UsageError) as error:
                notes.add(found("file.chunk" if file.chunk_size else "file.missing", name=file.name, error=error))
            else:
                self._judge_size(file, with_pieces.size, notes)
                with_pieces.close()

    def _judge_size(self, file: PackageFile, size: int, notes: Notes) -> None:
        if file.size is not None and file.size != size:
            case = "citrix" if self._description.producer == "Citrix" else ""
            notes.add(found("file.size", case, name=file.name, size=size, expected=file.size))

    def parts(self, files: Iterable[PackageFile]) -> Iterator[str]:
        """Real names of what is there of *files*."""
        for file in files:
            try:
                yield from self.names(file)
            except (FormatError, UnsafeError):
                continue
