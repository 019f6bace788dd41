"""What was read once and may be wanted again, in bounded room."""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

Value = TypeVar("Value")


class Kept(Generic[Value]):
    """Values by key; those that were not wanted for the longest time go first.

    :param room: what all values together may weigh; the latest one is kept whatever it weighs.
    :param weigh: weight of a value, 1 or more; without it every one weighs 1.
    """

    def __init__(self, room: int, weigh: Callable[[Value], int] | None = None) -> None:
        self._room = room
        self._weigh = weigh
        self._values: collections.OrderedDict[Hashable, tuple[Value, int]] = collections.OrderedDict()
        self._weight = 0

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """The value of *key*, which *make* makes if it is not there. What that raises passes, and nothing is kept."""
        found = self._values.get(key)
        if found is not None:
            self._values.move_to_end(key)
            return found[0]
        value = make()
        weight = self._weigh(value) if self._weigh else 1
        self._values[key] = value, weight
        self._weight += weight
        while self._weight > self._room and len(self._values) > 1:
            _, (_, gone) = self._values.popitem(last=False)
            self._weight -= gone
        return value

    def clear(self) -> None:
        """Forget everything."""
        self._values.clear()
        self._weight = 0
