"""Tell systemd how far the daemon is, by the protocol of sd_notify."""

from __future__ import annotations

import logging
import os
import socket

log = logging.getLogger(__name__)

READY, STOPPING = "READY=1", "STOPPING=1"


def notify(state: str) -> None:
    """Send a state to the service manager, if this process was started by one that waits for it."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    if address.startswith("@"):  # an abstract socket
        address = f"\0{address[1:]}"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.settimeout(1.0)
            channel.sendto(state.encode(), address)
    except OSError as error:
        log.warning("the service manager could not be told %s: %s", state, error)
