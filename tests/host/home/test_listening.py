"""`latlab lab up --listen`: where a lab listens beyond loopback."""

from __future__ import annotations

import socket
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from host.home import lab_process
from host.home.listening import DEFAULT_PORT, choose_address, remembered_address
from host.home.paths import LabHome
from latlab.client.client import LatencyClient
from latlab.common.certificates import NoCryptography, fingerprint
from latlab.domain.errors import InvalidRequest, StorageError, Unavailable
from search.cli import app
from tests.device_agent.conftest import write_stand_in
from tests.host.services.test_elsewhere import free_address


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LabHome]:
    monkeypatch.setenv("LATLAB_RUNNER", str(write_stand_in(tmp_path)))
    monkeypatch.setenv("LATLAB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    home = LabHome(tmp_path / "home")
    home.create()
    yield home
    lab_process.down(home)


def test_a_lab_listens_until_it_is_told_not_to(home: LabHome) -> None:
    address = free_address()
    choose_address(home, address)
    pem = home.tls_file.read_bytes()
    assert lab_process.up(home)
    lab_process.down(home)
    assert lab_process.up(home)
    assert lab_process.listening_address(home) == address
    assert home.tls_file.read_bytes() == pem

    certificate = home.certificate_file.read_text()
    with LatencyClient(address, home.token(), certificate) as client:
        assert [status.transport for status in client.devices()] == ["local"]
    shown = CliRunner().invoke(app, ["lab", "status"]).stdout
    assert f"export LATLAB_ADDRESS={address}" in shown
    assert f"export LATLAB_CA=sha256:{fingerprint(certificate)}" in shown

    choose_address(home, "off")
    assert "loopback only once it restarts" in CliRunner().invoke(app, ["lab", "status"]).stdout
    assert lab_process.up(home)  # it restarts
    assert lab_process.listening_address(home) is None


def test_an_address_that_is_lost_is_named(home: LabHome) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        home.listen_file.write_text(address)
        with pytest.raises(Unavailable, match=f"cannot listen on {address}.*--listen off"):
            lab_process.up(home)
        choose_address(home, "off")
        with pytest.raises(InvalidRequest, match=f"cannot listen on {address} "):
            choose_address(home, address)


@pytest.mark.parametrize("text", ["", "two words", "host:port", "host:99999", "host:0", "::1"])
def test_what_is_no_address_is_refused(home: LabHome, text: str) -> None:
    with pytest.raises(InvalidRequest, match="HOST:PORT"):
        choose_address(home, text)
    assert remembered_address(home) is None


@pytest.mark.parametrize("text", ["192.0.2.1", "192.0.2.1:7077", "a..b", "nowhere.invalid"])
def test_an_address_of_another_machine_is_refused(home: LabHome, text: str) -> None:
    host = text.partition(":")[0]
    with pytest.raises(InvalidRequest, match=f"cannot listen on {host}:{DEFAULT_PORT}"):
        choose_address(home, text)


def test_a_missing_package_is_named_before_anything_is_changed(
    home: LabHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(NoCryptography, match="pip install cryptography"):
        choose_address(home, free_address())
    assert remembered_address(home) is None


def test_damaged_files_are_named(home: LabHome) -> None:
    home.listen_file.write_text("\0")
    with pytest.raises(StorageError, match="--listen HOST:PORT"):
        remembered_address(home)
    choose_address(home, "off")
    home.tls_file.write_text("nothing")
    with pytest.raises(StorageError, match="holds no key"):
        choose_address(home, free_address())


def test_the_key_is_the_certificates(home: LabHome) -> None:
    choose_address(home, free_address())
    ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(home.tls_file)
    assert home.tls_file.stat().st_mode & 0o777 == 0o600
    assert home.certificate_file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("words", [["lab", "up"], ["lab", "down"], ["doctor"], ["devices", "list"]])
def test_what_needs_the_labs_own_machine_says_so(
    words: list[str], home: LabHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATLAB_ADDRESS", "localhost:7077")
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    assert f"`latlab {' '.join(words)}` works on the lab's own machine" in result.output
