"""All cases on Glance 30."""

from __future__ import annotations

from typing import ClassVar

from tests.functional.plugin import without


class Release:
    release: ClassVar[str] = "30"


class WithoutPluginTest(Release, without.WithoutPluginCases):
    pass
