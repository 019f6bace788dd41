"""A real Debian, made by debootstrap once and kept beside the other environments, and disks made of copies of it.

Wants root, or sudo without a password, for chroot and for the owners of the files; no mount and no loop device.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess

from tests.builders.guests import linux as build
from tests.builders.guests.linux import ESP_UUID, MIB, UUID
from tests.functional.cloud.places import ENVIRONMENTS

SUITE = "bookworm"
PACKAGES = (
    "linux-image-cloud-amd64", "cloud-init", "openssh-server", "grub2-common", "grub-pc-bin", "grub-efi-amd64-bin",
    "netplan.io", "zstd", "xz-utils", "lz4", "bzip2",
)  # fmt: skip
PACKINGS = ("gzip", "xz", "lz4", "bzip2")
"""besides zstd, which is Debian's own; an initrd packed with each stands beside the tree"""
OTHER_MODULES = "virtio_blk\nvirtio_pci\nvirtio_net\next4\n"
"""what an initrd holds that was made for another hypervisor"""
_RECIPE = f"{SUITE} {PACKAGES} {PACKINGS} {OTHER_MODULES} 1"
_ROOT = () if os.geteuid() == 0 else ("sudo", "-n")
_GRUB_BIOS = ("biosdisk", "part_msdos", "part_gpt", "ext2", "xfs", "lvm", "normal", "search", "search_fs_uuid", "linux")
_GRUB_EFI = ("part_gpt", "fat", "ext2", "xfs", "lvm", "normal", "search", "search_fs_uuid", "linux")
_BULK = ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale")


def run(*words: str | os.PathLike[str], data: str = "") -> str:
    """Run a command as root; its output. One that fails is an error with the end of what it said."""
    environment = {**os.environ, "PATH": build.PROGRAM_PATH, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    command = [*_ROOT, *([] if not _ROOT else ["env", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C"])]
    command += [os.fspath(word) for word in words]
    done = subprocess.run(command, input=data, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise AssertionError(f"{command}: {(done.stdout + done.stderr)[-3000:]}")
    return done.stdout


class Debian:
    """The kept tree, and what was made with it."""

    def __init__(self) -> None:
        base = ENVIRONMENTS.resolve()
        self.folder = base / f"debian-{hashlib.sha256(_RECIPE.encode()).hexdigest()[:12]}"
        self.tree = self.folder / "tree"
        base.mkdir(parents=True, exist_ok=True)
        # Tests of several processes may want it at once; one makes it.
        with (base / "debian.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (self.folder / "made").exists():
                run("rm", "-rf", self.folder)
                self.folder.mkdir()
                self._make()
                (self.folder / "made").touch()
        self.version = next(path.name.removeprefix("vmlinuz-") for path in (self.tree / "boot").glob("vmlinuz-*"))

    def _make(self) -> None:
        run("debootstrap", "--variant=minbase", "--include=systemd-sysv,initramfs-tools", SUITE, self.tree)
        self._write("usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", mode="0755")
        self._write("etc/resolv.conf", pathlib.Path("/etc/resolv.conf").read_text())
        run("chroot", self.tree, "apt-get", "-qy", "update")
        run("chroot", self.tree, "apt-get", "-qy", "install", "--no-install-recommends", *PACKAGES)
        version = next((self.tree / "lib/modules").iterdir()).name
        for packing in PACKINGS:
            self._initrd(version, packing, "-c", packing)
        run("cp", "-a", self.tree / "etc/initramfs-tools", self.tree / "tmp/other")
        self._write("tmp/other/modules", OTHER_MODULES)
        run("sed", "-i", "s/^MODULES=.*/MODULES=list/", self.tree / "tmp/other/initramfs.conf")
        self._initrd(version, "other", "-d", "/tmp/other")
        run("rm", "-rf", self.tree / "tmp/other", *(self.tree / each for each in _BULK))
        self._loaders()
        self._generalise()

    def _initrd(self, version: str, name: str, *options: str) -> None:
        run("chroot", self.tree, "mkinitramfs", *options, "-o", "/tmp/initrd", version)
        run("mv", self.tree / "tmp/initrd", self.folder / f"initrd.{name}")
        run("chmod", "a+r", self.folder / f"initrd.{name}")

    def _loaders(self) -> None:
        """GRUB's images, which grub-install would put onto a disk that there is not."""
        for target, prefix, modules in (
            ("i386-pc", "(hd0,msdos1)/boot/grub", _GRUB_BIOS),
            ("x86_64-efi", "/boot/grub", _GRUB_EFI),
        ):
            run("chroot", self.tree, "grub-mkimage", "-O", target, "-p", prefix, "-o", f"/tmp/{target}", *modules)
            run("mv", self.tree / f"tmp/{target}", self.folder / target)
            run("chmod", "a+r", self.folder / target)
            run("cp", "-a", self.tree / f"usr/lib/grub/{target}", self.tree / "boot/grub/")
        shutil.copy(self.tree / "usr/lib/grub/i386-pc/boot.img", self.folder / "boot.img")

    def _generalise(self) -> None:
        """What virt-sysprep and the like do before an image is made."""
        keys = sorted((self.tree / "etc/ssh").glob("ssh_host_*"))
        run("rm", "-f", *keys, self.tree / "usr/sbin/policy-rc.d", self.tree / "etc/resolv.conf")
        run("truncate", "-s", "0", self.tree / "etc/machine-id")
        self._write("etc/hostname", "localhost\n")
        self._write("etc/default/grub", 'GRUB_DEFAULT=0\nGRUB_CMDLINE_LINUX="console=ttyS0"\n')

    def _write(self, path: str, text: str, mode: str = "0644") -> None:
        write(self.tree, path, text, mode)

    def system(self, folder: pathlib.Path, root: str, *, efi: bool = False) -> None:
        """Make *folder* a copy of the tree, of hard links, with fstab and boot menu for *root*."""
        run("cp", "-al", self.tree, folder)
        efi_line = f"UUID={ESP_UUID} /boot/efi vfat umask=0077 0 1\n" if efi else ""
        write(folder, "etc/fstab", f"{root} / auto errors=remount-ro 0 1\n{efi_line}")
        write(
            folder,
            "boot/grub/grub.cfg",
            "set default=\"0\"\nset timeout=5\nmenuentry 'Debian GNU/Linux' --class debian --class gnu-linux"
            " --class os $menuentry_id_option 'gnulinux-simple' {\n"
            f"\tinsmod gzio\n\tsearch --no-floppy --fs-uuid --set=root {UUID}\n"
            f"\tlinux\t/boot/vmlinuz-{self.version} root={root} ro console=ttyS0\n"
            f"\tinitrd\t/boot/initrd.img-{self.version}\n}}\n",
        )

    def disk(self, path: pathlib.Path, folder: pathlib.Path, kind: str = "ext4", *, efi: bool, lvm: bool) -> None:
        """Make a disk of *folder*: with MBR and GRUB for a BIOS, or with GPT and GRUB on an EFI system partition."""
        volume, physical = path.with_suffix(".volume"), path.with_suffix(".physical")
        build.make_volume(volume, folder, kind, 1024, prefix=_ROOT)
        if lvm:
            build.make_physical(physical, volume)
            volume.unlink()
            physical.rename(volume)
        if efi:
            programs = dict.fromkeys(("EFI/BOOT/BOOTX64.EFI", "EFI/debian/grubx64.efi"), self.folder / "x86_64-efi")
            build.make_gpt(path, volume, programs, build.GPT_LVM if lvm else build.GPT_LINUX)
        else:
            build.make_mbr(path, volume, "8e" if lvm else "83", code=False)
            self._boot_code(path)
        volume.unlink()

    def _boot_code(self, path: pathlib.Path) -> None:
        """GRUB in the master boot record and in the gap behind it: its images are made for just these sectors."""
        core = (self.folder / "i386-pc").read_bytes()
        assert len(core) <= MIB - 512, len(core)
        with path.open("r+b") as file:
            file.write((self.folder / "boot.img").read_bytes()[:440])
            file.seek(512)
            file.write(core)


def write(folder: pathlib.Path, path: str, text: str, mode: str = "0644") -> None:
    """Put a new file at *path*: what is linked to the old one stays as it is."""
    target = folder / path
    run("rm", "-f", target)
    run("mkdir", "-p", target.parent)
    run("tee", target, data=text)
    run("chmod", mode, target)
