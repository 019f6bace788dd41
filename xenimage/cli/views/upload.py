"""The commands that upload a bundle, ready to be pasted."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from xenimage.cli.text import visible, wrap
from xenimage.engine.planner import bare_vhd_command
from xenimage.engine.provenance import image_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.cli.text import Style
    from xenimage.model.plan import Plan

_PLACEHOLDER = "BUNDLE"
"""stands for the file where the bundle goes down a pipe"""


def commands(plan: Plan) -> list[list[str]]:
    """Return the command lines, word by word; none for a target that takes no image of Glance's."""
    if plan.profile.payload:
        return []
    name = image_name(plan.options.source.path, plan.origin)
    path = _PLACEHOLDER if plan.options.output == "-" else plan.options.output
    formats = ["--disk-format", plan.profile.disk_format, "--container-format", plan.profile.container_format]
    facts = [*formats, "--min-disk", str(plan.min_disk)]
    for each in plan.properties:
        facts += ["--property", f"{each.name}={each.value}"]
    return [
        ["openstack", "image", "create", *facts, "--file", path, name],
        ["glance", "image-create", "--name", name, *facts, "--file", path, "--progress"],
    ]


def command_lines(plan: Plan) -> list[str]:
    """Return the commands as one line each, quoted for a shell."""
    return [shlex.join(words) for words in commands(plan)]


def upload_section(plan: Plan, style: Style) -> Iterator[str]:
    """Yield how the result reaches its target."""
    if plan.profile.payload:
        yield style.paint("Next", "bold")
        yield from wrap(plan.profile.payload, style, "  ")
        yield from _folded(bare_vhd_command(plan.options))
    else:
        yield style.paint("Upload it with one of", "bold")
    for words in commands(plan):
        yield from _folded(words)
    yield ""


def _folded(words: list[str]) -> Iterator[str]:
    """Break a command before each option, so that it can be read, and still be pasted."""
    lines: list[list[str]] = [[]]
    for word in words:
        if word.startswith("--"):
            lines.append([])
        lines[-1].append(word)
    for number, line in enumerate(lines):
        end = " \\" if number < len(lines) - 1 else ""
        yield f"{'  ' if number == 0 else '      '}{visible(shlex.join(line))}{end}"
