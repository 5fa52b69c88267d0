"""Find the lab that runs on this machine: its address and its token.

A lab runs on Linux only, so this module may need what other systems lack. Import it only where a
lab of this machine is looked for.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from pathlib import Path
from typing import Any

from latlab.client.connection.home import DAEMON_FILE, LOCK_FILE, TOKEN_FILE, read_token
from latlab.common.files import read_regular, storing
from latlab.convert.errors import NOT_RUNNING
from latlab.domain.errors import StorageError, Unavailable

MAX_INFO_BYTES = 1 << 16


def find_lab(home: Path) -> tuple[str, str]:
    """Return the address and the token of the lab whose state lies in `home`.

    Raises:
        Unavailable: The lab does not run. The message says how to start it.
        StorageError: Its files cannot be read or are damaged.
    """
    info = process_info(home / DAEMON_FILE, home / LOCK_FILE)
    if info is None:
        raise Unavailable(NOT_RUNNING)
    address = info.get("address")
    if not isinstance(address, str):
        raise StorageError(f"{home / DAEMON_FILE} is damaged: it holds no address of the lab")
    return address, read_token(home / TOKEN_FILE)


def process_info(info_file: Path, lock_file: Path) -> dict[str, Any] | None:
    """Return the JSON object that a background process wrote about itself, with its `pid`.

    Args:
        info_file: The process writes it when it starts to serve.
        lock_file: The process holds an flock on it while it lives. A pid alone may belong to
            another process by now.

    Returns:
        The object; None if no such process lives or it does not serve yet.

    Raises:
        StorageError: A file cannot be read, or the object is damaged.
    """
    with storing(lock_file):
        if not is_locked(lock_file):
            return None
    try:
        with storing(info_file), contextlib.suppress(FileNotFoundError):
            info = json.loads(read_regular(info_file, MAX_INFO_BYTES))
            if not isinstance(info, dict) or not _is_process_id(info.get("pid")):
                raise ValueError("the file holds no process id")
            return info
    except (ValueError, RecursionError) as error:
        raise StorageError(
            f"{info_file} is damaged ({error}): end the process that holds "
            f"{lock_file}, and remove the file"
        ) from error
    return None


def is_locked(lock_file: Path) -> bool:
    """Return whether a process holds an flock on the file. Raises OSError."""
    try:
        descriptor = os.open(lock_file, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _is_process_id(value: object) -> bool:
    """Return whether a signal to this id reaches one ordinary process."""
    return isinstance(value, int) and not isinstance(value, bool) and value > 1
