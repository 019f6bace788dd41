"""Whatever a guest's files hold: facts come out, findings follow from them, and nothing takes long or is raised."""

from __future__ import annotations

import unittest

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.builders.guests import linux as build
from tests.builders.guests.files import Link, MemoryFileSystem
from tests.builders.guests.linux import VERSION
from xenimage.checks.guest import registry
from xenimage.guest.linux import look
from xenimage.guest.notes import Notes
from xenimage.guest.tree import Tree
from xenimage.limits import STRICT
from xenimage.model.guest.facts import GuestFacts
from xenimage.profiles.registry import all_profiles

FILES = build.files(build.State(used=True))
TEXTS = sorted(path for path, content in FILES.items() if isinstance(content, str))
MORE = (
    "boot/grub/grubenv",
    "boot/grub/grub.conf",
    "boot/extlinux.conf",
    "boot/loader/entries/a.conf",
    "etc/cloud/ds-identify.cfg",
    "etc/crypttab",
    "etc/kernel/cmdline",
    "etc/lsb-release",
    "etc/modprobe.d/a.conf",
    "etc/netplan/a.yaml",
    "etc/ssh/sshd_config.d/a.conf",
    "etc/udev/rules.d/70-persistent-net.rules",
    "root/.ssh/authorized_keys",
)
WORDS = st.sampled_from(
    [
        *"\n\t =:#[]{}'\"$\\/-,*",
        "\n",
        "  ",
        "menuentry",
        "linux",
        f"/vmlinuz-{VERSION}",
        "root=/dev/sda1",
        "resume=UUID=x",
        "${x}",
        "datasource_list:",
        "- ConfigDrive",
        "network:",
        "config: disabled",
        "policy:",
        "Include /etc/ssh/sshd_config.d/*",
        "Match",
        "PermitRootLogin yes",
        "UUID=x",
        "/dev/sda1",
        "swap",
        "blacklist xen-blkfront",
        "title",
        "kernel",
        "default=",
        "\u2028",
        "\0",
        "é",
    ]
)
CONTENTS = st.one_of(
    st.lists(WORDS, max_size=60).map("".join),
    st.binary(max_size=200),
    st.sampled_from([None, Link("/etc/fstab"), Link("."), Link("../../.."), Link("nowhere")]),
)

FLIPS = st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(1, 255)), max_size=8)


def judged(files: dict[str, bytes | str | Link | None], broken: set[str] = frozenset()) -> None:  # type: ignore[assignment]
    notes = Notes()
    tree = Tree(MemoryFileSystem(files, broken=broken), STRICT)
    found = look(tree, "disk 0", notes, None, {}, STRICT)
    facts = GuestFacts(disks=(), linux=found, unread=tuple(notes.unread))
    for profile in all_profiles().values():
        for finding in registry.judge(facts, profile):
            assert finding.what, finding
        registry.suggest(facts, profile)


class HostileTest(unittest.TestCase):
    @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.dictionaries(st.sampled_from([*TEXTS, *MORE]), CONTENTS, max_size=6))
    def test_any_content(self, changes: dict[str, bytes | str | Link | None]) -> None:
        # A file cannot have files in it: what was a directory stays one.
        judged({**FILES, **changes})

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.sets(st.sampled_from(sorted(FILES)), max_size=20), st.sets(st.sampled_from(sorted(FILES)), max_size=5))
    def test_any_file_missing_or_damaged(self, missing: set[str], broken: set[str]) -> None:
        judged({path: content for path, content in FILES.items() if path not in missing}, broken)

    @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(
        st.sampled_from(sorted(build.PACKERS)),
        st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(1, 255)), max_size=8),
    )
    def test_a_damaged_initrd(self, packing: str, flips: list[tuple[int, int]]) -> None:
        names = [f"usr/lib/modules/{VERSION}/kernel/drivers/{name}.ko" for name in ("ata/ata_piix", "net/xen-netfront")]
        data = bytearray(build.initrd(names, packing))
        for place, mask in flips:
            data[place % len(data)] ^= mask
        judged({**FILES, f"boot/initrd.img-{VERSION}": bytes(data)})
