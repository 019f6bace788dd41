"""Signing a package: the manifest's signature and the certificate of its maker. Source: DSP0243 1.1, 8.

The form is the standard's alone, RSA as ``openssl dgst -sign`` makes it; XenCenter's own is read, never written.
"""

from __future__ import annotations

import base64
import dataclasses
import os

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from xenimage.exceptions import UnsupportedError, UsageError
from xenimage.units import MIB

_HASHES: dict[str, type[hashes.HashAlgorithm]] = {
    "sha1": hashes.SHA1, "sha256": hashes.SHA256, "sha512": hashes.SHA512,
}  # fmt: skip
_LINE = 64
"""characters of base64"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Signer:
    """A key with its certificate."""

    key: rsa.RSAPrivateKey
    certificate: x509.Certificate

    def sign(self, manifest: bytes, name: str, algorithm: str) -> bytes:
        """The certificate file of a package. The same values give the same bytes.

        :param name: of the manifest.
        :param algorithm: ``sha1``, ``sha256`` or ``sha512``.
        """
        signature = self.key.sign(manifest, padding.PKCS1v15(), _HASHES[algorithm]())
        body = base64.b64encode(self.certificate.public_bytes(serialization.Encoding.DER)).decode("ascii")
        lines = [body[start : start + _LINE] for start in range(0, len(body), _LINE)]
        text = [f"{algorithm.upper()}({name})= {signature.hex()}", "-----BEGIN CERTIFICATE-----", *lines]
        return "\n".join([*text, "-----END CERTIFICATE-----", ""]).encode("ascii")


def load_signer(key_path: str | os.PathLike[str], certificate_path: str | os.PathLike[str]) -> Signer:
    """Read a key and its certificate, both PEM.

    :raises UsageError: they cannot be read, do not belong together, or the key has a password.
    :raises UnsupportedError: the key is no RSA key.
    """
    try:
        key = serialization.load_pem_private_key(_read(key_path), password=None)
    except TypeError as error:
        raise UsageError(
            "the key has a password", expected="one without", where=os.fspath(key_path),
            tip="Write it without one: openssl pkey -in KEY -out PLAIN",
        ) from error  # fmt: skip
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UsageError("is no private key", expected="one in PEM", where=os.fspath(key_path)) from error
    if not isinstance(key, rsa.RSAPrivateKey):
        raise UnsupportedError("the key is no RSA key", expected="RSA", where=os.fspath(key_path))
    try:
        certificate = x509.load_pem_x509_certificate(_read(certificate_path))
    except ValueError as error:
        raise UsageError("is no certificate", expected="one in PEM", where=os.fspath(certificate_path)) from error
    if certificate.public_key() != key.public_key():
        raise UsageError("belongs to another key", expected=f"that of {key_path}", where=os.fspath(certificate_path))
    return Signer(key=key, certificate=certificate)


def _read(path: str | os.PathLike[str]) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(MIB)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError(f"cannot be read: {reason}", where=os.fspath(path)) from error
