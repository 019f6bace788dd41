"""All cases on Glance 26."""

from __future__ import annotations

from typing import ClassVar

from tests.functional.plugin import good, hostile, misconfigured, without


class Release:
    release: ClassVar[str] = "26"


class WithoutPluginTest(Release, without.WithoutPluginCases):
    pass


class UploadTest(Release, without.UploadCases):
    pass


class GoodTest(Release, good.GoodCases):
    pass


class StrangerTest(Release, good.StrangerCases):
    pass


class ReverseTest(Release, good.ReverseCases):
    pass


class RawReverseTest(Release, good.RawReverseCases):
    pass


class BothTest(Release, good.BothCases):
    pass


class OtherWayRoundTest(Release, good.OtherWayRoundCases):
    pass


class BehindConversionTest(Release, good.BehindConversionCases):
    pass


class HostileTest(Release, hostile.HostileCases):
    pass


class FullTest(Release, hostile.FullCases):
    pass


class SlowTest(Release, hostile.SlowCases):
    pass


class TimeoutTest(Release, hostile.TimeoutCases):
    pass


class UnusableTest(Release, misconfigured.UnusableCases):
    pass


class ListTest(Release, misconfigured.ListCases):
    pass
