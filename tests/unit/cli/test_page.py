"""The page of a guest: one file that loads nothing, whatever the image says, and that everybody can use."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import html.parser
import itertools
import re

import ddt

from tests.base import TestCase
from tests.unit.cli import support
from xenimage.cli.views.page.guest import page
from xenimage.cli.views.page.markup import Markup, element, joined
from xenimage.cli.views.page.style import STYLE
from xenimage.model.guest.facts import GuestFacts
from xenimage.model.report import GuestReport, Verdict
from xenimage.profiles.registry import BUILTIN

HOSTILE = "\"'><script src=//evil.test/x.js></script><img src=x onerror=alert(1)>&amp;\u202e\x1b[2J</style>{{7*7}}"
VOID = {"meta", "br", "hr", "rect", "line"}


class Reader(html.parser.HTMLParser):
    """Reads a page strictly: every element is closed, in its order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.faults: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        if len(names) != len(set(names)):
            self.faults.append(f"{tag} has an attribute twice")
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> closes something else")

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.texts.append(data)

    def named(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


def read(report: GuestReport) -> Reader:
    return Reader(page(report).decode())


class MarkupTest(TestCase):
    def test_text_is_escaped_and_markup_is_not(self) -> None:
        self.assertEqual(
            '<p class="a&quot;b">&lt;b&gt;<b>x</b></p>', element("p", "<b>", element("b", "x"), None, class_='a"b')
        )
        self.assertEqual('<meta http-equiv="x"/>', element("meta", http_equiv="x", name=None))
        self.assertEqual("a&amp;<i>\\u202e", joined("a&", Markup("<i>"), "\u202e"))


@ddt.ddt
class PageTest(TestCase):
    def hostile(self) -> GuestReport:
        report = support.guest_report(label=HOSTILE)
        finding = dataclasses.replace(
            report.findings[0], code=HOSTILE, what=HOSTILE, why=HOSTILE, act=HOSTILE, where=HOSTILE, evidence=(HOSTILE,)
        )
        each = dataclasses.replace(report.properties[0], name=HOSTILE, value=HOSTILE, reason=HOSTILE, evidence=HOSTILE)
        unread = dataclasses.replace(report.facts.unread[0], what=HOSTILE, why=HOSTILE)
        layout = dataclasses.replace(report.facts.disks[0], remarks=(HOSTILE,))
        facts = dataclasses.replace(
            report.facts, unread=(unread,), stopped=HOSTILE, systems=(HOSTILE,) * 2, disks=(layout,)
        )
        usage = dataclasses.replace(report.usage[0], path=HOSTILE)
        return dataclasses.replace(report, findings=(finding,), properties=(each,), facts=facts, usage=(usage,))

    def reports(self) -> list[GuestReport]:
        report = support.guest_report()
        empty = dataclasses.replace(
            report,
            verdict=Verdict.SOUND,
            findings=(),
            properties=(),
            facts=GuestFacts(disks=()),
            profile=BUILTIN["xcp-ng"],
        )
        return [report, empty, self.hostile()]

    def test_several_disks_have_the_numbers_that_findings_speak_of(self) -> None:
        report = support.guest_report()
        self.assertFalse([text for text in read(report).texts if text.startswith("Disk 0, ")])
        (first,) = report.usage
        whole = dataclasses.replace(
            report.facts.disks[0],
            index=1,
            scheme="none",
            partitions=(
                dataclasses.replace(report.facts.disks[0].partitions[0], number=0, name="", type="", type_name=""),
            ),
        )
        facts = dataclasses.replace(report.facts, disks=(*report.facts.disks, whole))
        second = dataclasses.replace(first, path="/there/data.raw")
        texts = read(dataclasses.replace(report, facts=facts, usage=(first, second))).texts
        self.assertEqual(["Disk 0, ", "Disk 1, "], [text[:8] for text in texts if text.startswith("Disk ")])
        self.assertTrue(any(text.startswith("Disk 1, data.raw: ") for text in texts))
        self.assertIn("File system of disk 1", texts)
        self.assertIn("the whole disk", texts)

    def test_it_is_well_formed(self) -> None:
        for report in self.reports():
            found = read(report)
            self.assertEqual(([], []), (found.faults, found.open))
            names = [attributes["id"] for _, attributes in found.tags if "id" in attributes]
            self.assertEqual(len(names), len(set(names)))

    def test_it_loads_and_runs_nothing(self) -> None:
        for report in self.reports():
            text = page(report).decode()
            found = read(report)
            self.assertEqual(
                set(), {tag for tag, _ in found.tags} & {"script", "img", "link", "iframe", "object", "form"}
            )
            for tag, attributes in found.tags:
                for name, value in attributes.items():
                    self.assertNotIn(name, ("src", "srcset", "style", "action", "formaction", "ping", "data"), tag)
                    self.assertFalse(name.startswith("on"), tag)
                    if "href" in name:
                        self.assertRegex(value, r"^#[a-z]+$")
            self.assertEqual([], re.findall(r"(?:url\((?!#)|@import|http)", re.sub(r"http-equiv", "", STYLE)))
            if report.usage[0].path != HOSTILE:
                self.assertNotIn("://", text)

    def test_the_policy_allows_its_own_style_and_nothing_else(self) -> None:
        found = read(support.guest_report())
        policy = next(each["content"] for each in found.named("meta") if "http-equiv" in each)
        digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
        self.assertEqual(
            f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'", policy
        )
        self.assertEqual(1, page(support.guest_report()).decode().count(f"<style>{STYLE}</style>"))

    def test_what_an_image_says_is_shown_and_not_obeyed(self) -> None:
        text = page(self.hostile()).decode()
        self.assertNotIn("<script", text)
        self.assertNotIn("<img", text)
        self.assertTrue(text.replace(STYLE, "").replace("\n", "").isprintable())
        shown = HOSTILE.replace("\u202e", "\\u202e").replace("\x1b", "\\x1b")
        self.assertIn(shown, "".join(read(self.hostile()).texts))

    def test_everything_is_there(self) -> None:
        text = " ".join(read(support.guest_report()).texts)
        for part in (
            "Is win.qcow2 ready for OpenStack Nova on XenServer?",
            "Not ready",
            "1 error, 1 warning, 1 note for the profile nova-xenapi.",
            "Windows Server 2022 Standard (ServerStandard, build 20348)",
            "windows.pv-drivers.disabled",
            "SYSTEM\\ControlSet001\\Services\\xenbus: Start=4",
            "9 GiB stored, 31 GiB zeros",
            "not closed cleanly",
            "ends behind the disk",
            "recognised, not read",
            "vg/root",
            "Windows has no other mode.",
            "The inspection ended early: it took longer than 30 s.",
            "Windows/System32/config/SYSTEM.LOG1",
        ):
            self.assertIn(part, text)

    @ddt.data(
        (Verdict.SOUND, "✔", "Ready"), (Verdict.USABLE, "▲", "Ready, with warnings"), (Verdict.NOT_READY, "✖", "Not")
    )
    @ddt.unpack
    def test_the_verdict_is_a_sign_and_a_word_and_not_only_a_colour(
        self, verdict: Verdict, sign: str, word: str
    ) -> None:
        texts = read(support.guest_report(verdict)).texts
        at = texts.index(f"{sign} ")
        self.assertTrue(texts[at + 1].startswith(word))

    def test_it_has_landmarks_headings_in_order_and_names(self) -> None:
        found = read(support.guest_report())
        self.assertEqual([1, 1, 1], [len(found.named(tag)) for tag in ("header", "main", "footer")])
        self.assertEqual({"lang": "en"}, found.named("html")[0])
        levels = [int(tag[1]) for tag, _ in found.tags if re.fullmatch(r"h\d", tag)]
        self.assertEqual(1, levels[0])
        self.assertEqual(1, levels.count(1))
        self.assertTrue(all(after - before <= 1 for before, after in itertools.pairwise(levels)))
        names = {attributes.get("id") for _, attributes in found.tags}
        for _, attributes in found.tags:
            for pointer in (attributes.get("aria-labelledby"), attributes.get("href", "#").removeprefix("#") or None):
                self.assertTrue(pointer is None or pointer in names, pointer)
        self.assertEqual(len(found.named("table")), len(found.named("caption")))
        self.assertTrue(all("scope" in each for each in found.named("th")))

    def test_evidence_is_folded_and_reached_by_the_keyboard(self) -> None:
        found = read(support.guest_report())
        self.assertEqual(2, len(found.named("details")))
        self.assertEqual([{}] * 2, found.named("details"))
        self.assertEqual(2, len(found.named("summary")))

    def test_every_text_has_contrast(self) -> None:
        blocks = re.findall(r":root \{.*?\}", STYLE, re.DOTALL)
        self.assertEqual(3, len(blocks), "by day, by night, on paper")
        pairs = [("text", "ground"), ("text", "card"), ("soft", "ground"), ("soft", "card"), ("accent", "ground")]
        pairs += [("accent", "card")]
        pairs += [(kind, f"{kind}-ground") for kind in ("error", "warning", "info", "good")]
        pairs += [("text", f"{kind}-ground") for kind in ("error", "warning", "info", "good")]
        for block in blocks:
            colours = dict(re.findall(r"--([\w-]+): (#\w+)", block))
            for text, ground in pairs:
                self.assertGreaterEqual(contrast(colours[text], colours[ground]), 4.5, f"{text} on {ground}")
            for shape, ground in (("data", "zero"), ("line", "ground"), ("soft", "ground"), ("error", "card")):
                self.assertGreaterEqual(contrast(colours[shape], colours[ground]), 3, f"{shape} on {ground}")


def contrast(one: str, other: str) -> float:
    """Of two colours, as WCAG 2.2 defines it."""

    def luminance(colour: str) -> float:
        digits = colour[1:] if len(colour) == 7 else "".join(2 * each for each in colour[1:])
        parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)
