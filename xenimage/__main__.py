"""``python -m xenimage``: the command line without installing it."""

from __future__ import annotations

import sys

from xenimage.cli.app import main

sys.exit(main())
