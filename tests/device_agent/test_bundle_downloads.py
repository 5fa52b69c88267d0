"""Where a bundle's packages come from, on Debian and on Ubuntu."""

from __future__ import annotations

import functools
import hashlib
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from device_agent.bundle import BundleError
from device_agent.bundle.downloads import Pin, fetch, mirror

PACKAGE = b"the bytes of a package"
PATH = "pool/main/p/package/package_1.0_amd64.deb"
PIN = Pin(hashlib.sha256(PACKAGE).hexdigest(), PATH)

UseArchive = Callable[[str], str]


@pytest.fixture
def use_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> UseArchive:
    """Make apt know one archive, which says that it is of a distribution; its URL."""

    def use(origin: str) -> str:
        archive, state = tmp_path / "archive", tmp_path / "state"
        release, packages = archive / "dists/stable/Release", "main/binary-amd64/Packages"
        (release.parent / packages).parent.mkdir(parents=True)
        entry = f"Package: package\nVersion: 1.0\nArchitecture: amd64\nFilename: {PATH}\n"
        entry += f"Size: {len(PACKAGE)}\nSHA256: {PIN.sha256}\n"
        (release.parent / packages).write_text(entry)
        digest, size = hashlib.sha256(entry.encode()).hexdigest(), len(entry)
        release.write_text(
            f"Origin: {origin}\nSuite: stable\nCodename: stable\nArchitectures: amd64\n"
            f"Components: main\nDate: Sat, 01 Jan 2022 00:00:00 UTC\n"
            f"SHA256:\n {digest} {size} {packages}\n"
        )
        (state / "lists/partial").mkdir(parents=True)
        (state / "sources.list").write_text(f"deb [trusted=yes] copy:{archive} stable main\n")
        settings = {
            "Dir::Etc::SourceList": state / "sources.list",
            "Dir::Etc::SourceParts": "/dev/null",
            "Dir::State::Lists": state / "lists",
            "Dir::State::Status": "/dev/null",
            "Dir::Cache": state,
            "Acquire::Languages": "none",
            "APT::Architecture": "amd64",
            "APT::Architectures": "amd64",
            "APT::Sandbox::User": "root",
        }
        lines = [f'{name} "{value}";\n' for name, value in settings.items()]
        (state / "apt.conf").write_text("".join(lines))
        monkeypatch.setenv("APT_CONFIG", str(state / "apt.conf"))
        subprocess.run(["apt-get", "update"], check=True, capture_output=True, timeout=60)
        return f"copy:{archive}/"

    return use


@contextmanager
def served(folder: Path) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()


def test_debian_uses_the_mirror_that_apt_is_configured_for(use_archive: UseArchive) -> None:
    assert use_archive("Debian") == mirror()


def test_ubuntu_asks_for_a_mirror_of_debian(use_archive: UseArchive) -> None:
    use_archive("Ubuntu")
    with pytest.raises(BundleError, match="set LATLAB_DEBIAN_MIRROR"):
        mirror()


def test_ubuntu_takes_what_is_pinned_from_the_mirror_that_is_named(
    use_archive: UseArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_archive("Ubuntu")
    package = tmp_path / "debian" / PATH
    package.parent.mkdir(parents=True)
    package.write_bytes(PACKAGE)
    with served(tmp_path / "debian") as archive:
        monkeypatch.setenv("LATLAB_DEBIAN_MIRROR", archive)
        [fetched] = fetch([PIN], tmp_path / "downloads")
    assert fetched.read_bytes() == PACKAGE


def test_ubuntu_refuses_a_package_that_was_not_pinned(
    use_archive: UseArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_archive("Ubuntu")
    package = tmp_path / "debian" / PATH
    package.parent.mkdir(parents=True)
    package.write_bytes(PACKAGE[::-1])
    with served(tmp_path / "debian") as archive:
        monkeypatch.setenv("LATLAB_DEBIAN_MIRROR", archive)
        with pytest.raises(BundleError, match="Hash Sum mismatch"):
            fetch([PIN], tmp_path / "downloads")
    assert list((tmp_path / "downloads").iterdir()) == []
