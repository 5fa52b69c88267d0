"""Every method says what it needs, and tokens allow that and no more."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from host.services.access.scopes import METHODS, method_of, require
from latlab.domain.access.token import AccessToken, Scope
from latlab.domain.errors import PermissionDenied
from tests.host.services.access.conftest import TeamLab
from tests.host.stored_lab import TOKEN


def token_with(*scopes: Scope) -> AccessToken:
    return AccessToken("id", "ann", frozenset(scopes), 0)


def test_every_method_that_the_daemon_serves_is_in_the_table(lab: TeamLab) -> None:
    metadata = (("authorization", f"Bearer {TOKEN}"),)
    with grpc.insecure_channel(lab.address) as plain:
        channel = grpc.intercept_channel(plain, _WithMetadata(metadata))
        reflected = ProtoReflectionDescriptorDatabase(channel)
        pool = DescriptorPool(reflected)
        names = list(reflected.get_services())
        served = {
            f"/{name}/{method.name}"
            for name in names
            for method in pool.FindServiceByName(name).methods
        }
    assert len(names) >= 5
    assert served == set(METHODS)


def test_what_the_table_does_not_name_needs_admin() -> None:
    method = method_of("/latlab.v1.LabService/NotYetThere")
    assert method.scope is Scope.ADMIN
    assert method.changes


def test_a_token_allows_its_scopes_alone_and_admin_allows_all() -> None:
    for scope in Scope:
        require(token_with(Scope.ADMIN), scope, "Predict")
        require(token_with(), None, "Predict")
        for other in Scope:
            if other in (scope, Scope.ADMIN):
                require(token_with(other), scope, "Predict")
                continue
            with pytest.raises(PermissionDenied, match="--owner ann --scopes") as denied:
                require(token_with(other), scope, "Predict")
            assert repr(scope.value) in str(denied.value)
            assert str(denied.value).startswith("Predict needs")


class _WithMetadata(grpc.StreamStreamClientInterceptor):
    def __init__(self, metadata: tuple[tuple[str, str], ...]) -> None:
        self._metadata = metadata

    def intercept_stream_stream(self, continuation: Any, details: Any, requests: Any) -> Any:  # noqa: ANN401
        return continuation(details._replace(metadata=self._metadata), requests)
