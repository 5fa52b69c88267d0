"""Format the lab's log, in which texts from devices and clients stand."""

from __future__ import annotations

import logging
from types import TracebackType

from latlab.domain.text import visible


class LogFormatter(logging.Formatter):
    """Writes each message on one line, with control characters as escapes.

    So no text can forge a line of the log, or give orders to the terminal that shows it. Only
    tracebacks take several lines.
    """

    def __init__(self) -> None:
        """Write time, level and message."""
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 -- logging's name
        """Return the record's line."""
        return visible(super().formatMessage(record))

    def formatException(  # noqa: N802 -- as above
        self,
        ei: tuple[type[BaseException], BaseException, TracebackType | None]
        | tuple[None, None, None],
    ) -> str:
        """Return the lines of a traceback."""
        return visible(super().formatException(ei), "\n")
