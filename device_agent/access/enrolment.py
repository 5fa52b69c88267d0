"""Give a host the token of an agent beyond loopback, in exchange for an enrolment code.

A person carries the code from the agent to the host, and it works once. It holds the
certificate's fingerprint, by which the host knows the agent, and a secret, by which the agent
knows the host. The agent keeps only a hash of the secret.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
import threading
from collections.abc import Callable
from pathlib import Path

import grpc

from device_agent.access.auth import Token
from device_agent.machine.conditions import read_text
from latlab.common.files import replacing
from latlab.domain.errors import LabError, NotReady, Unauthenticated
from latlab.v1.device_agent_pb2 import EnrolRequest, EnrolResponse
from latlab.v1.device_agent_pb2_grpc import EnrolmentServicer

# A person who mistypes does not try more often, and nobody can guess 128 bits.
MAX_WRONG_SECRETS = 10
_SECRET_BYTES = 16

_log = logging.getLogger(__name__)


def new_code(path: Path, fingerprint: str) -> str:
    """Return a new enrolment code in place of the last; `path` keeps the hash of its secret."""
    secret = secrets.token_hex(_SECRET_BYTES)
    with replacing(path, mode=0o600) as draft:
        draft.write_bytes(_hash(secret).encode())
    return f"{fingerprint}-{secret}"


class Enrolment(EnrolmentServicer):
    """Answers enrolment requests.

    The file `path` is read for each request, because another process may write a new code there.
    `on_enrolled` is called when a host has got the token.
    """

    def __init__(self, path: Path, token: Token, on_enrolled: Callable[[], None]) -> None:
        self._path = path
        self._token = token
        self._on_enrolled = on_enrolled
        self._lock = threading.Lock()
        self._wrong_secrets = 0

    def Enrol(  # noqa: N802
        self, request: EnrolRequest, context: grpc.ServicerContext
    ) -> EnrolResponse:
        try:
            token = self._redeem(request.secret)
        except LabError as refused:
            _log.warning("enrolment refused to %s: %s", context.peer(), refused)
            raise
        _log.info("enrolled %s", context.peer())
        self._on_enrolled()
        return EnrolResponse(token=token)

    def _redeem(self, secret: str) -> str:
        with self._lock:
            expected = read_text(self._path)
            if expected is None:
                raise NotReady(
                    "the enrolment code was used, or closed after too many wrong ones: make another"
                    " with `latlab-agent --new-code`"
                )
            if hmac.compare_digest(_hash(secret), expected):
                self._close()
                return self._token.renew()
            self._wrong_secrets += 1
            if self._wrong_secrets == MAX_WRONG_SECRETS:
                self._close()
            raise Unauthenticated("the code is wrong: give the one that the agent printed last")

    def _close(self) -> None:
        self._path.unlink(missing_ok=True)
        self._wrong_secrets = 0


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
