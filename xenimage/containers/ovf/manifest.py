"""The manifest of a package: a digest for each file. Source: DSP0243 1.1, 8; DSP0243 2.1, 5; what writers write."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from typing import TYPE_CHECKING

from xenimage.containers.ovf.kinds import found
from xenimage.containers.ovf.names import spellings
from xenimage.units import MIB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from xenimage.containers.ovf.kinds import Notes
    from xenimage.limits import Limits
    from xenimage.model.disk import ByteSource
    from xenimage.model.finding import Finding

_LINE = re.compile(r"\s*+([A-Za-z0-9-]{1,20})\s*+\((.+)\)\s*+=\s*+([0-9A-Za-z]*+)\s*+")
_ALGORITHMS = {
    "sha1": "sha1", "sha-1": "sha1",
    "sha256": "sha256", "sha-256": "sha256", "sha2-256": "sha256",
    "sha384": "sha384", "sha-384": "sha384", "sha2-384": "sha384",
    "sha512": "sha512", "sha-512": "sha512", "sha2-512": "sha512",
    "md5": "md5",
}  # fmt: skip
_LONGEST = 4096
"""characters of a line"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
    """One line."""

    algorithm: str
    """as :mod:`hashlib` calls it"""
    name: str
    digest: str
    """lower-case hexadecimal"""
    line: int


def read_manifest(data: bytes, limits: Limits, notes: Notes) -> tuple[Entry, ...]:
    """Read the lines; what is wrong with any of them is noted.

    :raises LimitError: it is too large.
    """
    limits.require("descriptor_size", len(data), "the bytes of the manifest")
    entries: dict[str, Entry] = {}
    for count, line in enumerate(data.decode("utf-8-sig", "replace").split("\n"), 1):
        if not line.strip():
            continue
        entry = _entry(line, count, notes)
        if entry is None:
            continue
        known = entries.setdefault(entry.name, entry)
        if known is not entry:
            notes.add(found("manifest.line", "twice", line=count, name=entry.name))
    algorithms = sorted({entry.algorithm for entry in entries.values()})
    if len(algorithms) > 1:
        notes.add(found("manifest.mixed", algorithms=", ".join(algorithms)))
    return tuple(entries.values())


def _entry(line: str, count: int, notes: Notes) -> Entry | None:
    match = _LINE.fullmatch(line) if len(line) <= _LONGEST else None
    if match is None:
        notes.add(found("manifest.line", line=count, name=""))
        return None
    algorithm = _ALGORITHMS.get(match[1].lower())
    if algorithm is None:
        notes.add(found("manifest.algorithm", name=match[2].strip(), algorithm=match[1]))
        return None
    digest = match[3].lower()
    length = 2 * hashlib.new(algorithm, usedforsecurity=False).digest_size
    if len(digest) != length or not re.fullmatch("[0-9a-f]*", digest):
        # XenCenter puts a zero in front of an odd number of digits. That would prove another digest than was written.
        notes.add(found("manifest.line", "digest", line=count, name=match[2], count=len(digest), expected=length))
        return None
    return Entry(algorithm=algorithm, name=match[2].strip(), digest=digest, line=count)


def coverage(entries: Sequence[Entry], descriptor: str, files: Sequence[str]) -> list[Finding]:
    """Note what the manifest leaves out. Names are compared without regard to case, as XenCenter does it.

    :param descriptor: its name.
    :param files: names that the descriptor refers to, pieces one by one.
    """
    listed = {spelling.lower() for entry in entries for spelling in spellings(entry.name)}
    findings = [] if descriptor.lower() in listed else [found("manifest.descriptor", name=descriptor)]
    unlisted = (
        name for name in dict.fromkeys(files) if not any(spelling.lower() in listed for spelling in spellings(name))
    )
    return [*findings, *(found("manifest.unlisted", name=name) for name in unlisted)]


def digest(source: ByteSource, algorithm: str, advance: Callable[[int], None]) -> str:
    """Hexadecimal digest of all of *source*, read forward."""
    value = hashlib.new(algorithm, usedforsecurity=False)
    for piece in _pieces(source):
        value.update(piece)
        advance(len(piece))
    return value.hexdigest()


def _pieces(source: ByteSource) -> Iterator[memoryview]:
    buffer = memoryview(bytearray(MIB))
    for offset in range(0, source.size, MIB):
        piece = buffer[: min(MIB, source.size - offset)]
        source.read_into(offset, piece)
        yield piece
