"""Which kind of package a file is, told by its content alone, and the way to its reader.

Most runs read no package, and the readers stand on large libraries: each is loaded when it is needed.
"""

from __future__ import annotations

import os
import re
import tarfile
from typing import TYPE_CHECKING

from xenimage.containers.vmx.dictionary import is_vmx
from xenimage.exceptions import FormatError, UnsupportedError, UsageError
from xenimage.sources.file import open_file
from xenimage.streams.unpacked import packed_kind
from xenimage.units import KIB

if TYPE_CHECKING:
    from xenimage.containers.base import Container
    from xenimage.exceptions import XenimageError
    from xenimage.limits import Limits
    from xenimage.model.disk import ByteSource
    from xenimage.model.plan import PackageChoice

KINDS = ("ova", "ovf", "vmx", "xva")
"""as options name them"""
_OLD = "old "
_OLD_XVA = f"{_OLD}xva"
_HEAD = 64 * KIB
_GZIP = b"\x1f\x8b\x08"
_TAR = (257, b"ustar")
_ROOT = re.compile(r"<(?:[A-Za-z_][\w.-]*:)?(Envelope|appliance)[\s/>]")
_PROLOG = re.compile(r"\s+|<\?.*?\?>|<!--.*?-->", re.DOTALL)
_ENCODINGS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
    (b"<\0", "utf-16-le"),
    (b"\0<", "utf-16-be"),
)
"""by what the text begins with; anything else is of a kind that has ASCII in it"""


def kind_of(source: ByteSource, limits: Limits) -> str:
    """Tell which of :data:`KINDS` a file is, or empty text. Reads its start, and what a packed file begins with."""
    return _kind(source, limits).removeprefix(_OLD)


def _kind(source: ByteSource, limits: Limits) -> str:
    head = source.read(0, min(source.size, _HEAD))
    if _begins_with_descriptor(head):  # whatever else is wrong with it
        return "ova"
    if head.startswith(_GZIP) or _is_packed(source) or _is_tar(head):
        return _kind_of_archive(source, limits)
    return _kind_of_text(head)


def _is_packed(source: ByteSource) -> bool:
    try:
        return bool(packed_kind(source))
    except UnsupportedError:  # nobody packs packages so; a disk may begin with anything
        return False


def _is_tar(head: bytes) -> bool:
    """Whether it may be a tar. XenServer writes headers without a magic number, as programs before POSIX did."""
    place, magic = _TAR
    return head.startswith(magic, place) or head.lower().startswith((b"ova.xml\0", b"ref:"))


def _begins_with_descriptor(head: bytes) -> bool:
    try:
        name = tarfile.TarInfo.frombuf(head[: tarfile.BLOCKSIZE], "utf-8", "surrogateescape").name
    except tarfile.HeaderError:
        return False
    return name.lower().endswith(".ovf")


def _kind_of_archive(source: ByteSource, limits: Limits) -> str:
    from xenimage.containers.xva.reader import is_xva

    if is_xva(source, limits):
        return "xva"
    from xenimage.containers.ovf.archive import is_ova

    return "ova" if is_ova(source, limits) else ""


def _kind_of_text(head: bytes) -> str:
    """Tell a description by its root element.

    A guest can write what it likes into its disk, also what looks like a description that names its neighbours' files.
    No text has a zero in it, and of a disk hardly a part that is looked at has none.
    """
    encoding = next((name for mark, name in _ENCODINGS if head.startswith(mark)), "latin-1")
    text = head.decode(encoding, "ignore")
    if "\0" in text or not text.lstrip().startswith("<"):
        return "vmx" if is_vmx(head) else ""
    place = 0
    while prolog := _PROLOG.match(text, place):
        place = prolog.end()
    # What stands in a document type can look like an element. It is refused whatever its root.
    root = _ROOT.search(text, place) if text.startswith("<!DOCTYPE", place) else _ROOT.match(text, place)
    if root is None:
        return ""
    return "ovf" if root[1] == "Envelope" else _OLD_XVA


def open_container(path: str, limits: Limits, choice: PackageChoice, *, kind: str = "") -> Container:
    """Open a package. Reads what describes it, and the names of what it consists of.

    :param kind: one of :data:`KINDS`, if it must be of that one.
    :raises UsageError: no such file, or of another kind than it must be.
    :raises FormatError: it is no package, or damaged. :class:`UnsupportedError`: of a version or form that is not read.
    :raises UnsafeError: its description has a document type. :class:`LimitError`: a number passes its limit.
    """
    source = open_file(path)
    try:
        found = _kind(source, limits)
        if not found or kind not in ("", found.removeprefix(_OLD)):
            raise _no_package(path, found, kind)
        if found == "xva":
            from xenimage.containers.xva.reader import open_xva

            return open_xva(source, limits, damaged=choice.damaged)
        if found == "ova":
            from xenimage.containers.ovf.archive import open_ova

            return open_ova(
                source, limits, deployment=choice.deployment, password=choice.password, damaged=choice.damaged
            )
    except BaseException:
        source.close()
        raise
    source.close()
    return _FOLDERS[found](path, limits, choice)


def _no_package(path: str, found: str, kind: str) -> XenimageError:
    if found:
        return UsageError(f"is of the kind {found}", expected=kind, where=path)
    return FormatError(
        "is no package",
        expected=kind or f"one of {', '.join(KINDS)}",
        where=path,
        tip="Of a disk image: xenimage disk show. Of a bundle: xenimage bundle show.",
    )


def _open_ovf(path: str, limits: Limits, choice: PackageChoice) -> Container:
    from xenimage.containers.ovf.folder import open_ovf

    return open_ovf(path, limits, deployment=choice.deployment, password=choice.password)


def _open_old_xva(path: str, limits: Limits, _choice: PackageChoice) -> Container:
    from xenimage.containers.xva.old import directory_opener, open_old_xva

    return open_old_xva(os.path.dirname(path) or ".", directory_opener(os.path.dirname(path)), limits)


def _open_vmx(path: str, limits: Limits, _choice: PackageChoice) -> Container:
    from xenimage.containers.vmx.package import open_vmx

    return open_vmx(path, limits)


_FOLDERS = {"ovf": _open_ovf, "vmx": _open_vmx, _OLD_XVA: _open_old_xva}
"""packages whose files lie beside their description"""
