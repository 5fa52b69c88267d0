"""The sizes of pages."""

from __future__ import annotations


def page_size(wanted: int, usual: int, most: int) -> int:
    """Return the size of a page: the usual one for 0, and the most for more (AIP-158)."""
    return min(wanted or usual, most)
