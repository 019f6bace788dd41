"""The text of a VMX: ``key = "value"``, a line each. Keys come in any case; ``|22`` stands for the character 0x22."""

from __future__ import annotations

import codecs
import dataclasses
import re
from typing import TYPE_CHECKING

from xenimage.containers.vmx.kinds import found
from xenimage.exceptions import FormatError, LimitError, UnsupportedError
from xenimage.formats.vmdk.descriptor import ENCODINGS, looks_like_descriptor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from xenimage.model.finding import Finding

_LONGEST_LINE = 65536
_LONGEST_SHOWN = 60
_MOST_KEYS = 20_000
"""a machine with all the hardware that VMware has room for has some 3000"""
_MOST_SHOWN = 10
_UNKNOWN = "utf-8"
_ANY = "latin-1"
"""every byte is a character of it"""
_TRUE = frozenset({"true", "t", "yes", "y", "on", "1"})
_ENCRYPTED = ("encryption.keysafe", "encryption.data")

# Possessive throughout: with one way to match and no other, a long line of spaces cannot keep it busy for hours.
_LINE = re.compile(r"(?P<key>[^\s=#\"]++)\s*+=\s*+(?:\"(?P<quoted>[^\"]*+)\"|(?P<bare>[^\"#]*+))\s*+(?:#.*+)?")
_ESCAPES = re.compile(r"(?:\|[0-9A-Fa-f]{2})++")
_NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)
_SIGN = re.compile(
    rb"^[ \t]*+(?:(config\.version|virtualHW\.version|encryption\.keySafe)|(displayName|guestOS|memsize))[ \t]*+=",
    re.IGNORECASE | re.MULTILINE,
)
_ENCODING = re.compile(
    rb"^[ \t]*+\.encoding[ \t]*+=[ \t]*+\"?+([^\"\r\n]*+)\"?+[ \t]*+\r?$", re.IGNORECASE | re.MULTILINE
)


def is_vmx(data: bytes) -> bool:
    """Whether a file that starts with *data* is a VMX: 64 KiB of it tell."""
    text = data.removeprefix(codecs.BOM_UTF8)
    if b"\0" in text or text.lstrip().startswith(b"<") or looks_like_descriptor(text):
        return False
    names = set()
    for match in _SIGN.finditer(text):
        names.add((match[2] or b"").lower())
        if match[1] or len(names) > 1:
            return True
    return False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dictionary:
    """What a VMX says. Nothing in it has been checked."""

    values: Mapping[str, str]
    """by keys in lower case; without quotes and escapes"""
    findings: tuple[Finding, ...] = ()

    def text(self, key: str) -> str:
        """The value of *key*, which is in lower case, without blanks around it; empty where there is none."""
        return self.values.get(key, "").strip()

    def flag(self, key: str) -> bool:
        """Whether *key* is true. It is false where it is not said."""
        return self.text(key).lower() in _TRUE

    def number(self, key: str, most: int) -> int | None:
        """The value of *key*, a number from 1 to *most*; None for anything else."""
        text = self.text(key)
        value = int(text) if _NUMBER.fullmatch(text) else 0
        return value if 0 < value <= most else None


def read_dictionary(data: bytes) -> Dictionary:
    """Read a VMX.

    :raises FormatError: it is none.
    :raises UnsupportedError: it is encrypted.
    :raises LimitError: it has more keys than any machine needs.
    """
    if not is_vmx(data):
        raise FormatError("is no VMX", expected='lines like config.version = "8"')
    text, encoding, findings = _decoded(data)
    values, faults = _values(text, encoding)
    for key in _ENCRYPTED:
        if key in values:
            raise UnsupportedError(
                f"the machine is encrypted ({key})",
                expected="a VMX that can be read",
                tip="Remove the encryption in VMware, and the virtual TPM that asks for it.",
            )
    return Dictionary(values=values, findings=(*findings, *faults))


def _decoded(data: bytes) -> tuple[str, str, list[Finding]]:
    """The text, Python's name of its encoding, and what is wrong with that."""
    data = data.removeprefix(codecs.BOM_UTF8)
    match = _ENCODING.search(data)
    said = match[1].decode(_ANY).strip() if match else ""
    encoding = ENCODINGS.get(said.lower(), "")
    findings = [] if encoding or not said else [found("encoding", encoding=_shown(said))]
    if not encoding:
        # Old files do not say it: then it was that of the machine that they were written on.
        encoding = _UNKNOWN if _fits(data, _UNKNOWN) else _ANY
    elif not _fits(data, encoding):
        findings.append(found("encoding", "bytes", encoding=_shown(said)))
    return data.decode(encoding, "replace"), encoding, findings


def _fits(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _values(text: str, encoding: str) -> tuple[dict[str, str], list[Finding]]:
    values: dict[str, str] = {}
    strange: list[int] = []
    twice: dict[str, None] = {}
    for number, whole in enumerate(text.split("\n"), 1):
        line = whole.strip()
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line) if len(line) <= _LONGEST_LINE else None
        if match is None:
            strange.append(number)
            continue
        key = match["key"].lower()
        value = match["bare"].strip() if match["quoted"] is None else match["quoted"]
        if key in values:
            twice[key] = None
        elif len(values) == _MOST_KEYS:
            raise LimitError(f"has more than {_MOST_KEYS} keys", expected="as many as a machine needs")
        values[key] = _plain(value, encoding)
    return values, _faults(strange, list(twice))


def _faults(strange: list[int], twice: list[str]) -> list[Finding]:
    """One finding for all that is of a kind: a hostile file has any number of them."""
    faults = []
    if strange:
        faults.append(found("line", count=len(strange), line=strange[0]))
    if twice:
        seen = tuple(_shown(key) for key in twice[:_MOST_SHOWN])
        faults.append(found("twice", count=len(twice), key=seen[0], evidence=seen))
    return faults


def _plain(value: str, encoding: str) -> str:
    """Put characters in the place of their escapes, which are those of bytes in the encoding of the file."""

    def characters(match: re.Match[str]) -> str:
        return bytes.fromhex(match[0].replace("|", "")).decode(encoding, "replace")

    return _ESCAPES.sub(characters, value)


def _shown(text: str) -> str:
    return text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "…"
