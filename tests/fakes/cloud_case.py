"""The base of tests that need a cloud."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING
from unittest import mock

from tests.base import TestCase
from tests.fakes.glance_api import FakeCloud
from xenimage.cloud import images as cloud_images

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Mapping


class CloudTestCase(TestCase):
    """A test with a cloud, :attr:`cloud`, and an environment that leads to no other."""

    password = False
    """whether it has a Keystone"""

    def setUp(self) -> None:
        super().setUp()
        self.cloud = FakeCloud()
        self.addCleanup(self.cloud.close)
        kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
        for patcher in (
            mock.patch.dict(os.environ, kept | self.environment(), clear=True),
            mock.patch.object(cloud_images, "_PAUSES", (0.0, 0.0)),
            mock.patch.object(cloud_images, "_POLL", 0.02),
        ):
            patcher.start()
            self.addCleanup(patcher.stop)

    def environment(self) -> Mapping[str, str]:
        """What the program finds, and nothing of the user's own."""
        return {
            **self.cloud.environment(password=self.password),
            "HOME": str(self.scratch),
            "OS_CLIENT_CONFIG_FILE": str(self.scratch / "clouds.yaml"),
        }

    def make_disk(self, name: str = "disk.raw", size: int = 8 << 20) -> pathlib.Path:
        """A raw disk that does not compress away."""
        path = self.scratch / name
        path.write_bytes(random.Random(size).randbytes(size))
        return path
