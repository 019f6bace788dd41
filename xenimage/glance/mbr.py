"""Whether Glance will store a raw disk: it refuses one with a boot signature and no sound partition table.

The rules are those of ``GPTInspector.check_mbr_partitions`` in oslo.utils (imageutils/format_inspector.py), which
Glance applies to images that are raw and bare; its own refusal does not reach the user.
"""

from __future__ import annotations

SECTOR = 512
_SIGNATURE = b"\x55\xaa"
_TABLE = 446
_ENTRY = 16
_PROTECTIVE = 0xEE
_FLAGS = (0x00, 0x80)
_FAT_COPIES, _FAT_MEDIA = 0x10, 0x15


def problem(sector: bytes) -> str:
    """Tell what is wrong with the first sector of a disk; empty if nothing is.

    :param sector: the first 512 bytes, or fewer of a smaller disk.
    """
    if len(sector) < SECTOR or sector[-2:] != _SIGNATURE or _is_fat(sector):
        return ""
    entries = [sector[_TABLE + _ENTRY * number : _TABLE + _ENTRY * (number + 1)] for number in range(4)]
    if any(entry[0] not in _FLAGS for entry in entries):
        return "the partition table has a boot flag that is neither 0x00 nor 0x80"
    kinds = [entry[4] for entry in entries]
    if not any(kinds):
        return "it has a boot signature, but no partition"
    if _PROTECTIVE in kinds:
        first = entries[0]
        sound = first[1:4] == b"\x00\x02\x00" and int.from_bytes(first[8:12], "little") == 1
        if not sound or kinds[0] != _PROTECTIVE or any(kinds[1:]):
            return "the protective partition of its GPT is not the first and only one"
    return ""


def _is_fat(sector: bytes) -> bool:
    """Whether it is the boot sector of a FAT file system, which has no partition table."""
    return sector[_FAT_COPIES] == 2 and sector[_FAT_MEDIA] == 0xF8
