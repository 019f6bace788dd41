"""``package convert``, ``split`` and ``merge``."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from xenimage import api
from xenimage.cli.arguments import (
    FORMATS,
    add_package_options,
    add_source_format,
    key_value,
    package_choice,
    package_path,
    positive,
)
from xenimage.cli.command import Outcome, OutputCommand
from xenimage.cli.errors import WITH_LOSS
from xenimage.cli.views import packaging as views
from xenimage.exceptions import UsageError
from xenimage.model.machine import Product
from xenimage.model.packaging import (
    PACKAGE_COMPRESSIONS,
    PACKAGE_DIGESTS,
    PACKAGE_DISKS,
    PACKAGE_OUTPUTS,
    PACKAGE_SUMS,
    MachineWishes,
    OnDiskError,
    PackagingOptions,
)
from xenimage.model.plan import BundleOptions, SourceOptions
from xenimage.units import parse_size

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

_EULA_MAX = 1 << 20
"""bytes"""
_SUFFIXES = {
    ".ovf": "ovf", ".ova": "ova", ".ova.gz": "ova", ".xva": "xva", ".xva.gz": "xva", ".xva.zst": "xva",
    ".tgz": "bundle", ".tar.gz": "bundle",
}  # fmt: skip
"""of outputs, and what they are written as where nobody says it"""
_PACKED = {".gz": "gzip", ".zst": "zstd"}


def _add_machine(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("machine")
    group.add_argument("--name", default="", help="call the machine so; only where there is one")
    group.add_argument("--memory", type=parse_size, metavar="SIZE", help="give it this much, such as 4G")
    group.add_argument("--cpus", type=positive, metavar="N", help="give it so many processors")
    group.add_argument("--firmware", default="", metavar="{bios,uefi}", help="what it starts with")
    group.add_argument(
        "--network",
        action="append",
        default=[],
        dest="networks",
        type=key_value,
        metavar="A=B",
        help="call the network A of the source B; repeatable",
    )
    group.add_argument("--annotation", default="", metavar="TEXT", help="what is said of it, in place of what there is")
    group.add_argument(
        "--eula", action="append", default=[], dest="eulas", metavar="FILE", help="add this licence; repeatable"
    )
    group.add_argument("--product", default="", metavar="NAME", help="what it is sold as")
    group.add_argument("--product-vendor", default="", metavar="NAME", help="by whom; with --product")
    group.add_argument("--product-version", default="", metavar="VERSION", help="in which version; with --product")


def _add_target(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("target")
    group.add_argument(
        "--compress", choices=PACKAGE_COMPRESSIONS, help="xva: gzip or zstd; ova: gzip; ovf: gzip, of each disk"
    )
    group.add_argument(
        "--sum", choices=PACKAGE_SUMS, default=PACKAGE_SUMS[0], help="xva: of its chunks (default: sha1)"
    )
    group.add_argument(
        "--digest",
        choices=PACKAGE_DIGESTS,
        default=PACKAGE_DIGESTS[0],
        help="ovf, ova: of the manifest (default: sha256)",
    )
    group.add_argument(
        "--disk-format", choices=PACKAGE_DISKS, default=PACKAGE_DISKS[0], help="ovf, ova: of the disks (default: vmdk)"
    )
    group.add_argument(
        "--chunk-size", type=parse_size, metavar="SIZE", help="ovf, ova: split the files of disks into such pieces"
    )
    group.add_argument("--sign", nargs=2, metavar=("KEY", "CERT"), help="ovf, ova: sign the manifest; files in PEM")


def _add_broken(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("broken sources")
    group.add_argument(
        "--on-disk-error",
        choices=[each.value for each in OnDiskError],
        default=OnDiskError.FAIL.value,
        help="a disk cannot be read: write nothing (fail, the default), leave it out (skip), or make zeros of what"
        " cannot be read, and list that (salvage)",
    )
    group.add_argument(
        "--skip-disk",
        action="append",
        default=[],
        metavar="N",
        help="leave this disk out: its number, from 1 through all machines, id or label; repeatable",
    )
    group.add_argument(
        "--replace-disk",
        action="append",
        default=[],
        type=key_value,
        metavar="N=FILE",
        help="take this image in place of the disk; repeatable",
    )
    group.add_argument("--metadata-only", action="store_true", help="describe the disks, and leave their content out")


def _add_work(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("work")
    group.add_argument("--jobs", type=positive, metavar="N", help="threads (default: one for each CPU)")
    group.add_argument(
        "--resume",
        action="store_true",
        help="ovf, ova: keep finished disks in OUTPUT.resume until all is written; take over those of an earlier run",
    )
    group.add_argument("--dry-run", action="store_true", help="show what would be done, and write nothing")
    group.add_argument("--force", action="store_true", help="replace an output that exists")


def _wishes(args: argparse.Namespace) -> MachineWishes:
    if (args.product_vendor or args.product_version) and not args.product:
        raise UsageError("a product without a name", expected="--product NAME")
    product = None
    if args.product:
        product = Product(name=args.product, vendor=args.product_vendor, version=args.product_version)
    return MachineWishes(
        name=args.name,
        memory=args.memory,
        cpus=args.cpus,
        firmware=args.firmware,
        networks=tuple(args.networks),
        eulas=tuple(_read_text(path) for path in args.eulas),
        annotation=args.annotation,
        product=product,
    )


def _read_text(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(_EULA_MAX + 1)
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", expected="a text", where=path) from error
    except UnicodeDecodeError as error:
        raise UsageError(f"is no text in UTF-8, at {error.start:#x}", expected="a text", where=path) from error
    if len(text) > _EULA_MAX:
        raise UsageError("is longer than 1 MiB", expected="the text of a licence", where=path)
    return text


def _suffix(path: str) -> str:
    """The longest of the suffixes that tell what an output is; empty where none does."""
    return max((each for each in _SUFFIXES if path.lower().endswith(each)), key=len, default="")


def _target(args: argparse.Namespace) -> tuple[str, str]:
    """What is written, and how it is compressed: as the options say, or else the name of the output."""
    suffix = _suffix(args.output)
    to = args.to or _SUFFIXES.get(suffix, "")
    if not to:
        raise UsageError(
            "nothing tells what to write", expected=f"--to with one of {', '.join(PACKAGE_OUTPUTS)}", where=args.output
        )
    packed = _PACKED.get(f".{suffix.rpartition('.')[2]}", PACKAGE_COMPRESSIONS[0])
    return to, args.compress or (packed if to != "bundle" else PACKAGE_COMPRESSIONS[0])


class _Packaging(OutputCommand):
    """What the commands that write packages share."""

    format_names = ("-f",)

    def _options(
        self, args: argparse.Namespace, paths: Sequence[str], wishes: MachineWishes, to: str, compression: str
    ) -> PackagingOptions:
        choice = package_choice(args)
        return PackagingOptions(
            sources=tuple(SourceOptions(path=path, format=args.source_format, choice=choice) for path in paths),
            output=args.output,
            to=to,
            wishes=wishes,
            metadata_only=args.metadata_only,
            skip=tuple(args.skip_disk),
            replace=tuple(args.replace_disk),
            on_disk_error=OnDiskError(args.on_disk_error),
            sum=args.sum,
            compression=compression,
            digest=args.digest,
            disk_format=args.disk_format,
            chunk_size=args.chunk_size,
            sign=tuple(args.sign) if args.sign else None,
            jobs=args.jobs or self.context.settings.jobs,
            timestamp=self.context.timestamp,
            resume=args.resume,
            force=args.force,
        )

    def _convert(self, args: argparse.Namespace, options: PackagingOptions, bundle: BundleOptions | None) -> Outcome:
        limits = self.context.settings.limits
        if args.dry_run:
            report = api.plan_package(options, limits=limits)
        else:
            report = api.convert_package(options, bundle=bundle, limits=limits, progress=self.context.progress)
        return Outcome(
            data=views.record(report),
            text=functools.partial(views.lines, report),
            code=WITH_LOSS if report.written and report.with_loss else 0,
        )


class Convert(_Packaging):
    """Write a package anew."""

    summary = "Write the machines of a package, or a disk image, as another package"
    description = """\
Reads an OVF, OVA, XVA or VMX, or makes up a machine around a disk image, and
writes OUTPUT as an OVF (a folder), an OVA, an XVA that XCP-ng and XenServer
import, or a bundle. Each disk is read once and never unpacked in between.
OUTPUT appears under its name when it is complete, or not at all. Ends with 8
where disks are left out or parts of them lost, as you allowed."""
    examples = (
        "xenimage package convert appliance.ova vm.xva",
        "xenimage package convert debian.qcow2 debian.xva --name debian --memory 2G --cpus 2",
        "xenimage package convert appliance.ova vm.xva --on-disk-error salvage",
        "xenimage package convert vm.xva data.tgz --to bundle --disk 2",
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add source and output."""
        parser.add_argument(
            "source",
            type=package_path,
            metavar="SOURCE",
            help="a package or a disk image; it is only read",
        )
        parser.add_argument("output", metavar="OUTPUT", help="the file to write, or the folder of an OVF")
        parser.add_argument(
            "--to",
            choices=PACKAGE_OUTPUTS,
            help="what to write (default: as the name of OUTPUT ends, if that tells it)",
        )
        source = parser.add_argument_group("source")
        add_source_format(source, ("--source-format",))
        add_package_options(source)
        _add_machine(parser)
        _add_target(parser)
        bundle = parser.add_argument_group("bundle")
        bundle.add_argument("--profile", help="who reads it (default: nova-xenapi; see: xenimage profile list)")
        bundle.add_argument("--os-type", metavar="{linux,windows}", help="what the guest is (default: what is found)")
        bundle.add_argument(
            "--property",
            action="append",
            default=[],
            dest="properties",
            type=key_value,
            metavar="NAME=VALUE",
            help="an image property of your own; repeatable",
        )
        bundle.add_argument("--no-inspect", action="store_false", dest="inspect", help="do not look at the guest")
        bundle.add_argument(
            "--allow-not-ready", action="store_true", help="make it of a guest that the target would not run, too"
        )
        _add_broken(parser)
        _add_work(parser)

    def execute(self, args: argparse.Namespace) -> Outcome:
        """Convert, or show what would be done."""
        to, compression = _target(args)
        options = self._options(args, [args.source], _wishes(args), to, compression)
        settings = self.context.settings
        bundle = BundleOptions(
            source=options.sources[0],
            output=options.output,
            profile=args.profile or settings.profile,
            os_type=args.os_type,
            properties=tuple(args.properties),
            compression=settings.compression,
            size_policy=settings.size_policy,
            inspect=args.inspect,
            allow_not_ready=args.allow_not_ready,
        )
        return self._convert(args, options, bundle)


class Merge(_Packaging):
    """Put several packages into one."""

    summary = "Put the machines of several packages into one"
    description = f"""\
Writes one package that holds the machines of all SOURCEs, in their order, each
under its own name. A SOURCE may also be a disk image ({FORMATS}), around which
a machine is made up."""
    examples = (
        "xenimage package merge web.ova database.xva both.xva",
        "xenimage package merge web.ova database.ova both.ova --network LAN=backend",
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add sources and output."""
        parser.add_argument(
            "sources",
            nargs="+",
            type=package_path,
            metavar="SOURCE",
            help="packages or disk images; they are only read",
        )
        parser.add_argument("output", metavar="OUTPUT", help="the file to write, or the folder of an OVF")
        parser.add_argument(
            "--to", choices=PACKAGE_OUTPUTS[:-1], help="what to write (default: as the name of OUTPUT ends)"
        )
        source = parser.add_argument_group("source")
        add_source_format(source, ("--source-format",))
        add_package_options(source, disk=False)
        _add_machine(parser)
        _add_target(parser)
        _add_broken(parser)
        _add_work(parser)

    def execute(self, args: argparse.Namespace) -> Outcome:
        """Merge, or show what would be done."""
        to, compression = _target(args)
        return self._convert(args, self._options(args, args.sources, _wishes(args), to, compression), None)


class Split(_Packaging):
    """Take a package apart."""

    summary = "Write each machine of a package as a package of its own"
    description = """\
Writes a package for each machine of SOURCE into the directory DIR, called as the
machine. By default it is of the kind of SOURCE; of a VMX it is an OVF."""
    examples = (
        "xenimage package split three-tiers.ova tiers",
        "xenimage package split all.xva machines --to ova",
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add source and directory."""
        parser.add_argument("source", type=package_path, metavar="SOURCE", help="a package; it is only read")
        parser.add_argument("output", metavar="DIR", help="where to; made if it is not there")
        parser.add_argument("--to", choices=PACKAGE_OUTPUTS[:-1], help="what to write (default: as SOURCE)")
        source = parser.add_argument_group("source")
        add_source_format(source, ("--source-format",))
        add_package_options(source, disk=False)
        _add_machine(parser)
        _add_target(parser)
        _add_broken(parser)
        _add_work(parser)

    def execute(self, args: argparse.Namespace) -> Outcome:
        """Split, or show what would be done."""
        limits, choice = self.context.settings.limits, package_choice(args)
        if choice.machine:
            raise UsageError(
                "one machine of the package", expected="all of them", tip="Use: xenimage package convert --vm NAME."
            )
        source = SourceOptions(path=args.source, format=args.source_format, choice=choice)
        to = args.to or api.package_kind(source, limits=limits)
        options = self._options(args, [args.source], _wishes(args), to, args.compress or PACKAGE_COMPRESSIONS[0])
        report = api.split_package(options, dry_run=args.dry_run, limits=limits, progress=self.context.progress)
        lossy = any(each.written and each.with_loss for each in report.packages)
        return Outcome(
            data=views.split_record(report),
            text=functools.partial(views.split_lines, report),
            code=WITH_LOSS if lossy else 0,
        )
