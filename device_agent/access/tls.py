"""The key and the self-signed certificate of an agent that listens beyond loopback.

The host pins the certificate, so its name and dates do not matter. The dates include 1970, where
a board without a battery begins every day.
"""

from __future__ import annotations

import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from latlab.common.files import replacing

_NAME = "latlab-agent"  # the host asks for it by this name, whatever the address is
_SINCE = datetime.datetime(1970, 1, 1)
_UNTIL = datetime.datetime(9999, 12, 31, 23, 59, 59)  # "no well-defined end", RFC 5280 4.1.2.5


def load_or_create(path: Path) -> bytes:
    """Return key and certificate as PEM, from a file of mode 0600 that is made if missing."""
    if not path.exists():
        with replacing(path, mode=0o600) as draft:
            draft.write_bytes(_create())
    return path.read_bytes()


def fingerprint(pem: bytes) -> str:
    """Return the SHA-256 of the certificate, in hexadecimal."""
    return x509.load_pem_x509_certificate(pem).fingerprint(hashes.SHA256()).hex()


def _create() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, _NAME)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_SINCE)
        .not_valid_after(_UNTIL)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(_NAME)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    key_pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return key_pem + certificate.public_bytes(serialization.Encoding.PEM)
