"""Places inside a gzip stream from which inflating can go on, so that a read backwards need not begin at its start.

Between two calls the state of zlib's inflater can be copied: 10 µs, and less than 80 KiB with its window. A bounded
number is kept, ever further apart the longer the stream is. Nothing is asked of how the stream was made.
"""

from __future__ import annotations

import bisect
import collections
import threading
from typing import Generic, TypeVar

from xenimage.units import MIB

State = TypeVar("State")

POINTS_MAX = 512
"""40 MiB of states"""
SPACING = MIB
"""bytes of content between two, at first"""
_CHUNKS = 32
"""inflated chunks, of at most 1 MiB, that are kept for readers that go to and fro"""


class SeekPoints(Generic[State]):
    """States by their place in the content, and the chunks that were inflated last. Safe to use from several threads.

    :param count: how many states are kept.
    :param spacing: bytes between two, before there are too many.
    """

    def __init__(self, count: int = POINTS_MAX, spacing: int = SPACING) -> None:
        self._count = count
        self._spacing = spacing
        self._offsets: list[int] = []
        self._states: list[State] = []
        self._chunks: collections.OrderedDict[int, bytes] = collections.OrderedDict()
        self._lock = threading.Lock()

    def wants(self, offset: int) -> bool:
        """Whether a state at *offset* would be kept."""
        return offset - (self._offsets[-1] if self._offsets else 0) >= self._spacing

    def add(self, offset: int, state: State) -> None:
        """Keep *state*, from which the content continues at *offset*."""
        with self._lock:
            if not self.wants(offset):
                return
            if len(self._offsets) >= self._count:
                # Every second goes, and from now on they are twice as far apart.
                del self._offsets[::2], self._states[::2]
                self._spacing *= 2
            self._offsets.append(offset)
            self._states.append(state)

    def before(self, offset: int) -> tuple[int, State] | None:
        """The last place up to *offset*, and the state there; None if inflating has to begin at the start."""
        with self._lock:
            at = bisect.bisect_right(self._offsets, offset) - 1
            return (self._offsets[at], self._states[at]) if at >= 0 else None

    def keep(self, offset: int, chunk: bytes) -> None:
        """Keep a chunk of the content for a while."""
        with self._lock:
            self._chunks[offset] = chunk
            self._chunks.move_to_end(offset)
            if len(self._chunks) > _CHUNKS:
                self._chunks.popitem(last=False)

    def recent(self, offset: int) -> tuple[int, bytes] | None:
        """The chunk with the byte at *offset*, and where it begins, if it is kept."""
        with self._lock:
            for start, chunk in self._chunks.items():
                if start <= offset < start + len(chunk):
                    self._chunks.move_to_end(start)
                    return start, chunk
        return None
