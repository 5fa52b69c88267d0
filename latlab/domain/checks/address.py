"""Addresses of servers, as people type them: HOST:PORT."""

from __future__ import annotations

import ipaddress
import re

MAX_ADDRESS = 200  # characters: files are named after addresses

_ADDRESS = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})")
_MAX_PORT = 65_535


def is_address(text: str) -> bool:
    """Return whether a text is HOST:PORT, or [IPv6]:PORT."""
    match = _ADDRESS.fullmatch(text)
    return match is not None and len(text) <= MAX_ADDRESS and int(match[2]) <= _MAX_PORT


def host_and_port(address: str) -> tuple[str, int]:
    """Return the two parts of an address; an IPv6 host comes without its brackets."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def is_loopback(address: str) -> bool:
    """Return whether only this machine is reached at an address."""
    host, _ = host_and_port(address)
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
