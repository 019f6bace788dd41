"""Both ends of the tar stream, as Python's own tarfile reads them."""

from __future__ import annotations

import io
import tarfile

import ddt

from tests.base import TestCase
from xenimage.streams import tar

GIB = 1 << 30


@ddt.ddt
class HeaderTest(TestCase):
    @ddt.data(0, 1, 3584, 8 * GIB - 1, 8 * GIB, 2041 * GIB)
    def test_tarfile_reads_it(self, size):
        member = tarfile.TarInfo.frombuf(tar.header("0.vhd", size, 946684800), "ascii", "strict")
        self.assertEqual(("0.vhd", size, 946684800), (member.name, member.size, member.mtime))
        self.assertTrue(member.isreg())
        self.assertEqual((0o644, 0, 0, "", ""), (member.mode, member.uid, member.gid, member.uname, member.gname))

    def test_a_size_below_8_gib_is_octal_and_any_tar_reads_it(self):
        self.assertEqual(b"77777777777\0", tar.header("0.vhd", 8 * GIB - 1, 0)[124:136])

    def test_a_size_from_8_gib_on_is_in_base_256(self):
        field = tar.header("0.vhd", 8 * GIB, 0)[124:136]
        self.assertEqual(0x80, field[0])
        self.assertEqual(8 * GIB, int.from_bytes(field[1:], "big"))

    def test_it_is_one_block_with_a_right_sum(self):
        header = tar.header("0.vhd", 9 * GIB, 946684800)
        self.assertEqual(512, len(header))
        blank = header[:148] + b" " * 8 + header[156:]
        self.assertEqual(sum(blank), int(header[148:155].rstrip(b"\0 "), 8))

    def test_a_name_of_100_bytes_fits_and_a_longer_one_does_not(self):
        self.assertEqual(512, len(tar.header("n" * 100, 0, 0)))
        with self.assertRaisesRegex(ValueError, "does not fit one header"):
            tar.header("n" * 101, 0, 0)

    @ddt.data(0, 1, 8 * GIB - 1)
    def test_posix_has_its_own_mark(self, size):
        header = tar.ustar_header("web.ovf", size, 946684800)
        self.assertEqual(b"ustar\x0000", header[257:265])
        member = tarfile.TarInfo.frombuf(header, "ascii", "strict")
        self.assertEqual(("web.ovf", size, 946684800, 0o644), (member.name, member.size, member.mtime, member.mode))

    def test_what_posix_cannot_say_takes_the_form_of_gnu(self):
        self.assertEqual(tar.header("a", 8 * GIB, 5), tar.ustar_header("a", 8 * GIB, 5))
        for name in ("n" * 101, "d" * 60 + "/" + "n" * 60):
            with self.assertRaisesRegex(ValueError, "does not fit one header"):
                tar.ustar_header(name, 0, 0)


@ddt.ddt
class EndingTest(TestCase):
    @ddt.data(512, 1024, 3584 + 512, 10240, 10240 - 1024, 10240 - 512, 2 * 10240, 1 << 21, 700, 9217)
    def test_ends_with_two_zero_blocks_and_a_whole_record(self, length):
        ending = tar.ending(length)
        self.assertEqual(0, (length + len(ending)) % 10240)
        self.assertEqual(bytes(len(ending)), ending)
        padded = length + -length % 512
        self.assertGreaterEqual(length + len(ending), padded + 1024)
        self.assertLess(length + len(ending), padded + 1024 + 10240)

    def test_tarfile_sees_one_member_and_the_end(self):
        content = b"vhd" * 1000
        stream = tar.header("0.vhd", len(content), 0) + content + tar.ending(512 + len(content))
        with tarfile.open(fileobj=io.BytesIO(stream)) as archive:
            (member,) = archive.getmembers()
            self.assertEqual(content, archive.extractfile(member).read())
