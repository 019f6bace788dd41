"""What ends an import. The texts are for the tenant: no paths of the server in them, nothing of anybody else's."""

from __future__ import annotations

import json
import re

UNUSABLE = (
    "This server cannot convert images at present, so the image was not taken. Tell the operator of the cloud: the log"
    " of its image service says what is wrong."
)

_LONGEST = 600
"""characters of a text that holds something of the image's own"""
_LONGEST_OF_GUEST = 1500
_PATH = re.compile(r"(?<![\w/.])/(?:[\w.+@-]+/)+[\w.+@-]*")


class RefusedError(Exception):
    """The import ends here.

    :param text: what, why, and what to do: for the tenant.
    :param detail: what the operator has to know besides, for the log.
    """

    def __init__(self, text: str, detail: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.detail = detail


class UnusableError(RefusedError):
    """The set-up of this server is at fault, and the tenant can do nothing about it."""

    def __init__(self, detail: str) -> None:
        super().__init__(UNUSABLE, detail)


def presentable(text: str, *private: str, of_guest: bool = False) -> str:
    """Take out of a text what a tenant must not see, or what could harm the program that shows it.

    :param private: paths of the server: they become "the image"; other absolute paths go, too.
    :param of_guest: whether it speaks of a guest: other paths stay, as they are the guest's; and it may be longer.
    """
    for path in sorted(filter(None, private), key=len, reverse=True):
        text = text.replace(path, "the image")
    if not of_guest:
        text = _PATH.sub("a file", text)
    text = "".join(each if each.isprintable() else json.dumps(each)[1:-1] for each in text)
    longest = _LONGEST_OF_GUEST if of_guest else _LONGEST
    return text if len(text) <= longest else f"{text[:longest]} ..."
