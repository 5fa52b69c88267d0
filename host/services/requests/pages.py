"""The sizes of pages."""

from __future__ import annotations

from latlab.domain.errors import InvalidRequest


def page_size(wanted: int, usual: int, most: int) -> int:
    """Return the size of a page: the usual one for 0. Raises InvalidRequest above the most."""
    if wanted > most:
        raise InvalidRequest(f"page_size: at most {most}, not {wanted}")
    return wanted or usual
