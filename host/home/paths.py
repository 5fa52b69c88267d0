"""Where the lab keeps its state on this machine: LATLAB_HOME, else ~/.latlab."""

from __future__ import annotations

import contextlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from latlab.client.discovery import DAEMON_FILE, LOCK_FILE, TOKEN_FILE, home_folder, read_token
from latlab.common.files import storing

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class LabHome:
    """
    lab.db         the measurements        daemon.json  pid and address of the daemon
    token          of the daemon, 0600     daemon.log
    programs/      being measured          daemon.lock  held while the daemon lives
    exports/       of clients: a cache     agent/       state of this machine's own agent
    lab.toml       written by its owner    boards/      what is kept of each enrolled board
    """

    root: Path

    @classmethod
    def from_environment(cls) -> LabHome:
        """Raises StorageError where LATLAB_HOME cannot be a folder's name, or no home is known."""
        return cls(home_folder())

    @property
    def database_url(self) -> str:
        """LATLAB_DATABASE_URL (PostgreSQL, say), else the file lab.db. An environment
        variable because it may hold a password, which must not stand among arguments."""
        return os.environ.get("LATLAB_DATABASE_URL") or sqlite_url(self.root / "lab.db")

    @property
    def runner(self) -> Path:
        built = REPOSITORY / "build" / "runner" / "latlab-runner"
        return Path(os.environ.get("LATLAB_RUNNER") or built)

    @property
    def bundles(self) -> Path:
        """A folder with the agent's bundle for each ABI."""
        return Path(os.environ.get("LATLAB_BUNDLES") or REPOSITORY / "build" / "bundle")

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
    def config_file(self) -> Path:
        return self.root / "lab.toml"

    def create(self) -> None:
        """Make the folder unless it is there. Raises StorageError."""
        with storing(self.root):
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)

    def token(self) -> str:
        """Return the daemon's token, made on first use in a file of mode 0600.

        Raises StorageError, also where the file holds none.
        """
        with storing(self.token_file), contextlib.suppress(FileExistsError):
            descriptor = os.open(self.token_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_urlsafe(32))
        return read_token(self.token_file)


def sqlite_url(path: Path) -> str:
    return f"sqlite:///{path}"
