"""Measure xenimage beside what people run today, on this machine, in one run. See README.rst."""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import tempfile
import threading

import page
import samples
from measure import Figures, in_turn, run, shell

MIB = 1 << 20
PROGRAM = f"{sys.executable} -m xenimage"
COUNT_READS = """
import sys, threading
from xenimage import api
from xenimage.model.plan import BundleOptions, SourceOptions
from xenimage.sources.file import FileSource
count, lock, plain = 0, threading.Lock(), FileSource.read_into
def counting(self, offset, buffer):
    global count
    with lock:
        count += len(buffer)
    plain(self, offset, buffer)
FileSource.read_into = counting
api.create_bundle(BundleOptions(source=SourceOptions(path=sys.argv[1]), output=sys.argv[2], force=True, inspect=False))
print(count)
"""


@dataclasses.dataclass(frozen=True)
class Result:
    """One line of the page."""

    name: str
    ours: float
    theirs: float
    ratio: float
    goal: str
    met: bool
    unit: str


def create(source: str, options: str = "") -> str:
    """Our command for a source."""
    return f"{PROGRAM} -q bundle create {source} --output ours.tgz --force --no-inspect {options} >/dev/null"


def recipe(source: str) -> str:
    """What the guides tell people to run."""
    return f"rm -f 0.vhd theirs.tgz; qemu-img convert -O vpc {source} 0.vhd; tar -czf theirs.tgz 0.vhd"


class Benchmark:
    """All measurements, in one directory."""

    def __init__(self, directory: pathlib.Path, times: int) -> None:
        self.directory = directory
        self.times = times
        self.results: list[Result] = []
        self.memory = 0

    def note(self, name: str, figures: tuple[float, float], ratio: float, goal: str, unit: str) -> None:
        """Keep a result, and say it. *figures* are ours and those beside; *goal* is a bound of the ratio."""
        relation, bound = goal.split()
        met = ratio >= float(bound) if relation == ">=" else ratio <= float(bound)
        self.results.append(Result(name, *figures, ratio, goal, met, unit))
        verdict = "met" if met else "missed"
        print(f"{name}: {figures[0]:.3f} and {figures[1]:.3f} {unit}, ratio {ratio:.3f}, goal {goal}: {verdict}")

    def pair(self, ours: str, theirs: str) -> tuple[Figures, Figures]:
        """Measure two shell commands in turn."""
        first, second = in_turn([shell(ours), shell(theirs)], self.directory, self.times, print)
        self.memory = max(self.memory, first.memory)
        return first, second

    def size(self, name: str) -> int:
        """Bytes of a file."""
        return (self.directory / name).stat().st_size

    def against_recipe(self) -> None:
        """Time and size beside qemu-img and tar."""
        for source, goal in (("plain.qcow2", 20), ("compressed.qcow2", 12), ("stream.vmdk", 12)):
            ours, theirs = self.pair(create(source), recipe(source))
            ratio = theirs.wall / ours.wall
            self.note(f"time, {source}", (ours.wall, theirs.wall), ratio, f">= {goal}", "s")
            if source == "plain.qcow2":
                self.sizes("fast", 1.10)
                self.recipe_wall = theirs.wall
        run(shell(create("plain.qcow2", "--compression balanced")), self.directory)
        self.sizes("balanced", 1.02)
        ours, theirs = self.pair(create("plain.qcow2", "--compression balanced"), "true")
        ratio = self.recipe_wall / ours.wall
        self.note("time, plain.qcow2, balanced", (ours.wall, self.recipe_wall), ratio, ">= 4", "s")

    def sizes(self, compression: str, goal: float) -> None:
        """Our bundle beside that of the recipe."""
        ours, theirs = self.size("ours.tgz") / MIB, self.size("theirs.tgz") / MIB
        self.note(f"size, {compression}", (ours, theirs), ours / theirs, f"<= {goal}", "MiB")

    def against_floor(self) -> None:
        """Processor time beside compression alone, on the very VHD that we write; with and without the digests."""
        run(shell(create("plain.qcow2") + "; rm -f 0.vhd; tar -xzf ours.tgz"), self.directory)
        floor = "tar -c 0.vhd | igzip -1 > floor.gz"
        for label, options in (("all digests", ""), ("sha256 only", "--digest sha256")):
            ours, theirs = self.pair(create("plain.qcow2", options), floor)
            ratio = ours.cpu / theirs.cpu
            self.note(f"processor time, {label}", (ours.cpu, theirs.cpu), ratio, "<= 1.0", "s")

    def large(self) -> None:
        """The same data in a disk of 2039 GiB."""
        ours, theirs = self.pair(create("large.qcow2"), create("plain.qcow2"))
        ratio = ours.wall / theirs.wall
        self.note("2039 GiB beside 10 GiB", (ours.wall, theirs.wall), ratio, "<= 1.25", "s")

    def way_back(self) -> None:
        """From bundles to what QEMU runs, beside unpacking and converting; a chain beside one disk; checks."""
        run(shell(create("plain.qcow2")), self.directory)
        for form in ("raw", "qcow2"):
            ours, theirs = self.pair(
                f"rm -f back.{form}; {PROGRAM} -q disk convert ours.tgz back.{form} --format {form} >/dev/null",
                f"rm -f 0.vhd back.{form}; tar -xzf ours.tgz; qemu-img convert -f vpc -O {form} 0.vhd back.{form}",
            )
            ratio = theirs.wall / ours.wall
            self.note(f"back to {form}", (ours.wall, theirs.wall), ratio, ">= 3", "s")
        samples.make_chain(self.directory)
        leaf = "layer3.qcow2 --follow-backing . --chain"
        run(shell(create(leaf).replace("ours.tgz", "chain.tgz")), self.directory)
        back = f"rm -f back.raw; {PROGRAM} -q disk convert {{}} back.raw --format raw >/dev/null"
        ours, theirs = self.pair(back.format("chain.tgz"), back.format("ours.tgz"))
        ratio = ours.wall / theirs.wall
        self.note("chain of 4 back to raw, beside one", (ours.wall, theirs.wall), ratio, "<= 1.2", "s")
        ours, theirs = self.pair(f"{PROGRAM} -q bundle check ours.tgz >/dev/null", "gzip -t ours.tgz")
        self.note("bundle check beside gzip -t", (ours.wall, theirs.wall), ours.wall / theirs.wall, "<= 1.1", "s")
        samples.make_full_vhd(self.directory)
        ours, _ = self.pair(f"{PROGRAM} -q disk check full.img >/dev/null || test $? = 6", "true")
        self.note("disk check, 2040 GiB full", (ours.wall, 3), ours.wall / 3, "<= 1", "s")

    def packages(self) -> None:
        """An OVA of two disks to bundles, and an XVA to qcow2, beside unpacking and converting."""
        samples.make_ova(self.directory)
        ours, theirs = self.pair(
            "; ".join(create(f"two.ova --disk {number}").replace("ours.tgz", f"ours{number}.tgz") for number in (1, 2)),
            "tar -xf two.ova; "
            + "; ".join(
                recipe(name).replace("theirs.tgz", f"theirs-{name}.tgz") for name in ("stream.vmdk", "second.vmdk")
            ),
        )
        self.note("OVA of two disks to bundles", (ours.wall, theirs.wall), theirs.wall / ours.wall, ">= 3", "s")
        run(
            shell(f"{PROGRAM} -q package convert disk.raw vm.xva --to xva --sum sha1 --force >/dev/null"),
            self.directory,
        )
        ours, theirs = self.pair(
            f"{PROGRAM} -q disk convert vm.xva back.qcow2 --format qcow2 --force >/dev/null",
            "rm -rf x; mkdir x; tar -xf vm.xva -C x; xva-img -p disk-export x/Ref* back.raw;"
            " qemu-img convert -O qcow2 back.raw theirs.qcow2",
        )
        self.note("XVA to qcow2", (ours.wall, theirs.wall), theirs.wall / ours.wall, ">= 3", "s")

    def resources(self) -> None:
        """Memory, bytes read from the source, space beyond the output."""
        peak = self.memory / MIB
        self.note("peak memory", (peak, 200), peak / 200, "<= 1", "MiB")
        for source in ("plain.qcow2", "compressed.qcow2", "stream.vmdk"):
            done = subprocess.run(
                [sys.executable, "-c", COUNT_READS, source, "counted.tgz"],
                cwd=self.directory, check=True, capture_output=True, text=True,
            )  # fmt: skip
            allocated = (self.directory / source).stat().st_blocks * 512
            read = int(done.stdout)
            ratio = read / allocated
            self.note(f"bytes read, {source}", (read / MIB, allocated / MIB), ratio, "<= 1.05", "MiB")
        self.space()

    def space(self) -> None:
        """Watch the output's directory while a bundle is made: its largest size beside the bundle's."""
        out = self.directory / "space"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        largest = 0
        done = threading.Event()

        def watch() -> None:
            nonlocal largest
            while not done.wait(0.02):
                largest = max(largest, sum(_allocated(path) for path in out.iterdir()))

        watcher = threading.Thread(target=watch)
        watcher.start()
        run(shell(f"TMPDIR=$PWD/space {create('plain.qcow2').replace('ours.tgz', 'space/ours.tgz')}"), self.directory)
        done.set()
        watcher.join()
        size = _allocated(out / "ours.tgz")
        self.note("space in use", (largest / MIB, size / MIB), largest / size, "<= 1.0", "MiB")

    def start(self) -> None:
        """Start-up of the program and of the library."""
        for name, command, goal in (
            ("xenimage --version", [sys.executable, "-m", "xenimage", "--version"], 0.5),
            ("import xenimage.api", [sys.executable, "-c", "import xenimage.api"], 0.15),
        ):
            own, bare = in_turn([command, [sys.executable, "-c", "pass"]], self.directory, 9)
            ours = own.wall if "--version" in name else own.wall - bare.wall
            self.note(name, (ours, goal), ours / goal, "<= 1", "s")


def _allocated(path: pathlib.Path) -> int:
    try:
        return path.stat().st_blocks * 512
    except FileNotFoundError:
        return 0


def machine() -> dict[str, str]:
    """What the figures were measured on."""
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "?")
    tools = {
        name: subprocess.run(command, capture_output=True, text=True, check=False).stdout.split("\n")[0]
        for name, command in {
            "qemu-img": ["qemu-img", "--version"],
            "tar": ["tar", "--version"],
            "gzip": ["gzip", "--version"],
            "igzip": ["igzip", "--version"],
        }.items()
    }
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "processor": f"{model}, {len(os.sched_getaffinity(0))} CPUs",
        "system": f"{platform.freedesktop_os_release()['PRETTY_NAME']}, Linux {platform.release()}",
        "python": platform.python_version(),
        **tools,
    }


def main() -> None:
    """Measure, print, and write the page if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--directory", type=pathlib.Path, help="where the data is made and kept (default: a temporary one)"
    )
    parser.add_argument("--runs", type=int, default=3, help="counted runs of each command")
    parser.add_argument("--data", type=int, default=1024, help="MiB of real files")
    parser.add_argument("--only", action="append", metavar="STEP", help="run only this step, such as way_back")
    parser.add_argument("--page", action="store_true", help="write the figures and the plot into the documentation")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        directory = (arguments.directory or pathlib.Path(temporary)).resolve()
        directory.mkdir(exist_ok=True)
        samples.make(directory, arguments.data * MIB)
        benchmark = Benchmark(directory, arguments.runs)
        for step in (
            benchmark.start,
            benchmark.against_recipe,
            benchmark.against_floor,
            benchmark.large,
            benchmark.way_back,
            benchmark.packages,
            benchmark.resources,
        ):
            if not arguments.only or step.__name__ in arguments.only:
                step()
    found = {"machine": machine(), "results": [dataclasses.asdict(each) for each in benchmark.results]}
    print(json.dumps(found, indent=1))
    if arguments.page:
        page.write(found, partly=bool(arguments.only))


if __name__ == "__main__":
    main()
