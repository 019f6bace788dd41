"""The VHDs of a bundle as files, for people who want just these."""

from __future__ import annotations

import contextlib
import os
import re
import time
from typing import TYPE_CHECKING

from xenimage.checks.naming import OLD_NAMES, bare_name
from xenimage.containers.archive import PACKED, Archive, members
from xenimage.containers.bundle.reader import placed, require_gzip
from xenimage.engine.samefile import refuse_output
from xenimage.exceptions import FormatError, LimitError, UnsafeError, UnsupportedError
from xenimage.model.report import Extracted, ExtractReport
from xenimage.sinks.file import FileSink, make_directory
from xenimage.streams.gunzip import GunzipSource
from xenimage.streams.zeros import data_units
from xenimage.units import KIB, MIB

if TYPE_CHECKING:
    from xenimage.limits import Limits
    from xenimage.model.disk import ByteSource
    from xenimage.model.report import Member
    from xenimage.model.transfer import Progress

_NAME = re.compile(r"(?:0|[1-9][0-9]{0,3})\.vhd")
_CHUNK = MIB
_HOLE = 64 * KIB
_WHOLE_END = 2 * MIB + 512
"""bytes at the end without holes, a block and the footer: a hole in the last block is what a file that was cut and made
longer again has (vhd.file.extended)"""


def extract(source: ByteSource, directory: str, limits: Limits, progress: Progress, *, force: bool) -> ExtractReport:
    """Write the VHDs of a bundle into *directory*, in one pass. All of them get their names, or none does.

    Only plain files of the names that XenServer's import knows are taken; the rest is listed, and left out. The
    directory is made if its parent exists, and removed again if nothing came of it.

    :raises UsageError: the directory cannot be made, or a file is there already, or is the bundle itself.
    :raises FormatError: the bundle is damaged, or there is no VHD in it.
    :raises UnsafeError: a name stands in it twice, or is a link.
    :raises TransferError: the source failed, or a file cannot be written.
    """
    started = time.monotonic()
    require_gzip(source, limits)
    made = make_directory(directory)
    try:
        files, skipped = _extract(source, directory, limits, progress, force=force)
    except BaseException:
        if made:
            with contextlib.suppress(OSError):
                os.rmdir(directory)
        raise
    return ExtractReport(
        path=source.name,
        directory=directory,
        files=files,
        skipped=skipped,
        seconds=time.monotonic() - started,
    )


def _extract(
    source: ByteSource, directory: str, limits: Limits, progress: Progress, *, force: bool
) -> tuple[tuple[Extracted, ...], tuple[str, ...]]:
    content = GunzipSource(source, limits, progress.advance)
    sinks: dict[str, FileSink] = {}
    skipped: list[str] = []
    progress.start("extract", source.size)
    try:
        for member in members(content, limits, Archive()):
            name = _wanted(member, source.name)
            if name is None:
                skipped.append(member.name)
            elif name in sinks:
                raise UnsafeError(f"holds {name} twice", expected="each name once", where=source.name)
            else:
                path = os.path.join(directory, name)
                refuse_output(path, source.name)
                sinks[name] = FileSink(path, force=force)
                _copy(content, member, sinks[name])
        content.scan()
        if not sinks:
            raise FormatError("holds no VHD", expected="0.vhd", where=source.name, tip=PACKED)
        for sink in sinks.values():
            sink.flush()
        for sink in sinks.values():
            sink.commit()
        return tuple(Extracted(path=sink.name, size=sink.size) for sink in sinks.values()), tuple(skipped)
    except (FormatError, UnsupportedError, LimitError) as error:  # of the source; the sinks place theirs
        raise placed(error, source) from error.__cause__
    finally:
        progress.stop()
        for sink in sinks.values():
            sink.close()


def _wanted(member: Member, where: str) -> str | None:
    """The name under which a member is written; None if it is none of the disk."""
    name = bare_name(member.name)
    if not _NAME.fullmatch(name) and name not in OLD_NAMES:
        return None
    if member.kind != "file":
        raise UnsafeError(f"{name} is a {member.kind}", expected="a plain file", where=where)
    return name


def _copy(content: GunzipSource, member: Member, sink: FileSink) -> None:
    """Copy a member, holes where it is zero, but for its end."""
    done = 0
    while done < member.size:
        part = content.read_some(member.offset + done, min(_CHUNK, member.size - done))
        if not part:
            raise FormatError(
                f"the tar ends inside the member {member.name!r}",
                expected=f"{member.size} bytes of it",
                where=content.name,
            )
        if done + len(part) > member.size - _WHOLE_END:
            sink.patch(done, part)
        else:
            for first, stop in data_units(part, 0, _HOLE):
                sink.patch(done + first * _HOLE, part[first * _HOLE : stop * _HOLE])
        done += len(part)
        sink.skip(len(part))
