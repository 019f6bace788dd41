"""The child's view of the parent: words, and disks that the parent reads."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from xenimage.exceptions import FormatError, LimitError, UnsafeError, UnsupportedError, XenimageError
from xenimage.guest.notes import Stopped
from xenimage.guest.sandbox import layout, words
from xenimage.model.disk import DiskFacts
from xenimage.model.extent import Extent, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

_REFUSALS = {each.exit_code: each for each in (FormatError, UnsupportedError, LimitError)}


class Channel:
    """The child's end of the two pipes.

    :param hearing: descriptor to read from.
    :param saying: descriptor to write to.
    """

    def __init__(self, hearing: int, saying: int) -> None:
        self._hearing = hearing
        self._saying = saying

    def say(self, kind: bytes, body: bytes = b"") -> None:
        """Say one thing.

        :raises OSError: nobody listens any more.
        """
        self.write(layout.pack_head(kind, len(body)) + body)

    def write(self, frame: bytes) -> None:
        """Say a frame that is packed already."""
        rest = memoryview(frame)
        while rest:
            rest = rest[os.write(self._saying, rest) :]

    def hear(self) -> tuple[bytes, int]:
        """Kind of the next frame, and bytes of its body, which the caller has to take.

        :raises EOFError: there is none.
        """
        head = bytearray(layout.HEAD_SIZE)
        self.take(memoryview(head))
        return layout.parse_head(bytes(head))

    def take(self, buffer: memoryview) -> None:
        """Fill *buffer* with what was said.

        :raises EOFError: not so much was said.
        """
        while buffer:
            count = os.readv(self._hearing, [buffer])
            if not count:
                raise EOFError
            buffer = buffer[count:]

    def body(self, length: int) -> bytes:
        """The body of a frame."""
        buffer = bytearray(length)
        self.take(memoryview(buffer))
        return bytes(buffer)


class RemoteDisk:
    """A :class:`xenimage.model.disk.Disk` that the parent reads."""

    def __init__(self, channel: Channel, index: int, task: words.DiskTask) -> None:
        self._channel = channel
        self._index = index
        self._stopped = ""
        self.facts = DiskFacts(
            format=task.format, virtual_size=task.size, granularity=task.granularity, stored_size=task.size
        )

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """See :meth:`xenimage.model.disk.Disk.read_into`.

        :raises Stopped: the parent reads no more.
        """
        while buffer:
            part = buffer[: layout.READ_MAX]
            self._channel.write(layout.pack_read(self._index, offset, len(part)))
            kind, length = self._channel.hear()
            if kind != layout.DATA:
                raise self._error(kind, self._channel.body(length))
            self._channel.take(part)
            offset, buffer = offset + len(part), buffer[len(part) :]

    def _error(self, kind: bytes, body: bytes) -> Exception:
        if kind == layout.STOP:
            return Stopped(body.decode("utf-8", "replace"))
        refusal = words.parse(words.Refusal, body)
        error: type[XenimageError] = _REFUSALS.get(refusal.exit_code, UnsafeError)
        return error(refusal.text)

    def extents(self, offset: int, length: int) -> Iterator[Extent]:
        """See :meth:`xenimage.model.disk.Disk.extents`: nothing is known of them."""
        if length:
            yield Extent(offset=offset, length=length, kind=Kind.DATA)

    def unreadable(self) -> XenimageError | None:
        """None: the parent has looked."""
        return None

    def close(self) -> None:
        """The parent does it."""
