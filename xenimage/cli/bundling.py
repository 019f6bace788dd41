"""Arguments of the commands that make a bundle, whether it goes to a file or to a cloud."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from xenimage.cli.arguments import key_value, names, positive, source_options
from xenimage.model.plan import BundleOptions, Compression, SizePolicy
from xenimage.units import parse_size

if TYPE_CHECKING:
    import argparse

    from xenimage.cli.context import Context
    from xenimage.limits import Limits


def add_target(group: argparse._ArgumentGroup) -> None:
    """Add what there is to say about who reads the bundle."""
    group.add_argument("--profile", help="who reads it (default: nova-xenapi; see: xenimage profile list)")
    group.add_argument("--vm-mode", metavar="{hvm,xen}", help="how the guest is started (default: the profile's)")
    group.add_argument("--os-type", metavar="{linux,windows}", help="what the guest is (default: what is found)")
    group.add_argument(
        "--property",
        action="append",
        default=[],
        dest="properties",
        type=key_value,
        metavar="NAME=VALUE",
        help="an image property of your own; wins over the profile's and the guest's; repeatable",
    )
    group.add_argument("--size", type=parse_size, help="make the disk this large, such as 20G; never smaller")
    group.add_argument(
        "--size-policy",
        choices=[each.value for each in SizePolicy],
        help="round its size up to 2 MiB (exact, the default) or to whole GiB (gib)",
    )
    add_free_space(group)


def add_free_space(group: argparse._ArgumentGroup) -> None:
    """Add whether free space is left out."""
    group.add_argument(
        "--drop-free-space",
        action="store_true",
        help="leave out what clean ext2-4, NTFS and swap volumes do not use: it reads as zeros then",
    )


def add_chain(group: argparse._ArgumentGroup) -> None:
    """Add what there is to say about layers."""
    group.add_argument(
        "--chain",
        action="store_true",
        help="keep the layers: one differencing VHD for each over a base; by default they are flattened",
    )
    group.add_argument(
        "--snapshots",
        type=names,
        default=(),
        metavar="A,B",
        help="internal snapshots (qcow2) that become layers below SOURCE, or all; needs --chain",
    )
    group.add_argument(
        "--dedup-parent",
        action="store_true",
        help="leave out what a layer has in common with those below; costs reading them",
    )
    group.add_argument(
        "--whole-blocks",
        action="store_true",
        help="complete each block of a layer from those below, for tools that ignore bitmaps",
    )


def add_work(group: argparse._ArgumentGroup) -> None:
    """Add how it is made."""
    group.add_argument(
        "--compression", choices=[each.value for each in Compression], help="from quick to small (default: fast)"
    )
    group.add_argument("--jobs", type=positive, metavar="N", help="threads (default: one for each CPU)")
    group.add_argument(
        "--random-uuid",
        action="store_true",
        help="a new uuid each time; by default the same input repeats its bytes",
    )


def add_guest(group: argparse._ArgumentGroup) -> None:
    """Add what there is to say about the guest on the disk."""
    group.add_argument(
        "--no-inspect",
        action="store_false",
        dest="inspect",
        help="do not look at the guest; by default what is found there sets properties, and errors end it with 6",
    )
    group.add_argument(
        "--allow-not-ready", action="store_true", help="make it of a guest that the target would not run, too"
    )
    add_timeout(group)


def add_timeout(group: argparse._ArgumentGroup) -> None:
    """Add how long looking at the guest may take."""
    group.add_argument(
        "--inspect-timeout",
        type=positive,
        metavar="SECONDS",
        help="how long looking at the guest may take (default: 30, or guest_time in the configuration)",
    )


def limits(args: argparse.Namespace, context: Context) -> Limits:
    """Return the limits of the configuration, with those that the arguments change."""
    found = context.settings.limits
    timeout: int | None = args.inspect_timeout
    return dataclasses.replace(found, guest_time=timeout) if timeout else found


def options(args: argparse.Namespace, context: Context, output: str) -> BundleOptions:
    """Return the bundle that the arguments ask for."""
    settings = context.settings
    return BundleOptions(
        source=dataclasses.replace(source_options(args), snapshots=args.snapshots),
        output=output,
        profile=args.profile or settings.profile,
        vm_mode=args.vm_mode,
        os_type=args.os_type,
        properties=tuple(args.properties),
        size=args.size,
        size_policy=SizePolicy(args.size_policy) if args.size_policy else settings.size_policy,
        compression=Compression(args.compression) if args.compression else settings.compression,
        jobs=args.jobs or settings.jobs,
        random_uuid=args.random_uuid,
        timestamp=context.timestamp,
        chain=args.chain,
        dedup_parent=args.dedup_parent,
        whole_blocks=args.whole_blocks,
        drop_free_space=args.drop_free_space,
        inspect=args.inspect,
        allow_not_ready=args.allow_not_ready,
    )
