"""Every command with a library that answers at once: what it asks for, what it says, and how it ends."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
from unittest import mock

import ddt

from tests.unit.cli import support
from tests.unit.cli.support import CliTestCase, finding
from xenimage.api import finding_kinds
from xenimage.cli import catalogue
from xenimage.exceptions import UnsafeError
from xenimage.limits import Limits
from xenimage.model.finding import Severity
from xenimage.model.plan import (
    BundleOptions,
    CheckOptions,
    Compression,
    ConvertOptions,
    GuestOptions,
    RebaseOptions,
    RepairBundleOptions,
    RepairOptions,
    SizePolicy,
    SourceOptions,
)
from xenimage.model.report import Comparison, DiskMap, Verdict
from xenimage.profiles.registry import BUILTIN
from xenimage.units import GIB

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "golden" / "cli"
UPDATE = "XENIMAGE_UPDATE_GOLDEN" in os.environ
"""set it to write the golden files anew, and look at the difference"""

CASES = {
    "bundle-create": ("bundle", "create", "debian.qcow2", "--output", "debian.tgz"),
    "bundle-create-dry-run": ("bundle", "create", "debian.qcow2", "--output", "debian.tgz", "--dry-run"),
    "bundle-show": ("bundle", "show", "debian.tgz"),
    "bundle-check": ("bundle", "check", "debian.tgz"),
    "disk-show": ("disk", "show", "child.qcow2"),
    "disk-check": ("disk", "check", "leaf.vhd", "base.vhd"),
    "chain-show": ("chain", "show", "pool"),
    "finding-show": ("finding", "show", "vhd.footer.hidden_leaf"),
    "disk-map": ("disk", "map", "debian.qcow2"),
    "disk-convert": ("disk", "convert", "debian.qcow2", "debian.vhd", "--format", "vhd"),
    "disk-convert-dry-run": ("disk", "convert", "a.tgz", "a.qcow2", "--format", "qcow2", "--dry-run"),
    "disk-compare": ("disk", "compare", "a.raw", "b.vhd"),
    "disk-repair": ("disk", "repair", "cut.vhd", "--output", "rest.vhd", "--accept-loss"),
    "disk-rebase": ("disk", "rebase", "leaf.vhd", "--parent", "base.vhd"),
    "bundle-repair": ("bundle", "repair", "theirs.tgz", "--output", "ours.tgz"),
    "guest-check": ("guest", "check", "images/win.qcow2"),
    "guest-show": ("guest", "show", "system.qcow2", "data.raw"),
    "image-create": ("image", "create", "debian.qcow2"),
    "image-create-dry-run": ("image", "create", "debian.qcow2", "--dry-run"),
    "image-show": ("image", "show", "debian"),
    "image-check": ("image", "check", "debian"),
    "image-save": ("image", "save", "debian", "--output", "debian.qcow2", "--format", "qcow2"),
    "image-save-dry-run": ("image", "save", "debian", "--output", "debian.qcow2", "--format", "qcow2", "--dry-run"),
    "image-properties": ("image", "properties", "debian", "--fix"),
    "package-check": ("package", "check", "my shop.ova", "--for", "openstack-xenserver"),
    "package-show": ("package", "show", "shop.ova"),
    "profile-list": ("profile", "list"),
    "profile-show": ("profile", "show", "rackspace"),
    "sample-kit": ("sample", "kit", "images"),
    "sample-kit-dry-run": ("sample", "kit", "images", "--dry-run"),
    "doctor": ("doctor",),
}
NOUNS = sorted({name.partition(" ")[0] for name in catalogue.COMMANDS if " " in name})
CODES = {
    "bundle-check": 6,
    "disk-check": 6,
    "disk-compare": 6,
    "disk-repair": 8,
    "doctor": 6,
    "guest-check": 6,
    "image-check": 6,
    "image-properties": 6,
    "package-check": 6,
}


class FakedTestCase(CliTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.api = self.patch_api(
            plan_bundle=support.plan(),
            create_bundle=support.bundle_report(),
            show_bundle=support.bundle_facts(),
            check_bundle=support.check_report(Verdict.NOT_READY, finding(Severity.WARNING), finding()),
            check_disks=support.disks_report(),
            check_guest=support.guest_report(),
            show_chain=support.chain_report(),
            show_disk=support.child_facts(),
            map_disk=support.disk_map(),
            inspect_guest=support.odd_guest(),
            convert_disk=support.convert_report(),
            plan_conversion=support.convert_plan(),
            compare_disks=support.different(),
            repair_disk=support.repair_report(),
            undo_repair=4096,
            rebase_disk=support.rebase_report(),
            repair_bundle=support.bundle_repair_report(),
            connect_cloud=mock.sentinel.images,
            plan_image=support.image_plan(),
            create_image=support.image_report(),
            show_image=support.image_facts(),
            check_image=support.check_report(Verdict.NOT_READY, finding(Severity.WARNING), finding()),
            save_image=support.save_report(),
            judge_image=support.record_report(),
            check_package=support.package_report(),
            show_package=support.machine_package(),
            profiles=BUILTIN,
            doctor=support.diagnoses(),
            kit_images=support.kit_report().images,
            write_kit=support.kit_report(),
        )

    def asked(self, name: str) -> tuple[object, ...]:
        self.api[name].assert_called_once()
        return self.api[name].call_args.args


@ddt.ddt
class GoldenTest(FakedTestCase):
    """The whole output, for people and for programs."""

    maxDiff = None

    def golden(self, name: str, text: str) -> None:
        path = GOLDEN / name
        if UPDATE:
            path.write_text(text, encoding="utf-8")
        self.assertEqual(path.read_text(encoding="utf-8"), text)

    @ddt.data(*CASES)
    def test_json(self, name: str) -> None:
        run = self.run_cli(*CASES[name], "-f", "json")
        self.assertEqual((CODES.get(name, 0), ""), (run.code, run.err))
        self.golden(f"{name}.json", run.out)
        told = json.loads(run.out)
        if isinstance(told, dict):
            self.assertEqual(1, told["schema"])

    @ddt.data(*CASES)
    def test_text(self, name: str) -> None:
        run = self.run_cli(*CASES[name])
        self.assertEqual((CODES.get(name, 0), ""), (run.code, run.err))
        self.golden(f"{name}.txt", run.out)

    @ddt.data(*CASES)
    def test_text_in_ascii(self, name: str) -> None:
        run = self.run_cli(*CASES[name], encoding="ascii")
        self.assertEqual(CODES.get(name, 0), run.code)
        self.assertNotIn("\\u", run.out)

    @ddt.data(*CASES)
    def test_lines_keep_the_width(self, name: str) -> None:
        for line in self.run_cli(*CASES[name]).out.splitlines():
            # Checksums and property names are not broken.
            self.assertTrue(len(line) <= 100 or "c" * 100 in line, line)

    @ddt.data(*CASES)
    def test_the_other_formats_work(self, name: str) -> None:
        rows = name in ("disk-map", "profile-list", "doctor")
        for formatter in ("yaml", "value", "csv" if rows else "shell"):
            run = self.run_cli(*CASES[name], "-f", formatter)
            self.assertEqual((CODES.get(name, 0), ""), (run.code, run.err))
            self.assertTrue(run.out)


@ddt.ddt
class HelpTest(CliTestCase):
    @ddt.data(*catalogue.COMMANDS)
    def test_every_command_shows_an_example(self, name: str) -> None:
        run = self.run_cli(*name.split(), "--help")
        self.assertEqual((0, ""), (run.code, run.err))
        self.assertIn("Example", run.out)
        self.assertIn(f"  xenimage {name}", run.out)
        self.assertEqual(run.out, self.run_cli("help", *name.split()).out)

    @ddt.data(("complete", "--help"), ("help", "complete"))
    def test_the_command_of_cliff_shows_an_example_too(self, words: tuple[str, ...]) -> None:
        run = self.run_cli(*words)
        self.assertEqual((0, ""), (run.code, run.err))
        self.assertIn("\nPrint the completion for bash.\n", run.out)
        self.assertIn("\nExample:\n  xenimage complete > ~/", run.out)

    @ddt.data(*NOUNS)
    def test_a_noun_lists_its_commands(self, noun: str) -> None:
        run = self.run_cli(noun, "--help")
        self.assertEqual((0, ""), (run.code, run.err))
        for words in (("help", noun), (noun, "-h"), ("-v", noun, "--help")):
            self.assertEqual(run, self.run_cli(*words))
        self.assertEqual(self.listed(run.out), [name for name in catalogue.COMMANDS if name.startswith(f"{noun} ")])
        self.assertIn(f"\nExample:\n  xenimage {noun} ", run.out)

    @ddt.data(*NOUNS)
    def test_a_noun_alone_is_an_error_that_lists_them(self, noun: str) -> None:
        run = self.run_cli(noun)
        self.assertEqual((2, ""), (run.code, run.out))
        self.assertEqual(self.listed(run.err), [name for name in catalogue.COMMANDS if name.startswith(f"{noun} ")])
        message = f"{noun!r} alone is no command, expected one of these\nTIP: See: xenimage {noun} --help\n"
        self.assertTrue(run.err.endswith(message))

    def listed(self, text: str) -> list[str]:
        """Names of the commands in a listing, each with the summary that it must have."""
        rows = [line for line in text.splitlines() if line.startswith("  ") and "xenimage" not in line]
        names = [line[2:18].rstrip() for line in rows]
        self.assertEqual([f"  {name:<16} {catalogue.COMMANDS[name].summary}" for name in names], rows)
        return names

    @ddt.data(*catalogue.COMMANDS.values())
    def test_the_table_says_what_the_command_says(self, entry: catalogue.Entry) -> None:
        command = entry.load()
        self.assertEqual(entry.summary, command.summary)
        self.assertFalse(entry.summary.endswith("."))

    @ddt.data((), ("--help",), ("-h",), ("help",))
    def test_the_overview_names_every_command(self, words: tuple[str, ...]) -> None:
        run = self.run_cli(*words)
        self.assertEqual((0, ""), (run.code, run.err))
        self.assertIn("Example", run.out)
        for name, entry in catalogue.COMMANDS.items():
            self.assertIn(f"  {name:<16} {entry.summary}\n", run.out)

    def test_the_version(self) -> None:
        run = self.run_cli("--version")
        self.assertEqual((0, ""), (run.code, run.err))
        self.assertRegex(run.out, r"\Axenimage \S.*\n\Z")
        self.assertEqual(run, self.run_cli("-v", "--version"))


@ddt.ddt
class UsageTest(FakedTestCase):
    @ddt.data(
        (
            ("bundel", "create"),
            "'bundel create' is no command",
            "bundle check, bundle create, bundle extract, bundle repair, bundle show",
        ),
        (
            ("disk", "shwo"),
            "'disk shwo' is no command",
            "disk show, disk check, disk map, disk convert, disk compare, disk repair, disk rebase",
        ),
        (
            ("disk", "-v", "shwo"),
            "'disk shwo' is no command",
            "disk show, disk check, disk map, disk convert, disk compare, disk repair, disk rebase",
        ),
        (
            ("disks", "--help"),
            "'disks' is no command",
            "disk check, disk compare, disk convert, disk map, disk rebase, disk repair, disk show",
        ),
    )
    @ddt.unpack
    def test_a_misspelt_command(self, words: tuple[str, ...], message: str, guess: str) -> None:
        run = self.run_cli(*words)
        self.assertEqual((2, "", f"{message}\nTIP: Did you mean: {guess}?\n"), (run.code, run.out, run.err))

    @ddt.data(("bundle", "show", "x", "-f", "json"), ("profile", "list", "-f", "value"))
    def test_an_unknown_field(self, words: tuple[str, ...]) -> None:
        run = self.run_cli(*words, "-c", "nope")
        self.assertEqual((2, ""), (run.code, run.out))
        self.assertRegex(run.err, r"^there is no field 'nope', expected one of ")

    def test_an_abbreviated_command(self) -> None:
        self.assertEqual(0, self.run_cli("prof", "li").code)

    @ddt.data(
        ("--no-such-option",),
        ("bundle", "create", "x"),
        ("bundle", "create", "x", "--output", "y", "--property", "novalue"),
        ("bundle", "create", "x", "--output", "y", "--size", "big"),
        ("bundle", "create", "x", "--output", "y", "--jobs", "0"),
        ("bundle", "create", "x", "--output", "y", "--compression", "xz"),
        ("bundle", "create", "x", "--out", "y"),
        ("disk", "convert", "x", "y"),
        ("disk", "convert", "x", "y", "--format", "vdi"),
        ("disk", "convert", "x", "y", "--format", "qcow2", "--compression", "xz"),
        ("disk", "convert", "x", "y", "--format", "qcow2", "--cluster-size", "big"),
        ("disk", "map", "x", "-f", "shell"),
        ("disk", "show", "x", "-f", "csv"),
        ("package", "check", "x", "--for", "kvm"),
        ("profile", "show", "hyper-v"),
        ("--progress", "loud", "doctor"),
        ("--config-file", "/nonexistent", "bundle", "show", "x"),
        ("--log-file", "/nonexistent/x", "doctor"),
        ("--log-file", "/nonexistent/x", "complete"),
        ("--progress-fd", "987654", "bundle", "show", "x"),
    )
    @ddt.unpack
    def test_wrong_use_ends_with_2_before_any_work(self, *words: str) -> None:
        run = self.run_cli(*words)
        self.assertEqual((2, ""), (run.code, run.out))
        self.assertTrue(run.err)
        for called in (
            name for name, fake in self.api.items() if name not in ("profiles", "connect_cloud") and fake.called
        ):
            self.fail(called)

    def test_options_of_every_command_stand_anywhere(self) -> None:
        self.assertEqual(6, self.run_cli("-q", "doctor", "--progress", "none", "--debug").code)

    def test_nothing_behind_two_dashes_is_an_option(self) -> None:
        self.run_cli("bundle", "show", "--", "-v")
        self.assertEqual(("-v",), self.asked("show_bundle"))


class GuestShowTest(FakedTestCase):
    def test_what_it_asks_for(self) -> None:
        self.run_cli("guest", "show", "a.raw", "b.raw", "--format", "raw", "--follow-backing", "d")
        expected = tuple(SourceOptions(path=path, format="raw", follow="d") for path in ("a.raw", "b.raw"))
        self.assertEqual((expected,), self.asked("inspect_guest"))

    def test_the_parents_of_one(self) -> None:
        self.run_cli("guest", "show", "a.qcow2", "--backing", "b", "--backing", "c", "--snapshot", "s")
        expected = (SourceOptions(path="a.qcow2", backing=("b", "c"), snapshot="s"),)
        self.assertEqual((expected,), self.asked("inspect_guest"))


@ddt.ddt
class GuestTest(FakedTestCase):
    def test_what_it_asks_for(self) -> None:
        words = "--profile cinder --property a=b --format raw --follow-backing d -f json"
        self.run_cli("guest", "check", "a.raw", "b.raw", *words.split())
        expected = GuestOptions(
            sources=tuple(SourceOptions(path=path, format="raw", follow="d") for path in ("a.raw", "b.raw")),
            profile="cinder",
            properties=(("a", "b"),),
        )
        self.assertEqual((expected,), self.asked("check_guest"))

    @ddt.data(("sound", 0, 0), ("usable", 0, 6), ("not ready", 6, 6))
    @ddt.unpack
    def test_how_it_ends(self, verdict: str, code: int, strict: int) -> None:
        self.patch_api(check_guest=support.guest_report(Verdict(verdict)))
        self.assertEqual(code, self.run_cli("guest", "check", "a").code)
        self.assertEqual(strict, self.run_cli("guest", "check", "a", "--strict").code)

    @ddt.data("--backing=b", "--snapshot=s")
    def test_a_parent_belongs_to_one_disk(self, option: str) -> None:
        run = self.run_cli("guest", "check", "a", "b", option)
        self.assertEqual((2, ""), (run.code, run.out))
        self.assertIn("given for 2 disks, expected one disk", run.err)

    def test_a_page_is_written_and_not_over_another_file(self) -> None:
        path = self.scratch / "win.html"
        run = self.run_cli("guest", "check", "a", "--html", str(path), "-f", "json")
        self.assertEqual((6, ""), (run.code, run.err))
        self.assertEqual(str(path), json.loads(run.out)["page"])
        written = path.read_bytes()
        self.assertTrue(written.startswith(b"<!DOCTYPE html>"))
        path.write_bytes(b"mine")
        run = self.run_cli("guest", "check", "a", "--html", str(path))
        self.assertEqual((2, "", b"mine"), (run.code, run.out, path.read_bytes()))
        self.assertEqual(1, self.api["check_guest"].call_count)
        self.run_cli("guest", "check", "a", "--html", str(path), "--force")
        self.assertEqual(written, path.read_bytes())
        self.assertEqual(["win.html"], os.listdir(self.scratch))

    def test_a_page_is_never_written_over_a_disk(self) -> None:
        for words in (("a",), ("b", "--backing", "a")):
            run = self.run_cli("guest", "check", *words, "--html", "a", "--force")
            self.assertEqual((2, ""), (run.code, run.out))
            self.api["check_guest"].assert_not_called()


@ddt.ddt
class CreateTest(FakedTestCase):
    def wishes(self, *words: str, **environ: str) -> BundleOptions:
        run = self.run_cli("bundle", "create", "a.qcow2", "--output", "a.tgz", *words, environ=environ)
        self.assertEqual((0, ""), (run.code, run.err))
        options = self.asked("create_bundle")[0]
        assert isinstance(options, BundleOptions)
        return options

    def test_without_options(self) -> None:
        expected = BundleOptions(source=SourceOptions(path="a.qcow2"), output="a.tgz")
        self.assertEqual(expected, self.wishes())

    def test_with_all_of_them(self) -> None:
        words = (
            "--format raw --snapshot s1 --backing b --backing c --profile rackspace --vm-mode xen --os-type linux"
            " --property a=b --property c=d=e --size 20G --size-policy gib --compression best --jobs 3 --random-uuid"
            " --force --verify -f json"
        )
        self.assertEqual(
            BundleOptions(
                source=SourceOptions(path="a.qcow2", format="raw", snapshot="s1", backing=("b", "c")),
                output="a.tgz",
                profile="rackspace",
                vm_mode="xen",
                os_type="linux",
                properties=(("a", "b"), ("c", "d=e")),
                size=20 * GIB,
                size_policy=SizePolicy.GIB,
                compression=Compression.BEST,
                jobs=3,
                random_uuid=True,
                timestamp=1700000000,
                force=True,
                verify=True,
            ),
            self.wishes(*words.split(), SOURCE_DATE_EPOCH="1700000000"),
        )

    def test_the_configuration_fills_in(self) -> None:
        path = self.scratch / "x.conf"
        path.write_text(
            "[defaults]\nprofile=cinder\njobs=5\ncompression=store\nsize_policy=gib\n[limits]\nmembers=7\n",
            encoding="utf-8",
        )
        options = self.wishes(XENIMAGE_CONFIG_FILE=str(path))
        self.assertEqual(
            ("cinder", 5, Compression.STORE, SizePolicy.GIB),
            (options.profile, options.jobs, options.compression, options.size_policy),
        )
        self.assertEqual(Limits(members=7), self.api["create_bundle"].call_args.kwargs["limits"])

    @ddt.data("tomorrow", "-1", "1.5", "\uff11", "9" * 5000)
    def test_a_senseless_epoch(self, text: str) -> None:
        words = ("bundle", "create", "a", "--output", "b")
        run = self.run_cli(*words, environ={"SOURCE_DATE_EPOCH": text})
        message = f"environment variable SOURCE_DATE_EPOCH: {text!r}, expected seconds since 1970-01-01, digits only\n"
        self.assertEqual((2, "", message), (run.code, run.out, run.err))

    def test_the_report_stands_aside_when_the_bundle_goes_to_standard_output(self) -> None:
        self.api["create_bundle"].return_value = support.bundle_report(output="-")
        for words in ((), ("-f", "json")):
            run = self.run_cli("bundle", "create", "a.qcow2", "--output", "-", *words)
            self.assertEqual((0, ""), (run.code, run.out))
            self.assertIn("b" * 64, run.err)
            self.assertIn("BUNDLE", run.err)

    def test_no_bundle_to_a_terminal(self) -> None:
        run = self.run_cli("bundle", "create", "a.qcow2", "--output", "-", kind=support.Terminal)
        self.assertEqual(
            (2, "the bundle would go to the terminal, expected a pipe or a file\nTIP: Use --output FILE.\n"),
            (run.code, run.err),
        )
        self.api["create_bundle"].assert_not_called()

    def test_a_dry_run_makes_nothing(self) -> None:
        run = self.run_cli("bundle", "create", "a.qcow2", "--output", "-", "--dry-run")
        self.assertEqual(0, run.code)
        self.assertTrue(run.out.endswith("Nothing was written (--dry-run).\n"))
        self.api["create_bundle"].assert_not_called()

    def test_a_dry_run_of_what_cannot_be_ends_with_6(self) -> None:
        self.api["plan_bundle"].return_value = support.plan(vm_mode="foo")
        run = self.run_cli("bundle", "create", "a.qcow2", "--output", "a.tgz", "--dry-run")
        self.assertEqual(6, run.code)
        self.assertIn("property.vm_mode.value", run.out)

    def test_a_target_without_glance_gets_its_own_next_step(self) -> None:
        self.api["create_bundle"].return_value = support.bundle_report(profile="xcp-ng")
        run = self.run_cli("bundle", "create", "a.qcow2", "--output", "a.tgz", "--profile", "xcp-ng")
        self.assertIn("xe vdi-import", run.out)
        self.assertIn("\n  xenimage disk convert debian.qcow2 debian.vhd \\\n      --format vhd\n", run.out)
        self.assertNotIn("openstack image create", run.out)

    def test_odd_names_are_quoted_in_the_upload_commands(self) -> None:
        report = support.bundle_report(output="my bundle.tgz", properties=(("note", "it's"),))
        self.api["create_bundle"].return_value = report
        run = self.run_cli("bundle", "create", "a", "--output", "my bundle.tgz", "-f", "json")
        commands = json.loads(run.out)["upload_commands"]
        self.assertIn("--property 'note=it'\"'\"'s' --file 'my bundle.tgz' debian", commands[0])

    def test_only_one_field(self) -> None:
        words = ("bundle", "create", "a", "--output", "b", "-f", "value", "-c", "sha256")
        self.assertEqual("b" * 64 + "\n", self.run_cli(*words).out)


@ddt.ddt
class SourceFindingsTest(FakedTestCase):
    """What is wrong with a source is told by whatever reads it, and changes no exit code."""

    def setUp(self) -> None:
        super().setUp()
        found = (finding(Severity.WARNING, code="qcow2.corrupt"),)
        self.api["map_disk"].return_value = support.disk_map(*found)
        for name in ("convert_disk", "compare_disks"):
            self.api[name].return_value = dataclasses.replace(self.api[name].return_value, findings=found)

    @ddt.data("disk-map", "disk-convert", "disk-compare")
    def test_for_people(self, name: str) -> None:
        run = self.run_cli(*CASES[name])
        self.assertEqual((CODES.get(name, 0), ""), (run.code, run.err))
        self.assertIn("  warning  qcow2.corrupt  [0.vhd at 0x1e00]\n", run.out)

    @ddt.data("disk-convert", "disk-compare")
    def test_a_record_has_them(self, name: str) -> None:
        run = self.run_cli(*CASES[name], "-f", "json")
        self.assertEqual((CODES.get(name, 0), ""), (run.code, run.err))
        self.assertEqual(["qcow2.corrupt"], [each["code"] for each in json.loads(run.out)["findings"]])

    @ddt.data(("a.raw", "--backing"), ("b.vhd", "--second-backing"))
    @ddt.unpack
    def test_a_disk_without_its_parent(self, path: str, option: str) -> None:
        self.api["compare_disks"].side_effect = UnsafeError("wants", where=path, tip="Give it with --backing FILE.")
        run = self.run_cli(*CASES["disk-compare"])
        self.assertEqual((5, f"{path}: wants\nTIP: Give it with {option} FILE.\n"), (run.code, run.err))

    @ddt.data(("one/x", "--backing"), ("two/x", "--second-backing"), ("c", "--second-backing"), ("both", "--backing"))
    @ddt.unpack
    def test_a_parent_without_its_parent(self, path: str, option: str) -> None:
        self.api["compare_disks"].side_effect = UnsafeError("wants", where=path, tip="Give it with --backing FILE.")
        words = "disk compare a b --follow-backing one --second-follow-backing two/ --backing both"
        run = self.run_cli(*words.split(), "--second-backing", "c", "--second-backing", "both")
        self.assertIn(f"TIP: Give it with {option} FILE.\n", run.err)

    @ddt.data("json", "csv", "value", "yaml")
    def test_rows_leave_them_to_standard_error(self, formatter: str) -> None:
        run = self.run_cli(*CASES["disk-map"], "-f", formatter)
        self.assertEqual(0, run.code)
        self.assertNotIn("qcow2.corrupt", run.out)
        self.assertIn("  warning  qcow2.corrupt  [0.vhd at 0x1e00]\n", run.err)


class OtherCommandsTest(FakedTestCase):
    def test_check_ends_with_0_below_errors(self) -> None:
        for verdict in (Verdict.SOUND, Verdict.USABLE):
            self.api["check_bundle"].return_value = support.check_report(verdict)
            self.assertEqual(0, self.run_cli("bundle", "check", "a.tgz").code)

    def test_check_passes_the_profile_on(self) -> None:
        self.run_cli("bundle", "check", "a.tgz", "--profile", "cinder")
        self.assertEqual("cinder", self.api["check_bundle"].call_args.kwargs["profile"])

    def test_disk_check_passes_all_on(self) -> None:
        self.api["check_disks"].return_value = support.disks_report(Verdict.USABLE)
        words = "disk check a.vhd b.vhd --directory pool --source-format vhd --profile cinder -f json"
        self.assertEqual(0, self.run_cli(*words.split()).code)
        expected = CheckOptions(paths=("a.vhd", "b.vhd"), format="vhd", directory="pool", profile="cinder")
        self.assertEqual((expected,), self.asked("check_disks"))

    def test_an_unknown_finding_is_guessed(self) -> None:
        run = self.run_cli("finding", "show", "vhd.block.pakced")
        self.assertEqual((2, ""), (run.code, run.out))
        self.assertIn("TIP: Did you mean: vhd.block.packed", run.err)
        self.assertIn("See: xenimage finding list", self.run_cli("finding", "show", "0").err)

    def test_a_finding_about_a_property_is_found_by_its_name(self) -> None:
        run = self.run_cli("finding", "show", "property.vm_mode.missing")
        self.assertEqual(0, run.code)
        self.assertIn("property.NAME.missing", run.out)

    def test_all_findings_are_listed(self) -> None:
        rows = json.loads(self.run_cli("finding", "list", "-f", "json").out)
        self.assertEqual(sorted(finding_kinds()), [row["code"] for row in rows])

    def test_names_from_files_are_shown_as_escapes(self) -> None:
        self.api["show_chain"].return_value = support.chain_report(name="\x1b[31m.vhd")
        run = self.run_cli("chain", "show", "pool")
        self.assertNotIn("\x1b", run.out)
        self.assertIn("\\x1b[31m.vhd", run.out)

    def test_compare_ends_with_0_for_equal_disks(self) -> None:
        self.api["compare_disks"].return_value = Comparison(equal=True, first_difference=None, sizes=(1, 1), compared=1)
        run = self.run_cli("disk", "compare", "a", "b", "--source-format", "raw", "--second-format", "vhd")
        self.assertEqual(0, run.code)
        expected = (SourceOptions(path="a", format="raw"), SourceOptions(path="b", format="vhd"))
        self.assertEqual(expected, self.asked("compare_disks"))

    def test_compare_looks_for_the_parents_of_both(self) -> None:
        words = "disk compare a b --follow-backing one --second-backing c --second-follow-backing two"
        self.run_cli(*words.split())
        expected = (SourceOptions(path="a", follow="one"), SourceOptions(path="b", backing=("c",), follow="two"))
        self.assertEqual(expected, self.asked("compare_disks"))

    def test_convert_passes_all_that_is_wished(self) -> None:
        words = "disk convert a b --format qcow2 --compression zstd --cluster-size 2M --dry-run"
        self.assertEqual(0, self.run_cli(*words.split()).code)
        source = SourceOptions(path="a")
        wanted = ConvertOptions(source=source, output="b", format="qcow2", compression="zstd", cluster_size=2 << 20)
        self.assertEqual((wanted,), self.asked("plan_conversion"))
        self.assertFalse(self.api["convert_disk"].called)
        words = "disk convert a b --format vmdk --subformat streamOptimized --adapter-type ide"
        self.assertEqual(0, self.run_cli(*words.split()).code)
        wanted = ConvertOptions(source=source, output="b", format="vmdk", subformat="streamOptimized", adapter="ide")
        self.assertEqual((wanted,), self.asked("convert_disk"))

    def test_convert_tells_its_two_formats_apart(self) -> None:
        words = "disk convert a b --format vhd --source-format raw -f json --force --random-uuid --jobs 2"
        self.assertEqual(0, self.run_cli(*words.split()).code)
        self.assertEqual(
            (
                ConvertOptions(
                    source=SourceOptions(path="a", format="raw"),
                    output="b",
                    format="vhd",
                    jobs=2,
                    force=True,
                    random_uuid=True,
                ),
            ),
            self.asked("convert_disk"),
        )

    def test_show_and_map_take_either_name_of_the_source_format(self) -> None:
        for name in ("--format", "--source-format"):
            for verb, function in (("show", "show_disk"), ("map", "map_disk")):
                self.api[function].reset_mock()
                self.assertEqual(0, self.run_cli("disk", verb, "a", name, "raw", "-f", "json").code)
                self.assertEqual((SourceOptions(path="a", format="raw"),), self.asked(function))

    def test_map_lists_some_for_people_and_all_for_programs(self) -> None:
        run = self.run_cli("disk", "map", "a", "--limit", "1")
        self.assertIn("3 more of 4 extents", run.out)
        self.assertEqual(4, len(json.loads(self.run_cli("disk", "map", "a", "--limit", "1", "-f", "json").out)))

    def test_map_of_nothing(self) -> None:
        self.api["map_disk"].return_value = DiskMap(extents=())
        self.assertEqual(0, self.run_cli("disk", "map", "a").code)

    def test_doctor_tells_of_a_broken_configuration(self) -> None:
        path = self.scratch / "x.conf"
        path.write_text("[limits\n", encoding="utf-8")
        self.run_cli("--config-file", str(path), "doctor", "/var/tmp")
        directory, problems = self.asked("doctor")
        self.assertEqual("/var/tmp", directory)
        self.assertEqual([("configuration", False)], [(each.what, each.good) for each in problems])  # type: ignore[attr-defined]

    def test_doctor_ends_with_0_if_all_is_well(self) -> None:
        self.api["doctor"].return_value = support.diagnoses()[:1]
        run = self.run_cli("doctor")
        self.assertEqual((0, "good  python  3.11\n\nAll is well.\n"), (run.code, run.out))

    def test_a_file_name_that_is_no_text(self) -> None:
        facts = dataclasses.replace(support.bundle_facts(), path="a\udcff.tgz")
        self.api["show_bundle"].return_value = facts
        run = self.run_cli("bundle", "show", "a\udcff.tgz")
        self.assertEqual(0, run.code, run.err)
        self.assertIn("a\\udcff.tgz", run.out)


@ddt.ddt
class RepairTest(FakedTestCase):
    """What the repairing commands ask for, and how they end."""

    @ddt.data(
        ((), {"output": "a.repaired.vhd"}),
        (("--output", "b"), {"output": "b"}),
        (("--in-place", "--force"), {"in_place": True, "force": True}),
        (
            ("--size", "20G", "--accept-loss", "--keep-hidden", "--jobs", "3", "--dry-run"),
            {
                "output": "a.repaired.vhd",
                "size": 20 * GIB,
                "accept_loss": True,
                "keep_hidden": True,
                "jobs": 3,
                "dry_run": True,
            },
        ),
    )
    @ddt.unpack
    def test_a_disk(self, words: tuple[str, ...], wanted: dict[str, object]) -> None:
        self.run_cli("disk", "repair", "a.vhd", *words)
        self.assertEqual((RepairOptions(path="a.vhd", **wanted),), self.asked("repair_disk"))  # type: ignore[arg-type]

    def test_no_link_is_followed_that_nobody_named(self) -> None:
        disk = os.path.join(self.scratch, "a.vhd")
        os.symlink("elsewhere", f"{self.scratch}/a.repaired.vhd")
        for words in ((), ("--force",)):
            self.assertEqual(2, self.run_cli("disk", "repair", disk, *words).code)
        self.api["repair_disk"].assert_not_called()

    @ddt.data(
        (True, ("--accept-loss",), 8),
        (False, ("--accept-loss", "--dry-run"), 0),
        (False, ("--dry-run",), 6),
    )
    @ddt.unpack
    def test_a_loss(self, written: bool, words: tuple[str, ...], code: int) -> None:
        self.api["repair_disk"].return_value = dataclasses.replace(support.repair_report(), written=written)
        self.assertEqual(code, self.run_cli("disk", "repair", "a.vhd", *words).code)

    def test_no_loss(self) -> None:
        self.api["repair_disk"].return_value = dataclasses.replace(support.repair_report(), lost=())
        self.assertEqual(0, self.run_cli("disk", "repair", "a.vhd").code)

    def test_in_place_tells_how_to_undo(self) -> None:
        report = dataclasses.replace(support.repair_report(), in_place=True, lost=(), backup="a.vhd.backup")
        self.api["repair_disk"].return_value = report
        self.assertIn("disk repair rest.vhd --undo a.vhd.backup", self.run_cli("disk", "repair", "a", "--in-place").out)
        self.api["repair_disk"].return_value = dataclasses.replace(report, written=False, mendings=())
        self.assertIn("Nothing is to be mended", self.run_cli("disk", "repair", "a", "--in-place").out)

    def test_undo(self) -> None:
        run = self.run_cli("disk", "repair", "a.vhd", "--undo", "saved", "-f", "json")
        self.assertEqual(("a.vhd", "saved"), self.asked("undo_repair"))
        self.assertEqual({"schema": 1, "path": "a.vhd", "backup": "saved", "size": 4096}, json.loads(run.out))
        self.assertIn("as it was", self.run_cli("disk", "repair", "a.vhd", "--undo", "saved").out)

    @ddt.data(
        ("disk", "repair", "a", "--output", "b", "--in-place"),
        ("disk", "repair", "a", "--undo", "b", "--in-place"),
        ("disk", "repair", "a", "--undo", "b", "--dry-run"),
        ("disk", "repair", "a", "--size", "big"),
        ("disk", "rebase", "a"),
        ("bundle", "repair", "a"),
        ("bundle", "repair", "a", "--output", "-"),
    )
    @ddt.unpack
    def test_wrong_use(self, *words: str) -> None:
        run = self.run_cli(*words)
        self.assertEqual((2, ""), (run.code, run.out))
        for name in ("repair_disk", "undo_repair", "rebase_disk", "repair_bundle"):
            self.api[name].assert_not_called()

    def test_a_link(self) -> None:
        self.run_cli("disk", "rebase", "a", "--parent", "b", "--raw", "--force", "--dry-run")
        self.assertEqual(
            (RebaseOptions(path="a", parent="b", raw=True, force=True, dry_run=True),), self.asked("rebase_disk")
        )

    def test_a_bundle(self) -> None:
        run = self.run_cli("bundle", "repair", "a", "--output", "b", "--no-verify", "--dry-run", "--jobs", "2")
        (options,) = self.asked("repair_bundle")
        self.assertIsInstance(options, RepairBundleOptions)
        bundle = options.bundle  # type: ignore[attr-defined]
        self.assertEqual(
            ("a", "bundle", "b", False, 2),
            (bundle.source.path, bundle.source.format, bundle.output, bundle.verify, bundle.jobs),
        )
        self.assertTrue(self.api["repair_bundle"].call_args.kwargs["dry_run"])
        self.assertEqual(0, run.code)
