"""Log to standard error: one line for each message, in a file of bounded size.

Texts from devices and clients stand in the log.
"""

from __future__ import annotations

import contextlib
import logging
import os
import stat
import sys
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import TracebackType

from latlab.domain.checks.text import visible

MAX_LOG_BYTES = 4 << 20


def start_logging() -> None:
    """Log to standard error.

    If that is a file of more than MAX_LOG_BYTES, it gets the suffix `.1`, in place of the one that
    has it, and is begun anew.
    """
    path = _file_of(sys.stderr.fileno())
    handler = logging.StreamHandler() if path is None else _RotatingLog(path)
    handler.setFormatter(LogFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def bound_log(path: Path) -> None:
    """Empty a log of more than MAX_LOG_BYTES, to which another program appends."""
    with contextlib.suppress(OSError):  # there is none, or it is not ours
        if path.stat().st_size > MAX_LOG_BYTES:
            os.truncate(path, 0)


class LogFormatter(logging.Formatter):
    """Writes each message on one line, with control characters as escapes.

    So no text can forge a line of the log, or give orders to the terminal that shows it. Only
    tracebacks take several lines.
    """

    def __init__(self) -> None:
        """Write time, level and message."""
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 -- logging's name
        """Return a log record as the one line of text that is written to the log."""
        return visible(super().formatMessage(record))

    def formatException(  # noqa: N802 -- as above
        self,
        ei: tuple[type[BaseException], BaseException, TracebackType | None]
        | tuple[None, None, None],
    ) -> str:
        """Return the text of an exception, which takes several lines."""
        return visible(super().formatException(ei), "\n")


class _RotatingLog(RotatingFileHandler):
    """The log in the file that standard error leads to.

    Standard error, and standard output if it leads there too, follow to the new file, because
    libraries in C print to them.
    """

    def __init__(self, path: Path) -> None:
        self._followers = [
            descriptor
            for descriptor in (sys.stdout.fileno(), sys.stderr.fileno())
            if _file_of(descriptor) == path
        ]
        super().__init__(path, maxBytes=MAX_LOG_BYTES, backupCount=1)

    def _open(self) -> TextIOWrapper:
        stream = super()._open()
        for descriptor in self._followers:
            os.dup2(stream.fileno(), descriptor)
        return stream


def _file_of(descriptor: int) -> Path | None:
    """Return the regular file that a descriptor leads to; None if there is none by that name."""
    with contextlib.suppress(OSError):
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode) and os.path.samestat(status, path.stat()):
            return path
    return None
