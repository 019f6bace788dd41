"""Disks as files of a package: the same bytes whichever way they are written, and never of two states of a disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ddt

from tests.base import TestCase
from tests.builders.pattern import pattern
from tests.builders.vhd import MemorySource
from xenimage.engine.diskfiles import DiskFiles, disk_content
from xenimage.exceptions import TransferError
from xenimage.formats.raw import open_raw
from xenimage.limits import STRICT
from xenimage.model.transfer import Silent
from xenimage.sinks.file import FileSink
from xenimage.units import MIB

if TYPE_CHECKING:
    import pathlib

DATA = bytes(2 * MIB) + pattern(0, 3 * MIB) + bytes(4 * MIB) + pattern(7, 3 * MIB + 512)


class ChangingSource(MemorySource):
    """Has other bytes from the second time on that its start of data is read."""

    times = 0

    def read_into(self, offset: int, buffer: memoryview) -> None:
        super().read_into(offset, buffer)
        if offset == 2 * MIB:
            self.times += 1
            buffer[0] ^= self.times > 1


@ddt.ddt
class DiskFilesTest(TestCase):
    def written(self, source: MemorySource, **options: object) -> tuple[int, int, bytes]:
        """The size of the disk, the bytes that it has stored, and the file."""
        files = DiskFiles(**{"jobs": 2, "timestamp": 1577836800, **options})  # type: ignore[arg-type]
        content = disk_content(open_raw(source, STRICT), files, STRICT, Silent())
        path: pathlib.Path = self.scratch / "out"
        sink = FileSink(str(path), force=True)
        self.addCleanup(sink.close)
        stored = content.write(sink, "web-disk1.x")
        sink.flush()
        sink.commit()
        return content.size, stored, path.read_bytes()

    def test_a_vhd_forward_is_the_same(self) -> None:
        first = self.written(MemorySource(DATA, "d"), format="vhd")
        self.assertEqual((14 * MIB, 10 * MIB), first[:2])
        self.assertEqual(first, self.written(MemorySource(DATA, "d"), format="vhd", forward=True))

    def test_a_disk_that_changes_is_refused(self) -> None:
        with self.assertRaisesRegex(TransferError, "the source changed while it was read, expected the same bytes"):
            self.written(ChangingSource(DATA, "d"), format="vhd", forward=True)

    @ddt.data(1, 4)
    def test_a_vmdk_knows_its_name_and_not_the_threads(self, jobs: int) -> None:
        size, stored, data = self.written(MemorySource(DATA, "d"), format="vmdk", jobs=jobs)
        self.assertEqual((len(DATA), 6 * MIB + 64 * 1024), (size, stored))
        self.assertIn(b'SPARSE "web-disk1.x"', data[:10240])
        self.assertEqual(data, self.written(MemorySource(DATA, "d"), format="vmdk")[2])
