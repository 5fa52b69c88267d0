"""The folder of the lab that runs on this machine, and the files in it that its clients read."""

from __future__ import annotations

import os
import re
from pathlib import Path

from latlab.common.files import read_regular, storing
from latlab.domain.errors import StorageError

DAEMON_FILE, LOCK_FILE, TOKEN_FILE = "daemon.json", "daemon.lock", "token"
MAX_TOKEN_BYTES = 4096


def home_folder() -> Path:
    """Return LATLAB_HOME, or ~/.latlab by default. The folder need not exist.

    Raises:
        StorageError: LATLAB_HOME cannot be a folder's name, or the user has no home folder.
    """
    named = os.environ.get("LATLAB_HOME")
    # A database's address would take what follows a question mark for its options.
    if named and (not named.isprintable() or "?" in named):
        raise StorageError(
            f"LATLAB_HOME is {named!r}: name a folder without control characters and question marks"
        )
    try:
        root = Path(named) if named else Path.home() / ".latlab"
    except RuntimeError as error:
        raise StorageError(
            "no home folder of this user is known: set LATLAB_HOME to a folder"
        ) from error
    with storing(root):
        return root.absolute()


def read_token(path: Path) -> str:
    """Return the lab's token, which a file holds.

    Raises:
        StorageError: The file cannot be read, or it holds no token.
    """
    with storing(path):
        token = read_regular(path, MAX_TOKEN_BYTES).decode(errors="replace").strip()
    if re.fullmatch(r"[\w-]{16,}", token, re.ASCII) is None:
        raise StorageError(
            f"{path} holds no token: remove it, then `latlab lab down` and `latlab lab up`"
        )
    return token
