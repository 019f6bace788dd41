"""The kit of sample images: one disk in all formats that are taken, and images that are to be refused.

The manifest that lists them has the shape of those that the image format tests of tempest read (option
``[image] images_manifest_file``), with fields of our own beside tempest's. Same bytes each time.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
from typing import TYPE_CHECKING

from xenimage.engine import hostile, sample
from xenimage.exceptions import TransferError, UsageError
from xenimage.model.kit import KitImage, KitReport
from xenimage.model.plan import BundleOptions, ConvertOptions, SourceOptions
from xenimage.sinks.file import FileSink, make_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MANIFEST = "manifest.yaml"
_SAMPLE = "qcow2.qcow2"
_BOMB = "qcow2-bomb"

IMAGES = (
    KitImage(name="qcow2", filename=_SAMPLE, format="qcow2", usable=True, about="a plain qcow2 image"),
    KitImage(
        name="qcow2-compressed",
        filename="qcow2-compressed.qcow2",
        format="qcow2",
        usable=True,
        about="a qcow2 image with compressed clusters of 4 KiB",
    ),
    KitImage(
        name="vmdk-stream",
        filename="vmdk-stream.vmdk",
        format="vmdk",
        usable=True,
        about="a streamOptimized VMDK, as OVF packages hold it",
    ),
    KitImage(name="vhd-dynamic", filename="vhd-dynamic.vhd", format="vhd", usable=True, about="a dynamic VHD"),
    KitImage(
        name="vhd-fixed",
        filename="vhd-fixed.vhd",
        format="vhd",
        usable=True,
        about="a fixed VHD: Glance takes none by itself",
    ),
    KitImage(name="raw", filename="raw.raw", format="raw", usable=True, about="a raw disk with a partition table"),
    KitImage(
        name="bundle",
        filename="bundle.tgz",
        format="vhd",
        container="ovf",
        usable=True,
        about="a bundle for nova-xenapi",
    ),
    KitImage(
        name="qcow2-backing-file",
        filename="qcow2-backing-file.qcow2",
        format="qcow2",
        usable=False,
        about=f"a layer over {hostile.SECRET} of the host",
    ),
    KitImage(
        name="qcow2-data-file",
        filename="qcow2-data-file.qcow2",
        format="qcow2",
        usable=False,
        about=f"its data file is {hostile.SECRET} of the host",
    ),
    KitImage(
        name="qcow2-cut-short",
        filename="qcow2-cut-short.qcow2",
        format="qcow2",
        usable=False,
        about="the second half is missing",
    ),
    KitImage(
        name="qcow2-entry-outside",
        filename="qcow2-entry-outside.qcow2",
        format="qcow2",
        usable=False,
        about="its L1 table leads beyond the end of the file",
    ),
    KitImage(
        name=_BOMB,
        filename="qcow2-bomb.qcow2",
        format="qcow2",
        usable=False,
        about="20 MiB that claim 8 GiB of data",
    ),
    KitImage(
        name="qcow2-as-raw", filename="qcow2-as-raw.raw", format="raw", usable=False, about="qcow2, declared as raw"
    ),
    KitImage(
        name="qcow2-as-vmdk",
        filename="qcow2-as-vmdk.vmdk",
        format="vmdk",
        usable=False,
        about="qcow2, declared as vmdk",
    ),
    KitImage(
        name="qcow2-as-bundle",
        filename="qcow2-as-bundle.tgz",
        format="vhd",
        container="ovf",
        usable=False,
        about="qcow2, declared as a bundle",
    ),
    KitImage(
        name="vmdk-flat",
        filename="vmdk-flat.vmdk",
        format="vmdk",
        usable=False,
        about=f"a descriptor whose extent is {hostile.SECRET} of the host",
    ),
    KitImage(
        name="bundle-link",
        filename="bundle-link.tgz",
        format="vhd",
        container="ovf",
        usable=False,
        about=f"its disk is a link to {hostile.SECRET} of the host",
    ),
)

# How the sample becomes the others, beside the bundle.
_CONVERSIONS: Mapping[str, Mapping[str, object]] = {
    "qcow2-compressed": {"format": "qcow2", "compression": "zlib", "cluster_size": 4096},
    "vmdk-stream": {"format": "vmdk"},
    "vhd-dynamic": {"format": "vhd"},
    "vhd-fixed": {"format": "vhd", "subformat": "fixed"},
    "raw": {"format": "raw"},
}


def write(
    directory: str,
    convert: Callable[[ConvertOptions], object],
    create: Callable[[BundleOptions], object],
    *,
    force: bool,
) -> KitReport:
    """Write the kit into *directory*, the manifest last.

    :param convert: writes a disk anew; :param create: makes a bundle.
    :param force: whether files of the kit that are there are replaced.
    :raises UsageError: the directory cannot be made, or holds a file of the kit.
    :raises TransferError: a file cannot be written.
    """
    make_directory(directory)
    paths = {image.name: os.path.join(directory, image.filename) for image in IMAGES}
    manifest = os.path.join(directory, MANIFEST)
    _make_room([*paths.values(), manifest], force=force)
    source = paths["qcow2"]
    sample.write_sample(source)
    for name, wishes in _CONVERSIONS.items():
        convert(ConvertOptions(source=SourceOptions(path=source), output=paths[name], **wishes))  # type: ignore[arg-type]
    create(BundleOptions(source=SourceOptions(path=source), output=paths["bundle"]))
    hostile.bomb(paths[_BOMB])
    sound = pathlib.Path(source).read_bytes()
    for name, make in hostile.MAKERS.items():
        _write(paths[name], make(sound))
    _write(manifest, _manifest().encode())
    size = sum(os.stat(path).st_size for path in paths.values())
    return KitReport(directory=directory, manifest=manifest, images=IMAGES, virtual_size=sample.VIRTUAL_SIZE, size=size)


def _make_room(paths: list[str], *, force: bool) -> None:
    for path in paths:
        if not force and os.path.lexists(path):
            raise UsageError("exists already", where=path, tip="Use --force to replace it.")
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        except OSError as error:
            raise TransferError(f"cannot be replaced: {error.strerror}", where=path) from error


def _write(path: str, data: bytes) -> None:
    sink = FileSink(path)
    try:
        sink.write([data])
        sink.flush()
        sink.commit()
    finally:
        sink.close()


def _manifest() -> str:
    """YAML; its strings are written as JSON has them, which YAML reads alike."""
    lines = ["# Sample images of xenimage: those that are not usable are to be refused.", "images:"]
    for image in IMAGES:
        lines += [
            f"  - name: {json.dumps(image.name)}",
            f"    filename: {json.dumps(image.filename)}",
            f"    format: {json.dumps(image.format)}",
            f"    container_format: {json.dumps(image.container)}",
            f"    usable: {json.dumps(image.usable)}",
            f"    about: {json.dumps(image.about)}",
        ]
        if image.usable:
            lines.append(f"    virtual_size: {sample.VIRTUAL_SIZE}")
    return "\n".join([*lines, ""])
