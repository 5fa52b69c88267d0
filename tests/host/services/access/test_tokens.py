"""Tokens against the real services: who is let in, and who is not."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import grpc
import pytest

from host.database.access import tokens
from host.database.engine import Database
from host.home.paths import sqlite_url
from host.services.access import open_calls
from host.services.access.authenticator import Authenticator, hashed
from host.services.access.caller import NOBODY, caller
from host.services.access.open_calls import OpenCall, OpenCalls
from host.services.access.scopes import METHODS
from host.services.lab import Lab
from latlab.client.client import LatencyClient
from latlab.domain.access.token import AccessToken, Scope
from latlab.domain.device import DevicePhase
from latlab.domain.errors import (
    DatabaseBusy,
    InvalidRequest,
    LabError,
    NotFound,
    NotReady,
    PermissionDenied,
    Unauthenticated,
)
from latlab.domain.target import Target
from latlab.v1 import access_pb2, latency_pb2
from latlab.v1.access_pb2_grpc import AccessServiceStub
from latlab.v1.latency_pb2_grpc import LatencyServiceStub
from tests.device_agent.agent_process import wait_until
from tests.host.fake_lab import DEVICE, TARGET
from tests.host.services.access.conftest import TeamLab
from tests.host.stored_lab import SPEC, TOKEN

TIMEOUT_S = 60.0
MINUTE_NS = 60 * 10**9


def refusal(client: LatencyClient) -> str:
    with pytest.raises(Unauthenticated) as refused:
        client.targets()
    return str(refused.value)


def test_a_token_does_what_its_scopes_say(lab: TeamLab) -> None:
    token, client = lab.member(Scope.READ, owner="ann@team")
    assert client.access.caller() == token
    assert client.targets()
    assert client.measurement(lab.stored[0].id)
    kernels = lab.stored[0].network.kernels
    for what, scope in (
        (lambda: client.predict(TARGET.id, [kernels]), "predict"),
        (lambda: client.measure(TARGET.id, [lab.stored[0].file], SPEC), "measure"),
        (lambda: client.set_drained(DEVICE.serial, True), "operate"),
        (lambda: list(client.access.tokens()), "admin"),
        (lambda: list(client.access.audit()), "admin"),
        (lambda: client.access.create_token("me", [Scope.ADMIN]), "admin"),
    ):
        with pytest.raises(PermissionDenied, match=f"scope '{scope}'") as denied:
            what()
        assert f"latlab token create --owner ann@team --scopes {scope}" in str(denied.value)
    assert lab.admin.devices()[0].state.phase.name != "DRAINED"


def test_the_labs_own_token_may_do_everything_and_stays(lab: TeamLab) -> None:
    own = lab.admin.access.caller()
    assert (own.id, own.owner, own.scopes) == ("local", "local", frozenset({Scope.ADMIN}))
    assert list(lab.admin.access.tokens()) == []
    with pytest.raises(NotReady, match="lies in its folder"):
        lab.admin.access.revoke_token("local")


def test_a_secret_is_shown_once_and_stored_nowhere(
    lab: TeamLab, database: Database, tmp_path: Path
) -> None:
    token, secret = lab.admin.access.create_token("ann", [Scope.READ], note="CI")
    assert len(secret) == len("latlab_") + 43
    assert list(lab.admin.access.tokens()) == [token]
    lab.client(secret).targets()
    for file in tmp_path.rglob("*"):
        if file.is_file():
            assert secret.encode() not in file.read_bytes(), file
    other, other_secret = lab.admin.access.create_token("ann", [Scope.READ])
    assert (other.id, other_secret) != (token.id, secret)


def test_wrong_tokens_are_refused_and_the_message_says_why(
    lab: TeamLab, database: Database
) -> None:
    now_ns = time.time_ns()
    short_lived = AccessToken(
        "0" * 16, "ann", frozenset({Scope.ADMIN}), now_ns - 2 * MINUTE_NS, now_ns - MINUTE_NS
    )
    with database.writing() as connection:
        tokens.add_token(connection, short_lived, hashed("expired"))
    token, secret = lab.admin.access.create_token("ann", [Scope.ADMIN])
    assert "has made no such token" in refusal(lab.client("latlab_" + "x" * 43))
    for wrong in (secret[:-1], secret + secret, secret.upper(), f"{secret} {secret}"):
        assert "has made no such token" in refusal(lab.client(wrong))
    assert "missing or wrong" in refusal(lab.client("x" * 5_000))
    assert f"the token {short_lived.id} of ann has expired on" in refusal(lab.client("expired"))
    lab.admin.access.revoke_token(token.id)
    assert f"the token {token.id} of ann was revoked on" in refusal(lab.client(secret))


def test_calls_without_one_token_are_refused(lab: TeamLab) -> None:
    _, secret = lab.admin.access.create_token("ann", [Scope.READ])
    bearer = ("authorization", f"Bearer {secret}")
    with grpc.insecure_channel(lab.address) as channel:
        list_targets = LatencyServiceStub(channel).ListTargets
        request = latency_pb2.ListTargetsRequest()
        assert list_targets(request, metadata=(bearer,), timeout=TIMEOUT_S).targets
        wrong: Any
        for wrong in (
            None,
            (bearer, bearer),
            (("authorization", secret),),
            (("authorization", f"Basic {secret}"),),
            (("authorization", "Bearer "),),
            (("authorization", "Bearer"),),
        ):
            with pytest.raises(grpc.RpcError) as refused:
                list_targets(request, metadata=wrong, timeout=TIMEOUT_S)
            assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_tokens_that_make_no_sense_are_not_made(lab: TeamLab) -> None:
    access = lab.admin.access
    for owner in ("", "a b", "ann\n", "ann\x1b[31m", "ä", "a" * 101, "ann\x00", "../x"):
        with pytest.raises(InvalidRequest, match="the owner's name is") as refused:
            access.create_token(owner, [Scope.READ])
        assert refused.value.field == "owner"
        assert "\x1b" not in str(refused.value)
    with pytest.raises(InvalidRequest, match="give it a scope") as refused:
        access.create_token("ann", [])
    assert refused.value.field == "scopes"
    with pytest.raises(InvalidRequest, match="expired already") as refused:
        access.create_token("ann", [Scope.READ], expires_unix_ns=time.time_ns() - 1)
    assert refused.value.field == "expires_unix_ns"
    with pytest.raises(InvalidRequest, match="NUL"):
        access.create_token("ann", [Scope.READ], note="\0")
    for unknown in ("0" * 16, "x\x00", "é"):
        with pytest.raises(LabError):
            access.revoke_token(unknown)
    with pytest.raises(NotFound, match="latlab token list"):
        access.revoke_token("0" * 16)
    assert list(access.tokens()) == []


def test_unknown_scopes_are_refused(lab: TeamLab) -> None:
    metadata = (("authorization", f"Bearer {TOKEN}"),)
    with grpc.insecure_channel(lab.address) as channel:
        create = AccessServiceStub(channel).CreateToken
        for scopes in ([0], [1, 99]):
            request = access_pb2.CreateTokenRequest(owner="ann", scopes=scopes)  # type: ignore[arg-type]
            with pytest.raises(grpc.RpcError) as refused:
                create(request, metadata=metadata, timeout=TIMEOUT_S)
            assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_tokens_are_listed_by_page_and_page_tokens_are_checked(lab: TeamLab) -> None:
    made = [lab.admin.access.create_token(f"o{n}", [Scope.READ])[0] for n in range(5)]
    metadata = (("authorization", f"Bearer {TOKEN}"),)
    with grpc.insecure_channel(lab.address) as channel:
        list_tokens = AccessServiceStub(channel).ListTokens
        request, names = access_pb2.ListTokensRequest(page_size=2), []
        while True:
            page = list_tokens(request, metadata=metadata, timeout=TIMEOUT_S)
            names += [token.name for token in page.tokens]
            if not page.next_page_token:
                break
            request.page_token = page.next_page_token
        assert names == [f"tokens/{token.id}" for token in reversed(made)]
        request.page_token = request.page_token[:-2] + "AA"
        with pytest.raises(grpc.RpcError, match="page token") as refused:
            list_tokens(request, metadata=metadata, timeout=TIMEOUT_S)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_streams_end_soon_after_their_token_is_revoked(lab: TeamLab) -> None:
    token, client = lab.member(Scope.MEASURE, Scope.READ)
    lab.admin.set_drained(DEVICE.serial, True)  # the measurement waits
    wait_until(lambda: lab.admin.devices()[0].state.phase is DevicePhase.DRAINED)
    errors: list[LabError] = []

    def measure() -> None:
        try:
            client.measure(TARGET.id, [lab.stored[0].file], SPEC, fresh=True)
        except LabError as error:
            errors.append(error)

    measuring = threading.Thread(target=measure)
    measuring.start()
    wait_until(lambda: lab.admin.jobs(10)[1] == 1)
    lab.admin.access.revoke_token(token.id)
    measuring.join(timeout=TIMEOUT_S)
    [error] = errors
    assert isinstance(error, Unauthenticated)
    assert "was revoked" in str(error)
    assert lab.admin.jobs(10)[1] == 1  # the job stays open


def test_each_method_is_refused_to_tokens_of_other_scopes(lab: TeamLab) -> None:
    refused = defaultdict(set)
    secrets = {
        scope: lab.admin.access.create_token("ann", [scope])[1]
        for scope in Scope
        if scope is not Scope.ADMIN
    }
    with grpc.insecure_channel(lab.address) as channel:
        for name in METHODS:
            for scope, secret in secrets.items():
                metadata = (("authorization", f"Bearer {secret}"),)
                method: Any = channel.stream_stream(name)
                call = method(iter([b"\xff"]), metadata=metadata, timeout=TIMEOUT_S)  # no message
                with pytest.raises(grpc.RpcError):
                    list(call)
                assert call.code() is not grpc.StatusCode.UNAUTHENTICATED
                if call.code() is grpc.StatusCode.PERMISSION_DENIED:
                    refused[name].add(scope)
    for name, method in METHODS.items():
        assert refused[name] == (set() if method.scope is None else set(secrets) - {method.scope})


def test_servicers_know_the_caller_in_the_thread_that_reads_requests_too(
    lab: TeamLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, client = lab.member(Scope.MEASURE, Scope.READ, owner="ann")
    seen: dict[str, set[str]] = defaultdict(set)

    def find_target(self: Lab, wanted: str) -> Target:
        seen["requests"].add(caller().owner)
        return TARGET

    def outcomes(self: Lab) -> Any:  # noqa: ANN401 -- as the lab has it
        seen["answers"].add(caller().owner)
        return plain_outcomes(self)

    plain_outcomes = Lab.outcomes
    monkeypatch.setattr(Lab, "find_target", find_target)
    monkeypatch.setattr(Lab, "outcomes", outcomes)
    client.measure(TARGET.id, [lab.stored[0].file], SPEC)
    assert seen == {"requests": {"ann"}, "answers": {"ann"}}
    assert caller() == NOBODY  # of this thread


class Context:
    """gRPC's context of a call whose servicer never looks whether it is active."""

    def __init__(self) -> None:
        self.cancelled = threading.Event()

    def cancel(self) -> None:
        self.cancelled.set()

    def is_active(self) -> bool:
        return True

    def peer(self) -> str:
        return "a peer"


def test_a_call_that_does_not_notice_the_end_of_its_token_is_cancelled(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_calls, "POLL_S", 0.01)
    monkeypatch.setattr(open_calls, "GRACE_S", 0.05)
    now_ns = time.time_ns()
    token = AccessToken("0" * 16, "ann", frozenset({Scope.READ}), now_ns, now_ns + 10**9)
    with database.writing() as connection:
        tokens.add_token(connection, token, hashed("secret"))
    calls = OpenCalls(Authenticator(database, TOKEN))
    contexts: list[Any] = [Context(), Context()]
    expiring, local = OpenCall(contexts[0], hashed("secret")), OpenCall(contexts[1], hashed(TOKEN))
    assert expiring.peer() == "a peer"
    with calls.serving(expiring), calls.serving(local):
        assert expiring.is_active()
        assert contexts[0].cancelled.wait(TIMEOUT_S)
        assert not expiring.is_active()
        with pytest.raises(Unauthenticated, match="has expired"):
            expiring.check()
        assert local.is_active()
    calls.close()
    assert not contexts[1].cancelled.is_set()


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


def test_what_another_daemon_does_is_known_soon(tmp_path: Path) -> None:
    here, clock = Database(sqlite_url(tmp_path / "lab.db")), Clock()
    authenticator = Authenticator(here, TOKEN, clock)
    metadata = (("authorization", "Bearer secret"),)
    with pytest.raises(Unauthenticated):
        authenticator.authenticate(metadata)
    token = AccessToken("0" * 16, "ann", frozenset({Scope.READ}), 1)
    with here.writing() as connection:  # as another daemon on this database does
        tokens.add_token(connection, token, hashed("secret"))
    clock.now_s += 2.1
    assert authenticator.authenticate(metadata) == (hashed("secret"), token)
    with here.writing() as connection:
        tokens.revoke_token(connection, token.id, 2)
    clock.now_s += 2.1
    with pytest.raises(Unauthenticated, match="revoked"):
        authenticator.authenticate(metadata)
    here.close()


def test_calls_go_on_for_a_while_without_the_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database, clock = Database(sqlite_url(tmp_path / "lab.db")), Clock()
    token = AccessToken("0" * 16, "ann", frozenset({Scope.READ}), 1)
    with database.writing() as connection:
        tokens.add_token(connection, token, hashed("secret"))
    authenticator = Authenticator(database, TOKEN, clock)
    assert authenticator.find(hashed("secret")) == token
    tries = []

    def refuse(self: Database) -> None:
        tries.append(clock.now_s)
        raise DatabaseBusy("the server is away")

    monkeypatch.setattr(Database, "reading", refuse)
    clock.now_s += 20
    assert authenticator.find(hashed("secret")) == token
    assert authenticator.find(hashed("secret")) == token
    clock.now_s += 20
    for _ in range(3):
        with pytest.raises(DatabaseBusy, match="away"):
            authenticator.find(hashed("secret"))
    assert authenticator.find(hashed(TOKEN)).id == "local"
    assert len(tries) == 2  # not one for each call
    monkeypatch.undo()
    clock.now_s += 20
    assert authenticator.find(hashed("secret")) == token
    database.close()
