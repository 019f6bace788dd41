"""Which files of a package XenCenter or XenConvert encrypted, and how. Source: XenCenter, XenOvfApi/Security.cs."""

from __future__ import annotations

import base64
import binascii
import dataclasses
from typing import TYPE_CHECKING

from xenimage.containers.ovf.envelope import local
from xenimage.exceptions import FormatError, UnsupportedError

if TYPE_CHECKING:
    from lxml.etree import _Element as Element

_LONGEST = 4096
"""characters of the encrypted known text"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Security:
    """What a SecuritySection says."""

    references: frozenset[str] = frozenset()
    """values of the attribute Id of the encrypted files"""
    known: bytes = b""
    """the known text, encrypted"""
    legacy: bool = False
    """whether no version is given: the scheme of the first writers"""


def read_security(root: Element) -> Security:
    """Read the section, wherever its namespace.

    :raises FormatError: the known text is no base64. :class:`UnsupportedError`: it is encrypted as OVF 2 has it.
    """
    references: set[str] = set()
    known, version, present = b"", False, False
    if any(local(each) == "EncryptionSection" for each in root):
        raise UnsupportedError(
            "is encrypted in the way of OVF 2",
            expected="a plain package, or one that XenCenter or XenConvert encrypted",
        )
    for section in (each for each in root if local(each) == "SecuritySection"):
        present = True
        for element in section.iter():
            name = local(element)
            if name == "Security":
                version = any(
                    str(key).rpartition("}")[2] == "version" and value for key, value in element.attrib.items()
                )
            elif name == "DataReference":
                # Its writer puts the id into ValueType, where others have URI.
                references |= {str(element.get(key) or "").lstrip("#") for key in ("ValueType", "URI")}
            elif name == "CipherValue" and not known:
                known = _decoded(element.text or "")
    return Security(references=frozenset(references - {""}), known=known, legacy=present and not version)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text[:_LONGEST].split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise FormatError("the SecuritySection has a damaged CipherValue", expected="base64") from error
