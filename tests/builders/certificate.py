"""Keys with certificates that they sign themselves, by the openssl program: nothing of the code under test."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pathlib


def make_pair(directory: pathlib.Path, bits: int = 2048) -> tuple[pathlib.Path, pathlib.Path]:
    """Paths of a private key and its certificate in PEM."""
    key, certificate = directory / "key.pem", directory / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", f"rsa:{bits}", "-nodes", "-keyout", key, "-out", certificate,
         "-subj", "/CN=xenimage test", "-days", "3650"],
        check=True, capture_output=True,
    )  # fmt: skip
    return key, certificate
