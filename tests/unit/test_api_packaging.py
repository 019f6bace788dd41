"""Packages written from packages and images: each choice about machines and about broken disks."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pathlib
from typing import Any

import ddt

from tests.base import TestCase
from tests.builders import xva as build
from tests.builders.pattern import pattern
from xenimage import api
from xenimage.containers.registry import open_container
from xenimage.exceptions import FormatError, NotReadyError, UsageError, XenimageError
from xenimage.limits import STRICT
from xenimage.model.machine import Product
from xenimage.model.packaging import DiskState, MachineWishes, OnDiskError, PackagingOptions
from xenimage.model.plan import BundleOptions, PackageChoice, SourceOptions
from xenimage.units import GIB, MIB

FIRST = pattern(0, 2 * MIB) + bytes(2 * MIB) + pattern(4 * MIB, MIB)
SECOND = pattern(64 * MIB, 3 * MIB)


def mark(content: bytes) -> str:
    """What tells contents apart, and can be printed."""
    return f"{len(content)} bytes, {hashlib.sha256(content).hexdigest()}"


def sources(*paths: object, **choice: Any) -> tuple[SourceOptions, ...]:
    return tuple(SourceOptions(path=str(path), choice=PackageChoice(**choice)) for path in paths)


class PackagingTestCase(TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.source = self.scratch / "source.xva"
        self.output = str(self.scratch / "new.xva")

    def convert(self, *paths: object, to: str = "xva", choice: dict[str, Any] | None = None, **fields: Any) -> Any:
        options = PackagingOptions(
            sources=sources(*(paths or (self.source,)), **(choice or {})),
            output=fields.pop("output", self.output),
            to=to,
            jobs=2,
            **fields,
        )
        return api.convert_package(options)

    def disks(self, path: object) -> dict[str, list[str]]:
        """Contents of the disks of a package, by the name of their machine."""
        found: dict[str, list[str]] = {}
        with contextlib.closing(open_container(str(path), STRICT, PackageChoice())) as container:
            for machine in container.package.machines:
                contents = found.setdefault(machine.name, [])
                for each in machine.disks:
                    with contextlib.closing(container.disk(each)) as disk:
                        buffer = bytearray(disk.facts.virtual_size)
                        disk.read_into(0, memoryview(buffer))
                        contents.append(mark(bytes(buffer)))
        return found

    def package(self, path: object) -> Any:
        with contextlib.closing(open_container(str(path), STRICT, PackageChoice())) as container:
            return container.package

    def codes(self, report: Any) -> list[str]:
        return [finding.code for finding in report.findings if finding.code.startswith("package.")]

    def assert_nothing_left(self, *names: str) -> None:
        self.assertEqual(sorted(names), sorted(os.listdir(self.scratch)))


@ddt.ddt
class MachinesTestCase(PackagingTestCase):
    def test_an_image_gets_a_machine(self) -> None:
        image = self.scratch / "debian-12.raw"
        image.write_bytes(FIRST)
        wishes = MachineWishes(memory=2 * GIB, cpus=3, firmware="uefi")
        report = self.convert(image, wishes=wishes)
        machine = self.package(self.output).machines[0]
        self.assertEqual(
            ("debian-12", 2 * GIB, 3, "uefi"), (machine.name, machine.memory, machine.cpus, machine.firmware)
        )
        self.assertEqual({"debian-12": [mark(FIRST)]}, self.disks(self.output))
        self.assertFalse(report.with_loss)
        self.assertEqual([DiskState.KEPT], [each.state for each in report.disks])

    def test_what_a_machine_is_stays(self) -> None:
        self.source.write_bytes(build.make(FIRST, SECOND, boot="uefi"))
        self.convert(compression="zstd", sum="xxhash")
        old, new = self.package(self.source).machines[0], self.package(self.output).machines[0]
        for name in ("name", "uuid", "cpus", "cpus_max", "memory", "firmware", "secure_boot", "nics", "vm_mode"):
            self.assertEqual(getattr(old, name), getattr(new, name), name)
        self.assertEqual({"Tëst <VM> & co": [mark(FIRST), mark(SECOND)]}, self.disks(self.output))

    def test_wishes(self) -> None:
        self.source.write_bytes(build.make(FIRST))
        product = Product(name="Shop", vendor="us")
        wishes = MachineWishes(
            name="shop", memory=GIB, cpus=3, networks=(("Pool-wide network", "LAN"),), annotation="a shop",
            eulas=("be good",), product=product,
        )  # fmt: skip
        report = self.convert(wishes=wishes)
        machine = self.package(self.output).machines[0]
        self.assertEqual(
            ("shop", GIB, 3, "LAN", "a shop"),
            (machine.name, machine.memory, machine.cpus, machine.nics[0].network, machine.description),
        )
        # Two cores a socket do not make three.
        self.assertIsNone(machine.cores_per_socket)
        self.assertEqual((("be good",), (product,)), (report.machines[0].eulas, report.machines[0].products))

    @ddt.data(
        (MachineWishes(memory=1000), "memory of 1000 bytes, expected whole MiB, one at least"),
        (MachineWishes(cpus=0), "0 processors, expected from 1 to 4096"),
        (MachineWishes(firmware="open"), "the firmware 'open', expected bios or uefi"),
        (MachineWishes(name="ä" * 128), "a name of more than 255 bytes, expected a shorter one"),
        (
            MachineWishes(networks=(("none", "LAN"),)),
            "there is no network 'none', expected one of the package's: 'Pool-wide network'",
        ),
    )
    @ddt.unpack
    def test_wishes_that_make_no_sense(self, wishes: MachineWishes, message: str) -> None:
        self.source.write_bytes(build.make(SECOND))
        with self.assertRaises(UsageError) as caught:
            self.convert(wishes=wishes)
        self.assertEqual(message, str(caught.exception))
        self.assert_nothing_left("source.xva")

    def test_one_disk_of_it(self) -> None:
        self.source.write_bytes(build.make(FIRST, SECOND))
        self.convert(choice={"disk": "2"})
        self.assertEqual({"Tëst <VM> & co": [mark(SECOND)]}, self.disks(self.output))

    def test_who_wrote_it_and_who_must_understand_it(self) -> None:
        self.source.write_bytes(build.make(FIRST))
        output = str(self.scratch / "new.ova")
        self.convert(to="ova", output=output)
        package = self.package(output)
        self.assertEqual("xenimage", package.producer)
        self.assertTrue(package.machines[0].settings)
        self.assertTrue(package.machines[0].settings_optional)

    def test_what_an_xva_has_no_place_for(self) -> None:
        self.source.write_bytes(build.make(FIRST))
        for wishes, codes in (
            (MachineWishes(eulas=("Pay.",)), ["package.words.left-out"]),
            (MachineWishes(product=Product(name="Shop")), ["package.words.left-out"]),
            (MachineWishes(annotation="A shop"), []),
        ):
            self.assertEqual(codes, self.codes(self.convert(wishes=wishes, force=True)))

    def test_merge_and_split(self) -> None:
        self.source.write_bytes(build.make(FIRST, name="one"))
        other = self.scratch / "other.xva"
        other.write_bytes(build.make(SECOND, name="two"))
        self.convert(self.source, other)
        self.assertEqual({"one": [mark(FIRST)], "two": [mark(SECOND)]}, self.disks(self.output))
        directory = self.scratch / "parts"
        options = PackagingOptions(sources=sources(self.output), output=str(directory), to="xva")
        report = api.split_package(options)
        self.assertEqual(["one.xva", "two.xva"], sorted(os.listdir(directory)))
        self.assertEqual(2, len(report.packages))
        self.assertEqual({"one": [mark(FIRST)]}, self.disks(directory / "one.xva"))
        self.assertEqual({"two": [mark(SECOND)]}, self.disks(directory / "two.xva"))
        with self.assertRaises(UsageError):
            api.split_package(options)

    def test_machines_of_one_name_are_split_into_files_of_two(self) -> None:
        self.source.write_bytes(build.make(FIRST, name="../a b"))
        self.convert(self.source, self.source)
        directory = self.scratch / "parts"
        api.split_package(PackagingOptions(sources=sources(self.output), output=str(directory), to="xva"))
        self.assertEqual(["a-b-2.xva", "a-b.xva"], sorted(os.listdir(directory)))

    def test_one_name_for_two_machines(self) -> None:
        self.source.write_bytes(build.make(SECOND))
        with self.assertRaises(UsageError) as caught:
            self.convert(self.source, self.source, wishes=MachineWishes(name="both"))
        self.assertEqual("one name for 2 machines, expected one machine", str(caught.exception))

    def test_a_plan_writes_nothing(self) -> None:
        self.source.write_bytes(build.make(FIRST))
        report = api.plan_package(PackagingOptions(sources=sources(self.source), output=self.output, to="xva"))
        self.assertFalse(report.written)
        self.assertEqual([5 * MIB], [each.virtual_size for each in report.disks])
        self.assert_nothing_left("source.xva")

    def test_an_output_that_is_there(self) -> None:
        self.source.write_bytes(build.make(SECOND))
        pathlib.Path(self.output).write_bytes(b"old")
        with self.assertRaises(UsageError):
            self.convert()
        self.assertEqual(b"old", pathlib.Path(self.output).read_bytes())
        self.convert(force=True)
        self.assertEqual([[mark(SECOND)]], list(self.disks(self.output).values()))

    def test_a_source_is_never_written(self) -> None:
        self.source.write_bytes(build.make(SECOND))
        with self.assertRaises(UsageError) as caught:
            self.convert(output=str(self.source), force=True)
        self.assertEqual(f"{self.source}: is the source {self.source}, expected another file", str(caught.exception))

    @ddt.data(
        ({"to": "tar"}, "cannot write 'tar', expected one of ovf, ova, xva, bundle"),
        ({"digest": "sha1"}, "--digest is asked for, which xva does not have, expected ovf or ova"),
        ({"sum": "xxhash", "to": "ova"}, "--sum is asked for, which ova does not have, expected xva"),
        ({"output": "-"}, "a package cannot go to standard output, expected a file"),
        ({"resume": True}, "--resume, and the disks of xva are no files that could be kept, expected --to ovf or ova"),
        ({"metadata_only": True, "to": "bundle"}, "--metadata-only is asked for, which bundle does not have, "
         "expected ovf or ova or xva"),
        ({"metadata_only": True, "replace": (("1", "x"),)}, "disks are to be replaced, and none written, "
         "expected --metadata-only or --replace-disk"),
    )  # fmt: skip
    @ddt.unpack
    def test_options_that_make_no_sense(self, fields: dict[str, Any], message: str) -> None:
        with self.assertRaises(UsageError) as caught:
            self.convert(**fields)
        self.assertEqual(message, str(caught.exception))


class BrokenTestCase(PackagingTestCase):
    """An XVA of two disks, the second chunk of the second of which does not have its sum."""

    def setUp(self) -> None:
        super().setUp()
        whole = build.make(FIRST, SECOND)
        place = whole.index(SECOND[MIB : MIB + 512])
        self.source.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        self.rest = SECOND[:MIB] + bytes(MIB) + SECOND[2 * MIB :]

    def test_fail(self) -> None:
        with self.assertRaises(FormatError) as caught:
            self.convert()
        self.assertIn("--on-disk-error salvage", caught.exception.tip)
        self.assert_nothing_left("source.xva")

    def test_skip(self) -> None:
        report = self.convert(on_disk_error=OnDiskError.SKIP)
        self.assertEqual([[mark(FIRST)]], list(self.disks(self.output).values()))
        self.assertEqual([DiskState.KEPT, DiskState.SKIPPED], [each.state for each in report.disks])
        self.assertIn("package.disk.skipped", self.codes(report))
        self.assertTrue(report.with_loss)
        self.assert_nothing_left("source.xva", "new.xva")

    def test_salvage(self) -> None:
        report = self.convert(on_disk_error=OnDiskError.SALVAGE)
        self.assertEqual([[mark(FIRST), mark(self.rest)]], list(self.disks(self.output).values()))
        self.assertEqual([(MIB, MIB)], [(each.offset, each.length) for each in report.disks[1].lost])
        self.assertEqual((), report.disks[0].lost)
        self.assertEqual(["package.disk.lost"], self.codes(report))
        self.assertEqual(f"{self.output}.lost.txt", report.lost_list)
        lines = pathlib.Path(report.lost_list).read_text().splitlines()
        self.assertEqual(["2", str(MIB), str(MIB)], lines[1].split("\t")[:3])
        self.assertEqual(2, len(lines))

    def cut(self) -> None:
        """An XVA that ends in the middle of its second disk, whose first chunk is whole."""
        whole = build.make(FIRST, SECOND)
        self.source.write_bytes(whole[: whole.index(SECOND[MIB : MIB + 512]) + 5000])

    def test_what_was_cut_is_refused_as_a_whole(self) -> None:
        self.cut()
        with self.assertRaisesRegex(FormatError, "is cut short by the end of the file") as caught:
            self.convert()
        self.assertIn("--on-disk-error salvage", caught.exception.tip)

    def test_salvage_what_was_cut(self) -> None:
        self.cut()
        report = self.convert(on_disk_error=OnDiskError.SALVAGE)
        rest = SECOND[:MIB] + bytes(2 * MIB)
        self.assertEqual([[mark(FIRST), mark(rest)]], list(self.disks(self.output).values()))
        self.assertEqual([(MIB, 2 * MIB)], [(each.offset, each.length) for each in report.disks[1].lost])
        self.assertEqual((), report.disks[0].lost)
        codes = [finding.code for finding in report.findings]
        self.assertEqual(1, codes.count("xva.archive"))

    def test_skip_what_was_cut(self) -> None:
        self.cut()
        for fields in ({"on_disk_error": OnDiskError.SKIP}, {"skip": ("2",)}):
            report = self.convert(force=True, **fields)
            self.assertEqual([[mark(FIRST)]], list(self.disks(self.output).values()))
            self.assertEqual([DiskState.KEPT, DiskState.SKIPPED], [each.state for each in report.disks])

    def test_a_disk_behind_the_cut_is_left_out(self) -> None:
        whole = build.make(FIRST, SECOND)
        self.source.write_bytes(whole[: whole.index(FIRST[4 * MIB :])])
        report = self.convert(on_disk_error=OnDiskError.SALVAGE)
        self.assertEqual([[mark(FIRST[: 4 * MIB] + bytes(MIB))]], list(self.disks(self.output).values()))
        self.assertEqual([DiskState.KEPT, DiskState.SKIPPED], [each.state for each in report.disks])

    def test_an_archive_that_leads_outside_is_never_salvaged(self) -> None:
        self.source.write_bytes(build.make(FIRST, SECOND, fault="dotdot"))
        with self.assertRaises(NotReadyError):
            self.convert(on_disk_error=OnDiskError.SALVAGE)
        self.assert_nothing_left("source.xva")

    def test_an_ova_that_was_cut(self) -> None:
        ova = self.scratch / "whole.ova"
        self.source.write_bytes(build.make(FIRST, SECOND))
        self.convert(to="ova", output=str(ova), disk_format="vhd")
        data = ova.read_bytes()
        place = data.index(SECOND[MIB : MIB + 512])
        ova.write_bytes(data[:place])
        with self.assertRaisesRegex(FormatError, "ends inside the member") as caught:
            self.convert(ova)
        self.assertIn("--on-disk-error salvage", caught.exception.tip)
        report = self.convert(ova, on_disk_error=OnDiskError.SALVAGE)
        self.assertEqual(mark(FIRST + bytes(MIB)), next(iter(self.disks(self.output).values()))[0])
        self.assertIn("ovf.archive.end", [finding.code for finding in report.findings])
        self.assertTrue(report.with_loss)

    def test_a_list_of_losses_goes_with_its_package(self) -> None:
        self.convert(on_disk_error=OnDiskError.SALVAGE)
        self.convert(skip=("2",), force=True)
        self.assert_nothing_left("source.xva", "new.xva")

    def test_skip_by_name(self) -> None:
        report = self.convert(skip=("disk 1",))
        self.assertEqual([[mark(FIRST)]], list(self.disks(self.output).values()))
        self.assertEqual("as was asked for (--skip-disk)", report.disks[1].why)
        self.assertTrue(report.with_loss)

    def test_replace(self) -> None:
        image = self.scratch / "mended.raw"
        image.write_bytes(SECOND)
        report = self.convert(replace=(("2", str(image)),))
        self.assertEqual([[mark(FIRST), mark(SECOND)]], list(self.disks(self.output).values()))
        self.assertEqual(str(image), report.disks[1].source)
        self.assertEqual(["package.disk.replaced"], self.codes(report))
        self.assertFalse(report.with_loss)

    def test_replace_with_a_smaller_one(self) -> None:
        image = self.scratch / "mended.raw"
        image.write_bytes(SECOND[:MIB])
        report = self.convert(replace=(("2", str(image)),))
        said = [finding.what for finding in report.findings if finding.code == "package.disk.replaced"]
        self.assertIn(f"of {MIB} bytes instead of {3 * MIB}", said[0])

    def test_metadata_only(self) -> None:
        report = self.convert(metadata_only=True)
        machine = self.package(self.output).machines[0]
        self.assertEqual([5 * MIB, 3 * MIB], [each.capacity for each in machine.disks])
        self.assertEqual(["", ""], [each.file for each in machine.disks])
        self.assertLess(os.path.getsize(self.output), MIB)
        self.assertEqual(["package.disk.empty"] * 2, self.codes(report))
        self.assertFalse(report.with_loss)

    def test_disks_without_content_become_empty(self) -> None:
        self.convert(metadata_only=True)
        report = self.convert(self.output, output=str(self.scratch / "empty.xva"))
        self.assertEqual(
            [[mark(bytes(5 * MIB)), mark(bytes(3 * MIB))]], list(self.disks(self.scratch / "empty.xva").values())
        )
        self.assertEqual(["package.disk.empty"] * 2, self.codes(report))

    def test_a_disk_with_two_fates(self) -> None:
        with self.assertRaises(UsageError) as caught:
            self.convert(skip=("2",), replace=(("disk 1", "x"),))
        self.assertEqual(
            f"{self.source}: the disk 'disk 1' is named twice, expected one fate for each disk", str(caught.exception)
        )

    def test_a_disk_that_there_is_not(self) -> None:
        with self.assertRaises(UsageError):
            self.convert(skip=("3",))

    def test_no_disk_is_left(self) -> None:
        with self.assertRaises(NotReadyError) as caught:
            self.convert(choice={"disk": "2"}, on_disk_error=OnDiskError.SKIP)
        self.assertEqual(f"{self.source}: no disk of it can be read, expected one at least", str(caught.exception))
        self.assert_nothing_left("source.xva")

    def test_bundles(self) -> None:
        directory = self.scratch / "bundles"
        wishes = BundleOptions(source=SourceOptions(path=""), output="", inspect=False)
        options = PackagingOptions(
            sources=sources(self.source), output=str(directory), to="bundle", on_disk_error=OnDiskError.SALVAGE
        )
        report = api.convert_package(options, bundle=wishes)
        self.assertEqual(["bundles-1.tgz", "bundles-2.tgz"], sorted(os.listdir(directory)))
        self.assertEqual(2, len(report.bundles))
        for number, content in enumerate((FIRST, self.rest), 1):
            raw = self.scratch / f"{number}.raw"
            raw.write_bytes(content)
            bundle = SourceOptions(path=str(directory / f"bundles-{number}.tgz"))
            self.assertTrue(api.compare_disks(SourceOptions(path=str(raw)), bundle).equal)
        self.assertEqual(MIB, report.lost_size)

    def test_bundles_beside_each_other(self) -> None:
        self.source.write_bytes(build.make(FIRST, SECOND))
        wishes = BundleOptions(source=SourceOptions(path=""), output="", inspect=False)
        output = str(self.scratch / "web.tgz")
        options = PackagingOptions(sources=sources(self.source), output=output, to="bundle")
        api.convert_package(options, bundle=wishes)
        self.assert_nothing_left("source.xva", "web-1.tgz", "web-2.tgz")

    def test_bundles_appear_together_or_not_at_all(self) -> None:
        directory = self.scratch / "bundles"
        wishes = BundleOptions(source=SourceOptions(path=""), output="", inspect=False)
        options = PackagingOptions(sources=sources(self.source), output=str(directory), to="bundle")
        with self.assertRaises(XenimageError):
            api.convert_package(options, bundle=wishes)
        self.assertFalse(directory.exists())


class ResumeTestCase(PackagingTestCase):
    """The second disk fails in the first run."""

    def setUp(self) -> None:
        super().setUp()
        whole = build.make(FIRST, SECOND)
        place = whole.index(SECOND[MIB : MIB + 512])
        self.source.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])

    def test_a_finished_disk_is_taken_over(self) -> None:
        output = str(self.scratch / "new.ova")
        with self.assertRaises(FormatError):
            self.convert(to="ova", output=output, resume=True)
        self.assertEqual(["new.ova.resume", "source.xva"], sorted(os.listdir(self.scratch)))
        image = self.scratch / "mended.raw"
        image.write_bytes(SECOND)
        report = self.convert(to="ova", output=output, resume=True, replace=(("2", str(image)),))
        self.assertIn("disk1.vmdk", dict(report.details)["resumed"])
        self.assertNotIn("disk2.vmdk", dict(report.details)["resumed"])
        self.assertEqual([[mark(FIRST), mark(SECOND)]], list(self.disks(output).values()))
        self.assert_nothing_left("mended.raw", "new.ova", "source.xva")

    def test_what_was_kept_and_damaged_is_made_again(self) -> None:
        output = str(self.scratch / "new")
        with self.assertRaises(FormatError):
            self.convert(to="ovf", output=output, resume=True)
        kept = next((self.scratch / "new.resume").glob("*.vmdk"))
        kept.write_bytes(kept.read_bytes()[:-1] + b"x")
        report = self.convert(to="ovf", output=output, resume=True, skip=("2",))
        self.assertEqual("nothing", dict(report.details)["resumed"])
        descriptor = next((self.scratch / "new").glob("*.ovf"))
        self.assertEqual([[mark(FIRST)]], list(self.disks(descriptor).values()))


@ddt.ddt
class OvfTestCase(PackagingTestCase):
    @ddt.data(
        ("ova", "new.ova", {}),
        ("ova", "new.ova.gz", {"compression": "gzip"}),
        ("ova", "new.ova", {"disk_format": "vhd", "digest": "sha1"}),
        ("ova", "new.ova", {"chunk_size": MIB}),
        ("ovf", "new.ovf", {}),
        ("ovf", "new.ovf", {"compression": "gzip", "digest": "sha512"}),
    )
    @ddt.unpack
    def test_every_form_is_read_back(self, to: str, name: str, fields: dict[str, Any]) -> None:
        self.source.write_bytes(build.make(FIRST, pattern(64 * MIB, 4 * MIB)))
        output = self.scratch / name
        self.convert(to=to, output=str(output), **fields)
        [found] = self.disks(output).values()
        # A VHD is whole blocks of 2 MiB.
        first = FIRST + bytes(MIB) if fields.get("disk_format") == "vhd" else FIRST
        self.assertEqual([mark(first), mark(pattern(64 * MIB, 4 * MIB))], found)

    def test_nothing_is_written_beside_a_source(self) -> None:
        self.source.write_bytes(build.make(SECOND))
        self.convert(to="ovf", output=str(self.scratch / "a"))
        descriptor = next((self.scratch / "a").glob("*.ovf"))
        with self.assertRaises(UsageError) as caught:
            self.convert(descriptor, to="ovf", output=str(self.scratch / "a"), force=True)
        self.assertIn("is the folder of the source", str(caught.exception))

    def test_a_name_that_is_none_for_importers(self) -> None:
        with self.assertRaises(UsageError) as caught:
            self.convert(to="ovf", output=str(self.scratch / "my vm.ovf"))
        self.assertEqual("Call it my-vm.ovf.", caught.exception.tip)

    def test_what_is_not_what_the_manifest_says(self) -> None:
        self.source.write_bytes(build.make(FIRST, SECOND))
        self.convert(to="ova")
        path = pathlib.Path(self.output)
        data = bytearray(path.read_bytes())
        # The blank in front of the descriptor's end tells a reader of XML nothing, and its digest does.
        place = data.rindex(b"</Envelope>") - 1
        data[place : place + 1] = b" " if data[place : place + 1] != b" " else b"\t"
        changed = self.scratch / "changed.ova"
        changed.write_bytes(data)
        for handling in OnDiskError:
            with self.assertRaises(FormatError) as caught:
                self.convert(changed, output=str(self.scratch / "b.xva"), on_disk_error=handling)
            self.assertIn("expected what the manifest says", str(caught.exception))
        report = self.convert(changed, output=str(self.scratch / "b.xva"), choice={"verify": False})
        self.assertEqual(["package.unverified"], self.codes(report))
        self.assertEqual([[mark(FIRST), mark(SECOND)]], list(self.disks(self.scratch / "b.xva").values()))
