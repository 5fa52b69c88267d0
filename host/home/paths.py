"""The folder in which the lab keeps its state: LATLAB_HOME, by default ~/.latlab."""

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
    """The lab's folder and the files in it.

    lab.db         the measurements          daemon.json  process id and address of the daemon
    token          the daemon's token        daemon.log   the daemon's log
    programs/      programs to measure       daemon.lock  locked while the daemon lives
    exports/       a cache of exports        agent/       the state of this machine's own agent
    lab.toml       the owner's choices       boards/      a file for each enrolled board
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
        """The runner of this machine's agent: LATLAB_RUNNER, by default the built one."""
        built = REPOSITORY / "build" / "runner" / "latlab-runner"
        return Path(os.environ.get("LATLAB_RUNNER") or built)

    @property
    def bundles(self) -> Path:
        """The folder with the agent's bundles: LATLAB_BUNDLES, by default the built ones."""
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
        """Make the lab's folder unless it exists. Raises StorageError."""
        with storing(self.root):
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)

    def token(self) -> str:
        """Return the daemon's token. The first call makes it, in a file of mode 0600.

        Raises StorageError, also if the file holds no token.
        """
        with storing(self.token_file), contextlib.suppress(FileExistsError):
            descriptor = os.open(self.token_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_urlsafe(32))
        return read_token(self.token_file)


def sqlite_url(path: Path) -> str:
    """Return the address of a SQLite database in a file."""
    return f"sqlite:///{path}"
