"""Find the lab that the environment names: on this machine, or elsewhere by LATLAB_ADDRESS."""

from __future__ import annotations

import os
from pathlib import Path

from latlab.client.connection.endpoint import Endpoint
from latlab.client.connection.home import MAX_TOKEN_BYTES, home_folder
from latlab.client.connection.pinning import pinned_certificate
from latlab.common.files import read_regular, storing
from latlab.domain.checks.address import is_address
from latlab.domain.errors import InvalidRequest, Unavailable

ADDRESS, AUTHORITY = "LATLAB_ADDRESS", "LATLAB_CA"
TOKEN, TOKEN_FILE = "LATLAB_TOKEN", "LATLAB_TOKEN_FILE"


def find_endpoint(home: Path | None = None) -> Endpoint:
    """Return where the lab is.

    Args:
        home: The folder of a lab of this machine. None: the lab that LATLAB_ADDRESS names, or
            else the one in LATLAB_HOME or ~/.latlab.

    Raises:
        InvalidRequest: A variable has a value that makes no sense, or one is missing.
        Unavailable: The lab does not run, or does not answer.
        Unauthenticated: The lab shows another certificate than LATLAB_CA names.
        StorageError: A file cannot be read.
    """
    if home is None and (elsewhere := _lab_elsewhere()) is not None:
        return elsewhere
    try:
        from latlab.client.connection.local_lab import find_lab
    except ImportError as error:
        raise Unavailable(
            f"no lab can run on this system ({error}): set {ADDRESS}, {TOKEN} and {AUTHORITY} to"
            " use a lab elsewhere"
        ) from error
    address, token = find_lab(home_folder() if home is None else home)
    return Endpoint(address, token, is_own=True)


def address_elsewhere() -> str | None:
    """Return the address of the lab that the environment names; None for this machine's own."""
    return os.environ.get(ADDRESS) or None


def require_own_lab(command: str) -> None:
    """Refuse a command that needs the lab's own machine if LATLAB_ADDRESS is set.

    Raises:
        InvalidRequest: It is set.
    """
    if address_elsewhere() is not None:
        raise InvalidRequest(
            f"`{command}` works on the lab's own machine, and {ADDRESS} names a lab elsewhere: run"
            f" the command there, or unset {ADDRESS} for the lab of this machine"
        )


def _lab_elsewhere() -> Endpoint | None:
    address, authority = address_elsewhere(), os.environ.get(AUTHORITY)
    if address is None:
        return None
    if not is_address(address):
        raise InvalidRequest(f"{ADDRESS} must be HOST:PORT, not {address[:80]!r}")
    token = _token()
    certificate = pinned_certificate(authority, address) if authority else None
    return Endpoint(address, token, certificate)


def _token() -> str:
    token, file = os.environ.get(TOKEN), os.environ.get(TOKEN_FILE)
    if token and file:
        raise InvalidRequest(f"{TOKEN} and {TOKEN_FILE} are both set: unset one of them")
    if file:
        with storing(Path(file)):
            token = read_regular(Path(file), MAX_TOKEN_BYTES).decode(errors="replace")
    token = (token or "").strip()
    if not token:
        raise InvalidRequest(
            f"{ADDRESS} is set, and no token: set {TOKEN} to the token that the lab's owner has"
            f" given you, or {TOKEN_FILE} to a file that holds it"
        )
    if not (token.isascii() and token.isprintable()) or " " in token:
        where = TOKEN_FILE if file else TOKEN
        raise InvalidRequest(f"{where} holds no token: a token is one word of letters and digits")
    return token
