"""The calls that are served now. A call ends soon after its token is revoked or expires.

What a call with a single answer reads from the database ends soon after its deadline, and after its
client has gone.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc

from host.database.connections.call_reads import CallReads
from host.services.access.authenticator import Authenticator
from latlab.domain.errors import StorageError, Unauthenticated

POLL_S = 1.0
# A call that has not noticed after so long that its token ended is cancelled.
GRACE_S = 5.0
# So long the daemon waits at its end for calls that are slow to notice that they were cancelled.
CLOSE_S = 3.0


class OpenCall:
    """A call that is served. It stands for gRPC's context, of which it knows more.

    Attributes:
        context: gRPC's context of the call.
        secret_sha256: By it the authenticator knows the call's token.
        reads: What the call reads from the database.
        refusal: Why the token is no longer valid; None while it is.
        refused_s: Since when it is not, by `time.monotonic`.
    """

    def __init__(self, context: grpc.ServicerContext, secret_sha256: bytes) -> None:
        """Begin to serve a call."""
        self.context = context
        self.secret_sha256 = secret_sha256
        self.reads = CallReads()
        self.refusal: Unauthenticated | None = None
        self.refused_s = 0.0

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 -- whatever gRPC's context has
        """Return an attribute of gRPC's context."""
        return getattr(self.context, name)

    def is_active(self) -> bool:
        """Return whether the call is to go on: its client is there, and its token is valid."""
        return self.refusal is None and bool(self.context.is_active())

    def check(self) -> None:
        """Raise Unauthenticated if the token is no longer valid."""
        if self.refusal is not None:
            raise self.refusal


class OpenCalls:
    """All open calls. Every second a thread looks who waits for them, and checks their tokens."""

    def __init__(self, authenticator: Authenticator) -> None:
        """Start the thread."""
        self._authenticator = authenticator
        self._changed = threading.Condition()
        self._open: dict[OpenCall, None] = {}
        self._stopping = threading.Event()
        threading.Thread(target=self._watch, name="open-calls", daemon=True).start()

    @contextmanager
    def serving(self, call: OpenCall) -> Iterator[None]:
        """Watch a call until the block ends."""
        with self._changed:
            self._open[call] = None
        try:
            yield
        finally:
            with self._changed:
                del self._open[call]
                self._changed.notify_all()

    def close(self) -> None:
        """Wait until the calls that the server has cancelled have ended, for CLOSE_S at most."""
        with self._changed:
            self._changed.wait_for(lambda: not self._open, CLOSE_S)
        self._stopping.set()

    def _watch(self) -> None:
        while not self._stopping.wait(POLL_S):
            with self._changed:
                calls = list(self._open)
            by_secret = defaultdict(list)
            for call in calls:
                if not call.context.is_active():
                    call.reads.end()
                by_secret[call.secret_sha256].append(call)
            for secret_sha256, of_token in by_secret.items():
                try:
                    self._authenticator.find(secret_sha256)
                except Unauthenticated as refusal:
                    for call in of_token:
                        _end(call, refusal)
                except StorageError:  # calls go on while the database does not answer
                    continue


def _end(call: OpenCall, refusal: Unauthenticated) -> None:
    if call.refusal is None:
        call.refusal, call.refused_s = refusal, time.monotonic()
    elif time.monotonic() > call.refused_s + GRACE_S:
        call.context.cancel()
