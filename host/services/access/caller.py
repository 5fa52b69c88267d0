"""Who makes the call that a thread serves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context

from latlab.common.telemetry.work import working
from latlab.domain.access.token import LOCAL_OWNER, AccessToken, Scope

# The lab's own token, which lies in its folder: for the commands of the user who runs the lab.
LOCAL_TOKEN = AccessToken("local", LOCAL_OWNER, frozenset({Scope.ADMIN}), created_unix_ns=0)

# Outside of calls: it allows nothing.
NOBODY = AccessToken("", "", frozenset(), created_unix_ns=0)

_caller: ContextVar[AccessToken] = ContextVar("caller", default=NOBODY)


def caller() -> AccessToken:
    """Return the token of the call that this thread serves; one that allows nothing outside of it.

    A thread that a servicer starts does not inherit it: ask before, and pass it on.
    """
    return _caller.get()


@contextmanager
def calling(token: AccessToken) -> Iterator[None]:
    """Serve a call of this token until the block ends."""
    before = _caller.set(token)
    try:
        with working(owner=token.owner):
            yield
    finally:
        _caller.reset(before)


@contextmanager
def calling_context(token: AccessToken) -> Iterator[Context]:
    """Hand out a context whose `run` serves a call of this token, until the block ends.

    An answer that is a stream is made step by step, and each step runs in it.
    """
    context, served = copy_context(), calling(token)
    context.run(served.__enter__)
    try:
        yield context
    finally:
        context.run(served.__exit__, None, None, None)
