"""``query``: what one VHD says of itself, a line an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.formats.vhd import layout
from xenimage.units import MIB
from xenimage.vhdutil.image import ancestors, open_image
from xenimage.vhdutil.terminal import Options, UtilError, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from xenimage.vhdutil.image import Image

USAGE = (
    "options: <-n name> [-v print virtual size (in MB)] [-s print physical utilization (bytes)] [-p print parent]"
    " [-u don't resolve parent path] [-f print fields] [-m print marker] [-d print chain depth]"
    " [-S print max virtual size (MB) for fast resize] [-a print allocated block count] [-h help]"
)


def query(words: Sequence[str]) -> int:
    """Run the sub-command."""
    options = Options(words, "n:vspufmdSa", USAGE, help_status=0)
    name = options.name()
    try:
        image = open_image(name)
    except UtilError as error:
        raise UtilError(f"error opening {name}: -{error.status}", error.status) from error
    status = 0
    with image:
        for letter, answer in _ANSWERS.items():
            if letter in options:
                try:
                    print(answer(image, options))
                except UtilError as error:
                    print(error.line)
                    status = status or error.status
    return status


def _virtual_size(image: Image, _: Options) -> str:
    return str(image.footer.current_size // MIB)


def _physical_size(image: Image, _: Options) -> str:
    try:
        return str(image.data_end() + layout.FOOTER_SIZE)
    except UtilError as error:
        raise UtilError(f"failed to get physical size: -{error.status}", error.status) from None


def _parent(image: Image, options: Options) -> str:
    if not image.is_child:
        return f"{image.name} has no parent"
    try:
        return shown(next(image.locator_texts(), "query failed") if "u" in options else image.parent())
    except UtilError as error:
        raise UtilError("query failed", error.status) from None


def _hidden(image: Image, _: Options) -> str:
    return f"hidden: {image.footer.hidden}"


def _marker(image: Image, _: Options) -> str:
    try:
        return f"marker: {image.batmap()[0].marker if image.wants_batmap else 0}"
    except UtilError as error:
        raise UtilError(f"error checking 'marker': -{error.status}", error.status) from None


def _depth(image: Image, _: Options) -> str:
    try:
        return f"chain depth: {1 + sum(1 for _ in ancestors(image.name))}"
    except UtilError as error:
        raise UtilError(f"error checking chain depth: -{error.status}", error.status) from None


def _limit(image: Image, _: Options) -> str:
    return str(image.header.max_entries * layout.BLOCK_SIZE // MIB if image.header else 0)


def _allocated(image: Image, _: Options) -> str:
    try:
        return str(len(image.stored()))
    except UtilError as error:
        raise UtilError(f"failed to get allocated block count: -{error.status}", error.status) from None


# In the order in which upstream prints, whatever the order of the options.
_ANSWERS: dict[str, Callable[[Image, Options], str]] = {
    "v": _virtual_size,
    "s": _physical_size,
    "p": _parent,
    "f": _hidden,
    "m": _marker,
    "d": _depth,
    "a": _allocated,
    "S": _limit,
}
