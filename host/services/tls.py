"""Serve the lab beyond loopback, with TLS and never without."""

from __future__ import annotations

import logging

import grpc

from host.home.listening import certificate, remembered_address
from host.home.paths import LabHome
from latlab.domain.errors import Unavailable


def listen(server: grpc.Server, home: LabHome) -> str | None:
    """Let a server, which is not started yet, listen where the lab's folder says.

    Returns:
        The address; None if the lab serves on loopback only.

    Raises:
        Unavailable: The address cannot be used.
        StorageError: The lab's files are damaged.
    """
    address = remembered_address(home)
    if address is None:
        return None
    pem = certificate(home).encode()
    try:
        server.add_secure_port(address, grpc.ssl_server_credentials([(pem, pem)]))
    except RuntimeError as error:
        raise Unavailable(
            f"cannot listen on {address}: end what uses it, choose another address with `latlab lab"
            " up --listen HOST:PORT`, or none with `latlab lab up --listen off`"
        ) from error
    logging.info("serving with TLS on %s", address)
    return address
