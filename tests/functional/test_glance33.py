"""All cases on Glance 33."""

from __future__ import annotations

from typing import ClassVar

from tests.functional.plugin import without


class Release:
    release: ClassVar[str] = "33"


class WithoutPluginTest(Release, without.WithoutPluginCases):
    pass
