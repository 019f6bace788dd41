"""Whatever stands in a VMX, it is read, or refused with an error of our own."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.base import TestCase
from tests.builders import vmdk
from tests.builders import vmx as build
from xenimage.containers.vmx.dictionary import is_vmx, read_dictionary
from xenimage.containers.vmx.package import open_vmx
from xenimage.exceptions import XenimageError
from xenimage.limits import STRICT
from xenimage.model.transfer import Silent

KEYS = st.sampled_from([
    *build.MACHINE, "floppy0.present", "bios.hddOrder", "bios.bootOrder", "scsi0:1.present", "scsi0:1.fileName",
    "scsi9:9.present", "ide0:0.present", "ide0:0.fileName", "ide0:0.deviceType", "ethernet99.present", "vtpm.present",
    "ethernet0.address", "checkpoint.vmState", "scsi0:0.mode",
])  # fmt: skip
VALUES = st.one_of(
    st.sampled_from(["TRUE", "FALSE", "", "0", "9" * 30, "..", "web.vmdk", "|", "|0", "|00", "|FF|FE", "scsi0:1", ","]),
    st.text(max_size=40),
    st.integers().map(str),
)
ENCODINGS = st.sampled_from(["utf-8", "latin-1", "utf-16", "cp932"])
TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters='"|'), max_size=30)


class VmxTestCase(TestCase):
    @settings(max_examples=300, deadline=None)
    @given(st.one_of(st.binary(max_size=600), st.binary(max_size=300).map(build.text().__add__)))
    def test_any_bytes(self, data: bytes) -> None:
        self.read(data)

    @settings(max_examples=300, deadline=None)
    @given(st.lists(st.tuples(KEYS, VALUES), max_size=12), ENCODINGS)
    def test_any_values(self, pairs: list[tuple[str, str]], encoding: str) -> None:
        lines = "".join(f'{key} = "{value}"\n' for key, value in pairs)
        self.read(build.text() + lines.encode(encoding, "replace"))

    def read(self, data: bytes) -> None:
        path = build.write(self.scratch, web=build.disk(vmdk.some_grains([0])))
        path.write_bytes(data)
        is_vmx(data)
        try:
            package = open_vmx(path, STRICT)
        except XenimageError:
            return
        self.assertLessEqual(len(package.package.findings), 40)
        package.prove(Silent())
        for disk in package.package.machines[0].disks:
            try:
                package.disk(disk).close()
            except XenimageError as error:
                self.assertTrue(error.where.startswith(str(path)))

    @settings(max_examples=100, deadline=None)
    @given(TEXT.map(str.strip), st.sampled_from(["utf-8", "gb18030"]))
    def test_any_text_is_read_back(self, text: str, encoding: str) -> None:
        data = build.text({".encoding": encoding, "annotation": text}, encoding=encoding)
        self.assertEqual(text, read_dictionary(data).text("annotation"))
