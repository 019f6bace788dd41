"""Would it pay to reuse the deflate streams of a compressed source? An upper bound, measured.

A compressed cluster is a deflate stream already, and could be copied into the bundle instead of being inflated and
deflated anew. It must be inflated all the same: gzip wants the CRC-32 of the plain bytes, zero blocks must be found,
and the VHD's uuid comes from the content. So reuse saves deflating, at most. This measures how much, and the sizes.

    python benchmarks/reuse.py DISK.raw
"""

from __future__ import annotations

import sys
import time
import zlib

from isal import isal_zlib

from xenimage.model.plan import Compression
from xenimage.streams.deflate import deflater
from xenimage.streams.inflate import inflate_raw

_BLOCK, _CLUSTER = 2 << 20, 64 << 10


def main(path: str) -> None:
    """Take every eighth block of a disk, deflate its clusters as qemu-img does, and compare the two ways."""
    inflating = deflating = 0.0
    plain = reused = anew = 0
    fast = deflater(Compression.FAST)
    with open(path, "rb") as disk:
        for number in range(0, 1 << 20, 8):
            disk.seek(number * _BLOCK)
            block = disk.read(_BLOCK)
            if not block.strip(b"\0"):
                if not block:
                    break
                continue
            clusters = [block[start : start + _CLUSTER] for start in range(0, len(block), _CLUSTER)]
            packed = [_pack(each) for each in clusters]
            start = time.process_time()
            for each, cluster in zip(packed, clusters, strict=True):
                isal_zlib.crc32(inflate_raw(each, len(cluster)))
            middle = time.process_time()
            segment = fast.segment(block)
            deflating += time.process_time() - middle
            inflating += middle - start
            plain += len(block)
            reused += sum(map(len, packed))
            anew += segment.stored
    print(f"{plain / 2**20:.0f} MiB in clusters of 64 KiB, deflated by zlib level 6")
    print(f"inflating and CRC: {plain / inflating / 1e6:.0f} MB/s; deflating anew: {plain / deflating / 1e6:.0f} MB/s")
    print(f"reuse would save at most {100 * deflating / (inflating + deflating):.0f} % of this processor time")
    print(f"size reused: {reused / plain:.4f}; deflated anew: {anew / plain:.4f}")


def _pack(cluster: bytes) -> bytes:
    compressor = zlib.compressobj(6, zlib.DEFLATED, -15)
    return compressor.compress(cluster) + compressor.flush()


if __name__ == "__main__":
    main(sys.argv[1])
