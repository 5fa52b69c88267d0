"""Show where the lab listens beyond loopback, and what to set on other machines."""

from __future__ import annotations

import socket

from host.cli.console import console
from host.home.listening import certificate, remembered_address
from host.home.paths import LabHome
from latlab.client.connection.environment import address_elsewhere
from latlab.common.certificates import certificates_in, fingerprint
from latlab.domain.checks.address import host_and_port

_ALL_ADDRESSES = ("0.0.0.0", "::")


def show_listening(home: LabHome) -> None:
    """Print where the lab listens with TLS, and how others use it; nothing if it does not.

    Of a lab elsewhere, print its address.
    """
    if elsewhere := address_elsewhere():
        console.print(f"This is the lab at {elsewhere}, which LATLAB_ADDRESS names.")
        return
    from host.home import lab_process  # a lab needs Linux, a client does not

    address, wanted = lab_process.listening_address(home), remembered_address(home)
    if wanted != address:
        console.print(
            f"It will listen on {wanted or 'loopback only'} once it restarts: run `latlab lab up`"
            " when its jobs have ended."
        )
    if address is None:
        return
    [shown] = certificates_in(certificate(home))
    lines = [
        f"The lab listens on {address} with TLS. On another machine, set:",
        f"  export LATLAB_ADDRESS={_reachable(address)}",
        f"  export LATLAB_CA=sha256:{fingerprint(shown)}",
        "  export LATLAB_TOKEN=TOKEN",
        "LATLAB_CA holds the SHA-256 fingerprint of the lab's certificate. `latlab token create`"
        " makes a TOKEN for each person or project.",
    ]
    for line in lines:
        console.print(line, soft_wrap=True)  # so that it can be copied


def _reachable(address: str) -> str:
    """Return an address by which other machines may reach this one."""
    host, port = host_and_port(address)
    return f"{socket.gethostname()}:{port}" if host in _ALL_ADDRESSES else address
