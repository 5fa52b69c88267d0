"""Certificates: those of our own servers, those that servers show, and their fingerprints.

Clients pin the certificates, so their names and dates do not matter. The dates include 1970, where
a board without a battery begins every day.
"""

from __future__ import annotations

import datetime
import hashlib
import re
import socket
import ssl
from pathlib import Path

from latlab.common.files import read_regular, replacing, storing
from latlab.domain.checks.address import host_and_port
from latlab.domain.errors import LabError, StorageError, Unavailable

MAX_PEM_BYTES = 1 << 16
HANDSHAKE_TIMEOUT_S = 3.0

_PEM = re.compile("-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n?", re.DOTALL)
_SINCE = datetime.datetime(1970, 1, 1)
_UNTIL = datetime.datetime(9999, 12, 31, 23, 59, 59)  # "no well-defined end", RFC 5280 4.1.2.5


class NoCryptography(LabError):
    """The package `cryptography`, which makes certificates, is not installed."""


def fingerprint(certificate: str) -> str:
    """Return the SHA-256 of a certificate in PEM, in hexadecimal.

    Raises ValueError if it is no certificate.
    """
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate)).hexdigest()


def certificates_in(pem: str) -> list[str]:
    """Return the certificates in a text, which may hold a key as well, each as PEM."""
    return _PEM.findall(pem)


def presented_certificate(address: str, name: str, advice: str) -> str:
    """Return the certificate that a server shows to everybody, as PEM. It proves nothing yet.

    Args:
        address: "host:port" of the server.
        name: The name in its certificate. A server complains of clients that ask for another.
        advice: What to do if the server does not speak TLS, for the error.

    Raises:
        Unavailable: Nobody answers, or the server does not speak TLS.
    """
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # who it is comes later
    try:
        with (
            socket.create_connection(host_and_port(address), HANDSHAKE_TIMEOUT_S) as connection,
            context.wrap_socket(connection, server_hostname=name) as secured,
        ):
            shown = secured.getpeercert(binary_form=True)
    except ssl.SSLError as error:
        raise Unavailable(f"{address} does not speak TLS ({error.reason}): {advice}") from error
    except (OSError, UnicodeError) as error:  # the latter for names that no machine can have
        raise Unavailable(f"nobody answers at {address}: {error}") from error
    assert shown is not None  # in TLS a server always shows one
    return ssl.DER_cert_to_PEM_cert(shown)


def load_or_create(path: Path, name: str) -> str:
    """Return a key and its self-signed certificate as PEM.

    Args:
        path: A file of mode 0600, which is made if it is missing.
        name: The name in the certificate, by which clients ask for it, whatever the address is.

    Raises:
        StorageError: The file cannot be read or written, or holds no certificate.
        NoCryptography: The file is missing, and the package that would make it too.
    """
    if not path.exists():
        pem = _create(name)
        with replacing(path, mode=0o600) as draft:
            draft.write_bytes(pem)
    with storing(path):
        text = read_regular(path, MAX_PEM_BYTES).decode(errors="replace")
    if len(certificates_in(text)) != 1 or "PRIVATE KEY-----" not in text:
        raise StorageError(f"{path} holds no key with its certificate: remove it, and start again")
    return text


def _create(name: str) -> bytes:
    try:  # only servers beyond loopback need the package
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
    except ImportError as error:
        raise NoCryptography(
            f"listening beyond loopback needs TLS, and TLS a package that is missing ({error}):"
            " pip install cryptography"
        ) from error
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_SINCE)
        .not_valid_after(_UNTIL)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    key_pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return key_pem + certificate.public_bytes(serialization.Encoding.PEM)
