"""Find the token that a call was made with."""

from __future__ import annotations

import contextlib
import hashlib
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone

from host.database.access.tokens import State, all_tokens, tokens_state
from host.database.engine import Database
from host.services.access.caller import LOCAL_TOKEN
from latlab.domain.access.token import AccessToken
from latlab.domain.errors import DatabaseBusy, StorageError, Unauthenticated

# Several daemons may share a database. A token that another one has made, revoked or dropped is
# known after so many seconds. What this daemon does itself is known at once.
FRESH_S = 2.0
# While the database does not answer, calls are served with what was known up to so long before.
STALE_S = 30.0
MAX_SECRET_CHARS = 512

Metadata = Sequence[tuple[str, "str | bytes"]]


class TokenEnded(Unauthenticated):
    """A token of the lab was revoked or has expired. A client is told of Unauthenticated.

    Attributes:
        token: The token.
    """

    def __init__(self, token: AccessToken, what: str, unix_ns: int) -> None:
        """Make the error: "was revoked", for example, and when."""
        self.token = token
        when = datetime.fromtimestamp(unix_ns / 1e9, timezone.utc)
        super().__init__(
            f"the token {token.id} of {token.owner} {what} on {when:%Y-%m-%d at %H:%M} UTC: ask the"
            " lab's owner for another (latlab token create)"
        )


class Authenticator:
    """The tokens of the lab, as the database holds them, and the lab's own.

    All tokens are held in memory, so a call costs no query, and calls with made-up tokens do not
    reach the database either. Expiry is checked at each call.
    """

    def __init__(
        self,
        database: Database,
        local_secret: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read no token yet.

        Args:
            database: Holds the tokens, except for the lab's own.
            local_secret: The secret of the lab's own token, from the lab's folder.
            clock: Returns the time in seconds.
        """
        self._clock = clock
        self._database = database
        self._local = {hashed(local_secret): LOCAL_TOKEN}
        self._refreshing = threading.Lock()
        self._tokens: Mapping[bytes, AccessToken] = self._local
        self._state: State | None = None
        self._read_s = -math.inf  # when the tokens were read
        self._failure: StorageError | None = None
        self._failed_s = -math.inf

    def authenticate(self, metadata: Metadata) -> tuple[bytes, AccessToken]:
        """Return the token of a call's metadata, and the hash by which `find` knows it.

        Raises:
            Unauthenticated: There is no valid token. The message says why.
            StorageError: The database does not answer.
        """
        sent = [value for key, value in metadata if key == "authorization"]
        if not sent:
            raise Unauthenticated(
                "the call has no token: send the metadata `authorization: Bearer TOKEN`"
            )
        if len(sent) > 1:
            raise Unauthenticated("the call has several tokens: send one")
        scheme, _, secret = _text(sent[0]).partition(" ")
        if scheme != "Bearer" or not 0 < len(secret) <= MAX_SECRET_CHARS:
            raise Unauthenticated(
                "the token is missing or wrong: send the metadata `authorization: Bearer TOKEN`"
            )
        secret_sha256 = hashed(secret)
        return secret_sha256, self.find(secret_sha256)

    def find(self, secret_sha256: bytes) -> AccessToken:
        """Return the token whose secret has this SHA-256.

        Raises:
            Unauthenticated: It is unknown.
            TokenEnded: It was revoked, or has expired.
            StorageError: The database does not answer.
        """
        if secret_sha256 in self._local:  # works without the database
            return LOCAL_TOKEN
        token = self._current().get(secret_sha256)
        if token is None:
            raise Unauthenticated(
                "the token is wrong: this lab has made no such token. Ask its owner for one"
                " (latlab token create)"
            )
        if token.revoked_unix_ns is not None:
            raise TokenEnded(token, "was revoked", token.revoked_unix_ns)
        if token.expires_unix_ns is not None and token.expires_unix_ns <= time.time_ns():
            raise TokenEnded(token, "has expired", token.expires_unix_ns)
        return token

    def refresh(self) -> None:
        """Read the tokens anew, after one was made or revoked.

        If the database does not answer just now, they are read as those of another daemon are.
        """
        with self._refreshing, contextlib.suppress(StorageError):
            self._read()

    def _current(self) -> Mapping[bytes, AccessToken]:
        """Return the tokens, as they were FRESH_S ago or later if the database answers.

        Only one call at a time reads them, and the others do not wait for it.
        """
        age_s = self._clock() - self._read_s
        if age_s >= FRESH_S and self._refreshing.acquire(blocking=age_s >= STALE_S):
            try:
                self._read_if_old()
            except StorageError:
                if age_s >= STALE_S:
                    raise
            finally:
                self._refreshing.release()
        return self._tokens

    def _read_if_old(self) -> None:
        """Read the tokens, unless another call has just read them or has just failed to."""
        if self._clock() < self._read_s + FRESH_S:
            return
        if self._failure is not None and self._clock() < self._failed_s + FRESH_S:
            raise DatabaseBusy(str(self._failure))
        try:
            self._read()
        except StorageError as error:
            self._failure, self._failed_s = error, self._clock()
            raise
        self._failure = None

    def _read(self) -> None:
        read_s = self._clock()
        with self._database.reading() as connection:
            state = tokens_state(connection)
            if state != self._state:
                self._tokens = {**all_tokens(connection), **self._local}
                self._state = state
        self._read_s = read_s


def hashed(secret: str) -> bytes:
    """Return what is stored of a secret. It is too random to be guessed, so no salt is needed."""
    return hashlib.sha256(secret.encode()).digest()


def _text(value: str | bytes) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value
