"""Whole packages, judged: proof, targets, and the commands that follow."""

from __future__ import annotations

import base64
import hashlib
import shlex
from typing import TYPE_CHECKING

from tests.base import TestCase
from tests.builders import ovf as build
from tests.unit.cli.support import CliTestCase
from tests.unit.containers.ovf.test_parts import KNOWN
from xenimage import api
from xenimage.exceptions import UsageError
from xenimage.model.plan import PackageCheckOptions, PackageChoice, SourceOptions
from xenimage.model.report import Verdict

if TYPE_CHECKING:
    from xenimage.model.report import PackageReport

DATA = bytes(range(256)) * 16
ITEMS = build.ITEMS + build.item(17, "6", HostResource="ovf:/disk/disk2", Parent=3, AddressOnParent=1)
DISKS = build.DISK + '<Disk ovf:diskId="disk2" ovf:fileRef="file2" ovf:capacity="4096"/>'
FILES = build.FILE + '<File ovf:id="file2" ovf:href="data.raw" ovf:size="4096"/>'


class PackageCase(TestCase):
    def package(self, descriptor: bytes, **changed: bytes) -> str:
        """A package with a manifest; *changed*: content of files after the manifest was made, by stem."""
        files = {"web.ovf": descriptor, "disk.raw": DATA, "data.raw": DATA}
        text = "".join(f"SHA256({name})= {hashlib.sha256(data).hexdigest()}\n" for name, data in files.items())
        for name, data in {**files, "web.mf": text.encode()}.items():
            (self.scratch / name).write_bytes(changed.get(name.partition(".")[0], data))
        return str(self.scratch / "web.ovf")

    def two_disks(self) -> bytes:
        return build.envelope(build.machine(ITEMS), files=FILES, disks=DISKS)

    def check(self, path: str, target: str = "", **choice: object) -> PackageReport:
        source = SourceOptions(path=path, choice=PackageChoice(**choice))  # type: ignore[arg-type]
        return api.check_package(PackageCheckOptions(source=source, target=target))


class CheckTest(PackageCase):
    def test_a_whole_one(self) -> None:
        report = self.check(self.package(self.two_disks()))
        self.assertEqual(("verified", ("sha256",)), (report.package.proof.manifest, report.package.proof.algorithms))
        self.assertEqual(((), Verdict.SOUND, ()), (report.findings, report.verdict, report.steps))

    def test_a_damaged_one(self) -> None:
        report = self.check(self.package(self.two_disks(), data=DATA[:-1] + b"!"))
        self.assertEqual(["ovf.manifest.mismatch"], [each.code for each in report.findings])
        self.assertIs(Verdict.NOT_READY, report.verdict)
        self.assertEqual("not verified", report.package.proof.manifest)

    def test_unverified(self) -> None:
        report = self.check(self.package(self.two_disks(), data=DATA[:-1] + b"!"), verify=False)
        self.assertEqual(["package.unverified"], [each.code for each in report.findings])
        self.assertIs(Verdict.SOUND, report.verdict)

    def test_an_encrypted_one_without_its_password(self) -> None:
        security = build.security(base64.b64encode(KNOWN).decode())
        descriptor = build.citrix("disk.raw", security=security, attributes='Id="xen_1"')
        report = self.check(self.package(descriptor))
        said = {each.code: each.what for each in report.findings}
        self.assertIn("was not opened, as it is encrypted", said["ovf.disk.content"])
        self.assertEqual(("citrix", "verified"), (report.package.proof.encryption, report.package.proof.manifest))

    def test_an_unknown_target(self) -> None:
        with self.assertRaisesRegex(UsageError, "there is no target 'kvm', expected one of openstack-xenserver, "):
            self.check(self.package(self.two_disks()), "kvm")


class StepsTest(PackageCase):
    def commands(self, report: PackageReport) -> list[str]:
        return [shlex.join(each.command) for each in report.steps]

    def test_each_disk_is_an_image(self) -> None:
        path = self.package(self.two_disks())
        report = self.check(path, "openstack-xenserver")
        self.assertEqual(
            [f"xenimage bundle create {path} --disk {each} --output web-{each}.tgz" for each in (1, 2)],
            self.commands(report),
        )
        self.assertIn("package.openstack-xenserver.disk.several", [each.code for each in report.findings])

    def test_a_single_disk_needs_no_choice(self) -> None:
        path = self.package(build.envelope(build.machine(name="a b/c;d")))
        self.assertEqual(
            [f"xenimage bundle create {path} --output a-b-c-d.tgz"],
            self.commands(self.check(path, "openstack-xenserver")),
        )

    def test_machines_are_chosen_by_number_unless_one_is_called_so(self) -> None:
        for name, words in (("db", ("--vm 1", "--vm 2")), ("1", ("--vm=vm", "--vm 2"))):
            content = build.machine() + build.machine(identifier="other", name=name)
            path = self.package(build.envelope(content))
            found = self.commands(self.check(path, "openstack-xenserver"))
            for command, word in zip(found, words, strict=True):
                self.assertIn(f" {word} ", command)

    def test_machines_of_one_name_get_files_of_their_own(self) -> None:
        path = self.package(build.envelope(build.machine() + build.machine(identifier="other")))
        found = self.commands(self.check(path, "openstack-xenserver"))
        self.assertEqual(["web-vm1.tgz", "web-vm2.tgz"], [each.rpartition(" ")[2] for each in found])

    def test_the_deployment_option_goes_along(self) -> None:
        section = '<DeploymentOptionSection><Info/><Configuration ovf:id="big"/></DeploymentOptionSection>'
        path = self.package(build.envelope(sections=build.NETWORK + section))
        found = self.commands(self.check(path, "openstack-xenserver", deployment="big"))
        self.assertEqual([f"xenimage bundle create {path} --deployment=big --output web.tgz"], found)

    def test_the_machine_that_is_meant(self) -> None:
        path = self.package(build.envelope(build.machine() + build.machine(identifier="other", name="db")))
        report = self.check(path, "openstack-xenserver", machine="db")
        self.assertEqual([f"xenimage bundle create {path} --vm 2 --output db.tgz"], self.commands(report))
        self.assertNotIn("package.openstack-xenserver.machines", [each.code for each in report.findings])
        with self.assertRaisesRegex(UsageError, "has no machine 'no'"):
            self.check(path, machine="no")


class CommandsWorkTest(PackageCase, CliTestCase):
    """What the check says to run is run."""

    def test_the_commands_make_bundles(self) -> None:
        path = self.package(self.two_disks())
        for step in self.check(path, "openstack-xenserver").steps:
            words = [str(self.scratch / each) if each.endswith(".tgz") else each for each in step.command[1:]]
            run = self.run_cli(*words, "--no-inspect", "--os-type", "linux")
            self.assertEqual((0, ""), (run.code, run.err))
            self.assertEqual(0, self.run_cli("bundle", "check", words[-1]).code)
