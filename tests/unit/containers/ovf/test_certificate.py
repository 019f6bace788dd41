"""Signatures over manifests: the standard's and XenCenter's, and those that do not hold."""

from __future__ import annotations

import base64
import datetime
import hashlib
import struct
import textwrap

import ddt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from tests.base import TestCase
from tests.builders import ovf as build
from tests.unit.containers.ovf.test_folder import DATA, FolderTestCase
from xenimage.containers.ovf.certificate import read_certificate
from xenimage.exceptions import FormatError, UnsupportedError
from xenimage.model.transfer import Silent

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
NAME = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Ann")])
MANIFEST = build.manifest({"web.ovf": build.envelope(), "disk.raw": DATA})


def holder(days: int = 1) -> bytes:
    """A certificate in DER, valid until *days* from now."""
    today = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(NAME, NAME, KEY.public_key(), x509.random_serial_number())
    start, stop = today - datetime.timedelta(days=9), today + datetime.timedelta(days=days)
    certificate = builder.not_valid_before(start).not_valid_after(stop).sign(KEY, hashes.SHA256())
    return certificate.public_bytes(serialization.Encoding.DER)


def standard(der: bytes, algorithm: str = "sha256", manifest: bytes = MANIFEST) -> bytes:
    signature = KEY.sign(manifest, padding.PKCS1v15(), hashes.SHA256() if algorithm == "sha256" else hashes.SHA1())
    body = "\n".join(textwrap.wrap(base64.b64encode(der).decode(), 64))
    head = f"{algorithm.upper()}(web.mf)= {signature.hex()}\n"
    return f"{head}-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n".encode()


def citrix(der: bytes) -> bytes:
    """As XenCenter signs and stores: the digest of the digest, the certificate among properties, on one line."""
    twice = hashlib.sha256(hashlib.sha256(MANIFEST).digest()).digest()
    signature = KEY.sign(twice, padding.PKCS1v15(), Prehashed(hashes.SHA256()))
    store = b"".join(struct.pack("<III", number, 1, len(data)) + data for number, data in ((3, b"x" * 20), (32, der)))
    body = base64.b64encode(store).decode()
    head = f"SHA256(web.mf)= {signature.hex()}"
    return f"{head}\r\n-----BEGIN CERTIFICATE-----\r\n{body}\r\n-----END CERTIFICATE-----\r\n".encode()


@ddt.ddt
class SignatureTest(FolderTestCase):
    @ddt.data(
        (standard(holder()), "standard", ["ovf.certificate.trust"]),
        (standard(holder(), "sha1"), "standard", ["ovf.certificate.trust"]),
        (citrix(holder()), "citrix", ["ovf.certificate.citrix", "ovf.certificate.trust"]),
        (standard(holder(-1)), "standard", ["ovf.certificate.expired", "ovf.certificate.trust"]),
        (standard(holder(), manifest=MANIFEST + b"\n"), "", ["ovf.certificate.mismatch"]),
    )
    @ddt.unpack
    def test_forms(self, certificate: bytes, form: str, expected: list[str]) -> None:
        self.write(disk__raw=DATA, web__mf=MANIFEST, web__cert=certificate)
        package = self.opened(build.envelope())
        proof, findings = package.prove(Silent())
        self.assertEqual((form, "CN=Ann", "verified"), (proof.signature, proof.signer, proof.manifest))
        self.assertEqual(expected, [each.code for each in findings])
        self.assertEqual(["web.ovf", "web.mf", "web.cert", "disk.raw"], list(package.parts()))

    def test_a_damaged_one_is_told(self) -> None:
        self.write(disk__raw=DATA, web__mf=MANIFEST, web__cert=b"rubbish")
        proof, findings = self.opened(build.envelope()).prove(Silent())
        self.assertEqual(("", ""), (proof.signature, proof.signer))
        self.assertEqual(["ovf.certificate.damaged"], [each.code for each in findings])


@ddt.ddt
class FaultTest(TestCase):
    @ddt.data(
        (b"", FormatError),
        (b"SHA256(a)= abc\n", FormatError),
        (b"MD5(a)= abcd\n", UnsupportedError),
        (b"SHA256(a)= abcd\n", FormatError),
        (b"SHA256(a)= abcd\n-----BEGIN CERTIFICATE-----\nAAA\n-----END CERTIFICATE-----\n", FormatError),
        (b"SHA256(a)= abcd\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", FormatError),
        (b"SHA256(a)= abcd\n-----BEGIN CERTIFICATE-----\n\n-----END CERTIFICATE-----\n", FormatError),
        (b"SHA256(a)= abcd\n-----BEGIN CERTIFICATE-----\n"
         + base64.b64encode(struct.pack("<III", 32, 1, 0xFFFFFFFF)) + b"\n-----END CERTIFICATE-----\n", FormatError),
    )  # fmt: skip
    @ddt.unpack
    def test_what_is_refused(self, data: bytes, error: type[Exception]) -> None:
        self.assertRaises(error, read_certificate, data)
