"""The certificate of a package: a signature over the manifest, and who made it. Source: DSP0243 1.1, 8; XenCenter.

XenCenter signs the digest of the digest where its certificate uses SHA-256, and stores the certificate in a wrapping of
Windows. Both forms are read.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import datetime
import hashlib
import re

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from xenimage.containers.ovf.layout import CERTIFICATE_ELEMENT, serialized_elements
from xenimage.exceptions import FormatError, UnsupportedError

_LINE = re.compile(rb"\s*+([A-Za-z0-9-]{1,20})\s*\((.{1,1024}?)\)\s*=\s*([0-9A-Fa-f]{2,4096})\s*")
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]*+)-----END CERTIFICATE-----")
_HASHES: dict[str, type[hashes.HashAlgorithm]] = {
    "sha1": hashes.SHA1, "sha256": hashes.SHA256, "sha384": hashes.SHA384, "sha512": hashes.SHA512,
}  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True)
class Certificate:
    """A signature with the certificate of its maker."""

    algorithm: str
    manifest: str
    """name of the manifest, as the first line gives it"""
    signature: bytes
    holder: x509.Certificate

    @property
    def signer(self) -> str:
        """Subject of the certificate."""
        return self.holder.subject.rfc4514_string()

    @property
    def issuer(self) -> str:
        """Who vouches for the signer."""
        return self.holder.issuer.rfc4514_string()

    def valid_at(self, moment: datetime.datetime) -> bool:
        """Whether the certificate's time includes *moment*."""
        return self.holder.not_valid_before_utc <= moment <= self.holder.not_valid_after_utc

    def verify(self, manifest: bytes) -> str:
        """Which form the signature over the manifest has, ``standard`` or ``citrix``; empty if it is neither."""
        if self._signs(manifest):
            return "standard"
        once = hashlib.new(self.algorithm, manifest, usedforsecurity=False).digest()
        return "citrix" if self._signs(once) else ""

    def _signs(self, data: bytes) -> bool:
        key = self.holder.public_key()
        if not isinstance(key, rsa.RSAPublicKey):
            raise UnsupportedError("the certificate has a key that is no RSA key", expected="RSA")
        try:
            key.verify(self.signature, data, padding.PKCS1v15(), _HASHES[self.algorithm]())
        except InvalidSignature:
            return False
        return True


def read_certificate(data: bytes) -> Certificate:
    """Take a ``.cert`` apart.

    :raises FormatError: it has no signature, or no certificate that can be read.
    :raises UnsupportedError: it uses a digest that is not read.
    """
    line = _LINE.match(data)
    if line is None or len(line[3]) % 2:
        raise FormatError("does not begin with a signature", expected="SHA256(name.mf)= and hexadecimal digits")
    algorithm = line[1].decode("ascii").lower().replace("sha2-", "sha").replace("-", "")
    if algorithm not in _HASHES:
        raise UnsupportedError(f"the signature uses {algorithm}", expected="SHA-1, SHA-256, SHA-384 or SHA-512")
    pem = _PEM.search(data, line.end())
    if pem is None:
        raise FormatError("has no certificate", expected="one between BEGIN CERTIFICATE and END CERTIFICATE")
    return Certificate(
        algorithm=algorithm,
        manifest=line[2].decode("utf-8", "replace").strip(),
        signature=bytes.fromhex(line[3].decode("ascii")),
        holder=_holder(pem[1]),
    )


def _holder(text: bytes) -> x509.Certificate:
    try:
        body = base64.b64decode(b"".join(text.split()), validate=True)
    except binascii.Error as error:
        raise FormatError("the certificate is damaged", expected="base64") from error
    inner = next((content for number, content in serialized_elements(body) if number == CERTIFICATE_ELEMENT), None)
    try:
        return x509.load_der_x509_certificate(inner or body)
    except ValueError as error:
        raise FormatError("the certificate is damaged", expected="X.509 in DER") from error


def now() -> datetime.datetime:
    """The present moment, in UTC."""
    return datetime.datetime.now(datetime.UTC)
