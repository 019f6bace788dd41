"""Bundles given to the code that reads them on a XenServer host: os-xenapi's own, unmodified.

``direct_vhd`` is the plug-in that runs in dom0: tar, then ``vhd-util``, for which the project's own is put on the PATH.
What it made is judged by a reader that shares nothing with it. ``vdi_remote_stream`` reads the tar as a stream; only
XAPI at its other end is played here.

The package is installed by ``pip install --no-deps`` from test-requirements-nodeps.txt: its dependencies belong to
services that are not needed here. Without it these tests fail.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.metadata
import io
import logging
import os
import pathlib
import random
import struct
import subprocess
import sys
import tarfile
import types
import unittest.mock
import urllib.parse
import uuid

import ddt
import fixtures

from tests.base import TestCase
from tests.builders import qcow2
from tests.builders import vhd as builder
from tests.builders.chain import chain, shown
from tests.builders.pattern import pattern
from tests.fakes import vhd_util
from xenimage import api
from xenimage.model.plan import BundleOptions, Compression, SourceOptions

MIB = 1 << 20
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CONTENT = random.Random(14).randbytes(3 * MIB) + bytes(4 * MIB) + b"more".ljust(3 * MIB, b".")


def package_path() -> pathlib.Path:
    """Where os_xenapi lies, found without importing it."""
    return pathlib.Path(str(importlib.metadata.distribution("os-xenapi").locate_file("os_xenapi")))


def stub(name: str, **attributes: object) -> types.ModuleType:
    module = types.ModuleType(name)
    vars(module).update(attributes)
    return module


class ConsumerTestCase(TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.package = package_path()
        self.bundle = self.scratch / "disk.tgz"
        self.before = dict(sys.modules)
        self.addCleanup(self.forget_modules)

    def forget_modules(self) -> None:
        for name in set(sys.modules) - set(self.before):
            if name in ("utils", "XenAPIPlugin") or name.split(".")[0] in ("os_xenapi", "eventlet", "six", "oslo_log"):
                del sys.modules[name]

    def create(self, content: bytes = CONTENT, **wishes: object) -> api.BundleReport:
        source = self.scratch / "disk.raw"
        source.write_bytes(content)
        options = BundleOptions(source=SourceOptions(path=str(source)), output=str(self.bundle), **wishes)  # type: ignore[arg-type]
        return api.create_bundle(options)

    def pack(self, *members: tuple[str, bytes]) -> None:
        """Write a bundle by hand."""
        with tarfile.open(self.bundle, "w:gz", compresslevel=1) as archive:
            for name, data in members:
                member = tarfile.TarInfo(name)
                member.size, member.mtime = len(data), 946684800
                archive.addfile(member, io.BytesIO(data))


@ddt.ddt
class Dom0PluginTest(ConsumerTestCase):
    """direct_vhd: ``utils.import_vhds``, as the plug-in glance.py calls it."""

    def setUp(self) -> None:
        super().setUp()
        self.repository = self.scratch / "sr"
        self.repository.mkdir()
        commands = self.scratch / "bin"
        commands.mkdir()
        program = commands / "vhd-util"
        program.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m xenimage.vhdutil "$@"\n')
        program.chmod(0o755)
        self.useFixture(fixtures.EnvironmentVariable("PATH", f"{commands}:{os.environ['PATH']}"))
        plugins = str(self.package / "dom0" / "etc" / "xapi.d" / "plugins")
        sys.path.insert(0, plugins)
        self.addCleanup(sys.path.remove, plugins)
        sys.modules["XenAPIPlugin"] = stub("XenAPIPlugin")
        self.utils = importlib.import_module("utils")
        self.assertTrue(self.utils.__file__.startswith(plugins))
        logging.disable(logging.CRITICAL)
        self.addCleanup(logging.disable, logging.NOTSET)
        # Written for Python 2, where pipes gave text.
        self.utils.make_subprocess = functools.partial(self.utils.make_subprocess, universal_newlines=True)
        self.commands: list[list[str]] = []
        self.run_command = self.utils.run_command
        self.utils.run_command = self.trace

    def useFixture(self, fixture: fixtures.Fixture) -> None:
        fixture.setUp()
        self.addCleanup(fixture.cleanUp)

    def trace(self, command: list[str], **options: object) -> object:
        self.commands.append(command[1:3] if command[0] == "vhd-util" else command)
        return self.run_command(command, **options)

    def install(self) -> pathlib.Path:
        """Let the plug-in take the bundle; the path of the leaf in the storage repository."""
        staging = self.utils.make_staging_area(str(self.repository))
        try:
            with self.bundle.open("rb") as stream:
                subprocess.run(["tar", "-zx", f"--directory={staging}"], stdin=stream, check=True)
            names = [str(uuid.uuid4()) for _ in range(16)]
            found = self.utils.import_vhds(str(self.repository), staging, list(names))
        finally:
            self.utils.cleanup_staging_area(staging)
        self.assertIn(found["root"]["uuid"], names)
        return self.repository / f"{found['root']['uuid']}.vhd"

    @ddt.data(*Compression)
    def test_takes_our_bundles(self, compression):
        report = self.create(compression=compression)
        leaf = self.install()
        self.assertEqual([leaf.name], os.listdir(self.repository))
        self.assertEqual([["query", "-n"], ["check", "-n"], ["query", "-n"]], self.commands)
        disk = vhd_util.Vhd(leaf.read_bytes())
        disk.check()
        self.assertEqual(report.vhd_size, leaf.stat().st_size)
        self.assert_same_bytes(disk.content(), CONTENT)

    @ddt.data(0, 1, 512, 2 * MIB - 512, 2 * MIB, 2 * MIB + 1, 10 * MIB)
    def test_takes_disks_of_any_content(self, size):
        if not size:
            self.create(bytes(5 * MIB))
            self.assertEqual(3584, self.install().stat().st_size)
            return
        self.create(CONTENT[:size])
        self.assertTrue(vhd_util.Vhd(self.install().read_bytes()).content().startswith(CONTENT[:size]))

    @ddt.data(None, 0, 946684800, 1_700_000_000, 4_000_000_000)
    def test_takes_any_time_that_was_asked_for(self, timestamp):
        self.create(timestamp=timestamp)
        self.install()

    def test_the_plugin_would_refuse_what_is_broken(self):
        """Our vhd-util looks, and the plug-in listens: else the tests above would say nothing."""
        self.create()
        _, data = vhd_util.unpack_bundle(self.bundle)
        faults = {
            "primary footer": bytes([data[-512] ^ 1]).join([data[:-512], data[-511:]]),
            "geometry": self.with_footer(data, 56, 0xFFFF10FF),
            "future": self.with_footer(data, 24, 0xFFFFFFFF),
            "table offset": self.with_header(data, 16, 1537),
            "alignment": self.packed_tightly(),
        }
        for name, damaged in faults.items():
            with self.subTest(fault=name):
                self.pack(("0.vhd", damaged))
                if name == "primary footer":  # the plug-in has it repaired
                    self.assert_same_bytes(vhd_util.Vhd(self.install().read_bytes()).content(), CONTENT)
                    self.assertIn(["repair", "-n"], self.commands)
                    continue
                with self.assertRaisesRegex(Exception, "invalid|error writing footer"):
                    self.install()

    def with_footer(self, data: bytes, at: int, value: int) -> bytes:
        footer = bytearray(data[:512])
        struct.pack_into(">I", footer, at, value)
        struct.pack_into(">I", footer, 64, vhd_util.ones_sum(bytes(footer), 64))
        return bytes(footer) + data[512:-512] + bytes(footer)

    def with_header(self, data: bytes, at: int, value: int) -> bytes:
        header = bytearray(data[512:1536])
        struct.pack_into(">Q", header, at, value)
        struct.pack_into(">I", header, 36, vhd_util.ones_sum(bytes(header), 36))
        return data[:512] + bytes(header) + data[1536:]

    def packed_tightly(self) -> bytes:
        creator = builder.Creator(b"tap\0", 0x00010003, bytes(4), batmap=True)
        full = range(4096)
        return bytes(builder.Vhd(size=4 * MIB, blocks={0: full, 1: full}, creator=creator).build().data)

    def make_chain(self, count: int, **wishes: object) -> list[bytes]:
        """Create a bundle of so many layers; what each shows, the leaf first."""
        size, cluster = 4 * MIB, 65536
        paths, views = [], [bytearray(pattern(0, size, 9))]
        (self.scratch / "base.raw").write_bytes(views[0])
        for number in range(1, count):
            forms = ("absent",) * (number - 1) + ("plain", "zero", "packed")
            image = qcow2.Image(state=qcow2.State(size=size, forms=forms, seed=number), backing=b"below")
            paths.insert(0, str(image.write(self.scratch / f"{number}.qcow2")))
            content = bytearray(views[-1])
            start = (number - 1) * cluster
            content[start : start + 3 * cluster] = pattern(start, 3 * cluster, number)
            content[start + cluster : start + 2 * cluster] = bytes(cluster)
            views.append(content)
        source = SourceOptions(path=paths[0], backing=(*paths[1:], str(self.scratch / "base.raw")))
        api.create_bundle(BundleOptions(source=source, output=str(self.bundle), chain=True, **wishes))  # type: ignore[arg-type]
        return [bytes(content) for content in reversed(views)]

    @ddt.data(2, 3, 4)
    def test_takes_our_chains(self, count):
        wanted = self.make_chain(count)
        leaf = self.install()
        self.assertEqual(count, len(os.listdir(self.repository)))
        self.assertEqual(count - 1, self.commands.count(["modify", "-n"]))
        self.assertNotIn(["repair", "-n"], self.commands)
        disks = [vhd_util.load(str(path)) for path in self.below(leaf)]
        self.assertEqual([0] + [1] * (count - 1), [disk.footer["hidden"] for disk in disks])
        for number, found in enumerate(vhd_util.contents(disks)):
            self.assert_same_bytes(wanted[number], found)

    def test_a_leaf_that_were_hidden_would_be_refused(self):
        self.make_chain(2)
        leaf, base = vhd_util.unpack_chain(self.bundle)
        self.pack(("0.vhd", self.with_footer(leaf.data, 84, 0x00010000)), ("1.vhd", base.data))
        with self.assertRaisesRegex(Exception, "hidden"):
            self.install()

    @ddt.data(1, 2, 3, 4, 16)
    def test_takes_chains(self, length):
        """Names, uuids and times of parents are written anew; what the leaf shows stays the same."""
        members = chain(length)
        self.pack(*((f"{index}.vhd", bytes(image.data)) for index, image in enumerate(members)))
        leaf = self.install()
        self.assertEqual(length, len(os.listdir(self.repository)))
        self.assertEqual(length - 1, self.commands.count(["modify", "-n"]))
        self.assertNotIn(["repair", "-n"], self.commands)
        found, identity = b"", b""
        for path in reversed(self.below(leaf)):
            disk = vhd_util.Vhd(path.read_bytes())
            disk.check()
            if identity:
                self.assertEqual(identity, disk.header["parent_uuid"])
            found, identity = disk.content(found), disk.footer["uuid"]
        self.assert_same_bytes(shown(members), found)

    def below(self, leaf: pathlib.Path) -> list[pathlib.Path]:
        """The leaf and what its locators lead to, by the independent reader."""
        paths = [leaf]
        while (parent := vhd_util.parent_of(str(paths[-1]))) is not None:
            paths.append(pathlib.Path(parent))
        return paths

    def test_not_the_other_way_round(self):
        leaf, base = chain(2)
        self.pack(("0.vhd", bytes(base.data)), ("1.vhd", bytes(leaf.data)))
        with self.assertRaisesRegex(self.utils.SubprocessException, "failed to set parent"):
            self.install()

    def test_a_chain_without_locators_is_linked_too(self):
        """vhd-util of XenServer cannot make them, and such chains break there."""
        leaf, base = chain(2, locators=False)
        self.pack(("0.vhd", bytes(leaf.data)), ("1.vhd", bytes(base.data)))
        self.assertEqual(2, len(self.below(self.install())))

    @ddt.data("bat", "batmap bit", "truncated", "differ")
    def test_what_vhd_util_of_xenserver_lets_pass(self, fault):
        """Faults that it tells of without the word that the plug-in looks for, or not at all."""
        (image,) = chain(1)
        if fault == "bat":
            image.table(1, image.entry(0))
        elif fault == "batmap bit":
            image.data[image.batmap_offset + 512] |= 0x40
            image.batmap("checksum", builder.summed(image.data[image.batmap_offset + 512 :][:512]))
        elif fault == "truncated":
            del image.data[-MIB:]
        else:
            image.footer("timestamp", 5, front=False)
            expected = image.content()
            self.pack(("0.vhd", bytes(image.data)))
            self.assert_same_bytes(expected, vhd_util.Vhd(self.install().read_bytes()).content())
            self.assertIn(["repair", "-n"], self.commands)
            return
        self.pack(("0.vhd", bytes(image.data)))
        with self.assertRaisesRegex(Exception, "invalid|error writing footer"):
            self.install()


class FakeXapi:
    """As much of XAPI as the handler asks for."""

    def __init__(self) -> None:
        self.task = types.SimpleNamespace(create=lambda *_: "task", destroy=lambda _: None)
        self.VDI = types.SimpleNamespace(create=self._create, get_uuid=lambda _: "vdi-uuid")
        self.records: list[dict[str, object]] = []

    def _create(self, record: dict[str, object]) -> str:
        self.records.append(record)
        return "vdi"


class StreamHandlerTest(ConsumerTestCase):
    """vdi_remote_stream: ``ImageStreamToVDIs``, with what it sends to XAPI caught."""

    def setUp(self) -> None:
        super().setUp()
        client = stub("os_xenapi", __path__=[str(self.package)])
        modules = {
            "os_xenapi": client,
            "eventlet": stub("eventlet", greenio=stub("greenio")),
            "eventlet.greenio": stub("eventlet.greenio"),
            "oslo_log": stub("oslo_log", log=logging),
            "six": stub("six"),
            "six.moves": stub("six.moves", http_client=stub("http_client")),
            "six.moves.urllib": stub("six.moves.urllib", parse=urllib.parse),
            "six.moves.urllib.parse": urllib.parse,
        }
        with unittest.mock.patch.dict(sys.modules, modules):
            self.handler = importlib.import_module("os_xenapi.client.image.vdi_handler")
            self.vhd_utils = importlib.import_module("os_xenapi.client.image.vhd_utils")

    def stream(self) -> tuple[FakeXapi, list[bytes], dict[str, object]]:
        sent = []

        class Handler(self.handler.ImageStreamToVDIs):  # type: ignore[misc, name-defined]
            def _vhd_stream_to_vdi(self, parser, vdi, size):  # type: ignore[no-untyped-def]
                sent.append(parser.cached_buff + parser.src_file.read(size - len(parser.cached_buff)))

        xapi = FakeXapi()
        with self.bundle.open("rb") as stream:
            handler = Handler(None, xapi, {"name": "n", "uuid": "u"}, "http://host", "sr", stream)
            handler.start()
        return xapi, sent, handler.vdis

    def test_takes_our_bundles(self):
        report = self.create(profile="nova-vdi-stream")
        xapi, (sent,), vdis = self.stream()
        self.assertEqual({"root": {"uuid": "vdi-uuid"}}, vdis)
        self.assertEqual([str(report.plan.virtual_size)], [record["virtual_size"] for record in xapi.records])
        self.assertEqual(report.vhd_size, len(sent))
        disk = vhd_util.Vhd(sent)
        disk.check()
        self.assertEqual(hashlib.sha256(CONTENT).digest(), hashlib.sha256(disk.content()).digest())

    def test_its_parser_reads_footer_header_and_bat(self):
        self.create()
        _, data = vhd_util.unpack_bundle(self.bundle)
        parser = self.vhd_utils.VHDDynDiskParser(io.BytesIO(data))
        self.assertEqual((len(CONTENT), 3), (parser.footer.current_size, parser.footer.disk_type))
        self.assertEqual(len(CONTENT) // (2 * MIB), parser.DynDiskHdr.bat_max_entries)
        self.assertEqual((1536, 2 * MIB), (parser.DynDiskHdr.bat_offset, parser.DynDiskHdr.block_size))
        self.assertEqual(len(vhd_util.Vhd(data).stored()), parser.Bat.num_valid_bat_entries)

    def test_it_would_refuse_two_disks_and_other_members(self):
        self.create()
        _, data = vhd_util.unpack_bundle(self.bundle)
        self.pack(("0.vhd", data), ("1.vhd", data))
        with self.assertRaisesRegex(Exception, "Only support single VDI"):
            self.stream()
        self.pack(("0.vhd", data), ("readme.txt", b"short"))
        with self.assertRaises(struct.error):
            self.stream()
