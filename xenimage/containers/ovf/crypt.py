"""What XenConvert and XenCenter encrypted: AES-CBC with key and start from the password's SHA-384 alone.

It is read, never written: there is no salt, all files share key and start, and nothing tells of a change. Source:
XenCenter, XenOvfApi/Security.cs.
"""

from __future__ import annotations

import dataclasses
import hashlib
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from xenimage.exceptions import FormatError, UsageError
from xenimage.streams.positioned import Positioned

if TYPE_CHECKING:
    from xenimage.model.disk import ByteSource

BLOCK = 16
"""bytes"""
KNOWN = "Nihil tam munitum quod non expugnari pecunia possit."
"""what is encrypted beside the files, to tell a wrong password"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scheme:
    """Key and start of the chain."""

    key: bytes
    start: bytes

    def decrypt(self, data: bytes | memoryview, before: bytes) -> bytes:
        """Decrypt whole blocks, given the ciphertext block in front of them."""
        decryptor = Cipher(algorithms.AES(self.key), modes.CBC(before)).decryptor()
        return decryptor.update(data) + decryptor.finalize()


def scheme(password: str, *, legacy: bool) -> Scheme:
    """Make the key of a password.

    :param legacy: whether the descriptor gives no version of its encryption: XenConvert's AES-192.
    """
    digest = hashlib.sha384(password.encode("ascii", "replace")).digest()
    length = 24 if legacy else 32
    return Scheme(key=digest[:length], start=digest[length : length + BLOCK])


def is_right(candidate: Scheme, known: bytes) -> bool:
    """Whether *known*, the encrypted text of the descriptor, becomes what it should."""
    if not known or len(known) % BLOCK:
        return False
    plain = candidate.decrypt(known, candidate.start)
    # The checker of the old scheme read UTF-8. What follows the text, blanks and padding, differs and says no more.
    return plain.startswith((KNOWN.encode("utf-16-le"), KNOWN.encode()))


def unlock(password: str, known: bytes, *, legacy: bool) -> Scheme:
    """Choose the scheme, by what the descriptor says of it.

    :param known: the encrypted known text; without one the password cannot be told to be wrong.
    :raises UsageError: the password is wrong.
    """
    candidate = scheme(password, legacy=legacy)
    if known and not is_right(candidate, known):
        raise UsageError("the password is wrong", expected="the one that the package was encrypted with")
    return candidate


class DecryptedSource(Positioned):
    """An encrypted file's content as a :class:`xenimage.model.disk.ByteSource`.

    Any place can be read: CBC needs the one block in front of it.

    :param source: closed with it.
    :raises FormatError: it is no whole number of blocks, or its end is no padding: damaged, or another password.
    """

    def __init__(self, source: ByteSource, chosen: Scheme, *, legacy: bool) -> None:
        self._source = source
        self._scheme = chosen
        self.name = source.name
        if not source.size or source.size % BLOCK:
            raise FormatError(
                f"has {source.size} encrypted bytes", expected=f"a multiple of {BLOCK}", where=source.name
            )
        self.size = source.size
        self.size = self._unpadded(legacy=legacy)

    def _unpadded(self, *, legacy: bool) -> int:
        last = self.read(self.size - BLOCK, BLOCK)
        remover = padding.PKCS7(8 * BLOCK).unpadder()
        try:
            return self.size - BLOCK + len(remover.update(last) + remover.finalize())
        except ValueError as error:
            if legacy:
                return self.size  # its writer did not always finish the last block
            raise FormatError(
                "does not end in padding once decrypted",
                expected="the padding of AES-CBC",
                where=self.name,
                tip="The file is damaged or truncated, or was encrypted with another password.",
            ) from error

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """See :meth:`xenimage.model.disk.ByteSource.read_into`."""
        if offset < 0 or offset + len(buffer) > self.size:
            raise FormatError(
                f"{len(buffer)} bytes at {offset:#x} lie outside the {self.size} bytes",
                expected="a range inside them",
                where=self.name,
            )
        start = offset - offset % BLOCK
        stop = -(-(offset + len(buffer)) // BLOCK) * BLOCK
        before = max(0, start - BLOCK)
        stored = self._source.read(before, stop - before)
        chain = stored[:BLOCK] if start else self._scheme.start
        plain = self._scheme.decrypt(memoryview(stored)[start - before :], chain)
        buffer[:] = plain[offset - start : offset - start + len(buffer)]

    def close(self) -> None:
        """Close the file below."""
        self._source.close()
