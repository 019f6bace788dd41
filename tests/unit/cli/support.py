"""The command line run in this process, and results for it to show."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import logging
import os
import sys
from typing import TYPE_CHECKING, Any
from unittest import mock

from tests.base import TestCase
from xenimage import conf
from xenimage.cli.app import main
from xenimage.engine.conversion import guest_needs
from xenimage.model.disk import DiskFacts, ParentReference
from xenimage.model.extent import Extent, Kind
from xenimage.model.finding import Finding, Severity
from xenimage.model.guest.facts import Cost, FirmwareFacts, GuestFacts, Unread
from xenimage.model.guest.layout import Layout, Partition, Volume
from xenimage.model.guest.windows import WindowsFacts, WindowsVersion
from xenimage.model.image import (
    Action,
    ImageFacts,
    ImageOptions,
    ImagePlan,
    ImageRecord,
    ImageReport,
    PropertyChange,
    RecordReport,
    SaveReport,
)
from xenimage.model.kit import KitImage, KitReport
from xenimage.model.machine import (
    Deployment,
    Machine,
    MachineDisk,
    Network,
    Nic,
    Package,
    PackageFile,
    Product,
    Proof,
)
from xenimage.model.plan import BundleOptions, ConvertOptions, ConvertPlan, Layer, Plan, Property, SourceOptions
from xenimage.model.report import (
    BundleFacts,
    BundleRepairReport,
    BundleReport,
    ChainFile,
    ChainNode,
    ChainReport,
    CheckedDisk,
    CheckReport,
    Comparison,
    ConvertReport,
    Diagnosis,
    DiskMap,
    DisksReport,
    DiskUsage,
    GuestReport,
    LayerReport,
    LinkState,
    LostRange,
    Member,
    MemberRepair,
    Mending,
    PackageReport,
    PackageStep,
    RebaseReport,
    RepairReport,
    Verdict,
    VhdFacts,
)
from xenimage.model.transfer import Receipt
from xenimage.profiles.properties import decide
from xenimage.profiles.registry import BUILTIN
from xenimage.units import GIB, MIB

if TYPE_CHECKING:
    from collections.abc import Mapping

UUID = "12345678-1234-5678-9abc-def012345678"


@dataclasses.dataclass(frozen=True)
class Run:
    """What one command line did."""

    code: int
    out: str
    err: str


class Terminal(io.TextIOWrapper):
    """A stream that calls itself a terminal."""

    def isatty(self) -> bool:
        return True


class CliTestCase(TestCase):
    """Runs command lines without terminal, configuration and the caller's environment."""

    def setUp(self) -> None:
        super().setUp()
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
        for patcher in (
            mock.patch.dict(os.environ, kept, clear=True),
            mock.patch.object(conf, "DEFAULT_FILE", str(self.scratch / "no.conf")),
        ):
            patcher.start()
            self.addCleanup(patcher.stop)
        self._restore_logging()

    def _restore_logging(self) -> None:
        root = logging.getLogger()
        handlers, level = list(root.handlers), root.level

        def restore() -> None:
            for handler in set(root.handlers) - set(handlers):
                root.removeHandler(handler)
                handler.close()
            root.setLevel(level)

        self.addCleanup(restore)

    def run_cli(
        self,
        *words: str,
        encoding: str = "utf-8",
        environ: Mapping[str, str] | None = None,
        kind: type[io.TextIOWrapper] = io.TextIOWrapper,
    ) -> Run:
        out, err = (kind(io.BytesIO(), encoding=encoding, write_through=True) for _ in range(2))
        with (
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            mock.patch.dict(os.environ, environ or {}),
        ):
            code = main(list(words))
        out.flush()
        err.flush()
        assert sys.stdout is not out
        return Run(code, *(stream.buffer.getvalue().decode(encoding) for stream in (out, err)))

    def patch_api(self, **results: object) -> dict[str, mock.Mock]:
        """Let functions of the library return, or raise, what is given."""
        mocks = {}
        for name, result in results.items():
            failure = isinstance(result, BaseException)
            patcher = mock.patch(
                f"xenimage.api.{name}", **({"side_effect": result} if failure else {"return_value": result})
            )
            mocks[name] = patcher.start()
            self.addCleanup(patcher.stop)
        return mocks


def finding(severity: Severity = Severity.ERROR, **changes: object) -> Finding:
    values: dict[str, object] = {
        "code": "vhd.footer.checksum",
        "severity": severity,
        "what": "The checksum of the trailing footer is wrong.",
        "why": "XenServer repairs it silently; Cinder reads another size.",
        "act": "Make the bundle anew.",
        "where": "0.vhd",
        "offset": 0x1E00,
    }
    return Finding(**(values | changes))  # type: ignore[arg-type]


def disk_facts(**changes: object) -> DiskFacts:
    values: dict[str, object] = {
        "format": "qcow2",
        "variant": "v3",
        "virtual_size": 10 * GIB,
        "granularity": 65536,
        "stored_size": 700 * MIB,
        "compressed": True,
        "details": (("snapshots", "1"),),
    }
    return DiskFacts(**(values | changes))  # type: ignore[arg-type]


def child_facts() -> DiskFacts:
    parent = ParentReference(name="base.qcow2", format="qcow2")
    return disk_facts(parent=parent, compressed=False, details=(), findings=(finding(Severity.WARNING),))


def plan(**options: object) -> Plan:
    values: dict[str, object] = {"source": SourceOptions(path="debian.qcow2"), "output": "debian.tgz"}
    wishes = BundleOptions(**(values | options))  # type: ignore[arg-type]
    profile = BUILTIN[wishes.profile]
    properties, findings = decide(profile, wishes)
    return Plan(
        options=wishes,
        profile=profile,
        layers=(
            Layer(
                name="0.vhd",
                path=wishes.source.path,
                source=disk_facts(),
                virtual_size=10 * GIB,
                blocks=((0, 600),),
                data_size=1200 * MIB,
            ),
        ),
        min_disk=10,
        output_size_max=1201 * MIB,
        jobs=2,
        timestamp=946684800,
        properties=properties,
        findings=findings,
    )


def bundle_report(**options: object) -> BundleReport:
    made = plan(**options)
    return BundleReport(
        plan=made,
        receipt=Receipt(path=made.options.output, size=400 * MIB, md5="a" * 32, sha256="b" * 64, sha512="c" * 128),
        layers=(
            LayerReport(
                name="0.vhd",
                uuid=UUID,
                vhd_size=1001 * MIB,
                data_size=1000 * MIB,
                left_out_size=200 * MIB,
                partial=0,
            ),
        ),
        seconds=4.0,
        compressor="isal 1.8, level 1",
        verified=False,
    )


def vhd_facts(**changes: object) -> VhdFacts:
    values: dict[str, object] = {
        "variant": "dynamic",
        "creator": "tap 1.3",
        "uuid": UUID,
        "virtual_size": 10 * GIB,
        "original_size": 10 * GIB,
        "geometry": "20805/16/63",
        "timestamp": "2000-01-01T00:00:00Z",
        "hidden": 0,
        "saved": 0,
        "features": 2,
        "block_size": 2 * MIB,
        "blocks": 5120,
        "allocated": 500,
        "batmap": "1.2, 0 full",
        "parent_uuid": "",
        "parent_name": "",
        "file_size": 1001 * MIB,
    }
    return VhdFacts(**(values | changes))  # type: ignore[arg-type]


def bundle_facts() -> BundleFacts:
    member = Member(
        name="0.vhd", kind="file", size=1001 * MIB, mode=0o644, owner="0:0", mtime=946684800, vhd=vhd_facts()
    )
    note = Member(name="read.me", kind="file", size=5, mode=0o600, owner="1000:1000", mtime=1 << 60)
    return BundleFacts(
        path="debian.tgz",
        size=400 * MIB,
        inflated_size=1001 * MIB + 10240,
        members=(member, note),
        chain=("0.vhd",),
        virtual_size=10 * GIB,
        min_disk=10,
    )


def check_report(verdict: Verdict = Verdict.SOUND, *findings: Finding) -> CheckReport:
    return CheckReport(
        path="debian.tgz", profile="nova-xenapi", verdict=verdict, findings=findings, facts=bundle_facts()
    )


def disks_report(verdict: Verdict = Verdict.NOT_READY) -> DisksReport:
    leaf = CheckedDisk(
        path="leaf.vhd",
        format="vhd",
        verdict=verdict,
        findings=(finding(where="leaf.vhd"),),
        parent="base.vhd",
        vhd=vhd_facts(variant="differencing", parent_uuid=UUID, parent_name="base.vhd"),
    )
    base = CheckedDisk(path="base.vhd", format="vhd", verdict=Verdict.SOUND, findings=(), vhd=vhd_facts(hidden=1))
    return DisksReport(profile="nova-xenapi", verdict=verdict, disks=(leaf, base))


def chain_report(name: str = "lost.vhd") -> ChainReport:
    def file(path: str, **facts: object) -> ChainFile:
        vhd = vhd_facts(**facts) if facts else None
        return ChainFile(path=f"pool/{path}", place=f"/pool/{path}", vhd=vhd, problem="" if vhd else "is empty")

    def node(each: ChainFile, state: LinkState, parent: int | None = None, *children: int, depth: int = 1) -> ChainNode:
        return ChainNode(file=each, state=state, parent=parent, children=children, depth=depth)

    child = {"variant": "differencing", "parent_name": "base.vhd", "parent_uuid": UUID}
    nodes = (
        node(file("base.vhd", hidden=1), LinkState.ROOT, None, 1, 3),
        node(file("b.vhd", **child, uuid="b"), LinkState.LINKED, 0, 2, depth=2),
        node(file("c.vhd", **child, uuid="c"), LinkState.LINKED, 1, depth=3),
        node(file("d.vhd", **child, uuid="d"), LinkState.LINKED, 0, depth=2),
        node(file(name, variant="differencing", parent_name="x.vhd", parent_uuid="x"), LinkState.MISSING),
        node(file("ring.vhd", **child), LinkState.CYCLE, 5, 5, depth=0),
        node(file("empty.vhd"), LinkState.UNREADABLE, depth=0),
    )
    return ChainReport(nodes=nodes, findings=(finding(code="chain.missing", where="pool/lost.vhd", offset=None),))


def convert_report() -> ConvertReport:
    return ConvertReport(
        path="debian.vhd",
        format="vhd",
        subformat="dynamic",
        virtual_size=10 * GIB,
        chs_size=20805 * 16 * 63 * 512,
        source_size=10 * GIB - 512,
        data_size=1000 * MIB,
        output_size=1001 * MIB,
        seconds=2.5,
        needs=guest_needs("vhd"),
    )


def convert_plan() -> ConvertPlan:
    source = disk_facts(format="vhd", variant="dynamic", chs_size=20805 * 16 * 63 * 512)
    return ConvertPlan(
        options=ConvertOptions(source=SourceOptions(path="a.tgz"), output="a.qcow2", format="qcow2"),
        source=source,
        subformat="",
        compression="none",
        cluster_size=64 << 10,
        virtual_size=10 * GIB,
        chs_size=None,
        blocks=((0, 600),),
        data_size=1200 * MIB,
        output_size_max=1201 * MIB,
        jobs=2,
        timestamp=946684800,
        needs=guest_needs("qcow2"),
        findings=(),
    )


def image(**changes: object) -> ImageRecord:
    values: dict[str, object] = {
        "id": UUID,
        "name": "debian",
        "status": "active",
        "disk_format": "vhd",
        "container_format": "ovf",
        "size": 400 * MIB,
        "virtual_size": None,
        "min_disk": 10,
        "visibility": "private",
        "owner": "4b1d" * 8,
        "checksum": "a" * 32,
        "hash_algorithm": "sha512",
        "hash_value": "c" * 128,
        "importing": False,
        "properties": {"vm_mode": "hvm", "note": "\x1b[31mred"},
    }
    return ImageRecord(**(values | changes))  # type: ignore[arg-type]


def image_plan() -> ImagePlan:
    bundle = plan(output="-")
    verdict = Property(name="xenimage_verdict", value="usable", reason="Where it comes from.")
    return ImagePlan(
        name="debian",
        options=ImageOptions(bundle=bundle.options, name="debian"),
        plan=bundle,
        check=None,
        disk_format="vhd",
        container_format="ovf",
        min_disk=10,
        virtual_size=10 * GIB,
        source_sha256="b" * 64,
        properties=(*bundle.properties, verdict),
        existing=(image(),),
        findings=(finding(Severity.WARNING),),
    )


def image_report() -> ImageReport:
    return ImageReport(
        plan=image_plan(),
        image=image(),
        action=Action.REPLACED,
        bundle=bundle_report(output="-"),
        sent=400 * MIB,
        md5="a" * 32,
        sha512="c" * 128,
        replaced=("87654321-4321-8765-cba9-876543210fed",),
        attempts=2,
        seconds=8.0,
    )


def image_facts() -> ImageFacts:
    return ImageFacts(
        image=image(),
        content="bundle",
        member="0.vhd",
        vhd=vhd_facts(),
        virtual_size=10 * GIB,
        min_disk=10,
        read=3 * MIB,
    )


def save_report() -> SaveReport:
    return SaveReport(
        image=image(),
        path="debian.qcow2",
        format="qcow2",
        size=1001 * MIB,
        downloaded=400 * MIB,
        proved=True,
        conversion=convert_report(),
        seconds=2.5,
    )


def record_report() -> RecordReport:
    return RecordReport(
        image=image(),
        profile="nova-xenapi",
        verdict=Verdict.NOT_READY,
        virtual_size=10 * GIB,
        findings=(finding(code="image.format", where="disk_format"),),
        changes=(
            PropertyChange(name="os_type", before="Windows", after="windows", reason="Lower case only."),
            PropertyChange(name="kernel_id", before="\x1bx", after=None, reason="Boots another kernel."),
            PropertyChange(name="vm_mode", before=None, after="hvm", reason="Else paravirtualised."),
        ),
        fixed=True,
    )


def disk_map(*findings: Finding) -> DiskMap:
    extents = (
        Extent(0, 16 * MIB, Kind.DATA),
        Extent(16 * MIB, 16 * MIB, Kind.ZERO),
        Extent(32 * MIB, 31 * MIB, Kind.ABSENT),
        Extent(63 * MIB, 1 * MIB, Kind.DATA),
    )
    return DiskMap(extents=extents, findings=findings)


def odd_guest() -> GuestFacts:
    esp = Volume(kind="fat32", label="EFI\x1b[31m", uuid="1458-E4D4", size=64 * MIB, cluster_size=512, readable=True)
    root = Volume(kind="ext4", uuid="9c1b7d3a", size=400 * MIB, free=99 * MIB, needs_recovery=True, readable=True)
    partitions = (
        Partition(number=1, offset=MIB, length=64 * MIB, type="C12A", type_name="EFI system", active=True, volume=esp),
        Partition(number=2, offset=65 * MIB, length=400 * MIB, type="0FC6", name="root", volume=root),
        Partition(number=3, offset=1 << 40, length=MIB, type="FFFF"),
        Partition(number=0, offset=0, length=8 * MIB, type="lvm", name="vg/swap", volume=Volume(kind="swap")),
    )
    return GuestFacts(
        disks=(
            Layout(
                index=0,
                name="system.qcow2",
                size=512 * MIB,
                scheme="gpt",
                identifier="6f1d8e52",
                partitions=partitions,
                backup_table=False,
                remarks=("The backup is not where it should be.",),
            ),
            Layout(index=1, name="data.raw", size=2 * MIB, scheme=""),
        ),
        firmware=FirmwareFacts(uefi=True, loaders=("EFI/debian/grubx64.efi",)),
        systems=("Linux on disk 0, partition 2", "Linux on vg/old"),
        unread=(Unread(what="etc/\x1b[0mfstab on disk 0, partition 2", why="an extent lies outside of the volume"),),
        stopped="took longer than 30 s (limit guest_time)",
        cost=Cost(reads=123, bytes_read=5 * MIB, seconds=30.125),
    )


def different() -> Comparison:
    return Comparison(equal=False, first_difference=0x1234, sizes=(64 * MIB, 66 * MIB), compared=3 * MIB)


def diagnoses() -> tuple[Diagnosis, ...]:
    return (
        Diagnosis(what="python", good=True, found="3.11"),
        Diagnosis(what="isal", good=False, found="not installed", act="pip install isal"),
    )


def repair_report() -> RepairReport:
    return RepairReport(
        source="cut.vhd",
        path="rest.vhd",
        written=True,
        in_place=False,
        variant="dynamic",
        uuid="14018f61-848d-4780-a173-1f00cb794de6",
        virtual_size=64 * MIB,
        data_size=6 * MIB,
        output_size=7 * MIB,
        seconds=0.5,
        before=(finding(where="cut.vhd"),),
        mendings=(
            Mending(code="vhd.footer.checksum", done="both footers were written anew", mended=True),
            Mending(code="vhd.size.residue", done="left as it is", mended=False),
        ),
        notes=("footer and copy differ; the footer at the end was taken, as blktap does",),
        lost=tuple(
            LostRange(offset=number * 4 * MIB, length=MIB, why="the file ends before it") for number in range(20)
        ),
        after=(finding(Severity.WARNING, where="rest.vhd"),),
    )


def rebase_report() -> RebaseReport:
    return RebaseReport(
        path="leaf.vhd",
        parent="base.vhd",
        stored_path="./base.vhd",
        uuid="14018f61-848d-4780-a173-1f00cb794de6",
        old_uuid="",
        old_name="old\x1b.vhd",
        proven=False,
        created=True,
        written=True,
        findings=(finding(Severity.WARNING, where="leaf.vhd"),),
    )


def bundle_repair_report() -> BundleRepairReport:
    made = bundle_report()
    return BundleRepairReport(
        plan=made.plan,
        made=made,
        members=(MemberRepair(old_name="image.vhd", name="0.vhd", notes=("the type 5 is unknown",), lost=()),),
        dropped=("swap.vhd", "READ\nME"),
        before=(finding(),),
        mendings=(Mending(code="bundle.name.old", done="the bundle was packed anew", mended=True),),
        notes=("the order of the layers is that of their links",),
    )


def kit_report() -> KitReport:
    good = KitImage(name="qcow2", filename="qcow2.qcow2", format="qcow2", usable=True, about="a plain qcow2 image")
    bad = KitImage(
        name="b",
        filename="b.tgz",
        format="vhd",
        container="ovf",
        usable=False,
        about="its disk is a link to /etc/passwd",
    )
    return KitReport(
        directory="images", manifest="images/manifest.yaml", images=(good, bad), virtual_size=64 * MIB, size=3 * MIB
    )


def machine_package(path: str = "shop.ova", **changes: object) -> Package:
    """A package with one of everything."""
    machine = Machine(
        identifier="vm-1",
        name="shop",
        description="the shop\nand its stock",
        uuid=UUID,
        cpus=2,
        cpus_max=4,
        cores_per_socket=2,
        memory=2 * GIB,
        firmware="uefi",
        secure_boot=True,
        tpm=True,
        vm_mode="hvm",
        os_id=96,
        os_name="debian12_64Guest",
        disks=(
            MachineDisk(
                identifier="vmdisk1",
                label="Hard disk 1",
                capacity=40 * GIB,
                populated=GIB,
                file="file1",
                format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized",
                bus="scsi",
                bus_model="VirtualSCSI",
                resource_type=17,
                bootable=True,
            ),
            MachineDisk(identifier="vmdisk2", bus="scsi", address=(0, 1), parent="vmdisk0", read_only=True),
        ),
        nics=(Nic(network="LAN", label="eth0", mac="00:16:3e:01:02:03", model="VmxNet3", mtu=1500), Nic(network="")),
        cdroms=("iso", ""),
        products=(
            Product(
                name="Shop",
                vendor="Example",
                version="1.0",
                url="https://me:pass@example.org/shop",
                properties=(("hostname", "shop"), ("admin", "open sesame"), ("db_password", "geheim"), ("dns", "")),
                passwords=("admin",),
            ),
        ),
        eulas=("You may.\n\nYou may not.",),
        virtual_system_types=("vmx-19",),
        settings={"platform": "nx=true;acpi=1", "NVRAM": "EFI-variables=VkFSUw==", "PV_args": "ro rootpw=geheim quiet"},
        ignored=("floppy drive",),
    )
    values: dict[str, Any] = {
        "path": path,
        "kind": "ova",
        "version": "1.1",
        "producer": "VMware",
        "name": "the shop",
        "compression": "gzip",
        "machines": (machine,),
        "files": (
            PackageFile(
                identifier="file1", name="disk1.vmdk", size=GIB, compression="gzip", chunk_size=MIB, encrypted=True
            ),
            PackageFile(identifier="iso", name="tools.iso"),
        ),
        "networks": (Network(name="LAN", description="the network"),),
        "deployments": (
            Deployment(identifier="small", label="Small", description="for tests", default=True),
            Deployment(identifier="large"),
        ),
        "deployment": "small",
        "proof": Proof(manifest="not verified", encryption="citrix"),
        "findings": (finding(Severity.WARNING, code="ovf.structure", where="", offset=None),),
    }
    return Package(**(values | changes))


def package_report(path: str = "my shop.ova") -> PackageReport:
    package = machine_package(path, proof=Proof(manifest="verified", algorithms=("sha256",)), findings=())
    return PackageReport(
        package=package,
        target="openstack-xenserver",
        verdict=Verdict.NOT_READY,
        findings=(
            finding(code="ovf.manifest.mismatch", where="disk1.vmdk", offset=None),
            finding(Severity.WARNING, code="package.openstack-xenserver.firmware", where="", offset=None),
        ),
        steps=(
            PackageStep(
                machine="shop",
                number=1,
                identifier="vmdisk1",
                label="Hard disk 1",
                capacity=40 * GIB,
                command=("xenimage", "bundle", "create", path, "--disk", "1", "--output", "shop-1.tgz"),
            ),
            PackageStep(
                machine="shop",
                number=2,
                identifier="vmdisk2",
                label="",
                capacity=None,
                command=("xenimage", "bundle", "create", path, "--disk", "2", "--output", "shop-2.tgz"),
            ),
        ),
    )


def guest_facts(label: str = "System") -> GuestFacts:
    """What was seen of a Windows disk of 40 GiB."""
    esp = Volume(kind="fat32", size=100 * MIB, free=70 * MIB, readable=True)
    system = Volume(kind="ntfs", label=label, size=36 * GIB, free=21 * GIB, dirty=True, readable=True)
    recovery = Volume(kind="bitlocker", size=3 * GIB)
    partitions = (
        Partition(number=1, offset=MIB, length=100 * MIB, type="C12A", type_name="EFI system", volume=esp),
        Partition(number=2, offset=101 * MIB, length=16 * MIB, type="E3C9", type_name="Microsoft reserved"),
        Partition(number=3, offset=117 * MIB, length=36 * GIB, type="EBD0", type_name="basic data", volume=system),
        Partition(number=4, offset=37 * GIB, length=4 * GIB, type="DE94", volume=recovery),
        Partition(number=0, offset=0, length=GIB, type="lvm", name="vg/root"),
    )
    remark = "The backup table stands before the end of the disk."
    layout = Layout(index=0, name="win.qcow2", size=40 * GIB, scheme="gpt", partitions=partitions, remarks=(remark,))
    version = WindowsVersion(product="Windows Server 2022 Standard", edition="ServerStandard", build=20348)
    windows = WindowsFacts(place="disk 0, partition 3", version=version, architecture="x86_64")
    return GuestFacts(
        disks=(layout,),
        firmware=FirmwareFacts(uefi=True),
        windows=windows,
        systems=("Windows on disk 0, partition 3", "Linux on disk 1, partition 1"),
        unread=(Unread(what="Windows/System32/config/SYSTEM.LOG1", why="it is damaged"),),
        stopped="took longer than 30 s",
        cost=Cost(reads=164, bytes_read=500_000, seconds=0.25),
    )


def guest_report(verdict: Verdict = Verdict.NOT_READY, label: str = "System") -> GuestReport:
    seen = ("SYSTEM\\ControlSet001\\Services\\xenbus: Start=4", "SYSTEM\\Select: Current=1")
    return GuestReport(
        profile=BUILTIN["nova-xenapi"],
        verdict=verdict,
        facts=guest_facts(label),
        findings=(
            finding(code="windows.pv-drivers.disabled", where="", offset=None, evidence=seen),
            finding(Severity.WARNING, code="disk.volume.dirty", where="disk 0, partition 3", offset=None),
            finding(Severity.INFO, code="windows.programs.foreign", where="", offset=None),
        ),
        properties=(
            Property(name="vm_mode", value="hvm", reason="Windows has no other mode."),
            Property(name="os_type", value="windows", reason="Windows was found.", evidence="disk 0, partition 3"),
        ),
        min_disk=40,
        usage=(
            DiskUsage(path="images/win.qcow2", size=40 * GIB, data=9 * GIB, cells=(100,) * 60 + (30,) + (0,) * 339),
        ),
    )
