"""How the kinds of this package are written down."""

from __future__ import annotations

from xenimage.model.kind import Describe, Mend

PACK = "Pack the VHDs alone: tar -czf BUNDLE --owner=0 --group=0 --mode=0644 0.vhd ..."
kind = Describe(mend=Mend.ANEW, act=PACK)
