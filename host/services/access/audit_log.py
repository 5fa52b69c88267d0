"""Write the audit log beside the calls, which never wait for it."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.message import DecodeError, Message

from host.database.access import audit
from host.database.engine import Database
from latlab.domain.access.audit import AuditEntry
from latlab.domain.checks.text import cleaned
from latlab.domain.errors import StorageError

MAX_WAITING = 10_000
MAX_BATCH = 500
# The oldest entries are dropped after so many new ones.
TRIM_EVERY = 1_000
RETRY_S = 1.0
STOP_S = 10.0
MAX_RESOURCE_CHARS = 200
# Fields that say what a request is about, the most telling first.
_RESOURCE_FIELDS = (
    *("name", "names", "device", "transport", "address", "id", "ids"),
    *("program_sha256", "sha256", "target", "owner"),
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Record:
    """An entry, and the call's first message, which says what it is about."""

    entry: AuditEntry
    request: bytes


class AuditLog:
    """The audit log of this daemon's calls.

    Entries wait in a queue of bounded length, and a thread writes them. While the database refuses
    them, they wait. Entries that find the queue full are lost, and the log counts them.
    """

    def __init__(self, database: Database) -> None:
        """Start the thread that writes."""
        self._database = database
        self._waiting: queue.Queue[_Record | threading.Event | None] = queue.Queue(MAX_WAITING)
        self._stop_by_s: float | None = None
        self._lost = 0
        self._new = TRIM_EVERY  # trim at the start
        self._thread = threading.Thread(target=self._write, name="audit", daemon=True)
        self._thread.start()

    def put(self, entry: AuditEntry, request: bytes = b"") -> None:
        """Let an entry be written.

        Args:
            entry: The entry. If its resource is empty, it is taken from the request.
            request: The first message of the call.
        """
        try:
            self._waiting.put_nowait(_Record(entry, request))
        except queue.Full:
            self._lost += 1

    def flush(self, timeout_s: float) -> None:
        """Wait until all entries so far are written, or for `timeout_s`."""
        written = threading.Event()
        try:
            self._waiting.put_nowait(written)
        except queue.Full:
            return
        written.wait(timeout_s)

    def close(self) -> None:
        """Write what waits, for STOP_S at most, and stop the thread."""
        self._stop_by_s = time.monotonic() + STOP_S
        self._waiting.put(None)
        self._thread.join(STOP_S + RETRY_S)

    def _write(self) -> None:
        is_open = True
        while is_open:
            items = [self._waiting.get()]
            while len(items) < MAX_BATCH:
                try:
                    items.append(self._waiting.get_nowait())
                except queue.Empty:
                    break
            is_open = None not in items
            self._store([item for item in items if isinstance(item, _Record)])
            for item in items:
                if isinstance(item, threading.Event):
                    item.set()

    def _store(self, records: Sequence[_Record]) -> None:
        """Write entries; again and again while the database refuses them."""
        entries = [_with_resource(record) for record in records]
        has_warned = False
        while entries:
            try:
                self._add(entries)
                return
            except StorageError as error:
                if not has_warned:
                    log.warning("the audit log waits: %s", error)
                    has_warned = True
                if self._stop_by_s is not None and time.monotonic() > self._stop_by_s:
                    log.error("%d entries of the audit log are lost: %s", len(entries), error)
                    return
                time.sleep(RETRY_S)
            except Exception:  # a defect must not end the thread, or every later entry is lost
                log.exception("%d entries of the audit log are lost", len(entries))
                return

    def _add(self, entries: Sequence[AuditEntry]) -> None:
        with self._database.writing() as connection:
            audit.add_entries(connection, entries)
            if self._new + len(entries) >= TRIM_EVERY:
                audit.drop_oldest(connection)
        self._new = (self._new + len(entries)) % TRIM_EVERY
        lost, self._lost = self._lost, 0
        if lost:
            log.error("%d entries of the audit log are lost: more came than can be written", lost)


def _with_resource(record: _Record) -> AuditEntry:
    text = record.entry.resource or _resource(record.entry.method, record.request)
    return replace(record.entry, resource=cleaned(text, MAX_RESOURCE_CHARS))


def _resource(method: str, request: bytes) -> str:
    """Return what a request is about; "" if it does not say."""
    if not request:
        return ""
    try:
        found: Any = descriptor_pool.Default().FindMethodByName(
            f"latlab.v1.{method.replace('/', '.')}"
        )
        message = message_factory.GetMessageClass(found.input_type).FromString(request)
    except (KeyError, DecodeError):
        return ""
    return resource_of(message)


def resource_of(message: Message) -> str:
    """Return the name, device or program that a message is about; "" if it names none."""
    for name in _RESOURCE_FIELDS:
        value = getattr(message, name, "")
        first = value if isinstance(value, str) else next(iter(value), "")
        if first and isinstance(first, str):
            return first
    for _, value in message.ListFields():
        if isinstance(value, Message) and (found := resource_of(value)):
            return found
    return ""
