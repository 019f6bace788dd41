"""All cases on Glance 26."""

from __future__ import annotations

from typing import ClassVar

from tests.functional.plugin import without


class Release:
    release: ClassVar[str] = "26"


class WithoutPluginTest(Release, without.WithoutPluginCases):
    pass
