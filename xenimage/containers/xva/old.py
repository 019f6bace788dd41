"""The XVA of before XenServer 4, version 0.1: a directory of ``ova.xml`` and disks in gzipped pieces of 10^9 bytes.

Source: XenCenter (xenserver/xenadmin), XenOvfApi/Conversions.cs, ConvertXVAv1toOVF, and Definitions/Xen.cs, of 2013.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
from typing import TYPE_CHECKING

from xenimage.containers.xva.layout import DESCRIPTOR
from xenimage.exceptions import FormatError, UnsafeError, UnsupportedError, UsageError, XenimageError
from xenimage.formats.base import merged, within
from xenimage.model.disk import DiskFacts
from xenimage.model.extent import Kind
from xenimage.model.machine import Machine, MachineDisk, Package, PackageFile
from xenimage.sources.file import open_beside
from xenimage.streams.gunzip import GunzipSource
from xenimage.streams.xml import decode
from xenimage.units import SECTOR

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from lxml.etree import _Element

    from xenimage.limits import Limits
    from xenimage.model.disk import ByteSource, Disk
    from xenimage.model.extent import Extent
    from xenimage.model.finding import Finding
    from xenimage.model.machine import Proof
    from xenimage.model.transfer import Progress

    OpenFile = Callable[[str], ByteSource]

PIECE = 1_000_000_000
"""bytes of a piece after inflating; the last is shorter"""
_DIRECTORY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_TYPE = "dir-gzipped-chunks"
_LETTERS = 26


class OldDisk:
    """A disk in pieces, each of which is inflated forward. One is open at a time.

    :param open_piece: opens the piece of a number.
    """

    def __init__(self, open_piece: Callable[[int], ByteSource], size: int, limits: Limits) -> None:
        self._open_piece = open_piece
        self._limits = limits
        self._number = -1
        self._content: GunzipSource | None = None
        self.facts = DiskFacts(
            format="xva",
            variant="0.1",
            virtual_size=size,
            granularity=SECTOR,
            stored_size=size,
            compressed=False,
            sequential=True,
        )

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """See :meth:`xenimage.model.disk.Disk.read_into`.

        :raises FormatError: a piece is missing, damaged, or has another length than it must.
        """
        within(self.facts.virtual_size, offset, len(buffer))
        while buffer:
            number, start = divmod(offset, PIECE)
            some = min(len(buffer), PIECE - start)
            content = self._piece(number)
            data = content.read_some(start, some)
            if len(data) < some:
                raise FormatError(
                    f"has {start + len(data)} bytes", expected=f"{self._length(number)}", where=content.name
                )
            buffer[:some] = data
            if start + some == self._length(number):
                self._require_end(content, number)
            buffer, offset = buffer[some:], offset + some

    def _length(self, number: int) -> int:
        return min(PIECE, self.facts.virtual_size - number * PIECE)

    def _piece(self, number: int) -> GunzipSource:
        if self._content is None or number != self._number:
            self.close()
            self._content = GunzipSource(self._open_piece(number), self._limits, keep_head=False)
            self._number = number
        return self._content

    def _require_end(self, content: GunzipSource, number: int) -> None:
        length = self._length(number)
        if content.read_some(length, 1):
            raise FormatError(f"has more than {length} bytes", expected=f"{length}", where=content.name)
        content.scan()

    def extents(self, offset: int, length: int) -> Iterator[Extent]:
        """See :meth:`xenimage.model.disk.Disk.extents`: nothing is known of holes."""
        within(self.facts.virtual_size, offset, length)
        return merged([(offset, length, Kind.DATA)] if length else [])

    def unreadable(self) -> XenimageError | None:
        """See :meth:`xenimage.model.disk.Disk.unreadable`."""
        return None

    def close(self) -> None:
        """Close the piece that is open."""
        if self._content is not None:
            self._content.close()
            self._content = None


class OldPackage:
    """See :class:`xenimage.containers.base.Container`.

    :param open_file: opens a file by its name within the package, which has no more than one directory.
    """

    def __init__(self, path: str, open_file: OpenFile, limits: Limits) -> None:
        self._open_file = open_file
        self._limits = limits
        with contextlib.closing(open_file(DESCRIPTOR)) as source:
            limits.require("xml_size", source.size, f"the size of {DESCRIPTOR}")
            root = decode(source.read(0, source.size), limits).root
        if root.tag != "appliance":
            raise FormatError(f"has the element {root.tag!r}", expected="appliance", where=DESCRIPTOR)
        if root.get("version") != "0.1":
            raise UnsupportedError(
                f"has the version {root.get('version')!r}", expected="appliance 0.1", where=DESCRIPTOR
            )
        self._sources = {_name(vdi): _directory(vdi) for vdi in root.iterfind("vdi")}
        self._sizes = {_name(vdi): _size(vdi, limits) for vdi in root.iterfind("vdi")}
        machines = tuple(_machine(vm, self._sizes) for vm in root.iterfind("vm"))
        self.package = Package(
            path=path,
            kind="xva",
            version="0.1",
            producer="XenServer 3",
            name=machines[0].name if machines else "",
            machines=machines,
            files=tuple(PackageFile(identifier=name, name=place) for name, place in self._sources.items()),
        )

    def disk(self, disk: MachineDisk) -> Disk:
        """See :meth:`xenimage.containers.base.Container.disk`."""
        name = disk.identifier
        return OldDisk(functools.partial(self._open_piece, name), self._sizes[name], self._limits)

    def _open_piece(self, name: str, number: int) -> ByteSource:
        try:
            return self._open_file(_piece_name(self._sources[name], number))
        except UsageError as error:
            raise FormatError(
                f"the piece {number} of {name} is missing ({error.found})",
                expected=f"{-(-self._sizes[name] // PIECE)} pieces",
                where=error.where,
            ) from error

    def file(self, identifier: str) -> ByteSource:
        """A disk is no file: it has pieces."""
        raise UnsupportedError(f"{identifier} is no file", expected="a disk of pieces", where=self.package.path)

    def prove(self, progress: Progress) -> tuple[Proof, tuple[Finding, ...]]:
        """There is no manifest, and there are no sums but those of gzip."""
        progress.start("checking", 0)
        progress.stop()
        return self.package.proof, ()

    def prove_disks(self, _disks: Collection[MachineDisk], _progress: Progress) -> tuple[Finding, ...]:
        """See :meth:`xenimage.containers.base.Container.prove_disks`: gzip has its own sums."""
        return ()

    def parts(self) -> Iterator[str]:
        """See :meth:`xenimage.containers.base.Container.parts`."""
        yield DESCRIPTOR
        for name, place in self._sources.items():
            for number in range(-(-self._sizes[name] // PIECE)):
                yield _piece_name(place, number)

    def close(self) -> None:
        """Nothing is held: each disk closes its pieces."""


def open_old_xva(path: str, open_file: OpenFile, limits: Limits) -> OldPackage:
    """Open an XVA of version 0.1.

    :param path: of the directory, for messages.
    :param open_file: opens ``ova.xml`` or ``directory/file`` in it, and refuses links; :class:`UsageError` where there
        is none.
    :raises FormatError: ``ova.xml`` breaks a rule. :class:`UnsupportedError`: a version or kind that is not read.
    :raises UnsafeError: a disk's source leads elsewhere.
    """
    try:
        return OldPackage(path, open_file, limits)
    except XenimageError as error:
        raise error if error.where.startswith(path) else error.within(path) from error.__cause__


def directory_opener(path: str) -> OpenFile:
    """Open files of the directory *path*, for :func:`open_old_xva`. Links are refused."""

    def open_file(name: str) -> ByteSource:
        directory, _, base = name.rpartition("/")
        if os.path.islink(os.path.join(path, directory)) and directory:
            raise UnsafeError(f"names {directory!r}, a symbolic link", expected="a directory of the package")
        return open_beside(os.path.join(path, directory, base), base)

    return open_file


def _piece_name(directory: str, number: int) -> str:
    return f"{directory}/chunk-{number:09d}.gz"


def _name(vdi: _Element) -> str:
    name = vdi.get("name", "")
    if not name:
        raise FormatError("a vdi has no name", expected="one to refer to it", where=DESCRIPTOR)
    return name


def _directory(vdi: _Element) -> str:
    if vdi.get("type") != _TYPE:
        raise UnsupportedError(
            f"the vdi {vdi.get('name')!r} is of the type {vdi.get('type')!r}", expected=_TYPE, where=DESCRIPTOR
        )
    source = vdi.get("source", "")
    directory = source.removeprefix("file://")
    if not _DIRECTORY.fullmatch(directory):
        raise UnsafeError(f"a vdi has the source {source!r}", expected="a directory of the package", where=DESCRIPTOR)
    return directory


def _size(vdi: _Element, limits: Limits) -> int:
    size = _number(vdi.get("size", ""))
    if not size or size % SECTOR:
        raise FormatError(
            f"the vdi {vdi.get('name')!r} has the size {vdi.get('size')!r}",
            expected="whole sectors of 512 bytes",
            where=DESCRIPTOR,
        )
    return limits.require("virtual_size", size, f"the size of the vdi {vdi.get('name')!r}")


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _machine(vm: _Element, sizes: dict[str, int]) -> Machine:
    config, hacks = vm.find("config"), vm.find("hacks")
    hvm = hacks is not None and hacks.get("is_hvm") == "true"
    arguments = hacks.get("kernel_boot_cmdline", "") if hacks is not None else ""
    name = vm.get("name", "")
    return Machine(
        identifier=name,
        name=vm.findtext("label") or name,
        description=vm.findtext("shortdesc") or "",
        cpus=_number(config.get("vcpus", "")) if config is not None else None,
        memory=_number(config.get("mem_set", "")) if config is not None else None,
        firmware="bios" if hvm else "",
        vm_mode="hvm" if hvm else "xen",
        disks=tuple(_disk(vbd, sizes, place) for place, vbd in enumerate(vm.iterfind("vbd"))),
        virtual_system_types=("hvm-3.0-unknown" if hvm else "xen-3.0-unknown",),
        settings={"PV_args": arguments} if arguments else {},
    )


def _disk(vbd: _Element, sizes: dict[str, int], place: int) -> MachineDisk:
    name = vbd.get("vdi", "")
    if name not in sizes:
        raise FormatError(
            f"a vbd refers to the vdi {name!r}, which is not there", expected="one of its own", where=DESCRIPTOR
        )
    device = vbd.get("device", "")
    return MachineDisk(
        identifier=name,
        label=device,
        capacity=sizes[name],
        file=name,
        bus="xen",
        address=(0, place),
        bootable=vbd.get("function") == "root",
        read_only=vbd.get("mode") == "r",
    )
