"""Whatever machines and disks there are: written, and read back by both ways, they are the same."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.base import TestCase
from tests.builders.pattern import pattern
from tests.builders.vhd import MemorySource
from tests.unit.containers.xva.test_writer import content, read, written
from xenimage.containers.xva.compose import split_mapping
from xenimage.containers.xva.machines import mapping_text
from xenimage.containers.xva.reader import open_xva
from xenimage.limits import STRICT
from xenimage.model.machine import Machine, MachineDisk, Nic
from xenimage.units import MIB

TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff"), max_size=20
)
WORD = st.text("abcdefghijklmnopqrstuvwxyz_-0123456789", min_size=1, max_size=9)
DISKS = st.lists(
    st.tuples(
        st.lists(st.booleans(), min_size=1, max_size=6),
        st.integers(1, MIB // 512),
    ),
    min_size=1,
    max_size=3,
)


def disk(parts: list[bool], last: int, seed: int) -> bytes:
    """Mebibytes of a pattern or of zeros; the last one shorter."""
    data = b"".join(pattern(n * MIB, MIB, seed) if full else bytes(MIB) for n, full in enumerate(parts))
    return data[: len(data) - MIB + last * 512]


class XvaTestCase(TestCase):
    @settings(max_examples=25, deadline=None)
    @given(
        DISKS,
        st.sampled_from(["sha1", "xxh64"]),
        st.sampled_from(["none", "gzip", "zstd"]),
        st.integers(1, 3),
        st.tuples(TEXT, TEXT, TEXT),
        st.dictionaries(WORD, WORD, max_size=4),
    )
    def test_round_trip(
        self,
        shapes: list[tuple[list[bool], int]],
        kind: str,
        how: str,
        jobs: int,
        texts: tuple[str, str, str],
        platform: dict[str, str],
    ) -> None:
        name, description, network = texts
        disks = {f"d{n}": disk(parts, last, n) for n, (parts, last) in enumerate(shapes)}
        machine = Machine(
            identifier="x",
            name=name,
            description=description,
            vm_mode="hvm",
            disks=tuple(MachineDisk(identifier=each, label=each) for each in disks),
            nics=(Nic(network=network),),
            settings={"platform": mapping_text(platform)},
        )
        data = written([machine], disks, sum=kind, compression=how, jobs=jobs)
        package = read(data)
        (found,) = package.package.machines
        self.assertEqual((name, description, network), (found.name, found.description, found.nics[0].network))
        if platform and not platform.keys() & {"secureboot", "cores-per-socket"}:
            self.assertEqual(platform, split_mapping(found.settings["platform"]))
        for each in found.disks:
            self.assert_same_bytes(disks[each.label], content(package, each))
        again = open_xva(MemorySource(data, "x"), STRICT)
        passing = again.forward(found.disks[-1])
        buffer = bytearray(passing.facts.virtual_size)
        passing.read_into(0, memoryview(buffer))
        passing.finish()
        self.assert_same_bytes(disks[found.disks[-1].label], bytes(buffer))
