"""What will be written when a disk is written anew: pure, printable, decided before the first byte is moved."""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING

from xenimage.engine.planner import (
    WHOLE_BLOCKS,
    clamp_time,
    decide_jobs,
    require_vhd_size,
    rounded_finding,
    target_size,
)
from xenimage.exceptions import UsageError
from xenimage.formats.qcow2.writer import CLUSTER, CLUSTER_SIZES, NewQcow2
from xenimage.formats.vhd.fixed import NewFixedVhd, fixed_size
from xenimage.formats.vhd.geometry import chs_size, geometry
from xenimage.formats.vhd.layout import BLOCK_SIZE, FOOTER_SIZE
from xenimage.formats.vhd.writer import NewVhd
from xenimage.formats.vmdk.writer import NewVmdk
from xenimage.model.plan import ADAPTER_TYPES, COMPRESSIONS, CONVERT_FORMATS, ConvertPlan, GuestNeed
from xenimage.units import SECTOR, format_size, round_up

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.engine.mapper import BlockMap
    from xenimage.model.disk import DiskFacts
    from xenimage.model.finding import Finding
    from xenimage.model.guest.free import FreeSpace
    from xenimage.model.plan import ConvertOptions

FIXED = "fixed"
SUBFORMATS: dict[str, tuple[str, ...]] = {
    "raw": (),
    "vhd": ("dynamic", FIXED),
    "qcow2": (),
    "vmdk": ("streamOptimized",),
}
"""what can be written, with the kinds of it; the first is the default"""
_ONLY = (
    ("compression", "a compression", ("qcow2",)),
    ("cluster_size", "a cluster size", ("qcow2",)),
    ("adapter", "an adapter type", ("vmdk",)),
    ("random_uuid", "a random uuid", ("vhd", "vmdk")),
)
"""options, what messages call them, and the formats that have them"""
_FLAT = "Leave out --layers: then the chain becomes one disk."
_LAYERS_TIPS = {
    "vhd": f"{_FLAT} For VHDs over each other: xenimage bundle create --chain, then xenimage bundle extract.",
}
_AZURE = "Azure takes fixed VHDs of whole MiB only, from 20 MiB on."
_FIRMWARE = GuestNeed(
    name="hw_firmware_type", value=None, reason="bios or uefi, as the guest was installed; an image does not tell it"
)
_KVM_NEEDS = (
    _FIRMWARE,
    GuestNeed(name="hw_disk_bus", value=None, reason="virtio if the guest has its driver at boot, else sata or ide"),
    GuestNeed(name="hw_vif_model", value=None, reason="virtio if the guest has its driver, else e1000"),
)


def guest_needs(form: str) -> tuple[GuestNeed, ...]:
    """What the guest will need where a disk of this format goes: the guest is not looked into, so nothing is known.

    A VHD stays with Xen or goes to Azure, where bus and network card are not a matter of the image.
    """
    return (_FIRMWARE,) if form == "vhd" else _KVM_NEEDS


def check_wishes(options: ConvertOptions) -> None:
    """Refuse wishes that make no sense, before anything is opened.

    :raises UsageError: no such format or subformat, something that the format does not have, no file as output.
    """
    form = options.format
    if form not in CONVERT_FORMATS:
        raise UsageError(f"cannot write {form!r}", expected=f"one of {', '.join(CONVERT_FORMATS)}")
    if options.output == "-":
        raise UsageError("a converted disk cannot go to standard output", expected="a file")
    if options.layers:
        _check_layers(options)
    if options.subformat is not None:
        _choice("subformat", options.subformat, SUBFORMATS[form], form)
    for name, what, formats in _ONLY:
        if getattr(options, name) and form not in formats:
            raise UsageError(f"{what} is asked for, which {form} does not have", expected=f"{' or '.join(formats)}")
    if options.compression is not None:
        _choice("compression", options.compression, COMPRESSIONS, form)
    if options.adapter is not None:
        _choice("adapter type", options.adapter, ADAPTER_TYPES, form)
    if options.cluster_size is not None and options.cluster_size not in CLUSTER_SIZES:
        raise UsageError(
            f"clusters of {format_size(options.cluster_size)} are asked for",
            expected=f"one of {', '.join(f'{size // 1024}k' for size in CLUSTER_SIZES)}",
        )


def _check_layers(options: ConvertOptions) -> None:
    if options.format != "qcow2":
        raise UsageError(
            f"layers are to be kept as {options.format}",
            expected="--format qcow2",
            tip=_LAYERS_TIPS.get(options.format, _FLAT),
        )
    if options.drop_free_space:
        raise UsageError("each layer has free space of its own", expected="--drop-free-space without --layers")


def _choice(what: str, value: str, choices: tuple[str, ...], form: str) -> None:
    if not choices:
        raise UsageError(f"a {what} is asked for, which {form} does not have", expected="vhd or vmdk")
    if value not in choices:
        raise UsageError(f"{value!r} is no {what} of {form}", expected=" or ".join(choices))


def plan_conversion(
    options: ConvertOptions,
    source: DiskFacts,
    blocks: BlockMap,
    *,
    jobs: int,
    now: int,
    free: FreeSpace | None = None,
) -> ConvertPlan:
    """Decide.

    :param jobs: threads to use where the options do not say.
    :param now: Unix seconds; no timestamp may lie behind it.
    :param free: what is blank in the source because nobody uses it.
    :raises UsageError: see :func:`check_wishes`; no thread at all.
    :raises UnsupportedError: larger than the format can say.
    """
    check_wishes(options)
    threads = decide_jobs(options.jobs, jobs)
    form = options.format
    subformat = options.subformat or next(iter(SUBFORMATS[form]), "")
    size = _virtual_size(form, subformat, source.virtual_size)
    data_size = blocks.blocks * BLOCK_SIZE
    plan = ConvertPlan(
        options=options,
        source=source,
        subformat=subformat,
        compression=(options.compression or COMPRESSIONS[0]) if form == "qcow2" else "",
        cluster_size=(options.cluster_size or CLUSTER) if form == "qcow2" else 0,
        virtual_size=size,
        chs_size=chs_size(geometry(size)) if form == "vhd" else None,
        blocks=blocks.ranges,
        data_size=data_size,
        output_size_max=0,
        jobs=threads,
        timestamp=clamp_time(options.timestamp, now),
        needs=guest_needs(form),
        findings=(*source.findings, *_grown(source.virtual_size, size, subformat)),
        free=free,
    )
    return dataclasses.replace(plan, output_size_max=_bound(plan))


def _virtual_size(form: str, subformat: str, source_size: int) -> int:
    if form != "vhd":
        return source_size if form == "raw" else round_up(source_size, SECTOR)
    return require_vhd_size(fixed_size(source_size)) if subformat == FIXED else target_size(source_size)


def _grown(source_size: int, size: int, subformat: str) -> Iterator[Finding]:
    if size - source_size >= SECTOR:
        yield rounded_finding(source_size, size, _AZURE if subformat == FIXED else WHOLE_BLOCKS)


def _bound(plan: ConvertPlan) -> int:
    if plan.options.format == "qcow2":
        return new_qcow2(plan).size_bound(plan.data_size)
    if plan.options.format == "vmdk":
        return new_vmdk(plan).size_bound(plan.data_size)
    if plan.options.format == "raw":
        return plan.virtual_size
    if plan.subformat == FIXED:
        return plan.virtual_size + FOOTER_SIZE
    return new_vhd(plan).size(plan.data_size // BLOCK_SIZE)


def new_qcow2(plan: ConvertPlan) -> NewQcow2:
    """The image that the plan wants."""
    return NewQcow2(virtual_size=plan.virtual_size, cluster_size=plan.cluster_size, compression=plan.compression)


def new_vmdk(plan: ConvertPlan) -> NewVmdk:
    """The image that the plan wants."""
    name = os.path.basename(plan.options.output)
    return NewVmdk(virtual_size=plan.virtual_size, name=name, adapter=plan.options.adapter or ADAPTER_TYPES[0])


def new_vhd(plan: ConvertPlan) -> NewVhd:
    """The dynamic VHD that the plan wants."""
    return NewVhd(virtual_size=plan.virtual_size, timestamp=plan.timestamp)


def new_fixed(plan: ConvertPlan) -> NewFixedVhd:
    """The fixed VHD that the plan wants."""
    return NewFixedVhd(virtual_size=plan.virtual_size, timestamp=plan.timestamp)
