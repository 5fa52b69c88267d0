"""Report activities, such as calls, visits and refits, to whoever watches them.

What does the work does not know whether it becomes a metric, a trace, or nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TypeAlias

Attributes: TypeAlias = dict[str, str]
# Is called when an activity begins, with its name and attributes, and left when it ends. By then
# the attributes have an outcome, unless the activity raised.
Watcher: TypeAlias = Callable[[str, Attributes], AbstractContextManager[object]]

CALL, VISIT, REFIT = "call", "visit", "refit"
OUTCOME = "outcome"

_watchers: tuple[Watcher, ...] = ()


@contextmanager
def activity(name: str, **attributes: str) -> Iterator[Attributes]:
    """Report an activity that lasts as long as the block.

    Args:
        name: CALL, VISIT or REFIT.
        attributes: What it belongs to.

    Yields:
        The attributes, to which the block adds how it ended, as OUTCOME.
    """
    if not _watchers:
        yield attributes
        return
    with ExitStack() as stack:
        for watcher in _watchers:
            stack.enter_context(watcher(name, attributes))
        yield attributes


@contextmanager
def watched_by(*watchers: Watcher) -> Iterator[None]:
    """Report the activities of this process to these watchers too, until the block ends."""
    global _watchers
    before = _watchers
    _watchers = (*before, *watchers)
    try:
        yield
    finally:
        _watchers = before
