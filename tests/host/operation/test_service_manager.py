"""systemd is told by its own protocol."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from host.operation.service_manager import READY, STOPPING, notify


def test_states_reach_the_socket_of_the_service_manager(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for address in (str(tmp_path / "notify"), "@latlab-test-notify"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(address.replace("@", "\0"))
            manager.settimeout(60)
            monkeypatch.setenv("NOTIFY_SOCKET", address)
            notify(READY)
            notify(STOPPING)
            assert [manager.recv(100), manager.recv(100)] == [b"READY=1", b"STOPPING=1"]


def test_without_one_or_with_a_wrong_one_the_lab_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify(READY)
    monkeypatch.setenv("NOTIFY_SOCKET", "vsock:2:1")
    notify(READY)
    assert caplog.text == ""
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    notify(READY)
    assert "could not be told READY=1" in caplog.text
