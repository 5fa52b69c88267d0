"""How a certificate is named where people compare it."""

from __future__ import annotations

import hashlib
import ssl


def fingerprint(certificate: str) -> str:
    """The SHA-256 of a certificate in PEM, in hexadecimal."""
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate)).hexdigest()
