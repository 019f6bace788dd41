"""The floors of HACKING.rst, held against the sources: who may import what, and what only the edges may do."""

from __future__ import annotations

import ast
import dataclasses
import graphlib
import pathlib
import sys
from typing import TYPE_CHECKING

from tests.base import TestCase

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGE = "xenimage"

# From the ground up. A module may import its own package and whatever stands lower; neighbours do not know each other.
FLOORS: tuple[frozenset[str], ...] = (
    frozenset({"exceptions", "confinement"}),
    frozenset({"units"}),
    frozenset({"limits"}),
    frozenset({"model"}),
    frozenset({"streams", "extensions", "cloud"}),
    frozenset({"formats", "guest", "checks", "profiles", "sources", "sinks"}),
    frozenset({"containers"}),
    frozenset({"engine"}),
    frozenset({"api", "conf"}),
    frozenset({"cli", "glance", "vhdutil", "tempest", "conductor"}),
    frozenset({"__main__"}),
)
FLOOR_OF = {package: number for number, packages in enumerate(FLOORS) for package in packages}

# Parts of a package that only its registry may know; each stands for a module or a package of that name.
STRANGERS = {
    "formats": frozenset({"qcow2", "vmdk", "vhd"}),
    "containers": frozenset({"bare", "bundle", "ova", "ovf", "vmx", "xva"}),
}

# Every library that is not Python's own, and the only places that may import it.
FOREIGN: dict[str, tuple[str, ...]] = {
    "cliff": ("cli",),
    "cryptography": ("containers.ovf",),
    "glance": ("glance",),
    "glanceclient": ("cloud",),
    "isal": ("streams",),
    "keystoneauth1": ("cloud",),
    "lz4": ("streams",),
    "lxml": ("containers.ovf", "containers.xva", "streams.xml"),
    "oslo_config": ("conf", "tempest.config"),
    "openstack": ("cloud",),
    "oslo_log": ("cli", "glance"),
    "pyfsext": ("guest.filesystems",),
    "pyfsntfs": ("guest.filesystems",),
    "pyfsxfs": ("guest.filesystems",),
    "stevedore": ("extensions",),
    "taskflow": ("glance",),
    "tempest": ("tempest",),
    "testscenarios": ("tempest.tests",),
    "xxhash": ("streams",),
    "zlib_ng": ("streams",),
    "zstandard": ("streams",),
}

# What only the command lines may do, by full name. A library does not print, end the process or read its environment.
EDGE_ONLY = frozenset(
    {"builtins.print", "os.environ", "os.environb", "os.getenv", "os.getenvb", "sys.exit"}
    | {f"builtins.{name}" for name in ("SystemExit", "exit", "input", "quit")}
)
SPEAKING = ("cli", "vhdutil", "__main__")
# Imports that this test cannot see. streams chooses among the libraries that it may import anyway.
HIDDEN = frozenset({"builtins.__import__", "importlib.import_module"})
BUILTINS = {name.removeprefix("builtins."): name for name in EDGE_ONLY | HIDDEN if name.startswith("builtins.")}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Import:
    """One name that one module imports."""

    line: int
    target: str
    """the full name, which may be that of a module or of something in one"""
    typing_only: bool


class Module:
    """One source file: its name, its imports, and the foreign names it uses."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.is_package = path.endswith("/__init__.py")
        self.name = path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
        self.parts = self.name.split(".")[1:]
        self.tree = ast.parse(text, path)
        self.imports = tuple(self._imports(self.tree, typing_only=False))

    def stands_in(self, place: str) -> bool:
        """Tell whether this is the module or within the package that *place* names, counted from the project's top."""
        return f"{self.name}.".startswith(f"{PACKAGE}.{place}.")

    def _imports(self, node: ast.AST, *, typing_only: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(line=node.lineno, target=alias.name, typing_only=typing_only)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                target = f"{self._base(node)}.{alias.name}"
                yield Import(line=node.lineno, target=target, typing_only=typing_only)
        elif isinstance(node, ast.If) and ast.unparse(node.test).split(".")[-1] == "TYPE_CHECKING":
            for child in node.body:
                yield from self._imports(child, typing_only=True)
            for child in node.orelse:
                yield from self._imports(child, typing_only=typing_only)
        else:
            for child in ast.iter_child_nodes(node):
                yield from self._imports(child, typing_only=typing_only)

    def _base(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        package = self.name.split(".") if self.is_package else self.name.split(".")[:-1]
        above = package[: len(package) - node.level + 1]
        return ".".join([*above, node.module] if node.module else above)

    def uses(self) -> Iterator[tuple[int, str]]:
        """Yield (line, full name) of builtins and of attributes of imported modules, whatever they are called here."""
        names = dict(BUILTINS)
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                names |= {alias.asname or alias.name: alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names |= {alias.asname or alias.name: f"{self._base(node)}.{alias.name}" for alias in node.names}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Name) and node.id in names:
                yield node.lineno, names[node.id]
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in names:
                yield node.lineno, f"{names[node.value.id]}.{node.attr}"


def violations(sources: Mapping[str, str]) -> list[str]:
    """Judge the sources, path to text, and return one line for each fault."""
    modules = {module.name: module for module in (Module(path, text) for path, text in sources.items())}
    found: list[str] = []
    for module in modules.values():
        for line, complaint in sorted(set(_complaints(module, modules))):
            found.append(f"{module.path}:{line}: {complaint}")
    return found + _cycles(modules)


def _complaints(module: Module, modules: Mapping[str, Module]) -> Iterator[tuple[int, str]]:
    if module.parts and module.parts[0] not in FLOOR_OF:
        yield 1, f"{module.name} has no floor"
        return
    for imported in module.imports:
        target = _resolve(imported.target, modules)
        complaint = _inside(module, target) if target.partition(".")[0] == PACKAGE else _outside(module, target)
        if complaint:
            yield imported.line, complaint
    if not any(module.stands_in(place) for place in SPEAKING):
        for line, name in module.uses():
            if name in EDGE_ONLY:
                yield line, f"uses {name.removeprefix('builtins.')}, which only the edges may"
            elif name in HIDDEN and not module.stands_in("streams"):
                yield line, f"uses {name.removeprefix('builtins.')}, which hides what is imported"


def _resolve(target: str, modules: Mapping[str, Module]) -> str:
    """Cut a name off that stands in a module, so that a module's name is left. Foreign names stay as they are."""
    parent = target.rpartition(".")[0]
    return parent if target not in modules and parent in modules else target


def _inside(module: Module, target: str) -> str:
    parts = target.split(".")[1:]
    if not parts:
        return ""
    if not module.parts:
        return f"the top package imports {target}: it stands below everything"
    here, there = module.parts[0], parts[0]
    if there not in FLOOR_OF:
        return f"imports {target}, which has no floor"
    if here != there:
        return "" if FLOOR_OF[there] < FLOOR_OF[here] else f"imports {target}, which stands on no lower floor"
    strange = STRANGERS.get(here, frozenset()) & {*parts[1:2]}
    if strange and module.parts[1:2] not in (parts[1:2], ["registry"]):
        return f"imports {target}, which within {here} only the registry knows"
    return ""


def _outside(module: Module, target: str) -> str:
    library = target.partition(".")[0]
    if library == "struct":
        allowed = module.parts[-1:] == ["layout"] or module.stands_in("streams")
        return "" if allowed else "imports struct, which only streams and modules called layout may"
    if library in sys.stdlib_module_names:
        return ""
    if library not in FOREIGN:
        return f"imports {library}, which is not in the table of foreign libraries"
    if any(module.stands_in(place) for place in FOREIGN[library]):
        return ""
    return f"imports {library}, which only {' and '.join(FOREIGN[library])} may"


def _cycles(modules: Mapping[str, Module]) -> list[str]:
    graph = {
        name: {_resolve(imported.target, modules) for imported in module.imports if not imported.typing_only} - {name}
        for name, module in modules.items()
    }
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        ring = error.args[1][1:]
        first = ring.index(min(ring))
        return [f"import cycle: {' <- '.join([*ring[first:], *ring[:first], ring[first]])}"]
    return []


class TreeTestCase(TestCase):
    """The real sources."""

    def test_the_sources_keep_to_the_floors(self) -> None:
        sources = {
            path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in (ROOT / PACKAGE).rglob("*.py")
        }
        self.assertIn("xenimage/exceptions.py", sources)
        self.assertEqual([], violations(sources))


class CheckerTestCase(TestCase):
    """The checker bites, and only where it should."""

    def assert_finds(self, expected: list[str], **texts: str) -> None:
        """Judge modules given as ``formats__vhd__reader="text"``, and packages as ``formats__PACKAGE="text"``."""
        paths = {name: name.replace("__", "/").replace("PACKAGE", "__init__") for name in texts}
        self.assertEqual(expected, violations({f"xenimage/{paths[name]}.py": text for name, text in texts.items()}))

    def test_down_is_allowed_also_within_a_package(self) -> None:
        self.assert_finds(
            [],
            exceptions="class XenimageError(Exception): pass",
            units="from xenimage.exceptions import XenimageError",
            formats__base="from xenimage import units",
            formats__vhd__reader="from xenimage.formats.base import clear\nfrom xenimage.formats.vhd import layout",
            formats__vhd__layout="import struct",
            engine__planner="import xenimage.formats.vhd.reader",
        )

    def test_up_is_refused(self) -> None:
        self.assert_finds(
            ["xenimage/model/disk.py:2: imports xenimage.formats.base, which stands on no lower floor"],
            model__disk="import enum\nfrom xenimage.formats.base import clear",
            formats__base="",
        )

    def test_up_is_refused_for_typing_too(self) -> None:
        self.assert_finds(
            ["xenimage/model/disk.py:3: imports xenimage.api, which stands on no lower floor"],
            model__disk="from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from xenimage.api import Door",
            api="",
        )

    def test_up_is_refused_inside_a_function(self) -> None:
        self.assert_finds(
            ["xenimage/engine/runner.py:2: imports xenimage.cli.app, which stands on no lower floor"],
            engine__runner="def run():\n    from xenimage.cli import app",
            cli__app="",
        )

    def test_up_is_refused_by_a_relative_import(self) -> None:
        self.assert_finds(
            [
                "xenimage/model/__init__.py:1: imports xenimage.engine.runner, which stands on no lower floor",
                "xenimage/model/disk.py:1: imports xenimage.engine.runner, which stands on no lower floor",
            ],
            model__PACKAGE="from ..engine import runner",
            model__disk="from ..engine.runner import run",
            engine__runner="",
        )

    def test_neighbours_are_refused(self) -> None:
        self.assert_finds(
            ["xenimage/checks/disk.py:1: imports xenimage.guest.inspect, which stands on no lower floor"],
            checks__disk="import xenimage.guest.inspect",
            guest__inspect="",
        )

    def test_formats_are_strangers_to_each_other(self) -> None:
        complaint = "imports xenimage.formats.vmdk.reader, which within formats only the registry knows"
        self.assert_finds(
            [f"xenimage/formats/qcow2/reader.py:1: {complaint}", f"xenimage/formats/base.py:1: {complaint}"],
            formats__vmdk__reader="",
            formats__qcow2__reader="from xenimage.formats.vmdk.reader import open_vmdk",
            formats__base="from xenimage.formats.vmdk.reader import open_vmdk",
            formats__registry="from xenimage.formats.vmdk.reader import open_vmdk",
        )

    def test_containers_are_strangers_to_each_other(self) -> None:
        self.assert_finds(
            ["xenimage/containers/ova/reader.py:1: imports xenimage.containers.ovf, which within containers only the "
             "registry knows"],
            containers__ovf__PACKAGE="",
            containers__ova__reader="from xenimage.containers.ovf import read",
        )  # fmt: skip

    def test_a_package_without_a_floor_is_refused(self) -> None:
        self.assert_finds(["xenimage/misc/tools.py:1: xenimage.misc.tools has no floor"], misc__tools="")

    def test_the_top_package_imports_nothing(self) -> None:
        self.assert_finds(
            ["xenimage/__init__.py:1: the top package imports xenimage.api: it stands below everything"],
            PACKAGE="from xenimage.api import convert",
            api="",
        )

    def test_foreign_libraries_keep_to_their_places(self) -> None:
        self.assert_finds(
            [
                "xenimage/formats/qcow2/cluster.py:1: imports isal, which only streams may",
                "xenimage/engine/runner.py:1: imports taskflow, which only glance may",
                "xenimage/guest/hive.py:1: imports numpy, which is not in the table of foreign libraries",
                "xenimage/containers/ova/read.py:1: imports lxml, which only containers.ovf and containers.xva and "
                "streams.xml may",
            ],
            streams__deflate="from isal import igzip",
            formats__qcow2__cluster="from isal import igzip",
            engine__runner="import taskflow.engines",
            glance__plugin="import taskflow.engines",
            guest__hive="import numpy",
            containers__ovf__read="from lxml import etree",
            containers__ova__read="from lxml import etree",
        )

    def test_struct_stays_in_layout_and_streams(self) -> None:
        self.assert_finds(
            ["xenimage/sources/file.py:1: imports struct, which only streams and modules called layout may"],
            formats__vhd__layout="import struct",
            streams__tar="import struct",
            sources__file="from struct import unpack",
        )

    def test_only_the_command_line_prints_exits_and_reads_the_environment(self) -> None:
        text = "import os, sys as s\nfrom os import getenv\nprint(os.environ)\ns.exit()\ngetenv('A')\nraise SystemExit"
        self.assert_finds(
            [
                "xenimage/api.py:3: uses os.environ, which only the edges may",
                "xenimage/api.py:3: uses print, which only the edges may",
                "xenimage/api.py:4: uses sys.exit, which only the edges may",
                "xenimage/api.py:5: uses os.getenv, which only the edges may",
                "xenimage/api.py:6: uses SystemExit, which only the edges may",
            ],
            api=text,
            cli__app=text,
        )

    def test_hidden_imports_are_refused(self) -> None:
        self.assert_finds(
            ["xenimage/api.py:2: uses importlib.import_module, which hides what is imported"],
            api="import importlib\nimportlib.import_module('xenimage.cli')",
        )

    def test_cycles_are_found_also_deferred_ones(self) -> None:
        self.assert_finds(
            ["import cycle: xenimage.engine.planner <- xenimage.engine.runner <- xenimage.engine.planner"],
            engine__planner="from xenimage.engine.runner import run",
            engine__runner="def run():\n    from xenimage.engine import planner",
        )

    def test_cycles_of_types_alone_are_none(self) -> None:
        self.assert_finds(
            [],
            engine__planner="from xenimage.engine.runner import run",
            engine__runner="import typing\nif typing.TYPE_CHECKING:\n    from xenimage.engine.planner import Planner",
        )
