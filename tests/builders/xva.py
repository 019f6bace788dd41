"""XVAs as xapi, Xen Orchestra and xva-img write them, and broken ones. Shares no code with the library.

The shapes: xapi's are the defaults (short last chunk, XXH64, ``Ref:1``), old releases have SHA-1; Xen Orchestra's are
``pad_last=True, ids=3``. A keep-alive is an empty chunk in front of the one with that number, as xapi writes it when it
has nothing to send for five seconds; the numbers behind it shift by one.
"""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

import xxhash
import zstandard

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MIB = 1 << 20
NULL = "OpaqueRef:NULL"
FAULTS = (
    "badsum", "nosum", "lastmissing", "firstmissing", "truncate", "trailing", "ovalast", "dupchunk", "backwards",
    "longchunk", "shortchunk", "behind", "dotdot", "absolute", "symlink", "device", "hugenum", "unknown", "wrongprefix",
    "noend", "sumfirst", "dupsum", "longsum", "nohex",
)  # fmt: skip
HEADER = 512


class Date(str):
    """A string to be written as dateTime.iso8601."""

    __slots__ = ()


def header(name: str, size: int, kind: str = "v7", typeflag: bytes = b"\0", link: bytes = b"") -> bytes:
    """The header block(s) of one member; all ids, modes and times are 0."""
    prefix = b""
    if kind == "pax" and typeflag == b"\0":
        record = f"path={name}\n"
        length = len(f"{len(record) + 3} {record}")
        body = f"{length} {record}".encode()
        prefix = header("PaxHeaders/x", len(body), "ustar", b"x") + body + bytes(-len(body) % 512)
        typeflag = b"0"
    block = bytearray(512)
    encoded = name.encode()[:100]
    block[: len(encoded)] = encoded
    block[100:108] = block[108:116] = block[116:124] = b"0000000\0"
    block[124:136] = b"%011o\0" % size
    block[136:148] = b"%011o\0" % 0
    block[148:156] = b" " * 8
    block[156:157] = typeflag
    block[157 : 157 + len(link)] = link
    if kind == "gnu":
        block[257:265] = b"ustar  \0"
    elif kind != "v7":
        block[257:265] = b"ustar\00000"
    block[148:156] = b"%06o\0 " % sum(block)
    return prefix + bytes(block)


def value(each: Any) -> str:
    """One value of XML-RPC."""
    if each is True or each is False:
        return f"<value><boolean>{each:d}</boolean></value>"
    if isinstance(each, Date):
        return f"<value><dateTime.iso8601>{each}</dateTime.iso8601></value>"
    if isinstance(each, float):
        return f"<value><double>{each!r}</double></value>"
    if isinstance(each, str | int):
        return f"<value>{escape(str(each))}</value>" if each != "" else "<value/>"
    if isinstance(each, list):
        return f"<value><array><data>{''.join(map(value, each))}</data></array></value>"
    members = "".join(f"<member><name>{escape(key)}</name>{value(part)}</member>" for key, part in each.items())
    return f"<value><struct>{members}</struct></value>"


def uuid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def record(cls: str, reference: str, fields: dict[str, Any]) -> dict[str, Any]:
    return {"class": cls, "id": reference, "snapshot": fields}


def vm_fields(name: str, boot: str, number: int = 1) -> dict[str, Any]:
    policy, params = {
        "hvm": ("BIOS order", {"order": "cd"}),
        "uefi": ("BIOS order", {"order": "cd", "firmware": "uefi"}),
        "pv": ("", {}),
    }[boot]
    return {
        "uuid": uuid(number), "power_state": "Halted", "name_label": name, "name_description": "made for a test",
        "is_a_template": False, "suspend_VDI": NULL, "memory_static_max": str(512 * MIB),
        "memory_dynamic_max": str(512 * MIB), "memory_dynamic_min": str(512 * MIB), "memory_static_min": str(512 * MIB),
        "VCPUs_params": {"weight": "256", "cap": "0"}, "VCPUs_max": "4", "VCPUs_at_startup": "2", "VTPMs": [],
        "PV_bootloader": "pygrub" if boot == "pv" else "", "PV_kernel": "", "PV_ramdisk": "",
        "PV_args": "console=hvc0 root=/dev/xvda1" if boot == "pv" else "", "PV_bootloader_args": "",
        "PV_legacy_args": "", "HVM_boot_policy": policy, "HVM_boot_params": params, "HVM_shadow_multiplier": 1.0,
        "platform": {"nx": "true", "acpi": "1", "viridian": "true", "device_id": "0002", "secureboot": "false",
                     "cores-per-socket": "2"},
        "other_config": {"base_template_name": "Other install media"}, "domarch": "", "recommendations": "",
        "is_control_domain": False, "is_a_snapshot": False, "snapshot_of": NULL, "snapshots": [],
        "snapshot_time": Date("19700101T00:00:00Z"), "tags": ["test"], "order": "0", "start_delay": "0",
        "shutdown_delay": "0", "VGPUs": [], "attached_PCIs": [], "has_vendor_device": False, "reference_label": "",
        "domain_type": "pv" if boot == "pv" else "hvm", "NVRAM": {},
    }  # fmt: skip


def vbd_fields(vm: str, vdi: str, device: str, *, bootable: bool = False, kind: str = "Disk") -> dict[str, Any]:
    return {
        "uuid": uuid(100 + int(device)), "VM": vm, "VDI": vdi, "device": "", "userdevice": device,
        "bootable": bootable, "mode": "RW" if kind == "Disk" else "RO", "type": kind, "empty": vdi == NULL,
        "other_config": {"owner": ""},
    }  # fmt: skip


def vdi_fields(name: str, sr: str, size: int | str, kind: str = "user") -> dict[str, Any]:
    return {
        "uuid": uuid(200), "name_label": name, "name_description": "", "SR": sr, "virtual_size": str(size),
        "physical_utilisation": str(size), "type": kind, "read_only": False, "is_a_snapshot": False,
        "snapshot_of": NULL,
    }  # fmt: skip


def vif_fields(vm: str, network: str, device: str = "0") -> dict[str, Any]:
    return {"device": device, "network": network, "VM": vm, "MAC": "02:16:3E:00:00:01", "MTU": "1500"}


VERSION = {
    "hostname": "testhost", "date": "2026-01-01", "product_version": "8.2.1", "product_brand": "XCP-ng",
    "build_number": "test", "xapi_major": "1", "xapi_minor": "20", "export_vsn": "2",
}  # fmt: skip


@dataclasses.dataclass(kw_only=True)
class Xva:
    """An XVA to be made of whole disks.

    :param disks: their contents.
    :param edit: may change the list of objects of ``ova.xml``.
    """

    disks: Sequence[bytes]
    sum: str = "xxhash"
    keepalives: tuple[int, ...] = ()
    pad_last: bool = False
    no_sparse: bool = False
    tar: str = "v7"
    compress: str = ""
    ids: int = 1
    name: str = "Tëst <VM> & co"
    boot: str = "hvm"
    fault: str = ""
    export: str = "2"
    edit: Callable[[list[dict[str, Any]]], None] = lambda _objects: None
    out: bytearray = dataclasses.field(default_factory=bytearray)

    def references(self) -> list[str]:
        """Of the disks: VM, SR, network and VIF stand before them, a VBD in front of each."""
        return [f"Ref:{6 + 2 * number:0{self.ids}d}" for number in range(len(self.disks))]

    def objects(self) -> list[dict[str, Any]]:
        """What ``ova.xml`` holds."""
        vm, sr, network, vif = (f"Ref:{number:0{self.ids}d}" for number in range(1, 5))
        found = [record("VM", vm, vm_fields(self.name, self.boot))]
        for number, (vdi, disk) in enumerate(zip(self.references(), self.disks, strict=True)):
            vbd = f"Ref:{5 + 2 * number:0{self.ids}d}"
            size = len(disk) + (-len(disk) % MIB if self.pad_last else 0)
            found.append(record("VBD", vbd, vbd_fields(vm, vdi, str(number), bootable=number == 0)))
            found.append(record("VDI", vdi, vdi_fields(f"disk {number}", sr, size, "user" if number else "system")))
        found.append(record("VIF", vif, vif_fields(vm, network)))
        found.append(record("network", network, {"name_label": "Pool-wide network", "name_description": "eth0"}))
        found.append(record("SR", sr, {"name_label": "Local storage", "type": "ext", "content_type": "user"}))
        self.edit(found)
        return found

    def xml(self) -> bytes:
        return value({"version": VERSION | {"export_vsn": self.export}, "objects": self.objects()}).encode()

    def put(self, name: str, data: bytes, typeflag: bytes = b"\0", link: bytes = b"") -> None:
        """Put a member behind the others."""
        self.out += header(name, len(data), self.tar, typeflag, link) + data + bytes(-len(data) % 512)

    def make(self) -> bytes:
        """Put it together."""
        if self.fault != "ovalast":
            self.put("ova.xml", self.xml())
        if self.fault == "unknown":
            self.put("README", b"x")
        for reference, disk in sorted(zip(self.references(), self.disks, strict=True)):
            self._put_disk(reference, disk)
        if self.fault == "ovalast":
            self.put("ova.xml", self.xml())
        if self.fault != "noend":
            self.out += bytes(1024)
        if self.fault == "trailing":
            self.out += b"garbage" * 100
        if self.fault == "truncate":
            del self.out[-MIB // 2 :]
        return packed(bytes(self.out), self.compress)

    def _put_disk(self, reference: str, disk: bytes) -> None:
        if self.fault == "wrongprefix":
            reference = "Ref:999"
        count = -(-len(disk) // MIB)
        shift = 0
        for place in range(count):
            data = disk[place * MIB : (place + 1) * MIB]
            if self.pad_last:
                data = data.ljust(MIB, b"\0")
            if place in self.keepalives:
                self._put_chunk(f"{reference}/{place + shift:08d}", b"")
                shift += 1
            ends = place in (0, count - 1)
            if ends or self.no_sparse or any(data):
                self._put_place(reference, place + shift, data, first=place == 0, last=place == count - 1)

    def _put_place(self, reference: str, number: int, data: bytes, *, first: bool, last: bool) -> None:
        """Put one chunk, or what the fault makes of it."""
        fault = self.fault
        name = f"{reference}/{number:08d}"
        if (fault == "lastmissing" and last) or (fault == "firstmissing" and first):
            return
        if fault == "longchunk" and first:
            data += bytes(512)
        if fault == "shortchunk" and first:
            data = data[:-512]
        if last:
            name = {
                "hugenum": f"{reference}/{number + 10**9}",
                "behind": f"{reference}/99999999",
                "backwards": f"{reference}/00000000",
            }.get(fault, name)
        if first:
            name = {"dotdot": f"../{name}", "absolute": f"/absolute/{name}"}.get(fault, name)
        if first and fault in ("symlink", "device"):
            self.put(name, b"", *((b"2", b"/etc/hostname") if fault == "symlink" else (b"3", b"")))
            self._put_sums(name, data)
            return
        if first and fault == "sumfirst":
            self._put_sums(name, data)
        self._put_chunk(name, data)
        if fault == "dupchunk" and first:
            self._put_chunk(name, data)

    def _put_chunk(self, name: str, data: bytes) -> None:
        self.put(name, data)
        self._put_sums(name, data)

    def _put_sums(self, name: str, data: bytes) -> None:
        if self.fault == "nosum" or self.sum == "none":
            return
        sha1, xxh = hashlib.sha1(data).hexdigest(), xxhash.xxh64(data).hexdigest().upper()
        if self.fault == "badsum":
            sha1, xxh = sha1[::-1], xxh[::-1]
        if self.fault == "longsum":
            sha1, xxh = sha1 + "\n", xxh + "\n"
        if self.fault == "nohex":
            sha1, xxh = "x" * 40, "x" * 16
        for suffix, text in ((".checksum", sha1), (".xxhash", xxh)):
            if self.sum in ("both", {".checksum": "sha1", ".xxhash": "xxhash"}[suffix]):
                self.put(name + suffix, text.encode())
                if self.fault == "dupsum":
                    self.put(name + suffix, text.encode())


def packed(data: bytes, how: str) -> bytes:
    """Pack a whole archive."""
    if how == "gzip":
        return gzip.compress(data, 1)
    return zstandard.ZstdCompressor().compress(data) if how == "zstd" else data


def make(*disks: bytes, **options: Any) -> bytes:
    """An XVA of *disks*; *options* as those of :class:`Xva`."""
    return Xva(disks=disks, **options).make()
