"""A cloud for a command: see :mod:`tests.functional.cloud.cloud`."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

from tests.functional.cloud.cloud import RELEASES, Cloud
from tests.functional.cloud.keystone import USERS


def main() -> int:
    """Start the cloud, run the command, stop the cloud."""
    parser = argparse.ArgumentParser(prog="python -m tests.functional.cloud", description="Run a command in a cloud.")
    parser.add_argument("--release", choices=RELEASES, default=RELEASES[0], help="of Glance")
    parser.add_argument("--plugins", default="[]", help="the value of image_import_plugins")
    parser.add_argument("--user", choices=[*USERS, "admin"], default="tenant")
    parser.add_argument("command", nargs="+")
    args = parser.parse_args()
    with Cloud() as cloud:
        glance = cloud.glance(args.release)
        glance.start(args.plugins)
        cloud.keystone.announce(glance.url)
        return subprocess.run(
            args.command, env={**os.environ, **cloud.keystone.variables(args.user)}, check=False
        ).returncode


if __name__ == "__main__":
    sys.exit(main())
