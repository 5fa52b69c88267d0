"""The folder in which the lab keeps its state: LATLAB_HOME, by default ~/.latlab."""

from __future__ import annotations

import importlib.util
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from latlab.client.connection.home import (
    DAEMON_FILE,
    LOCK_FILE,
    TOKEN_FILE,
    home_folder,
    read_token,
)
from latlab.common.files import replacing, storing

# The folder of the packages: the checkout, or the environment that they are installed in.
REPOSITORY = Path(__file__).resolve().parents[2]
IS_CHECKOUT = (REPOSITORY / "Makefile").is_file()

# The commands that bring what a lab on this machine, or on phones, cannot do without.
RUNNER_FIX = "make runner" if IS_CHECKOUT else "pip install --force-reinstall --no-deps latency-lab"
BUNDLE_FIX = "make agent-bundle" if IS_CHECKOUT else "pip install --upgrade latency-lab-bundle"

_BUNDLES_PACKAGE = "latency_lab_bundle"  # a distribution of its own


@dataclass(frozen=True)
class LabHome:
    """The lab's folder and the files in it.

    lab.db         the measurements          daemon.json  process id and address of the daemon
    token          the daemon's token        daemon.log   the daemon's log
    programs/      programs to measure       daemon.lock  locked while the daemon lives
    exports/       a cache of exports        agent/       the state of this machine's own agent
    lab.toml       the owner's choices       boards/      a file for each enrolled board
    holder         the lab's name in leases  adb.log      the log of adb, if the lab has started it
    quarantine/    results that cannot be stored
    listen         where the lab listens beyond loopback, if it does
    tls.pem        the lab's key and certificate there
    certificate.pem              the certificate alone, for its clients
    visit.lock, work.lock        locked so that visits and other work here take turns
    """

    root: Path

    @classmethod
    def from_environment(cls) -> LabHome:
        """Return the lab's folder, LATLAB_HOME. Raises StorageError if that cannot be a folder."""
        return cls(home_folder())

    @property
    def database_url(self) -> str:
        """The URL of the database: LATLAB_DATABASE_URL, by default that of the file lab.db.

        It is an environment variable because it may hold a password, which must not be seen among
        a process's arguments.
        """
        return os.environ.get("LATLAB_DATABASE_URL") or sqlite_url(self.root / "lab.db")

    @property
    def runner(self) -> Path:
        """The runner of this machine's agent: LATLAB_RUNNER, by default what is installed."""
        folder = "build/runner" if IS_CHECKOUT else "device_agent/runner"
        return Path(os.environ.get("LATLAB_RUNNER") or REPOSITORY / folder / "latlab-runner")

    @property
    def bundles(self) -> Path:
        """The folder with the agent's bundles: LATLAB_BUNDLES, by default what is installed."""
        if bundles := os.environ.get("LATLAB_BUNDLES"):
            return Path(bundles)
        if IS_CHECKOUT:
            return REPOSITORY / "build" / "bundle"
        package = importlib.util.find_spec(_BUNDLES_PACKAGE)
        if package is None or package.origin is None:
            return REPOSITORY / _BUNDLES_PACKAGE
        return Path(package.origin).parent

    @property
    def daemon_file(self) -> Path:
        return self.root / DAEMON_FILE

    @property
    def lock_file(self) -> Path:
        return self.root / LOCK_FILE

    @property
    def log_file(self) -> Path:
        return self.root / "daemon.log"

    @property
    def adb_log(self) -> Path:
        return self.root / "adb.log"

    @property
    def token_file(self) -> Path:
        return self.root / TOKEN_FILE

    @property
    def programs(self) -> Path:
        return self.root / "programs"

    @property
    def exports(self) -> Path:
        return self.root / "exports"

    @property
    def agent(self) -> Path:
        return self.root / "agent"

    @property
    def boards(self) -> Path:
        return self.root / "boards"

    @property
    def quarantine(self) -> Path:
        return self.root / "quarantine"

    @property
    def listen_file(self) -> Path:
        return self.root / "listen"

    @property
    def tls_file(self) -> Path:
        return self.root / "tls.pem"

    @property
    def certificate_file(self) -> Path:
        return self.root / "certificate.pem"

    @property
    def config_file(self) -> Path:
        return self.root / "lab.toml"

    def create(self) -> None:
        """Make the lab's folder unless it exists. Raises StorageError."""
        with storing(self.root):
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)

    def token(self) -> str:
        """Return the daemon's token. The daemon's first call makes it, in a file of mode 0600.

        Raises StorageError, also if the file holds no token.
        """
        _make_secret(self.token_file)
        return read_token(self.token_file)

    def holder(self) -> str:
        """Return the name under which this lab leases devices. The daemon's first call makes it.

        Hosts may share a name and a path, containers for example, so it is made at random.
        """
        _make_secret(self.root / "holder")
        return read_token(self.root / "holder")


def _make_secret(path: Path) -> None:
    """Write a random word to a file of mode 0600, unless the file has content."""
    with storing(path):
        # A version that wrote the word in place left an empty file where it was killed.
        if os.path.lexists(path) and not (path.is_file() and path.stat().st_size == 0):
            return
    with replacing(path, mode=0o600) as draft:
        draft.write_text(secrets.token_urlsafe(32))


def sqlite_url(path: Path) -> str:
    """Return the address of a SQLite database in a file."""
    return f"sqlite:///{path}"
