"""Where the lab listens beyond loopback, and the certificate that it shows there."""

from __future__ import annotations

import socket

from host.home.paths import LabHome
from latlab.common.certificates import certificates_in, load_or_create
from latlab.common.channel import LAB_NAME
from latlab.common.files import read_regular, replacing, storing
from latlab.domain.checks.address import MAX_ADDRESS, host_and_port, is_address
from latlab.domain.errors import InvalidRequest, StorageError

DEFAULT_PORT = 7077
OFF = "off"


def remembered_address(home: LabHome) -> str | None:
    """Return the address that the lab listens on with TLS from its next start on, or None.

    Raises StorageError if the file that holds it is damaged.
    """
    if not home.listen_file.exists():
        return None
    with storing(home.listen_file):
        text = read_regular(home.listen_file, 2 * MAX_ADDRESS).decode(errors="replace").strip()
    if not is_address(text):
        raise StorageError(
            f"{home.listen_file} holds no address: `latlab lab up --listen HOST:PORT` writes it"
            " anew, and `--listen off` removes it"
        )
    return text


def choose_address(home: LabHome, text: str) -> None:
    """Remember where to listen with TLS, and make the lab's certificate.

    Args:
        home: The lab's folder.
        text: "HOST:PORT", or "HOST" for the default port, or "off" for loopback only.

    Raises:
        InvalidRequest: The address makes no sense, or cannot be used on this machine.
        NoCryptography: The package that makes certificates is missing.
        StorageError: The lab's folder cannot be written.
    """
    if text == OFF:
        with storing(home.listen_file):
            home.listen_file.unlink(missing_ok=True)
        return
    address = text if is_address(text) else f"{text}:{DEFAULT_PORT}"
    if not is_address(address) or host_and_port(address)[1] == 0:
        raise InvalidRequest(
            f"--listen takes HOST:PORT, HOST or {OFF}, not {text[:80]!r}: 0.0.0.0 stands for all"
            " addresses of this machine, and an IPv6 address has brackets"
        )
    if not (home.listen_file.exists() and address == remembered_address(home)):
        _require_free(address)
    pem = certificate(home)
    with replacing(home.certificate_file, mode=0o600) as draft:
        draft.write_text(*certificates_in(pem))
    with replacing(home.listen_file, mode=0o600) as draft:
        draft.write_text(address)


def certificate(home: LabHome) -> str:
    """Return the lab's key and certificate as PEM. The first call makes them."""
    return load_or_create(home.tls_file, LAB_NAME)


def _require_free(address: str) -> None:
    """Raise InvalidRequest if this machine cannot listen on an address."""
    host, port = host_and_port(address)
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[
            0
        ]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
    except (OSError, UnicodeError) as error:  # the latter for names that no machine can have
        reason = getattr(error, "strerror", None) or error
        raise InvalidRequest(
            f"this machine cannot listen on {address} ({reason}): give an address of this machine,"
            " as `ip address` shows them, or 0.0.0.0, and a free port"
        ) from error
