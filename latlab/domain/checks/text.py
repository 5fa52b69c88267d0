"""Make texts from devices harmless: once when they enter the lab, and wherever they are shown."""

from __future__ import annotations

import unicodedata

# Unicode's categories of the characters that have an effect where they are shown: control
# characters, formats (such as those that reverse the direction of writing), halves of characters,
# and separators of lines and paragraphs.
_EFFECTIVE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def cleaned(text: str, max_length: int | None = None) -> str:
    """Return a text on one line and without characters that have an effect.

    White space of any kind becomes a space, and other such characters become U+FFFD. A text
    without them, as every honest device has, stays as it is.

    Args:
        text: The text.
        max_length: The most characters to return; what is longer ends in an ellipsis.
    """
    if max_length is not None and len(text) > max_length:
        text = f"{text[: max_length - 1]}…"
    if text.isprintable():
        return text
    return "".join(map(_harmless, text))


def visible(text: str, kept: str = "") -> str:
    """Return a text whose control characters and half characters are shown as escapes.

    A terminal would obey the former, and no file can hold the latter.

    Args:
        text: The text.
        kept: Characters that stay as they are.
    """
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c in kept else c.encode("unicode_escape").decode() for c in text
    )


def _harmless(character: str) -> str:
    if unicodedata.category(character) not in _EFFECTIVE:
        return character
    return " " if character.isspace() else "\N{REPLACEMENT CHARACTER}"
