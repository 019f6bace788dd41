"""Packages as they are shown: what is left out of them on purpose, and what a hostile one can do to a terminal."""

from __future__ import annotations

import dataclasses
import json
from unittest import mock

import ddt

from tests.base import TestCase
from tests.unit.cli import support
from tests.unit.cli.support import CliTestCase
from xenimage.checks.package.formats import disk_format, family
from xenimage.cli.text import Style
from xenimage.cli.views import package as views
from xenimage.cli.views import private
from xenimage.limits import STRICT
from xenimage.model.machine import Machine, MachineDisk, Network, Nic, Package, PackageFile, Product
from xenimage.model.plan import PackageCheckOptions, PackageChoice, SourceOptions
from xenimage.model.report import Verdict


def text(package: Package, *, eula: bool = False) -> str:
    return "\n".join(views.lines(package, Style(), eula=eula))


class SecretsTest(TestCase):
    def test_what_is_not_shown_at_all(self) -> None:
        package = support.machine_package()
        for shown in (text(package), json.dumps(views.record(package))):
            for secret in ("open sesame", "geheim", "VkFSUw", "me:pass"):
                self.assertNotIn(secret, shown)
            self.assertIn("(hidden)", shown)

    def test_what_else_there_is_of_it(self) -> None:
        machine = views.record(support.machine_package())["machines"][0]
        self.assertEqual(
            {"NVRAM": "(22 characters)", "PV_args": "ro rootpw=(hidden) quiet", "platform": "nx=true;acpi=1"},
            machine["settings"],
        )
        self.assertEqual(
            {"hostname": "shop", "admin": "(hidden)", "db_password": "(hidden)", "dns": ""},
            {each["key"]: each["default"] for each in machine["products"][0]["properties"]},
        )

    def test_a_password_that_is_not_set_is_no_secret(self) -> None:
        product = Product(passwords=("root",), properties=(("root", ""),))
        self.assertEqual([("root", "")], list(private.defaults(product)))


@ddt.ddt
class TextTest(TestCase):
    def test_commands_for_a_terminal_are_shown_as_escapes(self) -> None:
        bad = "a\x1b[2Jb"
        machine = Machine(
            identifier=bad,
            name=f"n{bad}",
            description=bad,
            os_name=bad,
            disks=(MachineDisk(identifier=bad, label=bad, file=bad, format=bad, parent=bad, bus=bad, bus_model=bad),),
            nics=(Nic(network=bad, mac=bad, model=bad),),
            cdroms=(bad,),
            products=(Product(name=bad, vendor=bad, url=bad, properties=((bad, bad),)),),
            eulas=(f"{bad}\n{bad}",),
            virtual_system_types=(bad,),
            settings={bad: bad},
            ignored=(bad,),
        )
        package = Package(
            path=bad, kind="ovf", version=bad, producer=bad, name=bad, machines=(machine,),
            files=(PackageFile(identifier="x", name=bad),), networks=(Network(name=bad, description=bad),),
        )  # fmt: skip
        shown = text(package, eula=True)
        self.assertNotIn("\x1b", shown)
        self.assertLess(20, shown.count("\\x1b[2J"))

    def test_long_names_do_not_move_the_columns(self) -> None:
        product = Product(properties=(("k" * 300, "v"), ("key", "value")))
        package = Package(path="x", kind="ovf", machines=(Machine(identifier="m", name="m", products=(product,)),))
        self.assertIn("\n  property  key = value\n", text(package))

    def test_several_machines_have_numbers(self) -> None:
        one = support.machine_package().machines[0]
        shown = text(support.machine_package(machines=(one, dataclasses.replace(one, name="other"))))
        self.assertIn("\nMachine 1\n  name", shown)
        self.assertIn("\nMachine 2\n  name", shown)
        self.assertTrue(shown.endswith("shop.ova: 2 machines (1 warning)"))

    def test_a_licence_is_shown_whole_on_request(self) -> None:
        package = support.machine_package()
        self.assertIn("licence 1    You may. ... (22 characters; --eula shows it)", text(package))
        self.assertNotIn("You may not.", text(package))
        self.assertIn("\nLicence 1 of shop\n  You may.\n\n  You may not.\n", text(package, eula=True))
        self.assertEqual(["You may.\n\nYou may not."], views.record(package)["machines"][0]["eulas"])

    def test_a_machine_that_says_nothing_of_itself(self) -> None:
        package = Package(path="x.xva", kind="xva", machines=(Machine(identifier="m", name="m"),))
        self.assertEqual(
            "Package\n  file  x.xva\n  kind  XVA\n\nMachine\n  name        m\n  processors  not said\n"
            "  memory      not said\n\nx.xva: 1 machine (no findings)",
            text(package),
        )

    @ddt.data(
        ("http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized", "vmdk streamOptimized", "vmdk"),
        ("http://www.vmware.com/interfaces/interfaces/specifications/vmdk.html#sparse", "vmdk sparse", "vmdk"),
        ("http://www.vmware.com/specifications/vmdk.html#sparse", "vmdk sparse", "vmdk"),
        ("http://www.microsoft.com/technet/virtualserver/downloads/vhdspec.mspx", "vhd", "vhd"),
        ("http://www.osta.org/specs/pdf/udf260.pdf", "iso", "iso"),
        ("something else", "something else", "something"),
        ("", "", ""),
    )
    @ddt.unpack
    def test_formats_by_their_addresses(self, said: str, name: str, kind: str) -> None:
        self.assertEqual((name, kind), (disk_format(said), family(said)))


@ddt.ddt
class CommandTest(CliTestCase):
    def test_what_it_asks_for(self) -> None:
        fake = self.patch_api(show_package=support.machine_package())["show_package"]
        self.assertEqual(0, self.run_cli("package", "show", "a.ovf", "--deployment", "small", "--eula").code)
        self.assertEqual(
            mock.call(SourceOptions(path="a.ovf", choice=PackageChoice(deployment="small")), limits=STRICT),
            fake.call_args,
        )

    def test_a_folder_stands_for_its_one_descriptor(self) -> None:
        fake = self.patch_api(show_package=support.machine_package())["show_package"]
        for name in ("web.ovf", "web.mf", "web-disk1.vmdk"):
            (self.scratch / name).touch()
        self.assertEqual(0, self.run_cli("package", "show", str(self.scratch)).code)
        self.assertEqual(str(self.scratch / "web.ovf"), fake.call_args.args[0].path)

    @ddt.data(
        ((), "holds no .ovf and no .vmx"),
        (("b.ovf", "a.vmx"), "holds 2 descriptors, such as a.vmx: name one"),
    )
    @ddt.unpack
    def test_a_folder_that_does_not_say_which(self, names: tuple[str, ...], message: str) -> None:
        for name in names:
            (self.scratch / name).touch()
        done = self.run_cli("package", "show", str(self.scratch))
        self.assertEqual(2, done.code)
        self.assertIn(message, done.err)

    def test_what_a_check_asks_for(self) -> None:
        fake = self.patch_api(check_package=support.package_report())["check_package"]
        password = self.scratch / "password"
        password.write_text("citrix\n", encoding="utf-8")
        words = ["--for", "proxmox", "--no-verify", "--vm", "web", "--deployment", "small", "--password-file"]
        self.assertEqual(6, self.run_cli("package", "check", "a.ovf", *words, str(password)).code)
        choice = PackageChoice(machine="web", deployment="small", password="citrix", verify=False)
        expected = PackageCheckOptions(source=SourceOptions(path="a.ovf", choice=choice), target="proxmox")
        self.assertEqual((expected,), fake.call_args.args)

    @ddt.data(
        (Verdict.SOUND, 0, 0),
        (Verdict.USABLE, 0, 6),
        (Verdict.NOT_READY, 6, 6),
    )
    @ddt.unpack
    def test_how_a_check_ends(self, verdict: Verdict, code: int, strict: int) -> None:
        report = dataclasses.replace(support.package_report(), verdict=verdict)
        self.patch_api(check_package=report)
        self.assertEqual(code, self.run_cli("package", "check", "a.ovf").code)
        self.assertEqual(strict, self.run_cli("package", "check", "a.ovf", "--strict").code)

    def test_names_in_commands_are_quoted_and_harmless(self) -> None:
        report = support.package_report("a;\x1b[2Jb.ova")
        self.patch_api(check_package=report)
        shown = self.run_cli("package", "check", "a.ovf").out
        self.assertNotIn("\x1b", shown)
        self.assertIn("bundle create 'a;\\x1b[2Jb.ova' --disk 1", shown)
