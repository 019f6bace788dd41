"""A new fixed VHD as Azure takes it: the disk as it is, and a footer behind it.

Azure asks for a size in whole MiB and uploads nothing below 20 MiB ("Prepare a Windows VHD or VHDX to upload to
Azure"); it goes by the current size, never by the geometry. qemu before 10.0 goes by the geometry unless it knows the
creator (``block/vpc.c``): that of blktap it knows. Without a copy of the footer at the start, qemu takes the file for
raw unless it is told ``-f vpc``.
"""

from __future__ import annotations

import dataclasses

from xenimage.formats.vhd import layout
from xenimage.formats.vhd.geometry import geometry
from xenimage.units import MIB, round_up

SIZE_MIN = 20 * MIB
UNIT = MIB
"""bytes: sizes are a multiple of it"""


def fixed_size(source_size: int) -> int:
    """Bytes that a fixed VHD of a disk of *source_size* shows: rounded up, never cut."""
    return max(SIZE_MIN, round_up(source_size, UNIT))


@dataclasses.dataclass(frozen=True, kw_only=True)
class NewFixedVhd:
    """A fixed VHD to be written. Sizes in bytes.

    :param virtual_size: whole MiB, from :data:`SIZE_MIN` to ``layout.SIZE_MAX``.
    :param timestamp: Unix seconds, from 2000-01-01 on.
    """

    virtual_size: int
    timestamp: int

    def __post_init__(self) -> None:
        """Refuse what Azure would: the planner has rounded and bounded before."""
        if self.virtual_size % UNIT or not SIZE_MIN <= self.virtual_size <= layout.SIZE_MAX:
            raise ValueError(f"no fixed VHD can have {self.virtual_size} bytes")
        if not 0 <= self.timestamp - layout.EPOCH < 1 << 32:
            raise ValueError(f"no VHD can be of the time {self.timestamp}")

    def footer(self, uuid: bytes) -> bytes:
        """The 512 bytes that stand behind the disk."""
        return layout.Footer(
            data_offset=layout.NO_OFFSET,
            timestamp=self.timestamp - layout.EPOCH,
            original_size=self.virtual_size,
            current_size=self.virtual_size,
            geometry=geometry(self.virtual_size).packed,
            type=layout.FIXED,
            uuid=uuid,
        ).pack()
