"""Log to standard error: one line for each message, in a file of bounded size.

Texts from devices and clients stand in the log. LATLAB_LOG_FORMAT chooses its format: `text`, the
default, is for people, and `json` is for programs.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import stat
import sys
import threading
from dataclasses import asdict
from datetime import datetime, timezone
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import TracebackType

from latlab.common.telemetry.work import present_work, request_id
from latlab.domain.checks.text import visible

MAX_LOG_BYTES = 4 << 20
FORMAT_VARIABLE = "LATLAB_LOG_FORMAT"
TEXT, JSON = "text", "json"


def start_logging(*, rotates: bool = True) -> None:
    """Log to standard error.

    Args:
        rotates: Whether this process begins the log anew when it is a file of more than
            MAX_LOG_BYTES. The old one gets the suffix `.1`, in place of the one that has it. A
            process that logs into its parent's file leaves that to the parent.
    """
    path = _file_of(sys.stderr.fileno()) if rotates else None
    handler = logging.StreamHandler() if path is None else _RotatingLog(path)
    wanted = os.environ.get(FORMAT_VARIABLE) or TEXT
    handler.setFormatter(JsonFormatter() if wanted == JSON else LogFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught
    threading.excepthook = lambda error: _log_uncaught(
        error.exc_type, error.exc_value, error.exc_traceback
    )
    if wanted not in (TEXT, JSON):
        logging.warning("%s is %r: set it to %r or %r", FORMAT_VARIABLE, wanted, TEXT, JSON)


def _log_uncaught(
    kind: type[BaseException], error: BaseException | None, traceback: TracebackType | None
) -> None:
    """Log an error that ends a thread or the process; Python would print it."""
    if error is not None and not isinstance(error, KeyboardInterrupt | SystemExit):
        logging.critical("%s: %s", kind.__name__, error, exc_info=(kind, error, traceback))


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
        """Write time, level, the id of the request that is served, and the message."""
        super().__init__("%(asctime)s %(levelname)s %(request)s%(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 -- logging's name
        """Return a log record as the one line of text that is written to the log."""
        record.request = f"[{request}] " if (request := request_id()) else ""
        return visible(super().formatMessage(record))

    def formatException(  # noqa: N802 -- as above
        self,
        ei: tuple[type[BaseException], BaseException, TracebackType | None]
        | tuple[None, None, None],
    ) -> str:
        """Return the text of an exception, which takes several lines."""
        return visible(super().formatException(ei), "\n")


class JsonFormatter(logging.Formatter):
    """Writes each message as a JSON object on one line.

    It has the fields `time` (UTC, by RFC 3339), `level`, `logger` and `message`, and those of
    `request_id`, `method`, `owner`, `job_id`, `run_id` and `exception` that are known. All but
    ASCII is escaped.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return a log record as the line that is written to the log."""
        time = datetime.fromtimestamp(record.created, timezone.utc)
        line = {
            "time": time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **{name: text for name, text in asdict(present_work()).items() if text},
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


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
