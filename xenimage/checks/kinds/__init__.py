"""Every kind of finding about a bundle around its VHDs, about a chain of VHDs, and about a disk of another format."""

from __future__ import annotations

from xenimage.checks.kinds.bundle import CHAIN_OF_BUNDLE, MEMBERS, NAMES, STREAM
from xenimage.checks.kinds.chain import CHAIN
from xenimage.checks.kinds.disk import DISK
from xenimage.model.kind import by_code

KINDS = by_code(STREAM, NAMES, MEMBERS, CHAIN_OF_BUNDLE, CHAIN, DISK)
