"""The bytes that a repair in place replaces, kept in a file beside the disk, and the way back.

The file is JSON: ``format`` (``xenimage-backup``), ``version`` (1), ``file`` (the disk's bare name), ``size`` and
``new_size`` (bytes of the disk before and after), ``ranges``: ``offset``, and ``before`` and ``after`` in hexadecimal.
What lies behind the end of the file before or after is missing in that text.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
from typing import TYPE_CHECKING, Any

from xenimage.exceptions import FormatError, UnsafeError, XenimageError
from xenimage.sinks.file import FileSink
from xenimage.sources.file import open_file
from xenimage.sources.inplace import open_inplace
from xenimage.units import MIB

if TYPE_CHECKING:
    from xenimage.model.disk import ByteSource
    from xenimage.sources.inplace import InplaceFile

CUT_MAX = MIB
"""bytes behind the data that a repair in place cuts at most: more may be data that nobody leads to"""
_SIZE_MAX = 8 * CUT_MAX
_FORMAT = "xenimage-backup"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Range:
    """Bytes of the file that change; shorter on the side where the file ends inside."""

    offset: int
    before: bytes
    after: bytes


@dataclasses.dataclass(frozen=True, kw_only=True)
class Backup:
    """What a repair in place changes. Sizes of the file in bytes."""

    size: int
    new_size: int
    ranges: tuple[Range, ...]


def plan_backup(source: ByteSource, patches: tuple[tuple[int, bytes], ...], new_size: int) -> Backup:
    """Note what *patches* and the new end replace."""
    ranges = []
    for offset, data in patches:
        there = max(0, min(len(data), source.size - offset))
        ranges.append(Range(offset=offset, before=source.read(offset, there) if there else b"", after=data))
    if new_size < source.size:
        ranges.append(Range(offset=new_size, before=source.read(new_size, source.size - new_size), after=b""))
    return Backup(size=source.size, new_size=new_size, ranges=tuple(ranges))


def save_backup(backup: Backup, path: str) -> str:
    """Write *backup* beside the disk *path*; the name of the new file.

    :raises UnsafeError: a symbolic link has that name, which whoever made the disk can foretell.
    :raises TransferError: it cannot be written.
    """
    record = {
        "format": _FORMAT,
        "version": 1,
        "file": os.path.basename(path),
        "size": backup.size,
        "new_size": backup.new_size,
        "ranges": [
            {"offset": each.offset, "before": each.before.hex(), "after": each.after.hex()} for each in backup.ranges
        ],
    }
    text = json.dumps(record, indent=1).encode() + b"\n"
    name = f"{path}.xenimage-backup-{hashlib.sha256(text).hexdigest()[:12]}"
    if os.path.islink(name):
        raise UnsafeError(
            "is a symbolic link", expected="a place for the bytes that are replaced", where=name, tip="Remove it."
        )
    sink = FileSink(name, force=True)  # the same name is the same content
    try:
        sink.write([text])
        sink.flush()
        sink.commit()
    finally:
        sink.close()
    return name


def undo(path: str, backup_path: str) -> Backup:
    """Put back what a repair in place replaced, also one that was ended in the middle.

    :raises FormatError: *backup_path* is no backup.
    :raises UnsafeError: the disk is not the one that was repaired, or was changed since.
    """
    backup = _load(backup_path)
    with contextlib.closing(open_inplace(path)) as file:
        if file.size not in (backup.size, backup.new_size):
            raise _changed(path, f"has {file.size} bytes", f"{backup.size} or {backup.new_size}")
        for each in backup.ranges:
            _require_known(file, each)
        for each in backup.ranges:
            if each.before:
                file.write(each.offset, each.before)
        file.sync()
        file.resize(backup.size)
        file.sync()
    return backup


def _require_known(file: InplaceFile, wanted: Range) -> None:
    length = max(len(wanted.before), len(wanted.after))
    there = file.read(wanted.offset, max(0, min(length, file.size - wanted.offset)))
    known = (wanted.before[: len(there)], wanted.after[: len(there)])
    if there not in known:
        raise _changed(file.name, f"other bytes stand at {wanted.offset:#x}", "those before or after the repair")


def _changed(path: str, found: str, expected: str) -> UnsafeError:
    return UnsafeError(
        found, expected=expected, where=path, tip="The disk was changed since, or is another one: nothing was written."
    )


def _load(path: str) -> Backup:
    with contextlib.closing(open_file(path)) as source:
        if source.size > _SIZE_MAX:
            raise _no_backup(path)
        text = source.read(0, source.size)
    try:
        record = json.loads(text)
        if (record["format"], record["version"]) != (_FORMAT, 1):
            raise _no_backup(path)
        return Backup(
            size=_number(record["size"]),
            new_size=_number(record["new_size"]),
            ranges=tuple(_range(each) for each in record["ranges"]),
        )
    except XenimageError:
        raise
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _no_backup(path) from error


def _range(record: Any) -> Range:
    before, after = bytes.fromhex(record["before"]), bytes.fromhex(record["after"])
    return Range(offset=_number(record["offset"]), before=before, after=after)


def _number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 63:
        raise ValueError(value)
    return value


def _no_backup(path: str) -> FormatError:
    return FormatError("is no backup of a repair", expected="a file FILE.xenimage-backup-...", where=path)
