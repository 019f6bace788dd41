"""How the checks of a VHD turn what they see into findings; the words are those of the kinds."""

from __future__ import annotations

import dataclasses
import itertools
from typing import TYPE_CHECKING, Any

from xenimage.formats.vhd.kinds import copies, fields, links, tables
from xenimage.model.kind import by_code

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from xenimage.model.finding import Finding

KINDS = by_code(copies.KINDS, fields.KINDS, tables.KINDS, links.KINDS)
LISTED = 20
"""findings of one class that are told one by one"""


def found(code: str, case: str = "", *, where: str = "", offset: int | None = None, **values: Any) -> Finding:
    """Make a finding.

    :param code: without the group ``vhd``.
    :param case: which wording of its kind; empty for the usual one.
    """
    return KINDS[f"vhd.{code}"].found(case, where=where, offset=offset, **values)


def bounded(word: Callable[..., Finding], rows: Iterable[tuple[Any, ...]]) -> Iterator[Finding]:
    """Word findings of one class; behind the first twenty only their number, in one last finding.

    A damaged table can give a million of them: those that are only counted are not worded.

    :param rows: for each finding what *word* takes.
    """
    rows = iter(rows)
    last = None
    for row in itertools.islice(rows, LISTED):
        last = word(*row)
        yield last
    more = sum(1 for _ in rows)
    if more and last:
        yield dataclasses.replace(last, what=f"and {more} more of this kind", offset=None)
