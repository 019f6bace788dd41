"""``image create``, ``show``, ``check``, ``save`` and ``properties``: bundles in a cloud."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from xenimage import api
from xenimage.cli import bundling
from xenimage.cli.arguments import add_source, key_value, positive
from xenimage.cli.cloud import add_cloud, connect
from xenimage.cli.command import Outcome, OutputCommand
from xenimage.cli.views import bundle as bundle_views
from xenimage.cli.views import image as views
from xenimage.exceptions import NotReadyError, UsageError
from xenimage.model.image import VISIBILITIES, IfExists, ImageOptions
from xenimage.model.plan import CONVERT_FORMATS, ConvertOptions, SourceOptions
from xenimage.model.report import Verdict

if TYPE_CHECKING:
    import argparse

_STORED = "stored"


class Create(OutputCommand):
    """Make an image in a cloud."""

    summary = "Turn a disk image into an image in a cloud, while it is uploaded"
    description = """\
Makes a bundle as bundle create does and uploads it meanwhile: no file is
written here. A bundle is checked and uploaded as it is. What the cloud stored
is compared with what was sent, and a failed image is deleted. Which cloud:
clouds.yaml and the OS_* variables, as for the openstack command."""
    examples = (
        "xenimage image create debian.qcow2 --name debian --os-cloud mycloud",
        "xenimage image create win.vmdk --name win --os-type windows --if-exists skip",
        "xenimage image create debian.tgz --name debian --import",
        "xenimage image create debian.qcow2 --name debian --dry-run",
    )
    format_names = ("-f",)

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add what there is to say about an image."""
        add_source(parser, format_names=("--format", "--source-format"))
        image = parser.add_argument_group("image")
        image.add_argument("--name", help="of the image (default: the machine's, or the source's without its ending)")
        image.add_argument("--visibility", choices=VISIBILITIES, help="who sees it (default: the cloud's)")
        image.add_argument(
            "--tag", action="append", default=[], dest="tags", metavar="TAG", help="a tag of it; repeatable"
        )
        image.add_argument(
            "--if-exists",
            choices=[each.value for each in IfExists],
            default=IfExists.CREATE.value,
            help="what to do if the cloud has one of the same source and profile (default: create another)",
        )
        bundling.add_target(parser.add_argument_group("target"))
        bundling.add_guest(parser.add_argument_group("guest"))
        bundling.add_chain(parser.add_argument_group("chain"))
        work = parser.add_argument_group("work")
        bundling.add_work(work)
        work.add_argument("--rebuild", action="store_true", help="make a bundle anew rather than upload it as it is")
        work.add_argument(
            "--import",
            action="store_true",
            dest="staged",
            help="stage and import it, so that the cloud's plugins see it",
        )
        work.add_argument(
            "--import-timeout",
            type=positive,
            default=3600,
            metavar="SECONDS",
            help="how long an import may take (default: 3600)",
        )
        work.add_argument(
            "--retries", type=int, default=0, metavar="N", help="begin a failed upload anew N times (default: 0)"
        )
        work.add_argument("--keep-failed", action="store_true", help="leave a failed image in the cloud")
        work.add_argument("--dry-run", action="store_true", help="show what would be done, and store nothing")
        add_cloud(parser, self)

    def execute(self, args: argparse.Namespace) -> Outcome:
        """Make the image, or show the plan of it."""
        options = self._options(args)
        limits, progress = bundling.limits(args, self.context), self.context.progress
        if args.dry_run:
            images = connect(self, args) if options.if_exists is not IfExists.CREATE else None
            plan = api.plan_image(options, images, limits=limits, progress=progress)
            return Outcome(
                data=views.plan_record(plan),
                text=functools.partial(views.plan_lines, plan),
                code=NotReadyError.exit_code if plan.refused else 0,
            )
        report = api.create_image(options, connect(self, args), limits=limits, progress=progress)
        return Outcome(data=views.report_record(report), text=functools.partial(views.report_lines, report))

    def _options(self, args: argparse.Namespace) -> ImageOptions:
        if args.retries < 0:
            raise UsageError(f"{args.retries} retries are asked for", expected="0 or more")
        return ImageOptions(
            bundle=bundling.options(args, self.context, "-"),
            name=args.name or "",
            visibility=args.visibility,
            tags=tuple(args.tags),
            staged=args.staged,
            if_exists=IfExists(args.if_exists),
            rebuild=args.rebuild,
            keep_failed=args.keep_failed,
            retries=args.retries,
            import_timeout=args.import_timeout,
        )


class Show(OutputCommand):
    """Tell what an image in a cloud holds."""

    summary = "Show what an image in a cloud holds"
    description = """\
Reads the head of an image and ends the download there: the record, and the
tables of the first VHD. With --full all of it comes down, and every member is
listed as bundle show does."""
    examples = ("xenimage image show debian --os-cloud mycloud", "xenimage image show debian --full -f json")

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the image."""
        _add_image(parser)
        parser.add_argument("--full", action="store_true", help="read all of it")
        add_cloud(parser, self)

    def execute(self, args: argparse.Namespace) -> Outcome:
        """Look at the image."""
        images, limits = connect(self, args), self.context.settings.limits
        if args.full:
            bundle = api.show_image_bundle(args.image, images, limits=limits, progress=self.context.progress)
            return Outcome(
                data=bundle_views.facts_record(bundle), text=functools.partial(bundle_views.facts_lines, bundle)
            )
        facts = api.show_image(args.image, images, limits=limits)
        return Outcome(data=views.facts_record(facts), text=functools.partial(views.facts_lines, facts))


class Check(OutputCommand):
    """Check an image in a cloud."""

    summary = "Check whether an image in a cloud boots and grows on its target"
    description = """\
Holds a stored bundle, the guest in it and its record against its target, as
bundle check and guest check do with files. It comes down twice, and once more
in part for the guest; no copy of it is kept. Ends with 0, or with 6 if there is
an error among the findings."""
    examples = ("xenimage image check debian --os-cloud mycloud", "xenimage image check debian --profile cinder")

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add image and profile."""
        _add_image(parser)
        _add_profile(parser)
        parser.add_argument("--no-inspect", action="store_false", dest="inspect", help="do not look at the guest")
        bundling.add_timeout(parser.add_argument_group("guest"))
        add_cloud(parser, self)

    def execute(self, args: argparse.Namespace) -> Outcome:
        """Check the image."""
        settings = self.context.settings
        report = api.check_image(
            args.image,
            connect(self, args),
            profile=args.profile or settings.profile,
            inspect=args.inspect,
            limits=bundling.limits(args, self.context),
            progress=self.context.progress,
        )
        return Outcome(
            data=bundle_views.check_record(report),
            text=functools.partial(bundle_views.check_lines, report),
            code=_code(report.verdict),
        )


class Save(OutputCommand):
    """Take an image out of a cloud."""

    summary = "Take an image out of a cloud, converted as it comes down"
    description = """\
Writes the disk of a stored bundle, its chain flattened, while it is
downloaded; or the image as it is stored. What comes is compared with what the
cloud recorded. OUTPUT appears under its name when it is complete, or not at
all."""
    examples = (
        "xenimage image save debian --output debian.qcow2 --format qcow2 --os-cloud mycloud",
        "xenimage image save debian --output debian.tgz",
    )
    format_names = ("-f",)

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add image and output."""
        _add_image(parser)
        parser.add_argument("--output", required=True, metavar="FILE", help="the file to write")
        parser.add_argument(
            "--format",
            dest="output_format",
            choices=(_STORED, *CONVERT_FORMATS),
            default=_STORED,
            help="its format (default: as it is stored)",
        )
        parser.add_argument("--dry-run", action="store_true", help="show what would be done, and write nothing")
        parser.add_argument("--force", action="store_true", help="replace an output that exists")
        add_cloud(parser, self)

    def execute(self, args: argparse.Namespace) -> Outcome:
        """Save the image."""
        images, limits = connect(self, args), self.context.settings.limits
        if args.dry_run:
            facts = api.show_image(args.image, images, limits=limits)
            return Outcome(
                data={**views.facts_record(facts), "path": args.output, "format": args.output_format},
                text=functools.partial(views.save_plan_lines, facts, args.output, args.output_format),
            )
        options = ConvertOptions(
            source=SourceOptions(path=args.image),
            output=args.output,
            format=args.output_format,
            jobs=self.context.settings.jobs,
            timestamp=self.context.timestamp,
            force=args.force,
        )
        report = api.save_image(options, images, limits=limits, progress=self.context.progress)
        return Outcome(data=views.save_record(report), text=functools.partial(views.save_lines, report))


class Properties(OutputCommand):
    """Look at the properties of an image in a cloud, and mend them."""

    summary = "Check the properties of an image in a cloud, and mend them"
    description = """\
Holds the record of an image against its target: names that nobody reads,
values in the wrong case, what is missing, min_disk against the size of the
disk in it. Nothing is changed without --fix. Ends with 6 if errors are left."""
    examples = (
        "xenimage image properties debian --os-cloud mycloud",
        "xenimage image properties debian --fix",
        "xenimage image properties debian --property vm_mode=xen --fix",
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add image, profile and wishes."""
        _add_image(parser)
        _add_profile(parser)
        parser.add_argument(
            "--property",
            action="append",
            default=[],
            dest="properties",
            type=key_value,
            metavar="NAME=VALUE",
            help="a property that shall have this value; wins over the profile's; repeatable",
        )
        parser.add_argument("--fix", action="store_true", help="make the changes")
        parser.add_argument("--dry-run", action="store_true", help="show them only, which is the default")
        add_cloud(parser, self)

    def execute(self, args: argparse.Namespace) -> Outcome:
        """Judge the record, and mend it."""
        settings = self.context.settings
        report = api.judge_image(
            args.image,
            connect(self, args),
            profile=args.profile or settings.profile,
            wishes=dict(args.properties),
            fix=args.fix and not args.dry_run,
            limits=settings.limits,
        )
        return Outcome(
            data=views.properties_record(report),
            text=functools.partial(views.properties_lines, report),
            code=_code(report.verdict),
        )


def _add_image(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", metavar="IMAGE", help="id of the image, or a name that only it has")


def _add_profile(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--profile", help="who shall read it (default: nova-xenapi; see: xenimage profile list)")


def _code(verdict: Verdict) -> int:
    return NotReadyError.exit_code if verdict is Verdict.NOT_READY else 0
