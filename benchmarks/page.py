"""The documentation's page with the figures: a table, and a plot that is drawn here."""

from __future__ import annotations

import html
import json
import pathlib
from typing import Any

_DOC = pathlib.Path(__file__).resolve().parent.parent / "doc" / "source" / "explanation"
_ROW = 34
_LEFT, _WIDTH = 210, 480


def write(found: dict[str, Any], *, partly: bool = False) -> None:
    """Write ``benchmark.json``, ``benchmark.svg`` and the table that ``benchmark.rst`` includes.

    :param partly: whether only some steps were measured: the figures of the others are kept.
    """
    if partly:
        new = {each["name"] for each in found["results"]}
        old = json.loads((_DOC / "benchmark.json").read_text())["results"]
        found["results"] = [each for each in old if each["name"] not in new] + found["results"]
    (_DOC / "benchmark.json").write_text(json.dumps(found, indent=1) + "\n")
    (_DOC / "benchmark.svg").write_text(plot(found["results"]))
    (_DOC / "benchmark.inc").write_text(table(found))


def table(found: dict[str, Any]) -> str:
    """All results as a reStructuredText table, and the machine below it."""
    lines = [".. list-table::", "   :header-rows: 1", "", *_cells("What", "Ours", "Beside it", "Ratio", "Goal", "")]
    for each in found["results"]:
        unit = each["unit"]
        lines += _cells(
            each["name"],
            f"{each['ours']:.2f} {unit}",
            f"{each['theirs']:.2f} {unit}",
            f"{each['ratio']:.2f}",
            each["goal"].replace(">=", "≥").replace("<=", "≤"),
            "met" if each["met"] else "**missed**",
        )
    lines += ["", "Measured on:", ""]
    lines += [f"* {name}: {text}" for name, text in found["machine"].items()]
    return "\n".join(lines) + "\n"


def _cells(*cells: str) -> list[str]:
    return [f"   {'* ' if index == 0 else '  '}- {cell}" for index, cell in enumerate(cells)]


def plot(results: list[dict[str, Any]]) -> str:
    """Seconds of ours and of the recipe as bars, for each source."""
    rows = [each for each in results if each["name"].startswith("time, ")]
    longest = max(each["theirs"] for each in rows)
    height = 2 * _ROW * len(rows) + 60
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _WIDTH + 120} {height}" '
        'font-family="sans-serif" font-size="14" role="img">',
        "<title>Seconds for a bundle of 1 GiB of files: xenimage beside qemu-img and tar</title>",
        '<rect width="100%" height="100%" fill="#fff"/>',
    ]
    for index, each in enumerate(rows):
        top = 2 * _ROW * index + 12
        parts.append(_text(_LEFT - 12, top + _ROW, each["name"].removeprefix("time, "), "end"))
        bars = (("xenimage", each["ours"], "#c0392b"), ("qemu-img and tar", each["theirs"], "#95a5a6"))
        for line, (who, seconds, colour) in enumerate(bars):
            width = max(2.0, _WIDTH * seconds / longest)
            y = top + 4 + line * 24
            parts.append(f'<rect x="{_LEFT}" y="{y}" width="{width:.1f}" height="20" fill="{colour}"/>')
            ratio = f", {each['ratio']:.1f} times as fast" if line == 0 else ""
            label = f"{seconds:.1f} s {who}{ratio}"
            inside = width > _WIDTH / 2
            x = _LEFT + width - 8 if inside else _LEFT + width + 8
            parts.append(_text(x, y + 15, label, "end" if inside else "start", "#fff" if inside else "#222"))
    parts.append(
        _text(_LEFT, height - 16, "seconds for a bundle of 1 GiB of files; shorter is better", "start", "#666")
    )
    return "\n".join([*parts, "</svg>"]) + "\n"


def _text(x: float, y: float, text: str, anchor: str, colour: str = "#222") -> str:
    return f'<text x="{x:.1f}" y="{y}" text-anchor="{anchor}" fill="{colour}">{html.escape(text)}</text>'
