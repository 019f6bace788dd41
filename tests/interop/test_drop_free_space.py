"""Free space left out: the file systems' own tools find nothing wrong, and every file has the same content."""

from __future__ import annotations

import stat

import ddt

from tests.base import TestCase
from tests.builders.guests import freespace, ntfs
from xenimage import api
from xenimage.exceptions import UsageError
from xenimage.model.plan import BundleOptions, ConvertOptions, SourceOptions
from xenimage.units import KIB, MIB

EXT = {
    "ext2": ("-t", "ext2"),
    "ext2 of revision 0": ("-t", "ext2", "-r", "0", "-O", "none"),
    "ext3": ("-t", "ext3"),
    "ext4": ("-t", "ext4"),
    "blocks of 1 KiB": ("-t", "ext4", "-b", "1024"),
    "blocks of 2 KiB": ("-t", "ext4", "-b", "2048"),
    "blocks of 4 KiB": ("-t", "ext4", "-b", "4096"),
    "blocks of 64 KiB": ("-t", "ext4", "-b", "65536"),
    "32 bits": ("-t", "ext4", "-O", "^64bit"),
    "no checksums": ("-t", "ext4", "-O", "^metadata_csum"),
    "checksums of descriptors": ("-t", "ext4", "-O", "^metadata_csum,uninit_bg"),
    "checksums of descriptors, 32 bits": ("-t", "ext4", "-O", "^metadata_csum,uninit_bg,^64bit"),
    "a seed": ("-t", "ext4", "-O", "metadata_csum_seed"),
    "no flexible groups": ("-t", "ext4", "-O", "^flex_bg"),
    "meta groups": ("-t", "ext4", "-O", "meta_bg,^resize_inode", "-b", "1024"),
    "meta groups, not flexible": ("-t", "ext4", "-O", "meta_bg,^resize_inode,^flex_bg", "-b", "1024"),
    "two copies": ("-t", "ext4", "-O", "sparse_super2"),
    "copies everywhere": ("-t", "ext4", "-O", "^sparse_super,^resize_inode"),
    "no journal": ("-t", "ext4", "-O", "^has_journal"),
    "small groups": ("-t", "ext4", "-b", "1024", "-g", "1024"),
    "inline data": ("-t", "ext4", "-O", "inline_data"),
    "clusters": ("-t", "ext4", "-O", "bigalloc", "-C", "16384"),
    "clusters of small blocks": ("-t", "ext4", "-O", "bigalloc", "-b", "1024", "-C", "4096"),
    "clusters, meta groups": ("-t", "ext4", "-O", "bigalloc,meta_bg,^resize_inode", "-b", "1024", "-C", "8192"),
}


class FreeSpaceCase(TestCase):
    """Converts with and without free space."""

    def convert(self, source, form="raw", **wishes):
        """Leave the free space of *source* out; the raw content afterwards."""
        output = source.with_suffix(f".{form}")
        options = {"output": str(output), "format": form, "drop_free_space": True, **wishes}
        report = api.convert_disk(ConvertOptions(source=SourceOptions(path=str(source), format="raw"), **options))
        return output, report


@ddt.ddt
class ExtTest(FreeSpaceCase):
    @ddt.data(*EXT)
    def test_garbage_in_every_free_block_and_nowhere_else(self, what):
        size = 48 * MIB + 37 * KIB if "64 KiB" not in what else 96 * MIB
        image, files = self.scratch / "disk", freespace.random_tree(len(what))
        freespace.make_ext(image, size, files, *EXT[what])
        free = freespace.ext_free(image)
        if "clusters" in what:
            cluster = int(EXT[what][-1])
            free = freespace.joined((start, stop - stop % -cluster) for start, stop in free)
            free = [(start, min(stop, size // 1024 * 1024)) for start, stop in free]
        freespace.spoil(image, free)
        self.run_tool("e2fsck", "-fn", image)
        output, report = self.convert(image)
        self.run_tool("e2fsck", "-fn", output)
        self.assert_same_bytes(freespace.blanked(image.read_bytes(), free), output.read_bytes())
        found = freespace.ext_files(output, self.scratch / "found")
        self.assertEqual(freespace.ext_files(image, self.scratch / "expected"), found)
        if what != "inline data":  # debugfs shows 60 bytes of each file that has fewer
            self.assertEqual(files, found)
        (volume,) = report.free.volumes
        self.assertEqual(("the whole disk", "", sum(stop - start for start, stop in free)),
                         (volume.place, volume.why, volume.free_size))  # fmt: skip
        self.assertEqual(volume.free_size, volume.dropped_size)
        self.assertIn(volume.kind, ("ext2", "ext3", "ext4"))

    def test_after_files_were_removed(self):
        image, files = self.scratch / "disk", freespace.random_tree(5, count=60)
        freespace.make_ext(image, 24 * MIB, files, "-t", "ext4")
        gone = sorted(files)[::2]
        for name in gone:
            self.run_tool("debugfs", "-w", "-R", f"rm {name}", image)
        output, _ = self.convert(image)
        self.run_tool("e2fsck", "-fn", output)
        kept = {name: data for name, data in files.items() if name not in gone}
        self.assertEqual(kept, freespace.ext_files(output, self.scratch / "found"))
        content = output.read_bytes()
        for name in gone:
            self.assertTrue(len(files[name]) < 4096 or files[name][:4096] not in content, name)

    def test_every_format_shows_the_same(self):
        image = self.scratch / "disk"
        freespace.make_ext(image, 24 * MIB, freespace.random_tree(2), "-t", "ext4")
        freespace.spoil(image, freespace.ext_free(image))
        raw, _ = self.convert(image)
        for form in ("vhd", "qcow2", "vmdk"):
            output, report = self.convert(image, form)
            self.assertTrue(
                api.compare_disks(SourceOptions(path=str(raw), format="raw"), SourceOptions(path=str(output))).equal
            )
            self.assertLess(report.output_size, 12 * MIB)
            first = output.read_bytes()
            self.convert(image, form, jobs=1, force=True)
            self.assert_same_bytes(first, output.read_bytes())

    def test_a_bundle_is_hardly_larger_than_that_of_a_disk_that_was_never_full(self):
        image, files = self.scratch / "disk", freespace.random_tree(3, count=60)
        freespace.make_ext(image, 256 * MIB, files, "-t", "ext4")
        never = self.bundle(image, "never")
        freespace.spoil(image, freespace.ext_free(image))
        full = self.bundle(image, "full")
        dropped = self.bundle(image, "dropped", drop_free_space=True, verify=True)
        self.assertGreater(full.receipt.size, 100 * MIB)
        self.assertLess(dropped.receipt.size, 1.1 * never.receipt.size)
        self.assertGreater(dropped.plan.free.dropped_size, 200 * MIB)
        self.assertEqual(dropped.plan.free.dropped_size, dropped.plan.free.free_size)
        back = self.scratch / "back"
        source = SourceOptions(path=str(self.scratch / "dropped.tgz"))
        api.convert_disk(ConvertOptions(source=source, output=str(back), format="raw"))
        self.run_tool("e2fsck", "-fn", back)
        self.assertEqual(files, freespace.ext_files(back, self.scratch / "found"))

    def bundle(self, image, name, **wishes):
        source = SourceOptions(path=str(image), format="raw")
        return api.create_bundle(BundleOptions(source=source, output=str(self.scratch / f"{name}.tgz"), **wishes))


@ddt.ddt
class NtfsTest(FreeSpaceCase):
    @ddt.data(512, 1024, 2048, 4096, 8192, 16384, 32768, 65536)
    def test_garbage_in_every_free_cluster_and_nowhere_else(self, cluster):
        image, files = self.scratch / "disk", freespace.random_tree(cluster)
        ntfs.format_volume(image, 32 * MIB + 21 * KIB, cluster=cluster)
        ntfs.fill(image, files)
        gone = sorted(name for name in files if "/" not in name)[::2]
        with ntfs.Volume(image) as volume:
            for name in gone:
                volume.delete("/", name)
        free = freespace.ntfs_free(image, cluster)
        freespace.spoil(image, free)
        output, report = self.convert(image)
        self.assert_same_bytes(freespace.blanked(image.read_bytes(), free), output.read_bytes())
        self.run_tool("ntfsfix", "-n", output)
        for name in sorted(set(files) - set(gone)):
            self.assertEqual(files[name], freespace.run("ntfscat", "-f", output, name), name)
        (volume,) = report.free.volumes
        self.assertEqual(("ntfs", "", sum(stop - start for start, stop in free)),
                         (volume.kind, volume.why, volume.free_size))  # fmt: skip

    def test_a_directory_and_a_table_in_pieces(self):
        image = self.scratch / "disk"
        ntfs.format_volume(image, 24 * MIB, cluster=512)
        ntfs.crowd(image, 3000)
        free = freespace.ntfs_free(image, 512)
        freespace.spoil(image, free)
        output, _ = self.convert(image)
        self.assert_same_bytes(freespace.blanked(image.read_bytes(), free), output.read_bytes())

    def test_the_content_of_page_files_goes_as_well(self):
        image = self.scratch / "disk"
        ntfs.format_volume(image, 32 * MIB)
        page = b"page" * MIB
        files = {"pagefile.sys": page, "Swapfile.SYS": b"swap" * 50_000, "hiberfil.sys": bytes(4096) + b"old" * 50_000,
                 "notes/pagefile.sys": b"mine" * 5000, "pagefile.sys.txt": b"mine" * 5000}  # fmt: skip
        ntfs.fill(image, files)
        output, report = self.convert(image)
        for name, data in files.items():
            found = freespace.run("ntfscat", "-f", output, name)
            self.assertEqual(data if b"mine" in data else bytes(len(data)), found, name)
        self.assertEqual(0, output.read_bytes().count(b"pagepagepage"))
        (volume,) = report.free.volumes
        free = freespace.ntfs_free(image, 4096)
        self.assertGreater(volume.free_size, sum(stop - start for start, stop in free) + len(page))
        self.run_tool("ntfsfix", "-n", output)

    def test_a_bundle_is_hardly_larger_than_that_of_a_disk_that_was_never_full(self):
        image = self.scratch / "disk"
        ntfs.format_volume(image, 256 * MIB)
        files = freespace.random_tree(4, count=60)
        ntfs.fill(image, files)
        never = ExtTest.bundle(self, image, "never")
        with ntfs.Volume(image) as volume:
            volume.create("/", "filler", stat.S_IFREG)
            volume.write("/filler", freespace.garbage(150 * MIB))
        with ntfs.Volume(image) as volume:
            volume.delete("/", "filler")
        full = ExtTest.bundle(self, image, "full")
        dropped = ExtTest.bundle(self, image, "dropped", drop_free_space=True, verify=True)
        self.assertGreater(full.receipt.size, 100 * MIB)
        self.assertLess(dropped.receipt.size, 1.1 * never.receipt.size)
        self.assertGreater(dropped.plan.free.dropped_size, 140 * MIB)


@ddt.ddt
class ChainTest(FreeSpaceCase):
    """A file system that became full in its base, and was emptied in the layer above."""

    def setUp(self):
        super().setUp()
        self.base, self.top, self.leaf = (self.scratch / name for name in ("base.raw", "top.raw", "leaf.qcow2"))
        self.files = freespace.random_tree(6)
        filler = {f"filler{number}": freespace.garbage(MIB) for number in range(12)}
        freespace.make_ext(self.base, 32 * MIB, self.files | filler, "-t", "ext4")
        self.top.write_bytes(self.base.read_bytes())
        for name in filler:
            self.run_tool("debugfs", "-w", "-R", f"rm {name}", self.top)
        self.run_tool(
            "qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-B", self.base, "-F", "raw", self.top, self.leaf
        )
        self.free = freespace.ext_free(self.top)
        self.expected = freespace.blanked(self.top.read_bytes(), self.free)

    def source(self):
        return SourceOptions(path=str(self.leaf), backing=(str(self.base),))

    @ddt.data({}, {"dedup_parent": True}, {"whole_blocks": True}, {"jobs": 1})
    def test_a_chain_shows_zeros_where_its_base_had_data(self, wishes):
        output = self.scratch / "chain.tgz"
        options = {"output": str(output), "chain": True, "drop_free_space": True, **wishes}
        full = api.create_bundle(BundleOptions(source=self.source(), output=str(self.scratch / "full.tgz"), chain=True))
        report = api.create_bundle(BundleOptions(source=self.source(), verify=True, **options))
        self.assertLess(report.receipt.size, full.receipt.size - 10 * MIB)
        self.assertGreater(report.plan.free.dropped_size, 12 * MIB)
        back = self.scratch / "back.raw"
        api.convert_disk(ConvertOptions(source=SourceOptions(path=str(output)), output=str(back), format="raw"))
        self.assert_same_bytes(self.expected, back.read_bytes())
        self.run_tool("e2fsck", "-fn", back)

    def test_flattened(self):
        output = self.scratch / "flat.raw"
        report = api.convert_disk(
            ConvertOptions(source=self.source(), output=str(output), format="raw", drop_free_space=True)
        )
        self.assert_same_bytes(self.expected, output.read_bytes())
        self.assertGreater(report.free.dropped_size, 12 * MIB)

    def test_a_bundle_as_the_source(self):
        bundle, output = self.scratch / "full.tgz", self.scratch / "out.raw"
        api.create_bundle(BundleOptions(source=self.source(), output=str(bundle)))
        api.convert_disk(
            ConvertOptions(
                source=SourceOptions(path=str(bundle)), output=str(output), format="raw", drop_free_space=True
            )
        )
        self.assert_same_bytes(self.expected, output.read_bytes())

    def test_layers_that_are_kept_keep_what_is_free(self):
        options = ConvertOptions(
            source=self.source(), output=str(self.scratch / "out"), format="qcow2", layers=True, drop_free_space=True
        )
        with self.assertRaises(UsageError) as caught:
            api.convert_layers(options)
        self.assertEqual(
            "each layer has free space of its own, expected --drop-free-space without --layers", str(caught.exception)
        )
