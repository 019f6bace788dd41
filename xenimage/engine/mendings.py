"""What a repair did about each finding, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.model.report import Mending

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from xenimage.model.finding import Finding

_FOOTER = "both footers were written anew from the one that counts"
_LAYOUT = "the file was laid out anew, as blktap does, every block with room in front of it"
_BATMAP = "the batmap was made from the bitmaps"
_BLOCKS = "blocks whose place could be told were copied; see the lost ranges for the others"
_DONE = (
    ("bundle.", "the bundle was packed anew"),
    ("vhd.footer.unhidden", "hidden, as a disk with children has to be"),
    ("vhd.footer.uuid", "a uuid was made; nobody can have referred to none"),
    ("vhd.footer.timestamp", "the time was corrected"),
    ("vhd.footer.geometry", "the geometry was computed from the size"),
    ("vhd.footer.hidden", "the disk is not hidden any more"),
    ("vhd.footer.saved", "cleared"),
    ("vhd.footer.features", "set as the specification says"),
    ("vhd.footer.temporary", "cleared"),
    ("vhd.footer.reserved", "zeroed"),
    ("vhd.footer.fixed", "the disk was written as a dynamic one"),
    ("vhd.footer.", _FOOTER),
    ("vhd.copy.", _FOOTER),
    ("vhd.file.trailing", "what followed the footer was left out"),
    ("vhd.file.extended", "the zeros were taken over: what stood there is lost"),
    ("vhd.file.merge", "the disk was taken as it is: finish the merge before you rely on it"),
    ("vhd.file.", _FOOTER),
    ("vhd.fixed.", "what stood behind the disk's end was left out"),
    ("vhd.creator.", "the creator is tap 1.3, with the layout and batmap that go with it"),
    ("vhd.size.original", "the original size was set to the present one"),
    ("vhd.size.", "the size was rounded up to 2 MiB, with zeros"),
    ("vhd.parent.", "the link was written anew; what it leads to was not looked at"),
    ("vhd.locator.", "three locators were written anew"),
    ("vhd.dynamic.", "a dynamic disk has no parent: zeroed"),
    ("vhd.header.block_size", "the data was copied into blocks of 2 MiB"),
    ("vhd.header.", "the header was written anew"),
    ("vhd.bat.surplus", "left out: the guest cannot see it"),
    ("vhd.bat.long", "the BAT has as many entries as the disk has blocks"),
    ("vhd.bat.short", "the BAT has as many entries as the disk has blocks"),
    ("vhd.bat.", _BLOCKS),
    ("vhd.batmap.", _BATMAP),
    ("vhd.block.stale", "data under cleared bits was dropped: no program of XenServer's sees it"),
    ("vhd.block.", _LAYOUT),
)


def mendings(before: Sequence[Finding], after: Iterable[Finding]) -> tuple[Mending, ...]:
    """Tell for each code of *before* what became of it."""
    left = {each.code for each in after}
    codes = dict.fromkeys(each.code for each in before)
    return tuple(Mending(code=code, done=_words(code, left), mended=code not in left) for code in codes)


def _words(code: str, left: set[str]) -> str:
    if code in left:
        return "left as it is"
    return next((words for prefix, words in _DONE if code.startswith(prefix)), "written anew")
