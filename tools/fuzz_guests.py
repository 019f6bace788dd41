#!/usr/bin/env python3
"""Inspect thousands of damaged guests, and tell what crashes, hangs, or raises.

A case is a function of the kind of disk and its number: ``--image xfs --first 4711 --cases 1`` shows one again. Run it
from the top of the source, with what the tests need::

    python -m tools.fuzz_guests --cases 10000 --jobs 2
"""

from __future__ import annotations

import argparse
import concurrent.futures
import functools
import pathlib
import sys
import tempfile
import time

from tests.builders.guests import damage, fleet

BATCH = 50
SHOWN = 20


def main() -> int:
    """Run the cases; the exit status is 1 if there was a fault."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", type=int, default=10_000, help="over all kinds of disks together (default: 10000)")
    parser.add_argument("--first", type=int, default=0, help="number of the first case of each kind")
    parser.add_argument("--image", action="append", choices=sorted(fleet.MAKERS), help="only this kind; repeatable")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default: 2)")
    args = parser.parse_args()
    names = args.image or list(fleet.MAKERS)
    each = -(-args.cases // len(names))
    started = time.monotonic()
    whole = damage.Outcome()
    with tempfile.TemporaryDirectory() as directory, concurrent.futures.ProcessPoolExecutor(args.jobs) as pool:
        for name in names:
            path = pathlib.Path(directory) / f"{name}.raw"
            fleet.MAKERS[name](path)
            starts = range(args.first, args.first + each, BATCH)
            work = [pool.submit(_run, name, path, start, min(BATCH, args.first + each - start)) for start in starts]
            found = damage.Outcome()
            for future in work:
                found.add(future.result())
            _tell(name, found)
            for fault in found.faults[:SHOWN]:
                print(fault, flush=True)
            whole.add(found)
            path.unlink()
    if len(names) > 1:
        _tell("all", whole)
    print(f"{time.monotonic() - started:.0f} s")
    return 1 if whole.faults else 0


@functools.lru_cache(maxsize=1)
def _image(name: str, path: pathlib.Path) -> damage.Image:
    return damage.Image(name, path)


def _run(name: str, path: pathlib.Path, start: int, count: int) -> damage.Outcome:
    return damage.run(_image(name, path), range(start, start + count))


def _tell(name: str, found: damage.Outcome) -> None:
    print(
        f"{name}: {found.cases} cases, {len(found.faults)} faults; {found.unread} told what they could not read,"
        f" {sum(found.stopped.values())} stopped early {dict(found.stopped)}, {found.changed} found other things,"
        f" {found.untouched} the same; a system was found in {found.systems};"
        f" slowest {found.slowest:.2f} s, largest {found.memory >> 20} MiB",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
