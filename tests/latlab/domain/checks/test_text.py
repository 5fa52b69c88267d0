"""Texts from devices have no effect, and those of honest devices stay as they are."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latlab.domain.checks.text import cleaned, visible

# As they are on phones, boards and servers.
HONEST = [
    "Google Pixel 8 Pro",
    "Raspberry Pi 5 Model B Rev 1.0",
    "Intel(R) Xeon® CPU\N{NO-BREAK SPACE}™ @ 2.20GHz",
    "小米 13  Ultra",
    "Android google/husky/husky:14/AP2A.240805.005/12025142:user/release-keys",
    "Debian GNU/Linux 12 (bookworm), Linux 6.1.0-18-amd64",
]


@pytest.mark.parametrize("text", HONEST)
def test_an_honest_text_stays_as_it_is(text: str) -> None:
    assert cleaned(text, 256) == text


@given(
    st.text() | st.text("\x00\x1b\r\n\t\x9b\u202e\u2066\u2028\u200f\ufeffab"), st.integers(1, 40)
)
def test_a_cleaned_text_has_no_effect(text: str, max_length: int) -> None:
    clean = cleaned(text, max_length)
    assert len(clean) == min(len(text), max_length)
    assert len(clean.splitlines()) <= 1
    effective = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert not effective & {unicodedata.category(character) for character in clean}
    assert cleaned(clean, max_length) == clean
    if text.isprintable():
        assert cleaned(text) == text


def test_white_space_stays_space() -> None:
    assert cleaned("two\nlines\tor three") == "two lines or three"
    assert cleaned("\x1b[31mred") == "\N{REPLACEMENT CHARACTER}[31mred"


@given(st.text())
def test_a_visible_text_shows_what_is_in_it(text: str) -> None:
    assert visible(text).isprintable()
    assert visible(text, "\n").count("\n") == text.count("\n")
    if text.isprintable():
        assert visible(text) == text
