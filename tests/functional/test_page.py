"""The page of a guest in a real browser: it loads nothing, fits every screen and paper, and needs no mouse."""

from __future__ import annotations

import subprocess
import sys
import time

import ddt

from tests.base import TestCase
from tests.builders.guests import windows
from tests.functional.browser import Browser

_BAD = windows.STATES["bad-bios"]
_OPEN = "document.querySelectorAll('details[open]').length"


@ddt.ddt
class PageTest(TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.page = self.scratch / "page.html"
        done = subprocess.run(
            [sys.executable, "-m", "xenimage", "guest", "check", str(windows.disk(_BAD)), "--html", str(self.page)],
            capture_output=True,
            check=False,
            text=True,
        )
        self.assertEqual(6, done.returncode, done.stderr)
        self.browser = Browser(self.scratch / "profile")
        self.addCleanup(self.browser.__exit__)
        self.browser.__enter__()
        self.browser.open(self.page)

    def test_nothing_else_is_asked_for_and_nothing_is_complained_of(self) -> None:
        asked = [
            each["params"]["request"]["url"]
            for each in self.browser.events
            if each.get("method") == "Network.requestWillBeSent"
        ]
        self.assertEqual([self.page.as_uri()], asked)
        said = [
            each for each in self.browser.events if each.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown")
        ]
        self.assertEqual([], said)
        self.assertEqual(
            "rgb(255, 255, 255)", self.browser.value("getComputedStyle(document.documentElement).backgroundColor")
        )

    @ddt.data(320, 390, 768, 1280)
    def test_it_fits_the_width(self, width: int) -> None:
        self.browser.tell(
            "Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=2, mobile=width < 600
        )
        self.assertEqual(width, self.browser.value("innerWidth"))
        self.assertLessEqual(self.browser.value("document.documentElement.scrollWidth"), width)
        self.assertEqual(
            [],
            self.browser.value(
                "[...document.querySelectorAll('p,h1,h2,h3,dd,td,th,li')]"
                ".filter(each => each.getBoundingClientRect().right > innerWidth + 1).map(each => each.textContent)"
            ),
        )

    def test_the_keyboard_is_enough(self) -> None:
        self.browser.press("Tab", 9)
        self.assertEqual("#findings", self.browser.value("document.activeElement.getAttribute('href')"))
        self.assertGreaterEqual(self.browser.value("document.activeElement.getBoundingClientRect().left"), 0)
        self.browser.press("Tab", 9)
        self.assertEqual("SUMMARY", self.browser.value("document.activeElement.tagName"))
        self.assertNotEqual("none", self.browser.value("getComputedStyle(document.activeElement).outlineStyle"))
        self.assertEqual(0, self.browser.value(_OPEN))
        self.browser.press("Enter", 13)
        self.assertEqual(1, self.browser.value(_OPEN))

    def test_by_night_it_is_dark(self) -> None:
        feature = {"name": "prefers-color-scheme", "value": "dark"}
        self.browser.tell("Emulation.setEmulatedMedia", features=[feature])
        colour = self.browser.value("getComputedStyle(document.documentElement).backgroundColor")
        self.assertEqual("rgb(18, 23, 29)", colour)

    def test_paper_shows_what_is_folded(self) -> None:
        shown = "document.querySelector('details li').checkVisibility({contentVisibilityAuto: true})"
        self.assertFalse(self.browser.value(shown))
        self.browser.tell("Emulation.setEmulatedMedia", media="print")
        # The new style counts from some later frame on.
        deadline = time.monotonic() + 30
        while not self.browser.value(shown) and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertTrue(self.browser.value(shown))
        printed = self.browser.tell("Page.printToPDF", printBackground=False)["data"]
        self.assertTrue(printed.startswith("JVBERi0"), "no PDF")

    def test_who_listens_hears_landmarks_and_names(self) -> None:
        nodes = self.browser.tell("Accessibility.getFullAXTree")["nodes"]
        told = [(each["role"]["value"], each.get("name", {}).get("value", "")) for each in nodes if not each["ignored"]]
        roles = [role for role, _ in told]
        for role in ("banner", "main", "contentinfo", "table", "columnheader", "rowheader", "DisclosureTriangle"):
            self.assertIn(role, roles)
        self.assertIn(
            ("image", "Where disk 0 holds what"), [("image" if role == "img" else role, name) for role, name in told]
        )
        headings = [name for role, name in told if role == "heading"]
        self.assertTrue(headings[0].endswith("ready for OpenStack Nova on XenServer?"))
        self.assertLessEqual({"Findings", "Disk", "Image properties"}, set(headings))
