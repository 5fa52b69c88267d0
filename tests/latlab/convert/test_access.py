"""Tokens and the audit log cross the wire as they are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latlab.convert.access.messages import (
    entry_from_message,
    entry_to_message,
    scopes_from_message,
    scopes_to_message,
    token_from_message,
    token_id_of,
    token_to_message,
)
from latlab.domain.access.audit import AuditEntry
from latlab.domain.access.token import AccessToken, Scope
from latlab.domain.errors import InvalidRequest
from latlab.v1 import access_pb2

times = st.integers(0, 2**63 - 1)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
names = st.text("abcdef0123456789", min_size=1, max_size=32)
scopes = st.frozensets(st.sampled_from(Scope))


@given(
    st.builds(AccessToken, names, texts, scopes, times, st.none() | times, st.none() | times, texts)
)
def test_tokens(token: AccessToken) -> None:
    sent = access_pb2.AccessToken.FromString(token_to_message(token).SerializeToString())
    assert token_from_message(sent) == token


@given(
    st.builds(
        AuditEntry, times, texts, names | st.just(""), texts, texts, texts, texts, st.booleans()
    )
)
def test_entries_of_the_audit_log(entry: AuditEntry) -> None:
    sent = access_pb2.AuditEntry.FromString(entry_to_message(entry).SerializeToString())
    assert entry_from_message(sent) == entry


@given(scopes)
def test_scopes_of_requests(wanted: frozenset[Scope]) -> None:
    assert scopes_from_message(scopes_to_message(wanted)) == wanted


@pytest.mark.parametrize("number", [0, 6, -1])
def test_unknown_scopes_are_refused_in_requests_and_ignored_in_answers(number: int) -> None:
    with pytest.raises(InvalidRequest, match="unknown") as refused:
        scopes_from_message([1, number])
    assert refused.value.field == "scopes"
    message = access_pb2.AccessToken(name="tokens/1", scopes=[1, number])  # type: ignore[list-item]
    assert token_from_message(message).scopes == {Scope.READ}


@pytest.mark.parametrize("name", ["", "tokens/", "token/1", "1", "TOKENS/1", "x" * 10_000])
def test_other_names_are_no_tokens(name: str) -> None:
    with pytest.raises(InvalidRequest, match="write it as tokens/ID") as refused:
        token_id_of(name)
    assert refused.value.field == "name"
    assert len(str(refused.value)) < 300
