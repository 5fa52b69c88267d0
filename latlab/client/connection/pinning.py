"""Pin the certificate of a lab elsewhere: from a file, or by its fingerprint."""

from __future__ import annotations

import hmac
import re
from pathlib import Path

from latlab.common.certificates import (
    MAX_PEM_BYTES,
    certificates_in,
    fingerprint,
    presented_certificate,
)
from latlab.common.channel import LAB_NAME
from latlab.common.files import read_regular, storing
from latlab.domain.errors import InvalidRequest, Unauthenticated

LISTENING = "does a lab listen there, brought up with `latlab lab up --listen`?"

_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
_PREFIX = "sha256:"


def pinned_certificate(authority: str, address: str) -> str:
    """Return the certificate to trust, as PEM.

    Args:
        authority: The name of a file with the lab's certificate, or "sha256:" and the
            certificate's fingerprint. Then the lab is asked for its certificate.
        address: "host:port" of the lab.

    Raises:
        InvalidRequest: `authority` is neither.
        StorageError: The file cannot be read.
        Unavailable: The lab does not answer, or does not speak TLS.
        Unauthenticated: The lab shows a certificate with another fingerprint.
    """
    if not authority.lower().startswith(_PREFIX):
        return _certificate_of_file(Path(authority))
    wanted = authority[len(_PREFIX) :].lower().replace(":", "")
    if _FINGERPRINT.fullmatch(wanted) is None:
        raise InvalidRequest(
            f"LATLAB_CA is {authority[:80]!r}: behind sha256: stand the 64 digits of the"
            " certificate's fingerprint, as `latlab lab status` shows it on the lab's machine"
        )
    return require_fingerprint(address, wanted)


def require_fingerprint(address: str, wanted: str) -> str:
    """Return the certificate that a lab shows, if it has this fingerprint.

    Raises:
        Unavailable: The lab does not answer, or does not speak TLS.
        Unauthenticated: It shows another certificate.
    """
    certificate = presented_certificate(address, LAB_NAME, LISTENING)
    shown = fingerprint(certificate)
    if not hmac.compare_digest(shown, wanted):
        raise Unauthenticated(
            f"{address} shows another certificate (sha256:{shown}) than LATLAB_CA names"
            f" (sha256:{wanted}): the lab has a new one, or another machine answers. Compare with"
            " `latlab lab status` on the lab's machine. No token was sent"
        )
    return certificate


def _certificate_of_file(path: Path) -> str:
    with storing(path):
        text = read_regular(path, MAX_PEM_BYTES).decode(errors="replace")
    found = certificates_in(text)
    try:
        [certificate] = found
        fingerprint(certificate)
    except ValueError as error:
        raise InvalidRequest(
            f"LATLAB_CA names {path}, which holds {len(found) or 'no'} certificates in PEM: name a"
            " file with the one certificate of the lab, or sha256:FINGERPRINT"
        ) from error
    return certificate
