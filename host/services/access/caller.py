"""Who makes the call that a thread serves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from latlab.domain.access.token import LOCAL_OWNER, AccessToken, Scope

LOCAL_TOKEN = AccessToken("local", LOCAL_OWNER, frozenset({Scope.ADMIN}), created_unix_ns=0)

_caller: ContextVar[AccessToken] = ContextVar("caller", default=LOCAL_TOKEN)


def caller() -> AccessToken:
    """Return the token of the call that this thread serves.

    A thread that a servicer starts does not inherit it: ask before, and pass it on.
    """
    return _caller.get()


@contextmanager
def calling(token: AccessToken) -> Iterator[None]:
    """Serve a call of this token until the block ends."""
    before = _caller.set(token)
    try:
        yield
    finally:
        _caller.reset(before)
