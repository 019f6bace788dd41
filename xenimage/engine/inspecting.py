"""Looking into a guest: its disks are opened here, and read for a child process that has nothing else of them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from xenimage.engine import chains, opener
from xenimage.exceptions import UsageError
from xenimage.guest.sandbox import parent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xenimage.limits import Limits
    from xenimage.model.guest.facts import GuestFacts
    from xenimage.model.plan import SourceOptions


def inspect(sources: Sequence[SourceOptions], limits: Limits) -> GuestFacts:
    """Look into the disks of one guest, in the order in which it has them.

    :raises UsageError: no disk, no such file, or the same one twice.
    :raises TransferError: a source failed.
    :raises XenimageError: a disk cannot be opened: as :func:`xenimage.engine.opener.open_source`.
    """
    if not sources:
        raise UsageError("no disk is given", expected="one disk or more")
    chains.distinct([each.path for each in sources])
    with contextlib.ExitStack() as stack:
        disks = [
            stack.enter_context(contextlib.closing(opener.open_source(each, limits, scattered=True)))
            for each in sources
        ]
        return parent.inspect(disks, limits, [each.path for each in sources])
