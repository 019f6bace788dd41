"""``python -m xenimage.vhdutil``: the command without installing it."""

from __future__ import annotations

import sys

from xenimage.vhdutil.app import main

sys.exit(main())
