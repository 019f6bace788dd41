"""The footer of a damaged VHD: the sound one of the two, what two damaged ones agree on, or one made from the header.

Chosen as blktap does where there is a choice. A footer whose checksum is wrong is believed only where header and file
bear it out; a guess goes into the notes.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from xenimage.exceptions import FormatError
from xenimage.formats.vhd import layout
from xenimage.formats.vhd.geometry import geometry
from xenimage.formats.vhd.metadata import footer_refusal, poison_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from xenimage.exceptions import XenimageError
    from xenimage.formats.vhd.checks.tables import Tables

_TYPES_OF_BLOCKS = (layout.DYNAMIC, layout.DIFFERENCING)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Chosen:
    """The footer that the disk is taken by."""

    footer: layout.Footer
    """its type is one of the three"""
    offset: int | None
    """where it stands; None: it was made from the header"""
    notes: tuple[str, ...] = ()


def choose_footer(tables: Tables, header: layout.Header | None, header_at: int, size: int | None) -> Chosen:
    """Choose, mend or make the footer. Of its fields only type, sizes, uuid, time, hidden and creator are used.

    :param header: of the disk, if one was found, at *header_at*.
    :param size: bytes that the disk shall have, whatever the footers say.
    :raises FormatError: no footer, and no header that one could be made from.
    :raises UnsupportedError: a resize was interrupted, and the like.
    """
    found = [each for each in (tables.end, tables.front) if each is not None]
    if any(each.cookie == layout.POISON_COOKIE for each in found):
        raise poison_error()
    chosen = _believed(tables, header) or _made(header, header_at)
    footer = chosen.footer
    notes = list(chosen.notes)
    if footer.type not in layout.TYPE_NAMES:
        if header is None:
            raise _refused(footer_refusal(footer))
        footer = dataclasses.replace(footer, type=_type_of(header))
        notes.append(f"the type {chosen.footer.type} is unknown: by its header the disk is {_name(footer)}")
    if size is not None:
        footer = dataclasses.replace(footer, current_size=size)
    elif footer.current_size == 0:
        footer = dataclasses.replace(footer, current_size=_size_without(footer, header))
        notes.append(f"the footer gives the disk no size: {footer.current_size} bytes by the other fields")
    # A version that is only wrong refuses nothing: what the fields say is proven by the tables.
    refusal = footer_refusal(dataclasses.replace(footer, format_version=layout.FORMAT_VERSION))
    if refusal is not None:
        raise refusal()
    return dataclasses.replace(chosen, footer=footer, notes=tuple(notes))


def _refused(refusal: Callable[[], XenimageError] | None) -> XenimageError:
    return refusal() if refusal else FormatError("no header was found", expected="'cxsparse' at 0x200")


def _believed(tables: Tables, header: layout.Header | None) -> Chosen | None:
    """A footer that is sound, or a damaged one that everything else agrees with."""
    end, front = tables.end, tables.front
    end_at = tables.size - tables.behind - len(tables.end_raw)
    if end is not None and end.sound:
        return Chosen(footer=end, offset=end_at, notes=_differing(end, front))
    if front is not None and front.sound and front.type != layout.FIXED:
        return Chosen(footer=front, offset=0)
    if end is not None and front is not None and tables.end_raw == tables.front_raw and _borne_out(front, header):
        note = "the checksum of both footers is wrong, but they say the same, and the tables agree with them"
        return Chosen(footer=front, offset=0, notes=(note,))
    for damaged, at in ((front, 0), (end, end_at)):
        if damaged is not None and _borne_out(damaged, header):
            place = "start" if at == 0 else "end"
            note = f"both footers are damaged; the one at the {place} was believed, since the tables agree with it"
            return Chosen(footer=damaged, offset=at, notes=(note,))
    return None


def _differing(end: layout.Footer, front: layout.Footer | None) -> tuple[str, ...]:
    if front is None or not front.sound or end.type == layout.FIXED or front.pack() == end.pack():
        return ()
    return ("footer and copy differ; the footer at the end was taken, as blktap does",)


def _borne_out(footer: layout.Footer, header: layout.Header | None) -> bool:
    """Whether a footer with a wrong checksum fits what the header says in its own words."""
    if header is None or footer.type not in _TYPES_OF_BLOCKS or footer.format_version != layout.FORMAT_VERSION:
        return False
    fits = (header.max_entries - 1) * header.block_size < footer.current_size <= header.max_entries * header.block_size
    linked = any(header.parent_uuid) or any(each.code for each in header.locators)
    return fits and footer.type == (layout.DIFFERENCING if linked else layout.DYNAMIC) and any(footer.uuid)


def _made(header: layout.Header | None, header_at: int) -> Chosen:
    if header is None:
        raise FormatError(
            "neither a sound footer nor a header was found",
            expected="'conectix' at the start or the end, or 'cxsparse' at 0x200",
            tip="A fixed disk is raw: xenimage disk convert --source-format raw. For a bundle: xenimage bundle repair.",
        )
    size = header.max_entries * header.block_size
    footer = layout.Footer(
        data_offset=header_at,
        original_size=size,
        current_size=size,
        geometry=geometry(size).packed,
        type=_type_of(header),
        uuid=bytes(16),
    )
    note = (
        f"both footers are lost: the size, {size} bytes, is that of the BAT, and may be more than the disk had;"
        " the disk gets a new uuid, so that its children do not find it"
    )
    return Chosen(footer=footer, offset=None, notes=(note,))


def _type_of(header: layout.Header) -> int:
    linked = any(header.parent_uuid) or any(each.code for each in header.locators) or header.parent_name_text
    return layout.DIFFERENCING if linked else layout.DYNAMIC


def _name(footer: layout.Footer) -> str:
    return layout.TYPE_NAMES[footer.type]


def _size_without(footer: layout.Footer, header: layout.Header | None) -> int:
    """The size of a disk whose footer says 0: that at its creation if the BAT fits it, else all of the BAT."""
    if header is None:
        raise FormatError("the disk has 0 bytes", expected="a size", where="footer", tip="Give it with --size.")
    most = header.max_entries * header.block_size
    return footer.original_size if most - header.block_size < footer.original_size <= most else most
