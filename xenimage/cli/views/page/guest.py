"""The page of a guest that was judged."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

from xenimage.cli.text import counted, reads_text, size_text
from xenimage.cli.version import version
from xenimage.cli.views.page.bar import bar, legend
from xenimage.cli.views.page.markup import Markup, element, joined
from xenimage.cli.views.page.style import STYLE
from xenimage.cli.views.readiness import system_pairs
from xenimage.model.finding import Severity
from xenimage.model.report import Verdict
from xenimage.units import format_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from xenimage.model.finding import Finding
    from xenimage.model.guest.layout import Layout, Partition
    from xenimage.model.plan import Property
    from xenimage.model.report import DiskUsage, GuestReport

_VERDICTS = {
    Verdict.SOUND: ("good", "✔", "Ready"),
    Verdict.USABLE: ("warning", "▲", "Ready, with warnings"),
    Verdict.NOT_READY: ("error", "✖", "Not ready"),
}
_SEVERITIES = {Severity.ERROR: "✖ Error", Severity.WARNING: "▲ Warning", Severity.INFO: "● Note"}


def page(report: GuestReport) -> bytes:
    """Return the page: all of it is in this one file, and a browser is told to load and run nothing."""
    name = report.usage[0].path.rpartition("/")[2] if report.usage else "guest"
    title = f"{name} for {report.profile.title}"
    body = element(
        "body",
        element("a", "Skip to the findings", class_="skip", href="#findings"),
        element("header", element("h1", f"Is {name} ready for {report.profile.title}?"), _verdict(report)),
        element("main", *_sections(report)),
        _footer(report),
    )
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element(
            "meta",
            http_equiv="Content-Security-Policy",
            content=f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'",
        ),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", title),
        element("style", Markup(STYLE)),
    )
    return joined(Markup("<!DOCTYPE html>\n"), element("html", head, body, lang="en"), Markup("\n")).encode()


def _verdict(report: GuestReport) -> Markup:
    kind, sign, word = _VERDICTS[report.verdict]
    return element(
        "div",
        element("strong", element("span", f"{sign} ", aria_hidden="true"), word),
        element("p", f"{counted(report.findings).capitalize()} for the profile {report.profile.name}."),
        class_=f"verdict {kind}",
    )


def _sections(report: GuestReport) -> Iterator[Markup]:
    yield _section("guest", "What it is", _guest(report))
    yield _section("findings", "Findings", *_findings(report.findings))
    yield _section("disks", "Disk" if len(report.usage) == 1 else "Disks", *_disks(report))
    yield _section("properties", "Image properties", *_properties(report))
    if report.facts.unread or report.facts.stopped:
        yield _section("unread", "What could not be read", *_unread(report))


def _section(name: str, title: str, *content: Markup) -> Markup:
    return element("section", element("h2", title, id=name), *content, aria_labelledby=name)


def _guest(report: GuestReport) -> Markup:
    pairs = [
        *system_pairs(report.facts),
        ("Smallest flavor", f"{report.min_disk} GiB of disk" if report.min_disk else ""),
    ]
    rows = [joined(element("dt", name), element("dd", text)) for name, text in pairs if text]
    return element("dl", *rows, class_="facts")


def _findings(findings: Sequence[Finding]) -> Iterator[Markup]:
    if not findings:
        yield element("p", "Nothing was found that would keep it from running, and nothing to improve.")
    for each in findings:
        yield _finding(each)


def _finding(finding: Finding) -> Markup:
    kind = finding.severity.value
    badge = element("span", _SEVERITIES[finding.severity], class_=f"badge {kind}")
    where = f" in {finding.where}" if finding.where else ""
    evidence = None
    if finding.evidence:
        count = len(finding.evidence)
        items = [element("li", element("code", line)) for line in finding.evidence]
        evidence = element("details", element("summary", f"What was seen ({count})"), element("ul", *items))
    return element(
        "article",
        element("h3", badge, finding.what),
        element("p", element("b", "Why it matters: "), finding.why),
        element("p", element("b", "What to do: "), finding.act),
        evidence,
        element("p", element("code", finding.code), where, class_="code"),
        class_=f"finding of-{kind}",
    )


def _disks(report: GuestReport) -> Iterator[Markup]:
    layouts = {each.index: each for each in report.facts.disks}
    yield legend()
    for number, usage in enumerate(report.usage):
        layout = layouts.get(number)
        zeros = usage.size - usage.data
        stored = f"{format_size(usage.data)} stored, {format_size(zeros)} zeros"
        place = f"Disk {number}, " if len(report.usage) > 1 else ""
        yield element(
            "figure",
            element("figcaption", f"{place}{usage.path.rpartition('/')[2]}: {size_text(usage.size)}"),
            bar(layout, usage, number),
            element("p", f"{_SCHEMES.get(layout.scheme if layout else '', '')} {stored}.".strip(), class_="soft"),
        )
        if layout is not None:
            yield from _layout(layout, usage)


_SCHEMES = {
    "mbr": "Partition table: MBR.",
    "gpt": "Partition table: GPT.",
    "none": "No partition table: one file system on the whole disk.",
}


def _layout(layout: Layout, usage: DiskUsage) -> Iterator[Markup]:
    if layout.partitions:
        columns = ("Partition", "File system", "Size", "Free", "Remarks")
        rows = [_partition(each, usage) for each in layout.partitions]
        title = "File system" if layout.scheme == "none" else "Partitions"
        yield _table(f"{title} of disk {layout.index}", columns, rows, numbers=(2, 3))
    if layout.remarks:
        yield element("ul", *(element("li", remark) for remark in layout.remarks))


def _partition(partition: Partition, usage: DiskUsage) -> tuple[str, ...]:
    volume = partition.volume
    kind = partition.type_name or partition.type
    name = f"{partition.number}, {kind}" if partition.number else partition.name or kind or "the whole disk"
    remarks = ["active"] if partition.active else []
    if partition.offset + partition.length > usage.size:
        remarks.append("ends behind the disk")
    if volume is not None:
        remarks += ["not closed cleanly"] if volume.dirty else []
        remarks += ["its journal has to be replayed"] if volume.needs_recovery else []
        remarks += ["recognised, not read"] if volume.kind and not volume.readable else []
    label = f" “{volume.label}”" if volume and volume.label else ""
    return (
        name,
        f"{volume.kind or 'not recognised'}{label}" if volume else "",
        format_size(partition.length),
        format_size(volume.free) if volume and volume.free is not None else "",
        ", ".join(remarks),
    )


def _properties(report: GuestReport) -> Iterator[Markup]:
    if not report.properties:
        yield element("p", f"{report.profile.title} reads no image properties.")
        return
    rows = [(each.name, each.value, _reason(each)) for each in report.properties]
    yield _table("What an image of this disk gets", ("Property", "Value", "Why"), rows, codes=(0, 1))


def _reason(each: Property) -> Markup:
    if not each.evidence:
        return joined(each.reason)
    return joined(
        each.reason,
        element(
            "details", element("summary", "What was seen"), element("ul", element("li", element("code", each.evidence)))
        ),
    )


def _unread(report: GuestReport) -> Iterator[Markup]:
    if report.facts.stopped:
        yield element("p", f"The inspection ended early: it {report.facts.stopped}.")
    items = [element("li", element("code", each.what), f": {each.why}") for each in report.facts.unread]
    if items:
        yield element("ul", *items)


def _table(
    caption: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    numbers: Sequence[int] = (),
    codes: Sequence[int] = (),
) -> Markup:
    """A table that becomes a list where there is no room; the roles keep it a table for who listens to it."""

    def kind(column: int) -> str | None:
        return "number" if column in numbers else None

    def cell(column: int, text: str) -> Markup:
        content = element("code", text) if column in codes else text
        if column == 0:
            return element("th", content, scope="row", role="rowheader")
        return element("td", content, class_=kind(column), role="cell", data_title=columns[column] if text else None)

    heads = [
        element("th", name, scope="col", role="columnheader", class_=kind(column))
        for column, name in enumerate(columns)
    ]
    body = [element("tr", *(cell(*each) for each in enumerate(row)), role="row") for row in rows]
    return element(
        "div",
        element(
            "table",
            element("caption", caption),
            element("thead", element("tr", *heads, role="row"), role="rowgroup"),
            element("tbody", *body, role="rowgroup"),
            role="table",
            class_="stack",
        ),
        class_="scroll",
    )


def _footer(report: GuestReport) -> Markup:
    cost = report.facts.cost
    return element(
        "footer",
        element(
            "p",
            f"Made by xenimage {version()}. The disk was only read: {reads_text(cost.reads)},"
            f" {format_size(cost.bytes_read)}, {cost.seconds:.1f} s. xenimage finding show CODE explains a finding.",
        ),
    )
