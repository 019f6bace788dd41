"""File systems whose free space is full of garbage: what is free is told by the tools of their own makers.

Everything is done on images, without a mount or root. Garbage in every free block is the hardest test: a block that is
left out by mistake loses content, one that is not left out shows its garbage.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterable, Mapping

_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
_GARBAGE = random.Random(1).randbytes(1 << 20)


def run(*command: str | os.PathLike[str], **options: object) -> bytes:
    """Run a tool; its standard output."""
    program = shutil.which(command[0], path=_PATH) or command[0]
    done = subprocess.run([program, *command[1:]], capture_output=True, check=False, **options)
    if done.returncode:
        raise AssertionError(f"{command}: {done.stdout!r} {done.stderr!r}")
    return done.stdout


def write_tree(directory: pathlib.Path, files: Mapping[str, bytes]) -> None:
    """Write *files*, paths with ``/`` to contents."""
    for name, data in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def random_tree(seed: int, count: int = 40, largest: int = 200_000) -> dict[str, bytes]:
    """Files of any sizes, some in directories."""
    chance = random.Random(seed)
    return {
        f"d{number % 7}/f{number}" if number % 3 else f"f{number}": chance.randbytes(
            chance.choice([0, 1, 60, 4096, chance.randrange(largest)])
        )
        for number in range(count)
    }


def make_ext(image: pathlib.Path, size: int, files: Mapping[str, bytes], *options: str) -> None:
    """Make a file system of *size* bytes with *files*; always the same bytes for the same arguments."""
    tree = image.with_suffix(".tree")
    tree.mkdir()
    write_tree(tree, files)
    with open(image, "wb") as file:
        file.truncate(size)
    run("mke2fs", "-q", "-F", "-U", "6b3d4a52-6f0f-4a55-8f6e-0d0a4d6f9c11", "-E", "hash_seed=6b3d4a52-6f0f-4a55-8f6e-"
        "0d0a4d6f9c11", *options, "-d", tree, image)  # fmt: skip
    shutil.rmtree(tree)


def ext_free(image: pathlib.Path) -> list[tuple[int, int]]:
    """The free ranges, in bytes, as dumpe2fs has them. Not for bigalloc: it lists clusters by their first blocks."""
    told = run("dumpe2fs", image).decode()
    size = int(re.search(r"Block size:\s+(\d+)", told)[1])
    found = []
    for line in re.findall(r"^  Free blocks: (.+)$", told, re.MULTILINE):
        for part in line.split(", "):
            first, _, last = part.partition("-")
            found.append((int(first) * size, (int(last or first) + 1) * size))
    return joined(found)


def ext_files(image: pathlib.Path, directory: pathlib.Path) -> dict[str, bytes]:
    """All files, as debugfs reads them."""
    directory.mkdir()
    run("debugfs", "-R", f"rdump / {directory}", image)
    return {
        os.path.relpath(path, directory): path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()
    }


def ntfs_free(image: pathlib.Path, cluster: int) -> list[tuple[int, int]]:
    """The free ranges, in bytes, by the bitmap that ntfscat reads; the last, cut cluster is none."""
    bitmap = run("ntfscat", "-f", "-i", "6", image)
    sectors = int.from_bytes(image.read_bytes()[40:48], "little")
    clusters = sectors * 512 // cluster
    return joined(
        (number * cluster, (number + 1) * cluster)
        for number in range(clusters)
        if not bitmap[number >> 3] >> (number & 7) & 1
    )


def joined(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Put ranges that touch together."""
    found: list[tuple[int, int]] = []
    for start, stop in ranges:
        first = found.pop()[0] if found and found[-1][1] == start else start
        found.append((first, stop))
    return found


def spoil(image: pathlib.Path, ranges: Iterable[tuple[int, int]], offset: int = 0) -> None:
    """Fill *ranges* with garbage; they count from *offset*."""
    with open(image, "r+b") as file:
        for start, stop in ranges:
            file.seek(offset + start)
            for at in range(start, stop, len(_GARBAGE)):
                file.write(_GARBAGE[: stop - at])


def garbage(length: int) -> bytes:
    """Bytes that no compressor makes smaller by much, if *length* is not above some MiB: they repeat."""
    return (_GARBAGE * -(-length // len(_GARBAGE)))[:length]


def blanked(data: bytes, ranges: Iterable[tuple[int, int]], offset: int = 0) -> bytes:
    """*data* with zeros in *ranges*."""
    whole = bytearray(data)
    for start, stop in ranges:
        whole[offset + start : offset + stop] = bytes(stop - start)
    return bytes(whole)
