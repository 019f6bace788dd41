"""Parent locators and the parent's name of differencing VHDs: how a path becomes bytes, and bytes a path.

Microsoft's specification names the codes; what they hold is blktap's (``vhd/lib/libvhd.c``): three locators in the
order MacX, W2ku, W2ru, each with the path from the child's directory to the parent, in a slot of one or more sectors.
Paths are given and returned with slashes: ``./base.vhd``, ``../pool/base.vhd``. blktap takes ASCII only.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from xenimage.exceptions import UnsupportedError
from xenimage.formats.vhd import layout
from xenimage.units import SECTOR

if TYPE_CHECKING:
    from collections.abc import Iterable

NONE, MACX, W2KU, W2RU = 0, 0x4D616358, 0x57326B75, 0x57327275
WI2R, WI2K, MAC = 0x57693272, 0x5769326B, 0x4D616320
WRITTEN = (MACX, W2KU, W2RU)
"""the codes that blktap writes, in its order, and the only ones by which it looks for a parent"""
KNOWN = {
    NONE: "PLAT_CODE_NONE",
    WI2R: "PLAT_CODE_WI2R",
    WI2K: "PLAT_CODE_WI2K",
    W2RU: "PLAT_CODE_W2RU",
    W2KU: "PLAT_CODE_W2KU",
    MAC: "PLAT_CODE_MAC",
    MACX: "PLAT_CODE_MACX",
}
"""blktap's names of all codes that it opens a disk with"""
NAME_SIZE = 512
"""bytes of the header's field with the parent's name"""
_SCHEME = "file://"


def relative_path(child: str, parent: str) -> str:
    """The path from the directory of *child* to *parent*, as locators hold it. Links are resolved first."""
    found = os.path.relpath(os.path.realpath(parent), os.path.dirname(os.path.realpath(child)))
    return found if found.startswith("../") else f"./{found}"


def encode(code: int, path: str) -> bytes:
    """The data of a locator of the kind *code*, not padded.

    :param path: relative, with slashes; ``./`` is put in front unless it begins with ``./`` or ``../``.
    :raises UnsupportedError: the path is not ASCII; its cause is the UnicodeError.
    :raises ValueError: nothing is written under this code.
    """
    if not path.startswith(("./", "../")):
        path = f"./{path}"
    _require_ascii(path)
    if code == MACX:
        return f"{_SCHEME}{path}".encode("ascii")
    if code in (W2KU, W2RU):
        windows = path if path.startswith("./") else f"./{path}"
        return windows.replace("/", "\\").encode("utf-16-le")
    raise ValueError(f"no path is written under the code {code:#010x}")


def decode(locator: layout.Locator, raw: bytes) -> str | None:
    """The path in the data *raw* of *locator*, with slashes, as blktap reads it; None if it is of no usable kind.

    A drive letter is dropped, as is all behind a zero. The result is text from a file: nothing is known of it.
    """
    try:
        if locator.code == MACX:
            text = raw.decode("ascii").removeprefix(_SCHEME)
        elif locator.code in (W2KU, W2RU):
            text = raw.decode("utf-16-le").encode("ascii").decode("ascii")
        else:
            return None
    except UnicodeError:
        return None
    text = text.split("\0", 1)[0]
    if locator.code != MACX:
        text = text.replace("\\", "/")
        text = text[2:] if text[:2] in ("C:", "c:") else text
    return text or None


def shown(code: int, raw: bytes) -> str:
    """The path in the data *raw* of a locator for display: what does not decode is replaced. Empty for other kinds."""
    if code == MACX:
        text = raw.decode("utf-8", "replace").removeprefix(_SCHEME)
    elif code in WRITTEN:
        text = raw.decode("utf-16-le", "replace")
    else:
        return ""
    return text.split("\0", 1)[0]


def encode_name(name: str) -> bytes:
    """The header's field for the parent's base name, 512 bytes.

    :raises UnsupportedError: the name is not ASCII, or has more than 256 characters.
    """
    _require_ascii(name)
    encoded = name.encode("utf-16-be")
    _require_room(name, len(encoded), NAME_SIZE)
    return encoded.ljust(NAME_SIZE, b"\0")


def decode_name(field: bytes) -> str | None:
    """The parent's name in the header's field; None where blktap would not take it."""
    try:
        return field.decode("utf-16-be").split("\0", 1)[0].encode("ascii").decode("ascii")
    except UnicodeError:
        return None


def encode_locators(relative_path: str, first_offset: int) -> tuple[tuple[layout.Locator, ...], bytes]:
    """The eight locators of a new child and the data of the three that are used, a sector for each.

    :param relative_path: from the child's directory to the parent.
    :param first_offset: where the data will stand, a multiple of 512.
    :raises UnsupportedError: the path is not ASCII or does not fit into a sector.
    """
    parts = [encode(code, relative_path) for code in WRITTEN]
    for part in parts:
        _require_room(relative_path, len(part), SECTOR)
    used = tuple(
        layout.Locator(code=code, data_space=SECTOR, data_length=len(part), data_offset=first_offset + index * SECTOR)
        for index, (code, part) in enumerate(zip(WRITTEN, parts, strict=True))
    )
    unused = (layout.Locator(),) * (layout.LOCATORS - len(used))
    return used + unused, _padded(parts)


def _padded(parts: Iterable[bytes]) -> bytes:
    return b"".join(part.ljust(SECTOR, b"\0") for part in parts)


def _require_ascii(text: str) -> None:
    try:
        text.encode("ascii")
    except UnicodeError as error:
        raise UnsupportedError(
            f"the parent's path is {text!r}", expected="ASCII alone, for blktap takes nothing else"
        ) from error


def _require_room(text: str, size: int, room: int) -> None:
    if size > room:
        raise UnsupportedError(
            f"the parent's path {text!r} takes {size} bytes",
            expected=f"{room} at most",
            tip="Put the parent nearer to its child, or give it a shorter name.",
        ) from OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
