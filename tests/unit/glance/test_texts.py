"""What tenants read."""

from __future__ import annotations

import ddt

from tests.base import TestCase
from xenimage import exceptions
from xenimage.glance import texts
from xenimage.glance.errors import UNUSABLE, UnusableError, presentable
from xenimage.glance.texts import refusal
from xenimage.model.finding import Finding, Severity

SOURCE = "/var/lib/glance/staging/6a1c"
OUTPUT = f"{SOURCE}.xenimage"


@ddt.ddt
class RefusalTest(TestCase):
    def text(self, error):
        return refusal(error, SOURCE, OUTPUT).text

    @ddt.data(
        (
            exceptions.FormatError("is empty", expected="a disk image", where=SOURCE),
            "The image cannot be taken: it is empty, expected a disk image. Compare the file with its original, repair"
            " it or make it anew, and upload it again.",
        ),
        (
            exceptions.FormatError("the checksum is 1", expected="2", where=f"{SOURCE}: 0.vhd: footer"),
            "The image cannot be taken: 0.vhd: footer: the checksum is 1, expected 2. Compare the file with its"
            " original, repair it or make it anew, and upload it again.",
        ),
        (
            exceptions.UnsafeError("names the file 'other'", where=SOURCE, tip="Use --backing FILE."),
            "The image cannot be taken: it names the file 'other'. Make one plain file of it that needs no other"
            " (qemu-img convert -O qcow2), and upload that.",
        ),
        (
            exceptions.LimitError("the virtual size is 9", expected="at most 8 (limit virtual_size)", where=SOURCE),
            "The image cannot be taken: the virtual size is 9, expected at most 8 (limit virtual_size). This is a guard"
            " against harmful images. If yours is none, ask the operator of the cloud.",
        ),
        (
            exceptions.UnsupportedError("is of the format VHDX", expected="raw", where=SOURCE),
            "The image cannot be taken: it is of the format VHDX, expected raw. Convert it to a plain qcow2 (qemu-img"
            " convert -O qcow2), and upload that.",
        ),
        (
            exceptions.TransferError("cannot be written: no space left", where=OUTPUT, done=5),
            "The server ran out of room or could not read or write a file while it converted the image. Import it again"
            " later; if that does not help, ask the operator of the cloud.",
        ),
        (exceptions.UsageError("exists already", where=OUTPUT), UNUSABLE),
        (exceptions.ConfigError("x"), UNUSABLE),
    )
    @ddt.unpack
    def test_texts(self, error, expected):
        self.assertEqual(expected, self.text(error))

    def test_the_log_gets_it_as_it_was(self):
        error = exceptions.UnsafeError("is no file", where=SOURCE, tip="Use --backing FILE.")
        expected = f"UnsafeError: {SOURCE}: is no file (tip: Use --backing FILE.)"
        self.assertEqual(expected, refusal(error, SOURCE, OUTPUT).detail)
        self.assertIsInstance(refusal(exceptions.UsageError("x"), SOURCE, OUTPUT), UnusableError)

    def test_findings(self):
        def finding(number: int, severity: Severity = Severity.ERROR) -> Finding:
            return Finding(
                code=f"vhd.x{number}", severity=severity, what=f"What {number}.", why=f"Why {number}.", act="--act"
            )

        many = [finding(0, Severity.INFO), *(finding(number) for number in range(1, 6))]
        self.assertEqual(
            "The Xen hosts of this cloud would not run the image: What 1. Why 1. What 2. Why 2. What 3. Why 3. And 2"
            " more. Repair or convert the image, and upload it again.",
            self.text(exceptions.NotReadyError("no", findings=many)),
        )

    def test_what_is_to_be_done_in_the_guest(self):
        kinds = [kind for code, kind in sorted(texts.GUEST_KINDS.items())]
        found = [
            Finding(code=kind.code, severity=Severity.ERROR, what=f"{SOURCE} has /etc/x{n}.", why="W.", act=f"Do {n}.")
            for n, kind in enumerate(kinds * 5)
        ][:5]
        self.assertEqual(
            "The Xen hosts of this cloud would not run the image: the image has /etc/x0. Do 0. the image has /etc/x1."
            f" Do 1. the image has /etc/x2. Do 2. And 2 more: {found[3].code}, {found[4].code}. Then upload it again."
            " xenimage guest check tells more, with what was seen.",
            self.text(exceptions.NotReadyError("no", findings=found)),
        )

    @ddt.data(
        (f"{OUTPUT}: {SOURCE} is it", "the image: the image is it"),
        ("see /etc/glance/glance-api.conf now", "see a file now"),
        ("a/b and 1/2 stay", "a/b and 1/2 stay"),
        ("\x1b[31mred\x00", "\\u001b[31mred\\u0000"),
        ("x" * 1000, "x" * 600 + " ..."),
    )
    @ddt.unpack
    def test_what_a_tenant_must_not_see(self, text, expected):
        self.assertEqual(expected, presentable(text, SOURCE, OUTPUT))
