# ruff: noqa: INP001, SLF001 -- Sphinx imports it by path; argparse has no public way to its options.
"""Directives that write the reference from the program itself, so that the two cannot differ.

``xenimage-command:: NAME``
    Synopsis, description, options and examples of a command. With ``:man:`` in the form of a manual page.
``xenimage-global-options::``
    The options that every command takes; ``:man:`` as above.
``xenimage-profiles::``
    Every built-in profile: what it takes, and its image properties with reason and source.
``xenimage-findings::``
    All findings by group. The page of each is written to ``reference/findings`` before Sphinx reads the sources.
``xenimage-exit-codes::``
    The exit codes with the error classes behind them.

All of them write reStructuredText, which Sphinx then reads as if it stood in the page.
"""

from __future__ import annotations

import argparse
import inspect
import pathlib
import re
from typing import TYPE_CHECKING, Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import Directive, directives
from docutils.statemachine import StringList
from sphinx.util.nodes import nested_parse_with_titles

from xenimage import exceptions
from xenimage.cli import catalogue, errors
from xenimage.cli.options import PROGRAM, add_globals
from xenimage.cli.views.finding import MENDS
from xenimage.engine.kinds import KINDS
from xenimage.model.kind import plain
from xenimage.model.profile import Rule
from xenimage.profiles.registry import BUILTIN
from xenimage.profiles.rules import BOOLEANS
from xenimage.units import GIB

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sphinx.application import Sphinx

    from xenimage.model.kind import FindingKind
    from xenimage.model.profile import Profile, PropertyRule

_WIDTH = 88
"""columns of a synopsis"""

_RULES = {
    Rule.SET: "set unless you give another value",
    Rule.REQUIRE: "you have to give it",
    Rule.ALLOW: "on request",
    Rule.FORBID: "must not be set",
}


class Written(Directive):
    """A directive whose content is reStructuredText that :meth:`lines` yields."""

    has_content = False

    def lines(self) -> Iterator[str]:
        """Yield the content."""
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        """Parse the content where the directive stands."""
        content = StringList()
        for number, line in enumerate(self.lines()):
            # An underscore at the end of a word would make it a reference.
            content.append(line.replace("OS_*", "``OS_*``"), f"<{self.name}>", number)
        node = nodes.section()
        node.document = self.state.document
        nested_parse_with_titles(self.state, content, node)
        return list(node.children)


class Command(Written):
    """A command as its own parser describes it."""

    required_arguments = 1
    final_argument_whitespace = True
    option_spec: ClassVar[dict[str, Any]] = {"man": directives.flag}

    def lines(self) -> Iterator[str]:
        """Yield the command."""
        name = self.arguments[0]
        command = catalogue.COMMANDS[name].load()(None)
        parser = command.get_parser(f"{PROGRAM} {name}")
        if "man" in self.options:
            yield f"**xenimage {name}** [*options*] {_operands(parser)}"
            yield ""
            yield from _prose(command.get_description())
            yield ""
            for action in parser._actions:
                if action.dest != "help":
                    yield from _definition(action)
            return
        yield f".. program:: {PROGRAM} {name}"
        yield ""
        yield from _prose(command.get_description())
        yield ""
        yield from _literal(_usage(parser))
        for group in parser._action_groups:
            actions = [action for action in group._group_actions if action.dest != "help"]
            if actions:
                title = {"positional arguments": "Arguments", "options": "Options"}.get(group.title or "", group.title)
                yield f"**{(title or '').capitalize()}**"
                yield ""
                for action in actions:
                    yield from _action(action)
        yield f"**{'Examples' if len(command.examples) > 1 else 'Example'}**"
        yield ""
        yield from _literal(list(command.examples), "console", "$ ")


class GlobalOptions(Written):
    """The global options."""

    option_spec: ClassVar[dict[str, Any]] = {"man": directives.flag}

    def lines(self) -> Iterator[str]:
        """Yield them."""
        parser = argparse.ArgumentParser(prog=PROGRAM, add_help=False)
        add_globals(parser)
        if "man" in self.options:
            for action in parser._actions:
                yield from _definition(action)
            return
        yield f".. program:: {PROGRAM}"
        yield ""
        for action in parser._actions:
            yield from _action(action)


class Profiles(Written):
    """The built-in profiles."""

    def lines(self) -> Iterator[str]:
        """Yield one section a profile."""
        for profile in BUILTIN.values():
            yield from _profile(profile)


_GROUPS = (
    ("bundle.gzip.", "bundle.tar.", "The stream and the tar"),
    ("bundle.name.", "Names in a bundle"),
    ("bundle.member.", "Members of a bundle"),
    ("bundle.", "Size and chain of a bundle"),
    ("vhd.footer.", "vhd.copy.", "Footers"),
    ("vhd.file.", "vhd.fixed.", "The file of a VHD"),
    ("vhd.creator.", "vhd.size.", "Creator and size"),
    ("vhd.header.", "vhd.bat.", "Header and BAT"),
    ("vhd.batmap.", "vhd.block.", "Batmap and blocks"),
    ("vhd.", "What a VHD says of its parent"),
    ("vmx.", "Folders of VMware machines"),
    ("package.", "Packages, and what their targets make of them"),
    ("ovf.", "Packages of OVF"),
    ("xva.", "Exports of XenServer"),
    ("chain.", "Chains of VHDs"),
    ("disk.", "qcow2.", "vmdk.", "source.", "Disks of other formats, and parents that you name"),
    ("guest.", "The inspection of a guest"),
    ("windows.", "Windows guests"),
    ("linux.", "Linux guests"),
    ("property.", "image.", "Image properties, and records of images in a cloud"),
    ("", "What you asked for"),
)
"""beginnings of codes, and the title of the group; a code stands in the first that fits"""


class Findings(Written):
    """All findings, in groups."""

    def lines(self) -> Iterator[str]:
        """Yield a table for each group, and the tree that Sphinx wants."""
        left = dict(sorted(KINDS.items()))
        for *starts, title in _GROUPS:
            kinds = [kind for code, kind in left.items() if code.startswith(tuple(starts))]
            left = {code: kind for code, kind in left.items() if kind not in kinds}
            yield title
            yield "=" * len(title)
            yield ""
            rows = [
                (f":doc:`{kind.code} <findings/{kind.code}>`", _severities(kind), _escaped(kind.title))
                for kind in kinds
            ]
            yield from _table(("Code", "Severity", "What it is"), rows, (35, 20, 45))
        yield ".. toctree::"
        yield "   :hidden:"
        yield ""
        yield from (f"   findings/{code}" for code in sorted(KINDS))


def _severities(kind: FindingKind) -> str:
    return ", ".join(severity.value for severity in kind.severities)


def _escaped(text: str) -> str:
    return re.sub(r"([*`_|\\])", r"\\\1", plain(text))


def finding_page(kind: FindingKind) -> Iterator[str]:
    """Yield the page of one kind of finding."""
    yield f".. _finding-{kind.code}:"
    yield ""
    yield kind.code
    yield "=" * len(kind.code)
    yield ""
    yield f"**{_escaped(kind.title)}.**"
    yield ""
    yield f":Severity: {_severities(kind)}"
    yield f":Refused by: {', '.join(kind.refused_by) or 'nobody: every consumer takes it as it is'}"
    yield f":Can be mended: {MENDS[kind.mend]}"
    yield ""
    yield from _wording(kind.what, kind.why, kind.act)
    for name, case in kind.cases.items():
        yield f"In the case *{name}*" + (f" it is of the severity {case.severity.value}:" if case.severity else ":")
        yield ""
        yield from _wording(case.what, case.why, case.act)
    yield "Words in braces are filled in. ``xenimage finding show`` prints this page."
    yield ""


def _wording(what: str, why: str, act: str) -> Iterator[str]:
    for title, text in (("What was found", what), ("Why it matters", why), ("What to do", act)):
        if text:
            yield title
            yield f"    {_escaped(text)}"
            yield ""


def write_finding_pages(app: Sphinx) -> None:
    """Write the page of each finding, those that differ from what is there, and remove the pages of others."""
    folder = pathlib.Path(app.srcdir) / "reference" / "findings"
    folder.mkdir(exist_ok=True)
    for path in folder.glob("*.rst"):
        if path.stem not in KINDS:
            path.unlink()
    for code, kind in KINDS.items():
        path, text = folder / f"{code}.rst", "\n".join(finding_page(kind))
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")


class ExitCodes(Written):
    """The exit codes, each with the error that leads to it."""

    def lines(self) -> Iterator[str]:
        """Yield a table."""
        rows = [("0", "", "Done. A check found no error; two disks are equal.")]
        rows += [(str(errors.INTERNAL), "", "A bug of xenimage. ``--debug`` shows where.")]
        codes: dict[int, list[type[exceptions.XenimageError]]] = {}
        for _, kind in inspect.getmembers(exceptions, inspect.isclass):
            if issubclass(kind, exceptions.XenimageError) and kind is not exceptions.XenimageError:
                codes.setdefault(kind.exit_code, []).append(kind)
        for code, kinds in sorted(codes.items()):
            kinds.sort(key=lambda kind: (len(kind.__mro__), kind.__name__))
            names = ", ".join(f":exc:`~xenimage.exceptions.{kind.__name__}`" for kind in kinds)
            texts = [(inspect.getdoc(kind) or "").split("\n\n")[0].replace("\n", " ") for kind in kinds]
            rows.append((str(code), names, " ".join(texts)))
        rows += [
            (
                str(errors.WITH_LOSS),
                "",
                "Done, with a loss that was allowed; the report lists it.",
            ),
            (str(errors.INTERRUPTED), "", "Interrupted from the keyboard."),
            (str(errors.BROKEN_PIPE), "", "The reader of standard output went away."),
            ("143", "", "Ended by SIGTERM; another signal that ends it gives 128 and its number."),
        ]
        yield from _table(("Code", "Error", "When"), rows, (8, 27, 65))


def _prose(text: str) -> list[str]:
    """Escape what would be markup."""
    return [re.sub(r"[*`|]|_(?!\w)", r"\\\g<0>", line) for line in text.splitlines()]


def _usage(parser: argparse.ArgumentParser) -> list[str]:
    parser.formatter_class = lambda prog: argparse.RawDescriptionHelpFormatter(prog, width=_WIDTH)
    lines = parser.format_usage().splitlines()
    return [line.removeprefix("usage: ") if number == 0 else line[7:] for number, line in enumerate(lines)]


def _operands(parser: argparse.ArgumentParser) -> str:
    """Return the positional arguments as a manual page shows them."""
    words = []
    for action in parser._actions:
        if not action.option_strings:
            word = f"*{action.metavar}*"
            words.append(f"[{word}]" if action.nargs == "?" else word)
        elif action.required:
            words.append(f"**{action.option_strings[-1]}** *{action.metavar or '|'.join(action.choices or ())}*")
    return " ".join(words)


def _literal(lines: list[str], language: str = "text", prompt: str = "") -> Iterator[str]:
    yield f".. code-block:: {language}"
    yield ""
    for line in lines:
        yield f"   {prompt}{line}"
    yield ""


def _action(action: argparse.Action) -> Iterator[str]:
    """Yield one option or argument as Sphinx's ``option``."""
    if action.option_strings:
        value = _value(action)
        names = ", ".join(f"{name} {value}".rstrip() for name in action.option_strings)
    else:
        names = str(action.metavar)
    yield f".. option:: {names}"
    yield ""
    yield from (f"   {line}" for line in _prose(_sentence(action)))
    yield ""


def _definition(action: argparse.Action) -> Iterator[str]:
    """Yield one option or argument as a definition."""
    if action.option_strings:
        value = _value(action)
        yield ", ".join(f"**{name}** *{value}*" if value else f"**{name}**" for name in action.option_strings)
    else:
        yield f"*{action.metavar}*"
    yield from (f"    {line}" for line in _prose(_sentence(action)))
    yield ""


def _value(action: argparse.Action) -> str:
    if action.nargs == 0:
        return ""
    if action.metavar:
        return str(action.metavar)
    return f"{{{','.join(map(str, action.choices))}}}" if action.choices else action.dest.upper()


def _sentence(action: argparse.Action) -> str:
    text = (action.help or "").strip()
    if not text.partition(" ")[0].endswith(","):  # a list of values stays as it is
        text = text[:1].upper() + text[1:]
    if action.required and action.option_strings:
        text += ". Required"
    return text if text.endswith(".") else f"{text}."


def _table(header: tuple[str, ...], rows: list[tuple[str, ...]], widths: tuple[int, ...]) -> Iterator[str]:
    yield ".. list-table::"
    yield "   :header-rows: 1"
    yield f"   :widths: {' '.join(map(str, widths))}"
    yield ""
    for row in (header, *rows):
        for number, cell in enumerate(row):
            yield f"   {'* -' if number == 0 else '  -'} {cell}"
    yield ""


def _profile(profile: Profile) -> Iterator[str]:
    yield f".. _profile-{profile.name}:"
    yield ""
    yield profile.name
    yield "=" * len(profile.name)
    yield ""
    yield f"**{profile.title}.** {profile.summary}"
    yield ""
    facts = [
        ("Stands for", profile.consumer),
        ("Formats", f"``disk_format={profile.disk_format}``, ``container_format={profile.container_format}``"),
        ("VHDs in a bundle", "one" if profile.members_max == 1 else f"up to {profile.members_max}"),
        ("Beside them", "nothing, directories included" if profile.only_regular else "other members are ignored"),
        ("Virtual size", f"up to {profile.virtual_size_max // GIB} GiB. {profile.virtual_size_reason}"),
        ("Guests", " and ".join(profile.os_types)),
        ("Firmware", " or ".join(profile.firmwares)),
    ]
    if profile.config_drive:
        facts.append(
            ("Config drive", {"disk": "a plain disk, read-only"}.get(profile.config_drive, profile.config_drive))
        )
    if profile.payload:
        facts.append(("How it gets there", profile.payload))
    for name, text in facts:
        yield f":{name}: {text}"
    yield ""
    if not profile.properties:
        yield "Knows no image properties."
        yield ""
        return
    rows = [_rule(rule) for rule in profile.properties]
    yield from _table(("Property", "Rule and values", "Reason", "Source"), rows, (20, 20, 36, 24))


def _rule(rule: PropertyRule) -> tuple[str, ...]:
    name = f"``{rule.name}``"
    text = _RULES[rule.rule]
    if rule.value:
        text = f"``{rule.value}``, {text}"
    values = rule.values
    if set(BOOLEANS) <= set(values):
        text += "; a boolean: ``true`` or ``false``, and what means the same"
        values = tuple(value for value in values if value not in BOOLEANS)
    if values:
        text += f"; {' | '.join(f'``{value}``' for value in values)}"
    return name, text, rule.reason.replace("*", "\\*"), rule.source.replace("*", "\\*").replace("_", "\\_")


def setup(app: Sphinx) -> dict[str, Any]:
    """Tell Sphinx of the directives."""
    app.add_directive("xenimage-command", Command)
    app.add_directive("xenimage-global-options", GlobalOptions)
    app.add_directive("xenimage-profiles", Profiles)
    app.add_directive("xenimage-findings", Findings)
    app.add_directive("xenimage-exit-codes", ExitCodes)
    app.connect("builder-inited", write_finding_pages)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
