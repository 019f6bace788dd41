"""What an inspection could not read, and the end of one that must not go on."""

from __future__ import annotations

from xenimage.exceptions import FormatError, LimitError, UnsupportedError, XenimageError
from xenimage.model.guest.facts import Unread

_KEPT = 200
"""notes that are kept: a volume with everything broken needs no line for each of its files"""


class Stopped(Exception):  # noqa: N818 - a stop of the whole inspection, no error of what is looked at
    """The inspection must end: its time is up, its reads are spent, or the source failed.

    The text is a clause: ``took longer than 30 s``. What was found until then holds.
    """


class Notes:
    """Gathers what could not be looked at, while the inspection goes on without it."""

    def __init__(self) -> None:
        self.unread: list[Unread] = []

    def tried(self, what: str) -> Tried:
        """Go on behind the block if what is looked at in it is damaged, unsupported or too large; note why.

        :param what: a path, a key, a volume.
        :raises Stopped: never kept back.
        """
        return Tried(self, what)

    def add(self, what: str, why: str) -> None:
        """Note that *what* could not be read, once, as long as there are not too many notes."""
        note = Unread(what=what, why=why)
        if len(self.unread) < _KEPT and note not in self.unread:
            self.unread.append(note)


class Tried:
    """The context of :meth:`Notes.tried`. A class, for a type checker then knows that a block may end early."""

    def __init__(self, notes: Notes, what: str) -> None:
        self._notes = notes
        self._what = what

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> bool:
        if not isinstance(error, (FormatError, UnsupportedError, LimitError)):
            return False
        self._notes.add(self._what, clause(error))
        return True


def clause(error: XenimageError) -> str:
    """The error as a clause: place, what was found, what was expected."""
    return str(error)
