"""Keep messages of the export stack off the screen; users can do nothing about them."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import warnings
from collections.abc import Iterator
from unittest import mock

from latlab.export.execution.turns import turn


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Drop warnings, and this thread's log records up to WARNING.

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
        if record.levelno > logging.WARNING or threading.get_ident() != thread:
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
def silent() -> Iterator[None]:
    """Drop what is written to standard error, from C++ too, by code that raises its errors."""
    with turn():
        kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, 2)
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            os.close(nowhere)
