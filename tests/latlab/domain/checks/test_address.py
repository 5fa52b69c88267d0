"""HOST:PORT, as people type it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latlab.domain.checks.address import host_and_port, is_address, is_loopback


@pytest.mark.parametrize(
    "text", ["pi.local:7070", "10.0.0.1:1", "[::1]:7077", "localhost:65535", "a_b-c:80"]
)
def test_addresses(text: str) -> None:
    assert is_address(text)


@pytest.mark.parametrize(
    "text", ["", "host", "host:", ":80", "host:65536", "::1:80", "a b:1", "h:1\n", "unix:/x", "é:1"]
)
def test_other_texts(text: str) -> None:
    assert not is_address(text)


@given(st.text(max_size=30))
def test_an_address_has_two_parts(text: str) -> None:
    if is_address(text):
        host, port = host_and_port(text)
        assert host
        assert 0 <= port <= 65_535


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("localhost:1", True),
        ("LocalHost:1", True),
        ("127.9.9.9:1", True),
        ("[::1]:1", True),
        ("0.0.0.0:1", False),
        ("localhost.example:1", False),
        ("127.0.0.1.example:1", False),
        ("[::]:1", False),
    ],
)
def test_loopback(address: str, expected: bool) -> None:
    assert is_loopback(address) is expected
