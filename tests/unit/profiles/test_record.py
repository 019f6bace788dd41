"""Records of images, and what mends them."""

from __future__ import annotations

import ddt

from tests.base import TestCase
from tests.unit.cli.support import image
from xenimage.profiles.record import judge_record
from xenimage.profiles.registry import BUILTIN
from xenimage.units import GIB

NOVA = BUILTIN["nova-xenapi"]
RACKSPACE = BUILTIN["rackspace"]


@ddt.ddt
class RecordTest(TestCase):
    def judge(self, properties: dict[str, str], *, profile=NOVA, virtual_size: int = 10 * GIB, wishes=None, **fields):
        record = image(properties=properties, **fields)
        return judge_record(record, profile, virtual_size=virtual_size, wishes=wishes)

    def codes(self, *args, **more) -> list[str]:
        return [each.code for each in self.judge(*args, **more).findings]

    def changes(self, *args, **more) -> dict[str, tuple[str | None, str | None]]:
        return {each.name: (each.before, each.after) for each in self.judge(*args, **more).changes}

    def test_a_good_record(self) -> None:
        self.assertEqual(([], {}), (self.codes({"vm_mode": "hvm"}), self.changes({"vm_mode": "hvm", "mine": "X"})))

    @ddt.data(
        ({}, {"vm_mode": (None, "hvm")}),
        ({"vm_mode": "HVM"}, {"vm_mode": ("HVM", "hvm")}),
        ({"vm_mode": "pv"}, {"vm_mode": ("pv", "xen")}),
        ({"vm_mode": "bhyve"}, {}),
        ({"hw_vm_mode": "xen"}, {"vm_mode": (None, "xen")}),
        ({"hw_vm_mode": "HVM"}, {"vm_mode": (None, "hvm")}),
        ({"hw_vm_mode": "xen", "vm_mode": "hvm"}, {}),
        ({"VM_Mode": "hvm"}, {"VM_Mode": ("hvm", None), "vm_mode": (None, "hvm")}),
        ({"VM_Mode": "xen", "vm_mode": "hvm"}, {"VM_Mode": ("xen", None)}),
        ({"vm_mode": "hvm", "os_type": "Windows"}, {"os_type": ("Windows", "windows")}),
        ({"vm_mode": "hvm", "os_type": "beos"}, {}),
        ({"vm_mode": "hvm", "hypervisor_type": "XenServer"}, {"hypervisor_type": ("XenServer", "xen")}),
        ({"vm_mode": "hvm", "architecture": "AMD64"}, {"architecture": ("AMD64", "x86_64")}),
        ({"vm_mode": "hvm", "architecture": "i686"}, {}),
        ({"vm_mode": "hvm", "kernel_id": "nokernel"}, {"kernel_id": ("nokernel", None)}),
        ({"vm_mode": "hvm", "img_use_agent": "false"}, {"xenapi_use_agent": (None, "false")}),
        ({"vm_mode": "hvm", "hw_device_id": "2"}, {}),
    )
    @ddt.unpack
    def test_what_mends_the_properties(self, properties, changes) -> None:
        self.assertEqual(changes, self.changes(properties))
        mended = {**properties, **{name: after for name, (_, after) in changes.items() if after is not None}}
        mended = {name: value for name, value in mended.items() if changes.get(name, ("", ""))[1] is not None}
        self.assertEqual({}, self.changes(mended))

    @ddt.data(
        ({}, ["property.vm_mode.missing"]),
        ({"vm_mode": "HVM"}, ["property.vm_mode.value"]),
        ({"hw_vm_mode": "xen"}, ["property.vm_mode.missing", "property.hw_vm_mode.unread"]),
        ({"hw_vm_mode": "xen", "vm_mode": "hvm"}, ["property.hw_vm_mode.unread"]),
        ({"VM_Mode": "hvm"}, ["property.all.case", "property.vm_mode.missing"]),
        ({"vm_mode": "hvm", "kernel_id": "x"}, ["property.kernel_id.forbidden"]),
        ({"vm_mode": "hvm", "xenapi_device_id": "2"}, ["property.xenapi_device_id.trap"]),
    )
    @ddt.unpack
    def test_what_is_found(self, properties, codes) -> None:
        self.assertEqual(codes, self.codes(properties))

    def test_what_can_be_mended_says_how(self) -> None:
        (found,) = self.judge({"vm_mode": "HVM"}).findings
        self.assertEqual("Run it with --fix, which will set vm_mode=hvm.", found.act)
        (found,) = self.judge({"vm_mode": "hvm", "kernel_id": "x"}).findings
        self.assertEqual("Run it with --fix, which will take kernel_id away.", found.act)
        (found,) = self.judge({"vm_mode": "bhyve"}).findings
        self.assertNotIn("--fix", found.act)

    def test_wishes_win(self) -> None:
        self.assertEqual(
            {"vm_mode": (None, "xen"), "mine": ("x", "y")},
            self.changes({"mine": "x"}, wishes={"vm_mode": "xen", "mine": "y"}),
        )

    @ddt.data((10 * GIB, 10, None), (10 * GIB + 1, 10, "11"), (10 * GIB, 0, "10"), (0, 0, None), (GIB, 50, None))
    @ddt.unpack
    def test_min_disk(self, virtual_size, min_disk, after) -> None:
        good = {"vm_mode": "hvm"}
        expected = {"min_disk": (str(min_disk), after)} if after else {}
        self.assertEqual(expected, self.changes(good, virtual_size=virtual_size, min_disk=min_disk))
        codes = ["image.min_disk"] if after else []
        self.assertEqual(codes, self.codes(good, virtual_size=virtual_size, min_disk=min_disk))

    @ddt.data(("qcow2", "bare"), ("vhd", "bare"), ("raw", "ovf"))
    @ddt.unpack
    def test_formats(self, disk_format, container_format) -> None:
        fields = {"disk_format": disk_format, "container_format": container_format}
        self.assertEqual(["image.format"], self.codes({"vm_mode": "hvm"}, **fields))
        self.assertEqual({}, self.changes({"vm_mode": "hvm"}, **fields))
