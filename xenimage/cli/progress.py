"""Progress for people (a bar on a terminal) and for programs (JSON lines)."""

from __future__ import annotations

import collections
import json
import os
import time
from typing import TYPE_CHECKING, Protocol, TextIO

from xenimage.model.transfer import Progress, Silent
from xenimage.units import format_size

if TYPE_CHECKING:
    from collections.abc import Callable

BAR_INTERVAL = 0.1
"""seconds between two pictures of the bar"""
LINE_INTERVAL = 0.5
"""seconds between two JSON lines"""
WINDOW = 5.0
"""seconds that the rate is measured over: long enough to be calm, short enough to follow a slow disk"""


class Reporter(Progress, Protocol):
    """A progress that leaves the terminal clean when it is closed, whatever happened."""

    def close(self) -> None:
        """Take away what stands on the screen. Idempotent."""


class Nobody(Silent):
    """Nobody watches."""

    def close(self) -> None:
        """Do nothing."""


class Meter:
    """The arithmetic: how far, how fast, how long yet. Never goes backwards, never passes the total."""

    def __init__(self, stage: str, total: int, clock: Callable[[], float]) -> None:
        self.stage = stage
        self.total = max(total, 0)
        self.done = 0
        self._clock = clock
        self.started = clock()
        self._marks = collections.deque([(self.started, 0)])

    def advance(self, count: int) -> None:
        """Note *count* more bytes."""
        self.done = min(self.total, self.done + max(count, 0))

    @property
    def fraction(self) -> float:
        """From 0 to 1; 1 where there is nothing to do."""
        return self.done / self.total if self.total else 1.0

    @property
    def complete(self) -> bool:
        """Whether all is done."""
        return self.done >= self.total

    @property
    def elapsed(self) -> float:
        """Seconds since the stage began."""
        return self._clock() - self.started

    def rate(self) -> float:
        """Bytes a second over the last moments; over the whole stage once it is complete."""
        now = self._clock()
        if self.complete:
            return self.done / (now - self.started) if now > self.started else 0.0
        self._marks.append((now, self.done))
        while len(self._marks) > 2 and now - self._marks[0][0] > WINDOW:
            self._marks.popleft()
        then, before = self._marks[0]
        return (self.done - before) / (now - then) if now > then else 0.0

    def eta(self, rate: float) -> float | None:
        """Seconds that are left at *rate*; None while nobody can tell."""
        if self.complete:
            return 0.0
        return (self.total - self.done) / rate if rate > 0 else None


class Bar:
    """A line on a terminal that is drawn over itself, as wide as the terminal is at that moment."""

    def __init__(self, stream: TextIO, *, unicode: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._full, self._empty = ("█", "░") if unicode else ("#", ".")
        self._clock = clock
        self._meter: Meter | None = None
        self._next = 0.0
        self._drawn = False

    def start(self, what: str, total: int) -> None:
        """See :class:`xenimage.model.transfer.Progress`."""
        self.stop()
        self._meter = Meter(what, total, self._clock)
        self._draw()

    def advance(self, count: int) -> None:
        """See :class:`xenimage.model.transfer.Progress`."""
        if self._meter is not None:
            self._meter.advance(count)
            if self._clock() >= self._next:
                self._draw()

    def stop(self) -> None:
        """Leave the finished line; take an unfinished one away."""
        if self._meter is None:
            return
        if self._meter.complete:
            self._draw()
            self._stream.write("\n")
            self._stream.flush()
            self._drawn = False
        self._meter = None
        self.close()

    def close(self) -> None:
        """Take the line away."""
        self._meter = None
        if self._drawn:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._drawn = False

    def _draw(self) -> None:
        if self._meter is None:
            return
        self._next = self._clock() + BAR_INTERVAL
        self._stream.write("\r" + render_bar(self._meter, self._width(), self._full, self._empty) + "\x1b[K")
        self._stream.flush()
        self._drawn = True

    def _width(self) -> int:
        """Columns, one less than there are: a full line makes some terminals wrap."""
        try:
            return (os.get_terminal_size(self._stream.fileno()).columns or 80) - 1
        except (OSError, ValueError):
            return 79


def render_bar(meter: Meter, width: int, full: str, empty: str) -> str:
    """Return the line for *meter* in at most *width* columns; parts are left out where it gets narrow."""
    rate = meter.rate()
    percent = int(meter.fraction * 100)
    tail = f" {percent:3d} %"
    for part in (
        f"  {format_size(meter.done)} of {format_size(meter.total)}",
        f"  {format_size(rate)}/s",
        f"  {_left(meter, rate)}",
    ):
        if len(meter.stage) + len(tail) + len(part) + 13 <= width:
            tail += part
    cells = min(20, width - len(meter.stage) - len(tail) - 1)
    if cells < 5:
        return (meter.stage + tail)[:width]
    filled = int(meter.fraction * cells)
    return f"{meter.stage} {full * filled}{empty * (cells - filled)}{tail}"


def _left(meter: Meter, rate: float) -> str:
    """Return how long it takes yet, or took."""
    if meter.complete:
        return f"in {clock_text(meter.elapsed)}"
    left = meter.eta(rate)
    return "" if left is None else f"{clock_text(left)} left"


def clock_text(seconds: float) -> str:
    """Write seconds as ``0:05`` or ``1:02:03``."""
    whole = int(seconds + 0.5)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class JsonLines:
    """One JSON object a line: the first and the last of a stage, and at most two a second between them."""

    def __init__(self, stream: TextIO, *, owned: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        """Write to *stream*, and close it in the end if it is *owned*."""
        self._stream = stream
        self._owned = owned
        self._clock = clock
        self._meter: Meter | None = None
        self._next = 0.0

    def start(self, what: str, total: int) -> None:
        """See :class:`xenimage.model.transfer.Progress`."""
        self.stop()
        self._meter = Meter(what, total, self._clock)
        self._write(self._meter)

    def advance(self, count: int) -> None:
        """See :class:`xenimage.model.transfer.Progress`."""
        if self._meter is not None:
            self._meter.advance(count)
            if self._clock() >= self._next:
                self._write(self._meter)

    def stop(self) -> None:
        """Write the last line of the stage: how far it really came."""
        if self._meter is not None:
            self._write(self._meter)
            self._meter = None

    def close(self) -> None:
        """End the stage, and the stream if it is ours: its reader waits for that."""
        self.stop()
        if self._owned:
            self._stream.close()

    def _write(self, meter: Meter) -> None:
        self._next = self._clock() + LINE_INTERVAL
        rate = meter.rate()
        left = meter.eta(rate)
        line = {
            "stage": meter.stage,
            "done": meter.done,
            "total": meter.total,
            "rate": round(rate),
            "eta": None if left is None else round(left, 1),
        }
        self._stream.write(json.dumps(line) + "\n")
        self._stream.flush()
