"""The examples of the documentation run, beside a lab whose device answers at once."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

import latlab
from tests.distribution.conftest import ServedLab
from tests.distribution.environments import LIMIT_S
from tests.host.fake_lab import TARGET
from tests.host.stored_lab import SPEC, TOKEN
from tests.structure import REPOSITORY

EXAMPLES = REPOSITORY / "docs/examples"
LAB_NAME = "latlab-lab"
CHUNK_BYTES = 1 << 16


def test_the_notebook_ranks_five_networks(
    served_lab: ServedLab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LATLAB_HOME", str(served_lab.home))
    monkeypatch.setattr(latlab.BenchmarkSpec, "quick", lambda: SPEC)  # seconds less
    names: dict[str, Any] = {}
    for cell in json.loads((EXAMPLES / "rank_five_networks.ipynb").read_text())["cells"]:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)
    names["lab"].__exit__()
    latencies = [names["estimates"][name].latency_ns for name in names["ranking"]]
    assert len(latencies) == 5
    assert latencies == sorted(latencies)
    assert names["fastest"] in names["contenders"]
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 6
    assert printed[-1].endswith("1.000 ms, measured.")  # as all take on that device


@pytest.fixture(scope="module")
def node_modules() -> Path:
    """The packages that the Node program needs, kept for the next time."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("Node is not installed: apt install nodejs npm")
    lock = EXAMPLES / "node/package-lock.json"
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "latlab"
    kept = cache / f"node-{hashlib.sha256(lock.read_bytes()).hexdigest()[:16]}"
    if not kept.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            for name in ("package.json", "package-lock.json"):
                shutil.copy(lock.with_name(name), folder)
            install = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            done = subprocess.run(
                install, cwd=folder, capture_output=True, text=True, timeout=LIMIT_S, check=False
            )
            if done.returncode != 0:
                pytest.skip(f"npm cannot install the packages: {done.stderr}")
            with suppress(OSError):  # another process was faster
                (Path(folder) / "node_modules").rename(kept)
    return kept


def asked_by_node(node_modules: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["node", EXAMPLES / "node/ask.js"],
        env={"PATH": os.environ["PATH"], "NODE_PATH": str(node_modules), **environment},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


def assert_predicted(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stderr
    listed, predicted = done.stdout.splitlines()
    assert listed.startswith(f"{TARGET.name}: ")
    assert predicted.startswith(f"predicted on {TARGET.name}: ")


def test_node_asks_the_lab_of_this_machine(node_modules: Path, served_lab: ServedLab) -> None:
    assert_predicted(asked_by_node(node_modules, LATLAB_HOME=str(served_lab.home)))


def test_node_asks_a_lab_elsewhere_over_tls(
    node_modules: Path, served_lab: ServedLab, tmp_path: Path
) -> None:
    with tls_in_front_of(served_lab.address, tmp_path) as (address, certificate):
        where = {"LATLAB_ADDRESS": address, "LATLAB_TOKEN": TOKEN}
        assert_predicted(asked_by_node(node_modules, LATLAB_CA=str(certificate), **where))
        der = ssl.PEM_cert_to_DER_cert(certificate.read_text())
        fingerprint = hashlib.sha256(der).hexdigest()
        assert_predicted(asked_by_node(node_modules, LATLAB_CA=f"sha256:{fingerprint}", **where))
        other = asked_by_node(node_modules, LATLAB_CA=f"sha256:{'0' * 64}", **where)
    assert (other.returncode, other.stdout) == (1, "")
    assert f"shows another certificate: sha256:{fingerprint}" in other.stderr


def test_node_sends_no_token_to_another_machine_without_tls(node_modules: Path) -> None:
    done = asked_by_node(node_modules, LATLAB_ADDRESS="192.0.2.1:7077", LATLAB_TOKEN=TOKEN)
    assert (done.returncode, done.stdout) == (1, "")
    assert "192.0.2.1:7077 is another machine: set LATLAB_CA" in done.stderr


@contextmanager
def tls_in_front_of(address: str, folder: Path) -> Iterator[tuple[str, Path]]:
    """Accept TLS as a lab elsewhere does, and pass on what comes; the address and certificate."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-subj", f"/CN={LAB_NAME}", "-addext", f"subjectAltName=DNS:{LAB_NAME}"),
            *("-keyout", key, "-out", certificate),
        ],
        check=True,
        capture_output=True,
        timeout=LIMIT_S,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(["h2"])
    host, _, port = address.rpartition(":")

    def serve(accepted: socket.socket) -> None:
        with (
            suppress(OSError),
            context.wrap_socket(accepted, server_side=True) as client,
            socket.create_connection((host, int(port))) as lab,
        ):
            threading.Thread(target=pass_on, args=(lab, client), daemon=True).start()
            pass_on(client, lab)

    def accept() -> None:
        with suppress(OSError):  # closed
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield f"localhost:{listener.getsockname()[1]}", certificate


def pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(CHUNK_BYTES):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)
