"""Facts of any depth are shown whole."""

from __future__ import annotations

import dataclasses
import enum
import unittest
from typing import Any

from xenimage.cli.text import Style
from xenimage.cli.views.guest import lines, record
from xenimage.model.guest.facts import Cost, GuestFacts


class Start(enum.Enum):
    BOOT = "boot"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Service:
    name: str
    start: Start | None = None
    files: tuple[str, ...] = ()
    signed: bool = False
    where: str = ""
    present: bool | None = None
    owner: Service | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class System:
    place: str
    pagefile_size: int = 0
    empty: str = ""
    wrong: bool = False
    right: bool = True
    zero: int = 0
    zero_key: str = ""
    missing: int | None = None
    denied: bool | None = None
    unknown: bool | None = None
    paths: tuple[str, ...] = ()
    bus: Service | None = None
    services: tuple[Service, ...] = ()
    nothing: tuple[Service, ...] = ()


def shown(system: Any) -> list[str]:
    facts = GuestFacts(disks=(), linux=system)
    return list(lines(facts, Style()))


class ViewTest(unittest.TestCase):
    def test_a_record_with_records(self) -> None:
        system = System(
            place="disk 0\x1b",
            pagefile_size=2048,
            paths=("a", "b"),
            zero_key="hidden",
            denied=False,
            bus=Service(name="xenbus", start=Start.BOOT),
            services=(
                Service(name="one", files=("x.sys",), signed=True, owner=Service(name="two", start=Start.BOOT)),
                Service(name="three", where="hidden", present=False),
            ),
        )
        self.assertEqual(
            [
                "Linux",
                "  place          disk 0\\x1b",
                "  pagefile size  2 KiB (2048 bytes)",
                "  right          yes",
                "  zero           0",
                "  denied         no",
                "  paths          a, b",
                "",
                "Linux: bus",
                "  name   xenbus",
                "  start  boot",
                "",
                "Linux: services",
                "  one: files x.sys, signed, owner (two: start boot)",
                "  three: not present",
                "",
                "0 reads, 0 B, 0.00 s",
            ],
            shown(system),
        )

    def test_without_a_system(self) -> None:
        self.assertEqual("No operating system was recognised.", shown(None)[0])

    def test_one_read_is_not_many(self) -> None:
        for number, shown_number in ((1, "1 read, "), (2, "2 reads, ")):
            last = list(lines(GuestFacts(disks=(), cost=Cost(reads=number)), Style()))[-1]
            self.assertTrue(last.startswith(shown_number), last)

    def test_programs_get_every_field(self) -> None:
        plain = record(GuestFacts(disks=()))
        self.assertEqual([field.name for field in dataclasses.fields(GuestFacts)], list(plain))
