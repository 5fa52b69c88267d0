"""Write files whole or not at all, keep disk space free, and explain storage errors."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from latlab.domain.errors import DiskFull, StorageError

PART_SUFFIX = ".part"  # a file that is being written has it
OLD_PART_S = 86_400.0  # no process takes so long to write a file
# Results, the database and logs use it when programs are refused already.
MAX_RESERVE_BYTES = 256 << 20
_RESERVE_SHARE = 20  # a small disk's reserve is one part of so many

# Windows lacks the flags, has no named pipes among its files, and closes descriptors by itself.
_READ_AT_ONCE = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)

FULL = (errno.ENOSPC, errno.EDQUOT)
# What to do about a path that cannot be used, by the error.
ADVICE = {
    errno.EACCES: "give this user the right to it, or name another place",
    errno.EPERM: "give this user the right to it, or name another place",
    errno.EROFS: "name a place that can be written",
    errno.ENOTDIR: "a part of it is a file where a folder is needed: name another place",
    errno.EEXIST: "a file or a dangling link is where a folder is needed: name another place",
    errno.EISDIR: "it is a folder where a file is needed: name another place",
    errno.ENOENT: "name a place that exists",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ELOOP: "correct its symbolic links",
}


@contextlib.contextmanager
def replacing(path: Path, mode: int = 0o666) -> Iterator[Path]:
    """Yield a draft to write, which replaces `path` when the block ends.

    The file is synced to disk then. If the block raises, `path` stays as it was and the draft is
    removed.

    Args:
        path: The file to write.
        mode: The file's mode, less the umask.

    Raises:
        StorageError: The file cannot be written, because the disk is full for example.
    """
    draft = path.with_name(f"{path.name}.{uuid.uuid4().hex}{PART_SUFFIX}")
    with storing(path):
        try:
            draft.touch(mode)
            yield draft
            with draft.open("rb") as file:
                os.fsync(file.fileno())
            draft.replace(path)
            _sync_folder(path.parent)
        finally:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_parts(folder: Path, min_age_s: float) -> None:
    """Remove the drafts that killed processes left in a folder, which may be missing.

    Args:
        folder: The folder.
        min_age_s: Younger drafts stay. It is 0 where no other process writes.

    Raises:
        StorageError: A draft cannot be removed.
    """
    with storing(folder):
        for part in folder.glob(f"*{PART_SUFFIX}"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - part.stat().st_mtime >= min_age_s:
                    part.unlink()


def spare_bytes(folder: Path) -> int:
    """Return how many bytes are free on the folder's disk beyond the reserve.

    It is negative if the reserve has been touched. Raises OSError.
    """
    disk = os.statvfs(folder)
    reserve_bytes = min(disk.f_blocks * disk.f_frsize // _RESERVE_SHARE, MAX_RESERVE_BYTES)
    return disk.f_bavail * disk.f_frsize - reserve_bytes


def require_space(folder: Path, needed_bytes: int) -> None:
    """Raise DiskFull if so many bytes would touch the reserve of the folder's disk."""
    with storing(folder):
        missing_bytes = needed_bytes - spare_bytes(folder)
    if missing_bytes > 0:
        raise DiskFull(
            f"storage is full: free {-(-missing_bytes // 1_000_000)} MB on the disk that holds"
            f" {folder}"
        )


@contextlib.contextmanager
def storing(path: Path) -> Iterator[None]:
    """Raise StorageError in place of any OSError of the block, which reads or writes `path`."""
    try:
        yield
    except OSError as error:
        raise storage_error(error, path) from error


def storage_error(error: OSError, path: Path | None = None) -> StorageError:
    """Return `error` as a StorageError that names the file, and says what to do.

    Args:
        error: The operating system's error.
        path: The file or folder that was read or written; by default the one in `error`.
    """
    named = path or (Path(os.fsdecode(error.filename)) if error.filename else None)
    if error.errno in FULL:
        folder = "the lab's files" if named is None else named.parent
        return DiskFull(f"the disk that holds {folder} is full: free some space on it")
    reason = error.strerror or str(error)
    advice = ADVICE.get(error.errno or 0)
    place = "" if named is None else f"{named}: "
    return StorageError(f"{place}{reason}" + (f" ({advice})" if advice else ""))


def read_regular(path: Path, max_bytes: int) -> bytes:
    """Return the bytes of a regular file. Pipes and devices are refused at once.

    Raises:
        OSError: The file cannot be read, is not regular, or is larger than `max_bytes`.
    """
    descriptor = os.open(path, _READ_AT_ONCE)
    with os.fdopen(descriptor, "rb") as file:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise OSError(errno.EFBIG, f"larger than {max_bytes:,} bytes", str(path))
    return data
