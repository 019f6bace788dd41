"""Any chain of layers becomes members that hold what their layers hold, and show what their layers show."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import tempfile

import hypothesis
import hypothesis.strategies as st

from tests.base import TestCase
from tests.builders import qcow2
from tests.builders.pattern import pattern
from tests.fakes.vhd_util import BLOCK, SECTOR, contents, unpack_chain
from xenimage import api
from xenimage.model.plan import BundleOptions, Compression, SourceOptions

FEW = hypothesis.settings(max_examples=25, deadline=None, database=None, derandomize=True)
CLUSTER = 64 << 10
FORMS = ("absent", "absent", "plain", "packed", "zero", "zero-allocated")


@dataclasses.dataclass(frozen=True)
class Layer:
    """Clusters of some form; those of one seed have the same data at the same place."""

    size: int
    forms: tuple[qcow2.Form, ...]
    seed: int
    raw: bool = False

    def write(self, path: pathlib.Path, backing: str) -> None:
        if self.raw:
            path.write_bytes(pattern(0, self.size, self.seed))
            return
        state = qcow2.State(size=self.size, forms=self.forms, seed=self.seed)
        extended = any(isinstance(form, tuple) for form in self.forms)
        qcow2.Image(state=state, backing=backing.encode(), extended=extended).write(path)

    def sectors(self) -> list[bytes | None]:
        """What it holds, a sector each: data, empty for zeros, None for nothing."""
        found: list[bytes | None] = []
        for at in range(0, self.size, SECTOR):
            kind = "plain" if self.raw else self._form(at)
            data = pattern(at, SECTOR, self.seed)
            found.append({"plain": data, "packed": data, "absent": None}.get(kind, b""))
        return found

    def _form(self, at: int) -> str:
        number = at // CLUSTER
        form = self.forms[number] if number < len(self.forms) else "absent"
        if isinstance(form, str):
            return form
        part = at % CLUSTER // (CLUSTER // 32)
        return "plain" if form[0] >> part & 1 else "zero" if form[1] >> part & 1 else "absent"


@st.composite
def subclusters(draw: st.DrawFn) -> tuple[int, int]:
    stored = draw(st.integers(0, 0xFFFFFFFF))
    return stored, draw(st.integers(0, 0xFFFFFFFF)) & ~stored


@st.composite
def chains(draw: st.DrawFn) -> list[Layer]:
    """From the base to the leaf, none smaller than the one below."""
    layers: list[Layer] = []
    size = SECTOR
    for number in range(draw(st.integers(2, 5))):
        size = draw(st.integers(size // SECTOR, 5 * BLOCK // SECTOR)) * SECTOR
        # Mostly near the start, where the layers meet; sometimes behind the first blocks.
        skipped = draw(st.sampled_from((0, 0, 30, 64)))
        kinds = st.sampled_from(FORMS)
        if draw(st.booleans()):
            kinds = kinds | subclusters()  # type: ignore[assignment]
        forms = ("absent",) * skipped + tuple(draw(st.lists(kinds, max_size=8)))
        raw = number == 0 and draw(st.booleans())
        layers.append(Layer(size=size, forms=forms, seed=draw(st.integers(1, 2)), raw=raw))
    return layers


def rounded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def shown(layers: list[Layer]) -> list[list[bytes | None]]:
    """What each layer shows over those below it, the base first: the kinds of :meth:`Layer.sectors`."""
    views: list[list[bytes | None]] = []
    below: list[bytes | None] = []
    for layer in layers:
        own = layer.sectors()
        below = [
            each if each is not None else below[number] if number < len(below) else None
            for number, each in enumerate(own)
        ]
        views.append(below)
    return views


def content(view: list[bytes | None]) -> bytes:
    data = b"".join(each or bytes(SECTOR) for each in view)
    return data.ljust(rounded(len(data)), b"\0")


class ChainTest(TestCase):
    @FEW
    @hypothesis.given(chains(), st.booleans(), st.booleans(), st.integers(1, 3))
    def test_members_hold_and_show_what_the_layers_do(self, layers, dedup, whole, jobs):
        with tempfile.TemporaryDirectory() as name:
            paths = self.write(layers, pathlib.Path(name))
            output = os.path.join(name, "chain.tgz")
            options = BundleOptions(
                source=SourceOptions(path=paths[-1], backing=tuple(paths[-2::-1])),
                output=output,
                chain=True,
                dedup_parent=dedup,
                whole_blocks=whole,
                jobs=jobs,
                compression=Compression.STORE,
                verify=True,
                digests=(),
            )
            report = api.create_bundle(options)
            chain = unpack_chain(output)[::-1]
        views = shown(layers)
        self.assertEqual([content(view) for view in views], contents(chain[::-1])[::-1])
        for number, disk in enumerate(chain):
            disk.check()
            if number:
                wanted = self.held(layers[number], views[number - 1], dedup=dedup)
                self.assert_present(disk, wanted, whole=whole)
        self.assertEqual([len(disk.data) for disk in chain[::-1]], [layer.vhd_size for layer in report.layers])
        self.assertLessEqual(report.receipt.size, report.plan.output_size_max)

    def write(self, layers: list[Layer], directory: pathlib.Path) -> list[str]:
        paths: list[str] = []
        for number, layer in enumerate(layers):
            path = directory / f"{number}.img"
            layer.write(path, f"{number - 1}.img" if number else "")
            paths.append(str(path))
        return paths

    def held(self, layer: Layer, below: list[bytes | None], *, dedup: bool) -> set[int]:
        """The sectors that the layer's own VHD has to hold: data, and zeros that hide data."""
        found = set()
        for number, own in enumerate(layer.sectors()):
            under = below[number] if number < len(below) else None
            if own or (own == b"" and under):
                if dedup and own == under:
                    continue
                found.add(number)
        return found

    def assert_present(self, disk, wanted: set[int], *, whole: bool) -> None:
        count = rounded(disk.footer["size"]) // SECTOR
        bits = bin(disk.present())[2:].zfill(count)
        found = {number for number, bit in enumerate(bits) if bit == "1"}
        per_block = BLOCK // SECTOR
        if whole:
            blocks = {number // per_block for number in wanted}
            wanted = {number for block in blocks for number in range(block * per_block, (block + 1) * per_block)}
        self.assertEqual(sorted(wanted), sorted(found))
        # Readers that ignore bitmaps see zeros under cleared bits.
        for block, start, bitmap in disk.stored():
            data = disk.data[start + SECTOR : start + SECTOR + BLOCK]
            for sector in range(per_block):
                if not bitmap[sector >> 3] & 0x80 >> (sector & 7):
                    self.assertEqual(0, data.count(b"\0", sector * SECTOR, (sector + 1) * SECTOR) - SECTOR, block)
