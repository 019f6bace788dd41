"""File systems joined into one namespace."""

from __future__ import annotations

import ddt

from tests.base import TestCase
from xenimage.exceptions import LimitError
from xenimage.guest.filesystems.base import Entry, Kind
from xenimage.guest.tree import Tree
from xenimage.limits import STRICT, Limits
from xenimage.model.guest.layout import Volume


class FakeFileSystem:
    """Files in a dictionary: bytes are content, None is a directory, text is a link's target."""

    def __init__(self, content: dict[str, bytes | str | None], *, ignores_case: bool = False) -> None:
        self.volume = Volume(kind="fake")
        self.ignores_case = ignores_case
        self.has_links = not ignores_case
        self.losses = []
        self._content = {"": None, **content}

    def _stored(self, path: str) -> str:
        wanted = path.lower() if self.ignores_case else path
        return next((name for name in self._content if (name.lower() if self.ignores_case else name) == wanted), "?")

    def entry(self, path: str) -> Entry | None:
        for part in [path[:at] for at, letter in enumerate(path) if letter == "/"]:
            assert not isinstance(self._content.get(part), str), f"{path} leads through a link"
        found = self._content.get(self._stored(path), ...)
        if found is ...:
            return None
        if found is None:
            return Entry(path=path, kind=Kind.DIRECTORY)
        if isinstance(found, str):
            return Entry(path=path, kind=Kind.LINK, target=found)
        return Entry(path=path, kind=Kind.FILE, size=len(found))

    def names(self, path: str) -> list[str]:
        prefix = f"{self._stored(path)}/" if path else ""
        return sorted(
            n[len(prefix) :] for n in self._content if n.startswith(prefix) and n and "/" not in n[len(prefix) :]
        )

    def read(self, path: str, length: int, offset: int = 0) -> bytes:
        return self._content[self._stored(path)][offset : offset + length]

    def close(self) -> None:
        pass


LINUX = {
    "bin": "usr/bin",
    "usr": None,
    "usr/bin": None,
    "usr/bin/sh": "dash",
    "usr/bin/dash": b"ELF",
    "usr/lib": None,
    "usr/lib/os-release": b"\xef\xbb\xbfID=x\r\nNAME=\xe4\n",
    "etc": None,
    "etc/os-release": "../usr/lib/os-release",
    "etc/out": "../../../../usr/lib/os-release",
    "etc/absolute": "/usr//./lib/os-release",
    "etc/dangling": "nothing/there",
    "etc/empty": "",
    "etc/loop": "loop",
    "etc/through": "/etc/os-release/x",
    "etc/fstab": "a b\nc".encode("utf-16"),
    "boot": None,
    "boot/hidden": b"",
}


@ddt.ddt
class TreeTest(TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.tree = Tree(FakeFileSystem(LINUX), STRICT)

    @ddt.data(
        ("bin/sh", "usr/bin/dash"),
        ("/bin//./sh", "usr/bin/dash"),
        ("bin", "usr/bin"),
        ("etc/os-release", "usr/lib/os-release"),
        ("etc/out", "usr/lib/os-release"),
        ("etc/absolute", "usr/lib/os-release"),
        ("bin/../lib/os-release", "usr/lib/os-release"),
        ("", ""),
        ("..", ""),
    )
    @ddt.unpack
    def test_links_are_followed_part_by_part_and_never_out(self, path: str, expected: str) -> None:
        self.assertEqual(expected, self.tree.entry(path).path)

    @ddt.data("etc/dangling", "etc/empty", "etc/through", "nope", "nope/x", "usr/lib/os-release/x")
    def test_what_leads_nowhere_is_not_there(self, path: str) -> None:
        self.assertIsNone(self.tree.entry(path))
        self.assertEqual((), self.tree.names(path))
        self.assertIsNone(self.tree.read(path, 10))
        self.assertIsNone(self.tree.text(path))

    def test_a_link_itself(self) -> None:
        entry = self.tree.entry("etc/loop", follow=False)
        self.assertEqual((Kind.LINK, "loop"), (entry.kind, entry.target))
        self.assertEqual("dash", self.tree.entry("bin/sh", follow=False).target)

    def test_links_are_counted(self) -> None:
        with self.assertRaisesRegex(
            LimitError, r"the number of links on the way to /etc/loop is 41, expected at most 40 \(limit guest_links\)"
        ):
            self.tree.entry("etc/loop")
        chain = {f"l{n}": f"l{n + 1}" for n in range(5)} | {"l5": b"end"}
        self.assertEqual(b"end", Tree(FakeFileSystem(chain), Limits(guest_links=5)).read("l0", 10))
        with self.assertRaises(LimitError):
            Tree(FakeFileSystem(chain), Limits(guest_links=4)).read("l0", 10)

    def test_a_target_of_very_many_parts_is_refused(self) -> None:
        with self.assertRaisesRegex(LimitError, "^/x: more than 1024 parts"):
            Tree(FakeFileSystem({"x": "a/" * 3000}), STRICT).entry("x")

    def test_reading(self) -> None:
        self.assertEqual(b"ELF", self.tree.read("bin/sh", 3))
        self.assertEqual(b"EL", self.tree.head("bin/sh", 2))
        self.assertEqual(b"ELF", self.tree.head("bin/sh", 20))
        self.assertEqual(b"LF", self.tree.part("bin/sh", 1, 20))
        with self.assertRaisesRegex(LimitError, "bin/sh: has 3 bytes, expected at most 2"):
            self.tree.read("bin/sh", 2)
        self.assertIsNone(self.tree.read("etc", 100))
        self.assertIsNone(self.tree.head("etc", 100))

    def test_text(self) -> None:
        self.assertEqual("ID=x\nNAME=�\n", self.tree.text("etc/os-release"))
        self.assertEqual("a b\nc", self.tree.text("etc/fstab"))

    def test_names(self) -> None:
        self.assertEqual(["bin", "boot", "etc", "usr"], self.tree.names("/"))
        self.assertEqual(["dash", "sh"], self.tree.names("bin"))
        self.assertEqual((), self.tree.names("bin/sh"))

    def test_mounts(self) -> None:
        boot = FakeFileSystem({"vmlinuz": b"k", "up": "../etc/os-release", "boot": "."})
        self.tree.mount("/boot/", boot)
        self.tree.mount("boot/efi", FakeFileSystem({"EFI": None, "EFI/x": b"y"}, ignores_case=True))
        self.assertEqual(["boot", "efi", "up", "vmlinuz"], self.tree.names("boot"))
        self.assertEqual("boot/vmlinuz", self.tree.entry("boot/boot/vmlinuz").path)
        self.assertEqual("usr/lib/os-release", self.tree.entry("boot/up").path)
        self.assertEqual(b"y", self.tree.read("boot/efi/efi/X", 5))
        self.assertEqual("etc", self.tree.entry("boot/efi/EFI/../../../etc").path)
        self.assertEqual(3, len(self.tree.filesystems))

    def test_a_mount_goes_where_a_link_leads(self) -> None:
        self.tree.mount("bin", FakeFileSystem({"new": b"1"}))
        self.assertEqual(["new"], self.tree.names("usr/bin"))

    def test_without_case(self) -> None:
        tree = Tree(FakeFileSystem({"Windows": None, "Windows/System32": None}, ignores_case=True), STRICT)
        self.assertEqual(Kind.DIRECTORY, tree.entry("windows/SYSTEM32").kind)
        self.assertEqual("Windows/System32/none", tree.spelled("WINDOWS/system32/none"))
        self.assertEqual("etc/OS", self.tree.spelled("/etc/OS"))
