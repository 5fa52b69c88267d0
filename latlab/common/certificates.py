"""Fingerprints of certificates, for people to compare."""

from __future__ import annotations

import hashlib
import ssl


def fingerprint(certificate: str) -> str:
    """Return the SHA-256 of a certificate in PEM, in hexadecimal."""
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate)).hexdigest()
