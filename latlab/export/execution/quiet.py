"""Keep messages of the export stack off the screen; users can do nothing about them."""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
import threading
import warnings
from collections.abc import Iterator
from typing import IO
from unittest import mock

from latlab.export.execution.turns import turn


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Drop warnings, and this thread's log records: up to WARNING, and all of PyTorch.

    PyTorch logs the errors that it raises, with its traceback.

    Imports belong inside too, because some libraries warn when they load. Other threads go on
    logging, but Python's warnings are dropped for all threads.
    """
    with turn(), _without_records(threading.get_ident()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _without_records(thread: int) -> Iterator[None]:
    handle = logging.Logger.handle

    def handle_others(logger: logging.Logger, record: logging.LogRecord) -> None:
        is_torchs = record.name.partition(".")[0] == "torch"
        is_an_error = record.levelno > logging.WARNING and not is_torchs
        if is_an_error or threading.get_ident() != thread:
            handle(logger, record)

    # If the root logger has no handler, logging.warning() installs one for good.
    placeholder = logging.NullHandler()
    bare = not logging.root.handlers
    if bare:
        logging.root.addHandler(placeholder)
    try:
        with mock.patch.object(logging.Logger, "handle", handle_others):
            yield
    finally:
        if bare:
            logging.root.removeHandler(placeholder)


@contextlib.contextmanager
def silent() -> Iterator[IO[bytes]]:
    """Write to the file that is yielded what code, in C++ too, writes to standard error."""
    with turn(), tempfile.TemporaryFile() as log:
        kept = os.dup(2)
        try:
            os.dup2(log.fileno(), 2)
            # ExecuTorch writes its log to Python's stderr, which may be another file.
            with os.fdopen(2, "w", closefd=False) as file, contextlib.redirect_stderr(file):
                yield log
        finally:
            os.dup2(kept, 2)
            os.close(kept)
