"""Image properties that a guest must not have, whoever gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.model.check import Suggestion

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.model.guest.facts import GuestFacts
    from xenimage.model.profile import Profile


def suggest(facts: GuestFacts, profile: Profile) -> Iterator[Suggestion]:
    """Keep the platform device of Windows guests from Linux ones.

    Source: Linux, drivers/xen/platform-pci.c, which bound 5853:0001 alone until commit 2356f15caefc (2025).
    """
    del profile
    if facts.linux is not None and facts.windows is None:
        yield Suggestion(
            name="xenapi_device_id",
            value="",
            also=("1",),
            reason="Linux binds the platform device 0001; with 0002 older kernels crash when they start.",
            evidence=facts.linux.place,
        )
