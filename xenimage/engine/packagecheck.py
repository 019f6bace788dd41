"""Packages of machines, judged: what their format wants, whether they are whole, and what a target makes of them."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import re
from typing import TYPE_CHECKING

from xenimage.checks.bundle import judge
from xenimage.checks.package.kinds import BY_CODE
from xenimage.checks.package.targets import OPENSTACK, TARGETS
from xenimage.containers.registry import open_container
from xenimage.engine.packages import choose_machine
from xenimage.exceptions import UsageError
from xenimage.model.finding import Severity
from xenimage.model.report import PackageReport, PackageStep

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

    from xenimage.limits import Limits
    from xenimage.model.finding import Finding
    from xenimage.model.machine import Machine, Package
    from xenimage.model.plan import PackageCheckOptions
    from xenimage.model.transfer import Progress

_NO_NAME = re.compile(r"[^A-Za-z0-9._-]+")
_NAME_LENGTH = 60


def check(options: PackageCheckOptions, limits: Limits, progress: Progress) -> PackageReport:
    """Judge a package; see :func:`xenimage.api.check_package`."""
    if options.target and options.target not in TARGETS:
        raise UsageError(f"there is no target {options.target!r}", expected=f"one of {', '.join(TARGETS)}")
    source = options.source
    with contextlib.closing(open_container(source.path, limits, source.choice, kind=source.format or "")) as container:
        package = container.package
        wish = source.choice.machine
        machines = (choose_machine(package, wish),) if wish else package.machines
        if source.choice.verify:
            proof, proved = container.prove(progress)
            package = dataclasses.replace(package, proof=proof)
        else:
            proved = (BY_CODE["package.unverified"].found(),)
    found = [*package.findings, *proved, *_of_target(dataclasses.replace(package, machines=machines), options.target)]
    findings = tuple(sorted(dict.fromkeys(found), key=lambda each: list(Severity).index(each.severity)))
    return PackageReport(
        package=package,
        target=options.target,
        verdict=judge(findings),
        findings=findings,
        steps=tuple(_steps(package, machines, source.choice.deployment)) if options.target == OPENSTACK else (),
    )


def _of_target(package: Package, target: str) -> Iterator[Finding]:
    if target:
        yield from TARGETS[target](package)


def _steps(package: Package, machines: Sequence[Machine], deployment: str) -> Iterator[PackageStep]:
    """What makes a bundle of each disk that has content.

    :param deployment: the option that was asked for.
    """
    names = {each for machine in package.machines for each in (machine.identifier, machine.name, machine.uuid)}
    stems = collections.Counter(_stem(machine) for machine in package.machines)
    wanted = {machine.identifier for machine in machines}
    for place, machine in enumerate(package.machines, 1):
        if machine.identifier not in wanted:
            continue
        stored = [(number, disk) for number, disk in enumerate(machine.disks, 1) if disk.file]
        ids = {each for disk in machine.disks for each in (disk.identifier, disk.label)}
        stem = _stem(machine) if stems[_stem(machine)] == 1 else f"{_stem(machine)}-vm{place}"
        for number, disk in stored:
            choice = _choice("--vm", place, machine.identifier, names) if len(package.machines) > 1 else []
            if len(machine.disks) > 1:
                choice += _choice("--disk", number, disk.identifier, ids)
            choice += [f"--deployment={deployment}"] if deployment else []
            output = f"{stem}-{number}.tgz" if len(stored) > 1 else f"{stem}.tgz"
            yield PackageStep(
                machine=machine.name,
                number=number,
                identifier=disk.identifier,
                label=disk.label,
                capacity=disk.capacity,
                command=("xenimage", "bundle", "create", package.path, *choice, "--output", output),
            )


def _choice(option: str, number: int, identifier: str, names: Container[str]) -> list[str]:
    """The number, unless something is called by it: a name goes before a number.

    A name in one word with its option: it may begin with a hyphen.
    """
    return [f"{option}={identifier}"] if str(number) in names else [option, str(number)]


def _stem(machine: Machine) -> str:
    """A name for a file that no shell and no file system minds."""
    return _NO_NAME.sub("-", machine.name)[:_NAME_LENGTH].strip("-.") or "disk"
