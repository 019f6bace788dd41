"""What was done and what was seen, for people and programs."""

from __future__ import annotations

from xenimage.model.report.bundle import (
    BundleFacts,
    BundleRepairReport,
    BundleReport,
    CheckReport,
    ExtractReport,
    LayerReport,
    MemberRepair,
)
from xenimage.model.report.chain import ChainFile, ChainNode, ChainReport, CheckedDisk, DisksReport, LinkState
from xenimage.model.report.common import Comparison, Diagnosis, Extracted, LostRange, Member, Verdict, VhdFacts
from xenimage.model.report.disk import (
    ConvertReport,
    DiskMap,
    LayersPlan,
    LayersReport,
    Mending,
    PlannedLayer,
    RebaseReport,
    RepairReport,
    WrittenLayer,
)
from xenimage.model.report.guest import DiskUsage, GuestReport
from xenimage.model.report.package import PackageReport, PackageStep

__all__ = (
    "BundleFacts",
    "BundleRepairReport",
    "BundleReport",
    "ChainFile",
    "ChainNode",
    "ChainReport",
    "CheckReport",
    "CheckedDisk",
    "Comparison",
    "ConvertReport",
    "Diagnosis",
    "DiskMap",
    "DiskUsage",
    "DisksReport",
    "ExtractReport",
    "Extracted",
    "GuestReport",
    "LayerReport",
    "LayersPlan",
    "LayersReport",
    "LinkState",
    "LostRange",
    "Member",
    "MemberRepair",
    "Mending",
    "PackageReport",
    "PackageStep",
    "PlannedLayer",
    "RebaseReport",
    "RepairReport",
    "Verdict",
    "VhdFacts",
    "WrittenLayer",
)
