"""VHDs with one fault each, and sound ones as several programs write them. Made without xenimage.

:func:`faults` and :func:`chain_faults` yield what a check must name, several spots for each class, and :func:`sound`
what it must let pass. A maker writes its file at the path it gets, companions beside it, and returns all files that
belong together, that path first.
"""

from __future__ import annotations

import dataclasses
import os
import time
from typing import TYPE_CHECKING

from tests.builders import vhd as build
from tests.builders.bundle import SIZE, image
from tests.builders.vhd import CREATORS, DIFFERENCING, DYNAMIC, FIXED, MIB, SECTOR, Image, Vhd

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable, Iterator

    Maker = Callable[[pathlib.Path], tuple[pathlib.Path, ...]]
    Edit = Callable[[Image], object]

EPOCH = 946684800
FIRST, FULL = 0, 5
"""blocks of the usual image: partly and fully written"""
STRIDE = 4104


@dataclasses.dataclass(frozen=True)
class Fault:
    """One fault."""

    label: str
    code: str
    """of the finding that names it"""
    make: Maker
    repairable: bool
    """whether the file can be mended where it stands, without a choice and without other files"""
    severity: str = "error"


@dataclasses.dataclass(frozen=True)
class Sound:
    """A file that its own writer made right. *refused*: what a consumer that keeps the file refuses in it."""

    label: str
    make: Maker
    refused: frozenset[str] = frozenset()


def _write(data: bytes | bytearray) -> Maker:
    def make(path: pathlib.Path) -> tuple[pathlib.Path, ...]:
        path.write_bytes(data)
        return (path,)

    return make


def _edited(edit: Edit, kind: str = "base") -> Maker:
    def make(path: pathlib.Path) -> tuple[pathlib.Path, ...]:
        made = image(kind)
        changed = edit(made)
        path.write_bytes(changed if isinstance(changed, bytes | bytearray) else made.data)
        return (path,)

    return make


def faults() -> Iterator[Fault]:
    """Yield the faults of single files."""
    yield from _ends()
    yield from _footers()
    yield from _headers()
    yield from _tables()
    yield from _batmaps()
    yield from _blocks()
    yield from _locators()
    yield from _parents()


def _ends() -> Iterator[Fault]:
    def cut(count: int) -> Edit:
        return lambda made: made.data[:-count]

    def end(data: bytes) -> Edit:
        return lambda made: made.data[: made.footer_offset] + data

    for part, front, back in (("copy", True, False), ("footer", False, True)):
        where = {"front": front, "end": back}
        yield Fault(f"{part}: checksum", f"vhd.{part}.checksum", _edited(_set("checksum", 1, **where)), True)
        yield Fault(f"{part}: no cookie", f"vhd.{part}.missing", _edited(_set("cookie", bytes(8), **where)), True)
        yield Fault(f"{part}: poison", f"vhd.{part}.poison", _edited(_set("cookie", b"v_poison", **where)), False)
        for field, value in (("timestamp", 7), ("hidden", 1), ("uuid", b"\x09" * 16)):
            yield Fault(f"{part}: other {field}", "vhd.footer.differ", _edited(_set(field, value, **where)), False)
    yield Fault("both footers: checksum", "vhd.footer.checksum", _edited(_set("checksum", 1)), False)
    yield Fault("both footers: no cookie", "vhd.footer.missing", _edited(_set("cookie", bytes(8))), False)
    for byte in (b"\xc7", b"\0", b"x"):
        code = "vhd.footer.live" if byte == b"\xc7" else "vhd.footer.missing"
        yield Fault(f"end filled with {byte!r}", code, _edited(end(byte * SECTOR)), True)
    yield Fault("no footer at the end", "vhd.footer.missing", _edited(cut(SECTOR)), True)
    yield Fault("footer of 511 bytes", "vhd.footer.short", _edited(cut(1)), True, "warning")
    for count in (1, 100, 511, 512, 4096, 60000):
        extra = (b"", b"junk")[count % 2] * count
        yield Fault(
            f"{count} bytes behind the footer",
            "vhd.file.trailing",
            _edited(lambda made, extra=extra, count=count: made.data + extra[:count].ljust(count, b"\0")),
            True,
        )
    for count in (4096, MIB, 2 * MIB):
        yield Fault(f"{count} bytes cut off", "vhd.bat.truncated", _edited(cut(count)), False)
    yield Fault("a whole block cut off", "vhd.bat.end", _edited(cut(2 * MIB + 2 * SECTOR)), False)
    yield Fault("odd bytes cut off", "vhd.file.unaligned", _edited(cut(MIB + 100)), False)
    for kept in (0, 4096, MIB):
        yield Fault(f"repaired after a cut, {kept} of the last block left", "vhd.file.extended", _repaired(kept), False,
                    "warning")  # fmt: skip
    yield Fault("fixed: too short", "vhd.file.length", _write(Vhd(size=MIB, kind=FIXED).build().data[4096:]), False)
    yield Fault("fixed", "vhd.footer.fixed", _write(Vhd(size=MIB, kind=FIXED).build().data), False)
    yield Fault("merge of Xen Orchestra", "vhd.file.merge", _merging, False, "warning")


def _set(field: str, value: int | bytes, *, front: bool = True, end: bool = True) -> Edit:
    return lambda made: made.footer(field, value, front=front, end=end)


def _repaired(kept: int) -> Maker:
    """A file that lost its end and got it back as a hole: *kept* bytes of its last block's data are left, if any."""

    def make(path: pathlib.Path) -> tuple[pathlib.Path, ...]:
        made = Vhd(size=SIZE, blocks={0: range(4096), 5: range(3000)}).build()
        start = made.entry(5) * SECTOR
        with path.open("wb") as file:
            file.write(made.data[: start + SECTOR + kept if kept else start])
            file.truncate(made.footer_offset)
            file.seek(made.footer_offset)
            file.write(made.data[made.footer_offset :])
        return (path,)

    return make


def _merging(path: pathlib.Path) -> tuple[pathlib.Path, ...]:
    path.write_bytes(image().data)
    (path.parent / f".{path.name}.merge.json").write_text("{}")
    return (path,)


FOOTERS = (
    # field, values, code, whether it can be mended, severity
    ("features", (0, 4, 6, 1 << 31), "vhd.footer.features", True, "error"),
    ("features", (3,), "vhd.footer.temporary", True, "warning"),
    ("ff_version", (0, 0x00020000, 0x00010001), "vhd.footer.version", True, "error"),
    ("timestamp", (0xF0000000,), "vhd.footer.timestamp", True, "error"),
    ("crtr_ver", (0x00010004, 0x00050003), "vhd.creator.new", False, "error"),
    ("crtr_ver", (0x00000001,), "vhd.creator.old", False, "error"),
    ("crtr_app", (b"tap ",), "vhd.creator.space", True, "warning"),
    ("crtr_app", (b"win ", b"qemu", b"xo  ", bytes(4)), "vhd.creator.foreign", False, "error"),
    ("geometry", (0,), "vhd.footer.geometry_zero", True, "warning"),
    ("geometry", (1004 << 16 | 12 << 8 | 17, 0xFFFF10FF), "vhd.footer.geometry", True, "error"),
    ("type", (0, 1, 5, 0xFFFFFFFF), "vhd.footer.type", False, "error"),
    ("saved", (1,), "vhd.footer.saved", True, "warning"),
    ("saved", (2, 255), "vhd.footer.saved", True, "error"),
    ("hidden", (1,), "vhd.footer.hidden_leaf", True, "warning"),
    ("hidden", (2, 255), "vhd.footer.hidden", True, "error"),
    ("reserved", (1,), "vhd.footer.reserved", True, "warning"),
    ("reserved_end", (1, 255), "vhd.footer.reserved", True, "error"),
    ("uuid", (bytes(16),), "vhd.footer.uuid", True, "error"),
    ("data_offset", (1024, 1 << 40), "vhd.header.missing", False, "error"),
    ("orig_size", (2 * SIZE,), "vhd.size.original", True, "warning"),
    ("curr_size", (SIZE + 512, 2 * SIZE), "vhd.bat.short", False, "error"),
    ("curr_size", (SIZE - 512, SIZE - MIB), "vhd.size.multiple", True, "warning"),
    ("curr_size", (SIZE - 1,), "vhd.size.sector", False, "error"),
    ("curr_size", (0,), "vhd.size.zero", False, "error"),
    ("curr_size", (2**64 - 512,), "vhd.size.max", False, "error"),
    ("curr_size", (4 * MIB,), "vhd.bat.surplus", True, "warning"),
)

HEADERS = (
    ("cookie", (b"cxsparsE", bytes(8)), "vhd.header.missing", False),
    ("checksum", (1,), "vhd.header.checksum", False),
    ("data_offset", (0, 0xFFFFFFFF), "vhd.header.data_offset", True),
    ("table_offset", (0, 1537, 1024, 1 << 40), "vhd.header.table_offset", False),
    ("hdr_ver", (0, 0x00010001), "vhd.header.version", True),
    ("max_bat_size", (0, 49), "vhd.bat.short", False),
    ("max_bat_size", (0xFFFFFFFF,), "vhd.bat.limit", False),
    ("max_bat_size", (1000,), "vhd.batmap.missing", False),
    ("block_size", (0, 3 * MIB, 4 * MIB, 512 << 10, MIB), "vhd.header.block_size", False),
    ("res1", (1,), "vhd.header.reserved", True),
    ("prt_uuid", (b"\x07" * 16,), "vhd.dynamic.parent_uuid", True),
    ("prt_name", (b"\0a",), "vhd.dynamic.parent_name", True),
    ("prt_ts", (5,), "vhd.dynamic.parent_timestamp", True),
)


def _footers() -> Iterator[Fault]:
    for field, values, code, repairable, severity in FOOTERS:
        for value in values:
            yield Fault(f"{field} {value!r}", code, _edited(_set(field, value)), repairable, severity)
    yield Fault("Unix time", "vhd.footer.timestamp", _edited(_set("timestamp", int(time.time()))), True)
    yield Fault("an hour ahead", "vhd.footer.timestamp", _edited(_set("timestamp", int(time.time()) - EPOCH + 3600)),
                True)  # fmt: skip


def _headers() -> Iterator[Fault]:
    for field, values, code, repairable in HEADERS:
        for value in values:
            yield Fault(
                f"header {field} {value!r}",
                code,
                _edited(lambda made, field=field, value=value: made.header(field, value)),
                repairable,
            )
    yield Fault("header res2", "vhd.header.reserved", _edited(lambda made: made.header("res2", 1)), True, "warning")
    yield Fault("BAT too long", "vhd.bat.long", _edited(lambda made: made.header("max_bat_size", 51)), False, "warning")
    for slot in (0, 1, 7):
        yield Fault(
            f"dynamic: locator in slot {slot}",
            "vhd.dynamic.locator",
            _edited(lambda made, slot=slot: made.locator(slot, "code", 0x4D616358)),
            True,
        )


def _tables() -> Iterator[Fault]:
    end = 7 + STRIDE + 4097
    for block in (1, 6, 49):
        for sector, code in (
            (0, "vhd.bat.head"),
            (4, "vhd.bat.head"),
            (0x100000, "vhd.bat.end"),
            (0xFFFFFFFE, "vhd.bat.end"),
            (end - 1, "vhd.bat.truncated"),
            (7, "vhd.bat.duplicate"),
            (7 + STRIDE, "vhd.bat.duplicate"),
            (8, "vhd.bat.overlap"),
            (7 + STRIDE - 1, "vhd.bat.overlap"),
        ):
            edit: Edit = lambda made, block=block, sector=sector: made.table(block, sector)  # noqa: E731
            yield Fault(f"block {block} at sector {sector}", code, _edited(edit), False)
    for sector, code in ((4, "vhd.bat.head"), (7, "vhd.bat.duplicate"), (0x100000, "vhd.bat.end")):
        yield Fault(f"last partial block at sector {sector}", code, _partial_last(sector), False)


def _partial_last(sector: int) -> Maker:
    """A disk of 101 MiB, whose last block is half a block, which vhd-util never looks at."""

    def make(path: pathlib.Path) -> tuple[pathlib.Path, ...]:
        made = Vhd(size=SIZE + MIB, blocks={0: range(128)}).build()
        made.table(50, sector)
        path.write_bytes(made.data)
        return (path,)

    return make


def set_bits(made: Image, *blocks: int) -> Image:
    """Say in the batmap that *blocks* are full, with the right checksum."""
    at = made.batmap_offset + SECTOR
    bits = bytearray(SECTOR)
    for block in blocks:
        bits[block >> 3] |= 0x80 >> (block & 7)
    made.data[at : at + SECTOR] = bits
    made.batmap("checksum", build.summed(bits))
    return made


def _batmaps() -> Iterator[Fault]:
    for field, values, code, repairable in (
        ("cookie", (b"tdbatmaP", bytes(8)), "vhd.batmap.missing", True),
        ("offset", (0, 2561, 1 << 50), "vhd.batmap.offset", True),
        ("size", (0,), "vhd.batmap.size", True),
        ("size", (0xFFFFFFFF,), "vhd.batmap.offset", True),
        ("version", (0x00010003, 0xFFFFFFFF), "vhd.batmap.version", True),
        ("checksum", (0, 7), "vhd.batmap.checksum", True),
        ("key_cookie", (1,), "vhd.batmap.encrypted", False),
    ):
        for value in values:
            edit: Edit = lambda made, field=field, value=value: made.batmap(field, value)  # noqa: E731
            yield Fault(f"batmap {field} {value!r}", code, _edited(edit), repairable)
    for block in (1, 49, 50, 4095):
        edit = lambda made, block=block: set_bits(made, FULL, block)  # noqa: E731
        yield Fault(f"batmap: absent block {block} full", "vhd.batmap.unallocated", _edited(edit), True)
    yield Fault("batmap: partial block full", "vhd.batmap.partial",
                _edited(lambda made: set_bits(made, FIRST, FULL)), True)  # fmt: skip
    for sector in (0, 2000, 4095):
        edit = lambda made, sector=sector: _clear(made, FULL, sector)  # noqa: E731
        yield Fault(f"batmap: full block without sector {sector}", "vhd.batmap.partial", _edited(edit), True)
    yield Fault("tap 1.1 without a batmap", "vhd.creator.no_batmap", _edited(_without_batmap), False)
    yield Fault("batmap: bits that no checksum covers", "vhd.batmap.uncovered", _uncovered, True)


def _clear(made: Image, block: int, sector: int) -> None:
    made.data[made.entry(block) * SECTOR + (sector >> 3)] &= ~(0x80 >> (sector & 7))


def _without_batmap(made: Image) -> None:
    made.footer("crtr_ver", 0x00010001)
    made.batmap("cookie", bytes(8))


def _uncovered(path: pathlib.Path) -> tuple[pathlib.Path, ...]:
    made = Vhd(size=8194 * MIB).build()
    made.footer("geometry", 1)
    made.data[made.batmap_offset + 1024] = 0x80
    path.write_bytes(made.data)
    return (path,)


def _blocks() -> Iterator[Fault]:
    yield Fault("packed", "vhd.block.packed", _edited(lambda _: None, "packed"), False)
    for free in range(7):
        yield Fault(f"{free} sectors in front of the second block", "vhd.block.packed", _close(free), False)
    for sector in (8, 9, 14):
        yield Fault(f"first block at sector {sector}", "vhd.block.unaligned", _shifted(sector), False)
    for block, sector, byte in ((FIRST, 128, 0), (FIRST, 4095, 511), (FIRST, 2000, 7)):
        edit: Edit = lambda made, place=(block, sector, byte): _stain(made, *place)  # noqa: E731
        yield Fault(f"data under cleared bit {sector}", "vhd.block.stale", _edited(edit), False, "warning")


def _stain(made: Image, block: int, sector: int, byte: int) -> None:
    made.data[(made.entry(block) + 1 + sector) * SECTOR + byte] = 1


def _close(free: int) -> Maker:
    """Two full blocks with *free* sectors between them."""

    def make(path: pathlib.Path) -> tuple[pathlib.Path, ...]:
        made = image()
        start = made.entry(FULL)
        moved = made.entry(FIRST) + 4097 + free
        cut = slice((made.entry(FIRST) + 4097) * SECTOR, start * SECTOR)
        made.data[cut] = bytes(free * SECTOR)
        made.table(FULL, moved)
        path.write_bytes(made.data)
        return (path,)

    return make


def _shifted(sector: int) -> Maker:
    """All blocks moved up, so that the first stands at *sector*."""

    def make(path: pathlib.Path) -> tuple[pathlib.Path, ...]:
        made = image()
        by = sector - made.entry(FIRST)
        places = {block: made.entry(block) for block in (FIRST, FULL)}
        made.data[places[FIRST] * SECTOR : places[FIRST] * SECTOR] = bytes(by * SECTOR)
        for block, place in places.items():
            made.table(block, place + by)
        path.write_bytes(made.data)
        return (path,)

    return make


def _child_header(field: str, value: int | bytes) -> Maker:
    return _edited(lambda made: made.header(field, value), "child")


def _locator(slot: int, field: str, value: int) -> Maker:
    return _edited(lambda made: made.locator(slot, field, value), "child")


def _without_locators(made: Image) -> None:
    for slot in range(3):
        for field in ("code", "data_space", "data_len", "data_offset"):
            made.locator(slot, field, 0)


def _locators() -> Iterator[Fault]:
    yield Fault("no locators", "vhd.locator.missing", _edited(_without_locators, "child"), False)
    for slot in (0, 1, 2):
        yield Fault(f"locator {slot}: unknown code", "vhd.locator.code", _locator(slot, "code", 0x12345678), True)
        for offset in (0, 1 << 40):
            yield Fault(f"locator {slot} at {offset:#x}", "vhd.locator.offset", _locator(slot, "data_offset", offset),
                        True)  # fmt: skip
        for code, field, value in (
            ("space", "data_space", 700),
            ("space", "data_space", 0),
            ("length", "data_len", 0),
            ("length", "data_len", 600),
            ("reserved", "res", 1),
        ):
            yield Fault(f"locator {slot}: {field} {value}", f"vhd.locator.{code}", _locator(slot, field, value), True,
                        "warning")  # fmt: skip
    yield Fault("locator twice", "vhd.locator.duplicate", _locator(1, "code", 0x4D616358), True)
    for slot in (3, 7):
        yield Fault(f"unused locator {slot}", "vhd.locator.none", _locator(slot, "data_offset", 512), True)


def _parents() -> Iterator[Fault]:
    for name in ("", "/dir/base.vhd", "b\u00e4se.vhd"):
        field = name.encode("utf-16-be").ljust(512, b"\0")
        yield Fault(f"parent called {name!r}", "vhd.parent.name", _child_header("prt_name", field), True, "warning")
    other = "other.vhd".encode("utf-16-be").ljust(512, b"\0")
    yield Fault("locators lead elsewhere", "vhd.locator.name", _child_header("prt_name", other), True, "warning")
    yield Fault("parent of the future", "vhd.parent.timestamp", _child_header("prt_ts", 0xF0000000), True, "warning")
    yield Fault("parent's uuid null", "vhd.parent.uuid", _child_header("prt_uuid", bytes(16)), True, "warning")


def small(
    name: str,
    identity: int,
    parent: int = 0,
    parent_name: str = "base.vhd",
    *,
    size: int = 4 * MIB,
    hidden: bool = False,
) -> tuple[str, Image]:
    """A small VHD for a chain: uuids are one byte, repeated; 0 is no parent."""
    made = Vhd(
        size=size,
        kind=DIFFERENCING if parent else DYNAMIC,
        identity=bytes([identity]) * 16,
        parent=bytes([parent]) * 16,
        parent_name=os.path.basename(parent_name),
        locators=build.blktap_locators(parent_name) if parent else (),
    ).build()
    if hidden:
        made.footer("hidden", 1)
    return name, made


def _chain(*disks: tuple[str, Image]) -> Maker:
    """The first disk at the path, the others beside it under their names."""

    def make(path: pathlib.Path) -> tuple[pathlib.Path, ...]:
        paths = [path, *(path.parent / name for name, _ in disks[1:])]
        for each, (_, made) in zip(paths, disks, strict=True):
            each.write_bytes(made.data)
        return tuple(paths)

    return make


def _modified(path: pathlib.Path) -> tuple[pathlib.Path, ...]:
    _, leaf = small("leaf.vhd", 2, 1)
    leaf.header("prt_ts", 1000)
    paths = _chain(("leaf.vhd", leaf), BASE)(path)
    os.utime(paths[1], (EPOCH + 5000, EPOCH + 5000))
    return paths


BASE = small("base.vhd", 1, hidden=True)


def chain_faults() -> Iterator[Fault]:
    """Yield the faults of chains."""
    leaf, middle = small("leaf.vhd", 2, 1), small("mid.vhd", 2, 1, hidden=True)
    yield Fault("parent not given", "chain.missing", _chain(leaf), False, "warning")
    yield Fault("grandparent not given", "chain.missing",
                _chain(small("leaf.vhd", 3, 2, "mid.vhd"), middle), False, "warning")  # fmt: skip
    yield Fault("parent of another uuid", "chain.uuid", _chain(leaf, small("base.vhd", 9, hidden=True)), False)
    yield Fault("parent of another name", "chain.name", _chain(leaf, small("moved.vhd", 1, hidden=True)), True,
                "warning")  # fmt: skip
    yield Fault("its own parent", "chain.self", _chain(small("leaf.vhd", 2, 2)), False)
    yield Fault("two in a ring", "chain.cycle", _chain(small("leaf.vhd", 2, 1), small("base.vhd", 1, 2)), False)
    yield Fault(
        "three in a ring",
        "chain.cycle",
        _chain(small("leaf.vhd", 3, 2), small("mid.vhd", 2, 1), small("base.vhd", 1, 3)),
        False,
    )
    yield Fault(
        "a leaf above a ring",
        "chain.cycle",
        _chain(small("leaf.vhd", 3, 2), small("mid.vhd", 2, 1), small("base.vhd", 1, 2)),
        False,
    )
    yield Fault("a copy", "chain.duplicate", _chain(BASE, small("copy.vhd", 1, hidden=True)), False, "warning")
    yield Fault("two that can be the parent", "chain.duplicate", _chain(leaf, BASE, small("copy.vhd", 1)), False)
    yield Fault("smaller than its parent", "chain.smaller",
                _chain(small("leaf.vhd", 2, 1, size=2 * MIB), BASE), False, "warning")  # fmt: skip
    yield Fault("parent without a uuid", "chain.missing", _chain(_null(leaf[1]), BASE), True, "warning")
    links = [small(f"{n}.vhd", n, n - 1, f"{n - 1}.vhd", hidden=n < 32) for n in range(32, 1, -1)]
    links.append(small("1.vhd", 1, hidden=True))
    yield Fault("32 disks", "chain.depth", _chain(*links), False, "warning")
    yield Fault("two children", "chain.children", _chain(leaf, small("b.vhd", 3, 1), BASE), False, "info")
    yield Fault("parent modified later", "chain.modified", _modified, False, "info")
    yield Fault("parent not hidden", "vhd.footer.unhidden", _chain(leaf, small("base.vhd", 1)), True, "warning")
    yield Fault("hidden leaf", "vhd.footer.hidden_leaf", _chain(small("leaf.vhd", 2, 1, hidden=True), BASE), True)


def _null(made: Image) -> tuple[str, Image]:
    changed = dataclasses.replace(made, data=bytearray(made.data))
    changed.header("prt_uuid", bytes(16))
    return "leaf.vhd", changed


def sound() -> Iterator[Sound]:
    """Yield files that their writers made right: by seven programs, and chains."""
    foreign = frozenset({"vhd.creator.foreign"})
    blocks = {0: range(4096), 3: range(4096), 1: range(4096)}
    yield Sound("vhd-util", _edited(lambda _: None))
    yield Sound("vhd-util, empty", _write(Vhd(size=SIZE).build().data))
    yield Sound("vhd-util, with holes", _sparse)
    yield Sound(
        "vhd-util, a last block of half a block", _write(Vhd(size=SIZE + MIB, blocks={50: range(2048)}).build().data)
    )
    yield Sound(
        "vhd-util, a chain", _chain(small("leaf.vhd", 3, 2, "mid.vhd"), small("mid.vhd", 2, 1, hidden=True), BASE)
    )
    # qemu makes the disk as large as the next geometry; with force_size it writes the largest geometry there is.
    qemu = Vhd(size=104865792, blocks=blocks, creator=CREATORS["qemu"], geometry=1004 << 16 | 12 << 8 | 17)
    yield Sound("qemu-img", _write(qemu.build().data), foreign)
    forced = Vhd(size=SIZE, blocks=blocks, creator=CREATORS["qem2"], geometry=0xFFFF10FF)
    yield Sound("qemu-img, force_size", _write(forced.build().data), foreign | {"vhd.footer.geometry"})
    for name, label in (("vbox", "VirtualBox"), ("win", "Windows"), ("vpc", "Virtual PC"), ("caml", "XAPI")):
        yield Sound(label, _write(Vhd(size=SIZE, blocks=blocks, creator=CREATORS[name]).build().data), foreign)
    partly = Vhd(size=SIZE, blocks={2: range(8)}, creator=CREATORS["win"])
    yield Sound("Windows, partly written", _write(partly.build().data), foreign)
    made = Vhd(size=SIZE, blocks=blocks, creator=CREATORS["xo"], geometry=1004 << 16 | 12 << 8 | 17).build()
    made.footer("timestamp", int(time.time()))
    yield Sound("Xen Orchestra", _write(made.data), foreign | {"vhd.footer.timestamp", "vhd.footer.geometry"})


def _sparse(path: pathlib.Path) -> tuple[pathlib.Path, ...]:
    """A file that was copied with holes for zeros: blocks that a guest filled with zeros have their bits."""
    made = Vhd(size=SIZE, blocks={0: range(4096), 5: range(4096), 9: range(4096)}).build()
    for block in (0, 9):
        start = (made.entry(block) + 1) * SECTOR
        made.data[start + MIB : start + 2 * MIB] = bytes(MIB)
    with path.open("wb") as file:
        for at in range(0, len(made.data), 4096):
            page = made.data[at : at + 4096]
            if any(page):
                file.seek(at)
                file.write(page)
    return (path,)


def _zero_tail(path: pathlib.Path) -> tuple[pathlib.Path, ...]:
    """A block with all its bits, the end of which was zeros and is a hole."""
    made = image()
    with path.open("wb") as file:
        file.write(made.data[: (made.entry(FULL) + 1) * SECTOR + MIB])
        file.seek(made.footer_offset)
        file.write(made.data[made.footer_offset :])
    return (path,)
