"""Chains that cannot be kept as they are: refused in one line that names the file, and nothing is left."""

from __future__ import annotations

import json
import os

import ddt

from tests.builders import qcow2, vhd, vmdk
from tests.builders.pattern import pattern
from tests.fakes.vhd_util import contents, unpack_chain
from tests.unit.cli.support import CliTestCase

KIB64 = 64 << 10
MIB = 1 << 20
SIZE = 4 * MIB


class ChainTestCase(CliTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.output = self.scratch / "out.tgz"
        self.stock = self.scratch / "stock"
        self.stock.mkdir()

    def put(self, name: str, data: bytes | bytearray) -> str:
        path = self.scratch / name
        path.write_bytes(data)
        return str(path)

    def qcow2(self, name: str, backing: str = "", size: int = SIZE, seed: int = 1, **options: object) -> str:
        """An image with one cluster of its own; the declared format of the parent is that of its name."""
        kind = backing.rpartition(".")[2] if backing.endswith((".raw", ".qcow2")) else ""
        state = qcow2.State(size=size, forms=("plain",), seed=seed)
        extensions = ((0xE2792ACA, kind.encode()),) if kind else ()
        image = qcow2.Image(state=state, backing=os.fsencode(backing), extensions=extensions, **options)  # type: ignore[arg-type]
        return self.put(name, image.build())

    def raw(self, name: str, size: int = SIZE) -> str:
        return self.put(name, pattern(0, size, 7))

    def create(self, *words: str, chain: bool = True):
        words = (*words, "--chain") if chain else words
        return self.run_cli("bundle", "create", *words, "--output", str(self.output))

    def assert_refused(self, code: int, *words: str, chain: bool = True, says: str) -> None:
        before = sorted(self.scratch.rglob("*"))
        for extra in ((), ("--dry-run",)):
            run = self.create(*words, *extra, chain=chain)
            lines = run.err.strip().splitlines()
            told = [line for line in lines if not line.startswith("TIP: ")]
            self.assertEqual((code, 1), (run.code, len(told)), run.err)
            self.assertEqual(says.replace("DIR", str(self.scratch)), told[0])
            self.assertLessEqual(len(lines), 2)
        self.assertEqual(before, sorted(self.scratch.rglob("*")))


@ddt.ddt
class LengthTest(ChainTestCase):
    def long(self, count: int) -> list[str]:
        """The words for a chain of *count* layers."""
        names = [f"{number}.qcow2" for number in range(count)]
        paths = [
            self.qcow2(name, backing=below, seed=number)
            for number, (name, below) in enumerate(zip(names, [*names[1:], ""], strict=True))
        ]
        return [paths[0], *(word for path in paths[1:] for word in ("--backing", path))]

    def test_one_layer(self):
        path = self.raw("disk.raw")
        self.assert_refused(
            2, path, says="DIR/disk.raw: a chain of 1 is asked for, expected 2 to 16 layers"
        )  # fmt: skip

    def test_a_bundle_of_one(self):
        path = self.raw("disk.raw")
        bundle = str(self.scratch / "one.tgz")
        self.assertEqual(0, self.run_cli("bundle", "create", path, "--output", bundle).code)
        self.assert_refused(2, bundle, says="DIR/one.tgz: a chain of 1 is asked for, expected 2 to 16 layers")

    def test_16_layers_and_no_more(self):
        self.assertEqual(0, self.create(*self.long(16)).code)
        self.assertEqual(16, len(unpack_chain(self.output)))
        self.output.unlink()
        self.assert_refused(
            2, *self.long(17), says="DIR/0.qcow2: a chain of 17 is asked for, expected 2 to 16 layers"
        )  # fmt: skip

    def test_more_snapshots_than_a_chain_may_have_are_not_even_opened(self):
        state = qcow2.State(size=SIZE)
        taken = tuple(qcow2.Taken(identity=str(number), name=f"s{number}", state=state) for number in range(1, 60))
        path = self.put("disk.qcow2", qcow2.Image(state=state, taken=taken).build())
        self.assert_refused(
            5,
            path,
            "--snapshots",
            "all",
            says="DIR/disk.qcow2: the number of disks in the chain is 60, expected at most 32 (limit chain_depth)",
        )

    def test_a_profile_that_takes_one_vhd(self):
        words = self.long(2)
        run = self.create(*words, "--profile", "nova-vdi-stream")
        self.assertEqual(6, run.code)
        self.assertIn("chain.members", run.err + run.out)
        self.assertFalse(self.output.exists())
        dry = self.create(*words, "--profile", "nova-vdi-stream", "--dry-run", "-f", "json")
        found = [each for each in json.loads(dry.out)["findings"] if each["code"] == "chain.members"]
        self.assertEqual(["error"], [each["severity"] for each in found])


@ddt.ddt
class SizeTest(ChainTestCase):
    @ddt.data(2 * MIB, SIZE - 512)
    def test_a_child_that_is_smaller_than_its_parent(self, size):
        """Also by less than what both are rounded up by: the child's VHD would show what the child does not."""
        base = self.raw("base.raw", SIZE)
        leaf = self.qcow2("leaf.qcow2", backing="base.raw", size=size)
        says = f"DIR/leaf.qcow2: has {size} bytes, its parent DIR/base.raw has {SIZE}, expected a child at least as"
        self.assert_refused(4, leaf, "--backing", base, says=f"{says} large as its parent")

    def test_nor_does_a_wished_size_help(self):
        base = self.raw("base.raw", SIZE)
        leaf = self.qcow2("leaf.qcow2", backing="base.raw", size=2 * MIB)
        says = f"DIR/leaf.qcow2: has {2 * MIB} bytes, its parent DIR/base.raw has {SIZE}, expected a child at least as"
        self.assert_refused(4, leaf, "--backing", base, "--size", "20M", says=f"{says} large as its parent")

    def test_in_the_middle(self):
        base = self.raw("base.raw", SIZE)
        middle = self.qcow2("middle.qcow2", backing="base.raw", size=2 * MIB)
        leaf = self.qcow2("leaf.qcow2", backing="middle.qcow2", size=SIZE)
        says = f"DIR/middle.qcow2: has {2 * MIB} bytes, its parent DIR/base.raw has {SIZE}, expected a child at least"
        self.assert_refused(
            4, leaf, "--backing", middle, "--backing", base, says=f"{says} as large as its parent"
        )  # fmt: skip

    def test_a_larger_child_is_told(self):
        base = self.raw("base.raw", SIZE)
        leaf = self.qcow2("leaf.qcow2", backing="base.raw", size=2 * SIZE)
        run = self.create(leaf, "--backing", base, "-f", "json")
        self.assertIn("chain.sizes", [each["code"] for each in json.loads(run.out)["findings"]])
        self.assertEqual([2 * SIZE, SIZE], [each["virtual_size"] for each in json.loads(run.out)["layers"]])


@ddt.ddt
class FollowTest(ChainTestCase):
    """Names inside images lead to files of one directory, and to nothing else."""

    def follow(self, backing: str, code: int, says: str) -> None:
        leaf = self.qcow2("leaf.qcow2", backing=backing)
        self.assert_refused(code, leaf, "--follow-backing", str(self.stock), says=says)

    def test_bare_names_are_found_whatever_stands_before_them(self):
        self.raw("stock/base.raw")
        self.qcow2("stock/middle.qcow2", backing="C:\\elsewhere\\base.raw", seed=2)
        leaf = self.qcow2("leaf.qcow2", backing="/somewhere/../else/middle.qcow2", seed=3)
        run = self.create(leaf, "--follow-backing", str(self.stock), "-f", "json")
        self.assertEqual((0, ""), (run.code, run.err))
        paths = [each["path"] for each in json.loads(run.out)["layers"]]
        self.assertEqual([leaf, f"{self.stock}/middle.qcow2", f"{self.stock}/base.raw"], paths)
        content = contents(unpack_chain(self.output))
        self.assert_same_bytes(pattern(0, KIB64, 3) + pattern(KIB64, SIZE - KIB64, 7), content[0])

    def test_behind_those_that_are_given(self):
        self.raw("stock/base.raw")
        middle = self.qcow2("other.qcow2", backing="base.raw")
        leaf = self.qcow2("leaf.qcow2", backing="middle.qcow2")
        run = self.create(leaf, "--backing", middle, "--follow-backing", str(self.stock))
        self.assertEqual(0, run.code, run.err)
        self.assertEqual(3, len(unpack_chain(self.output)))

    def test_flattened(self):
        self.raw("stock/base.raw")
        leaf = self.qcow2("leaf.qcow2", backing="base.raw", seed=3)
        run = self.create(leaf, "--follow-backing", str(self.stock), chain=False)
        self.assertEqual(0, run.code, run.err)
        self.assert_same_bytes(
            pattern(0, KIB64, 3) + pattern(KIB64, SIZE - KIB64, 7), contents(unpack_chain(self.output))[0]
        )

    @ddt.data(
        ("missing.raw", "missing.raw", "cannot be opened: No such file or directory"),
        ("/etc/passwd", "passwd", "cannot be opened: No such file or directory"),
        ("a/..", "..", "names the file '..'"),
        (".", ".", "names the file '.'"),
        ("dir/", "", "names the file ''"),
        ("a\\..", "..", "names the file '..'"),
        ("link.raw", "link.raw", "names 'link.raw', a symbolic link"),
        ("up.raw", "up.raw", "names 'up.raw', a symbolic link"),
        ("folder", "folder", "is a directory"),
        ("pipe", "pipe", "is no file"),
    )
    @ddt.unpack
    def test_what_is_not_followed(self, stored, bare, found):
        self.raw("real.raw")
        self.raw("stock/inside.raw")
        (self.stock / "link.raw").symlink_to("inside.raw")
        (self.stock / "up.raw").symlink_to("../real.raw")
        (self.stock / "folder").mkdir()
        os.mkfifo(self.stock / "pipe")
        expected = "expected a regular file in DIR/stock, for an image names it as its parent"
        self.follow(stored, 5, f"DIR/stock/{bare}: {found}, {expected}")

    def test_a_name_with_a_zero_in_it(self):
        run = self.create(self.qcow2("leaf.qcow2", backing="a\0b"), "--follow-backing", str(self.stock))
        self.assertEqual(5, run.code, run.err)
        self.assertEqual(["leaf.qcow2", "stock"], sorted(os.listdir(self.scratch)))

    @ddt.data("a" * 300, "ü.raw", "\udcff.raw", "$(touch x).raw", "-rf")
    def test_a_name_as_no_file_has_it(self, stored):
        run = self.create(self.qcow2("leaf.qcow2", backing=stored), "--follow-backing", str(self.stock))
        self.assertEqual(5, run.code, run.err)
        self.assertIn("cannot be opened", run.err)

    def test_a_cycle(self):
        middle = self.qcow2("stock/middle.qcow2", backing="leaf.qcow2")
        leaf = self.qcow2("stock/leaf.qcow2", backing="middle.qcow2")
        says = f"{leaf}: is the same file as {leaf}, expected each disk of the chain once"
        self.assert_refused(2, leaf, "--follow-backing", str(self.stock), says=says)
        self.assertTrue(os.path.exists(middle))

    def test_itself(self):
        leaf = self.qcow2("stock/leaf.qcow2", backing="leaf.qcow2")
        says = f"{leaf}: is the same file as {leaf}, expected each disk of the chain once"
        self.assert_refused(2, leaf, "--follow-backing", str(self.stock), says=says)

    def test_itself_by_another_name(self):
        leaf = self.qcow2("leaf.qcow2", backing="other.qcow2")
        os.link(leaf, self.stock / "other.qcow2")
        says = f"DIR/stock/other.qcow2: is the same file as {leaf}, expected each disk of the chain once"
        self.assert_refused(2, leaf, "--follow-backing", str(self.stock), says=says)

    def test_a_directory_that_is_missing(self):
        leaf = self.qcow2("leaf.qcow2", backing="base.raw")
        says = (
            "DIR/nowhere/base.raw: cannot be opened: No such file or directory,"
            " expected a regular file in DIR/nowhere, for an image names it as its parent"
        )
        self.assert_refused(5, leaf, "--follow-backing", str(self.scratch / "nowhere"), says=says)

    def test_the_output_is_never_one_that_is_followed(self):
        self.output = self.stock / "base.raw"
        content = pattern(0, SIZE)
        self.output.write_bytes(content)
        leaf = self.qcow2("leaf.qcow2", backing="base.raw")
        says = f"{self.output}: is the source {self.output}, expected another file"
        self.assert_refused(2, leaf, "--follow-backing", str(self.stock), "--force", says=says)
        self.assert_same_bytes(content, self.output.read_bytes())

    def test_a_declared_format_is_believed(self):
        """A guest may write whatever it likes into its raw disk, also what looks like an image with a parent."""
        self.raw("stock/secret.raw")
        self.qcow2("stock/base.raw", backing="secret.raw")
        leaf = self.qcow2("leaf.qcow2", backing="base.raw", size=SIZE)
        run = self.create(leaf, "--follow-backing", str(self.stock), "-f", "json")
        self.assertEqual(0, run.code, run.err)
        self.assertEqual(["qcow2", "raw"], [each["format"] for each in json.loads(run.out)["layers"]])

    def test_a_guessed_format_leads_no_further(self):
        self.raw("stock/secret.raw")
        self.qcow2("stock/base.img", backing="secret.raw")
        leaf = self.qcow2("leaf.qcow2", backing="base.img")
        says = "DIR/stock/base.img: names the parent 'secret.raw', but its child does not say that it is qcow2,"
        self.assert_refused(
            5,
            leaf,
            "--follow-backing",
            str(self.stock),
            says=f"{says} expected its format in the child, as qemu-img rebase -u -F writes it",
        )

    def test_the_wrong_parent(self):
        image = vhd.Vhd(
            size=SIZE,
            kind=vhd.DIFFERENCING,
            blocks={0: [0]},
            parent=b"r" * 16,
            parent_name="base.vhd",
            locators=vhd.blktap_locators("base.vhd"),
        )
        leaf = self.put("leaf.vhd", image.build().data)
        self.put("stock/base.vhd", vhd.Vhd(size=SIZE, blocks={1: [0]}, identity=b"w" * 16).build().data)
        run = self.create(leaf, "--follow-backing", str(self.stock))
        self.assertEqual(5, run.code)
        self.assertIn(f"{leaf}: its parent is ", run.err)
        self.assertFalse(self.output.exists())

    def test_a_vmdk_without_a_hint(self):
        text = vmdk.descriptor("monolithicSparse", ['RW 8192 SPARSE "leaf.vmdk"'], parent="12345678")
        leaf = self.put("leaf.vmdk", vmdk.monolithic({}, 8192, text=text).data)
        run = self.create(leaf, "--follow-backing", str(self.stock))
        self.assertEqual(5, run.code, run.err)


@ddt.ddt
class SnapshotTest(ChainTestCase):
    def image(self, *names: str, **options: object) -> str:
        """With snapshots of these names, ids from 1 on."""
        taken = tuple(
            qcow2.Taken(identity=str(number), name=name, state=qcow2.State(size=SIZE, forms=("plain",), seed=number))
            for number, name in enumerate(names, 1)
        )
        state = qcow2.State(size=SIZE, forms=("plain",), seed=9)
        return self.put("disk.qcow2", qcow2.Image(state=state, taken=taken, **options).build())  # type: ignore[arg-type]

    def test_unknown_names(self):
        run = self.create(self.image("one", "two"), "--snapshots", "one,three")
        self.assertEqual(2, run.code)
        self.assertTrue(run.err.startswith(f"{self.scratch}/disk.qcow2: has no snapshot 'three', expected one of"))
        self.assertFalse(self.output.exists())

    def test_a_name_that_several_have(self):
        path = self.image("same", "same")
        says = "DIR/disk.qcow2: snapshot 'same' exists 2 times, with the ids 1, 2, expected a name or an id that only"
        self.assert_refused(2, path, "--snapshots", "same", says=f"{says} one has")
        self.assertEqual(0, self.create(path, "--snapshots", "1,2").code)

    def test_one_snapshot_named_twice_counts_once(self):
        run = self.create(self.image("one", "two"), "--snapshots", "one,1,one")
        self.assertEqual(0, run.code, run.err)
        self.assertEqual(2, len(unpack_chain(self.output)))

    @ddt.data("", ",", ",,")
    def test_no_name_at_all(self, names):
        run = self.create(self.image("one"), "--snapshots", names)
        self.assertEqual(2, run.code)
        self.assertIn("is no list of names", run.err)

    def test_all_of_none(self):
        says = "DIR/disk.qcow2: a chain of 1 is asked for, expected 2 to 16 layers"
        self.assert_refused(2, self.image(), "--snapshots", "all", says=says)

    def test_newer_than_the_one_that_is_the_leaf(self):
        says = "DIR/disk.qcow2: the snapshot 'two' is not older than 'one', expected older ones as layers below it"
        self.assert_refused(2, self.image("one", "two"), "--snapshot", "one", "--snapshots", "two", says=says)
        says = "DIR/disk.qcow2: the snapshot 'one' is not older than 'one', expected older ones as layers below it"
        self.assert_refused(2, self.image("one", "two"), "--snapshot", "one", "--snapshots", "one", says=says)

    def test_a_leaf_that_is_none(self):
        path = self.image("one")
        run = self.create(path, "--snapshot", "bogus", "--snapshots", "one")
        self.assertEqual(2, run.code)
        self.assertTrue(run.err.startswith(f"{path}: has no snapshot 'bogus'"), run.err)

    def test_only_qcow2_has_them(self):
        path = self.raw("disk.raw")
        says = "DIR/disk.raw: has no internal snapshots, expected a qcow2 image"
        self.assert_refused(2, path, "--snapshots", "all", says=says)

    def test_a_snapshot_that_was_larger(self):
        taken = qcow2.Taken(identity="1", name="one", state=qcow2.State(size=2 * SIZE))
        path = self.put("disk.qcow2", qcow2.Image(state=qcow2.State(size=SIZE), taken=(taken,)).build())
        run = self.create(path, "--snapshots", "one")
        self.assertEqual(4, run.code)
        self.assertTrue(run.err.startswith(f"{path}: has {SIZE} bytes, its parent {path}@one has {2 * SIZE}"), run.err)

    def test_a_broken_table_of_a_snapshot(self):
        taken = qcow2.Taken(identity="1", name="one", state=qcow2.State(size=SIZE, forms=("plain",)))
        image = qcow2.Image(state=qcow2.State(size=SIZE), taken=(taken,))
        data = bytearray(image.build())
        data[image.at["1.l2"] + 7] |= 0x80
        path = self.put("disk.qcow2", data)
        run = self.create(path, "--snapshots", "one")
        self.assertEqual(3, run.code, run.err)
        self.assertTrue(run.err.startswith(f"{path}: L2 table at "), run.err)
        self.assertFalse(self.output.exists())

    def test_what_is_wrong_with_the_image_is_told_once(self):
        run = self.create(self.image("one", "two", incompatible=1), "--snapshots", "all", "-f", "json")
        codes = [each["code"] for each in json.loads(run.out)["findings"]]
        self.assertEqual(1, codes.count("qcow2.dirty"))


@ddt.ddt
class OptionTest(ChainTestCase):
    """Options of chains are refused where none is made."""

    @ddt.data(
        (("--dedup-parent",), "blocks of layers are to be changed, expected a chain"),
        (("--whole-blocks",), "blocks of layers are to be changed, expected a chain"),
        (("--snapshots", "all"), "snapshots as layers are asked for, expected a chain"),
    )
    @ddt.unpack
    def test_without_a_chain(self, words, says):
        self.assert_refused(2, self.raw("disk.raw"), *words, chain=False, says=says)

    def test_the_same_file_twice(self):
        base = self.raw("base.raw")
        leaf = self.qcow2("leaf.qcow2", backing="base.raw")
        self.assert_refused(
            2,
            leaf,
            "--backing",
            base,
            "--backing",
            base,
            says="DIR/base.raw: is the same file as DIR/base.raw, expected each disk of the chain once",
        )

    def test_a_parent_that_is_missing(self):
        leaf = self.qcow2("leaf.qcow2", backing="base.raw")
        run = self.create(leaf)
        self.assertEqual(5, run.code)
        self.assertTrue(run.err.startswith(f"{leaf}: wants the parent 'base.raw', which is not opened"), run.err)
        self.assert_refused(
            2,
            leaf,
            "--backing",
            str(self.scratch / "base.raw"),
            says="DIR/base.raw: cannot be opened: No such file or directory",
        )

    @ddt.data(("--backing", "x"), ("--follow-backing", "."), ("--snapshot", "1"), ("--snapshots", "all"))
    def test_a_bundle_has_its_own_chain(self, words):
        base, leaf = self.raw("base.raw"), self.qcow2("leaf.qcow2", backing="base.raw")
        bundle = str(self.scratch / "two.tgz")
        run = self.run_cli("bundle", "create", leaf, "--backing", base, "--chain", "--output", bundle)
        self.assertEqual(0, run.code, run.err)
        says = "DIR/two.tgz: a bundle has no other parents and no snapshots than its members"
        self.assert_refused(2, bundle, *words, says=says)
