"""The one name that other projects import."""

from __future__ import annotations

import pytest

import latlab
from latlab.client.client import LatencyClient
from latlab.domain import errors


@pytest.mark.parametrize("name", latlab.__all__)
def test_every_name_is_there(name: str) -> None:
    assert getattr(latlab, name).__name__ == name


def test_every_error_of_a_client_is_among_them() -> None:
    kinds = {kind.__name__ for kind in errors.LabError.__subclasses__()}
    kinds -= {"LeaseLost", "TraceMismatch"}  # within the lab
    assert {name for name in kinds if hasattr(errors, name)} <= set(latlab.__all__)
    assert latlab.LatencyClient is LatencyClient


def test_there_is_nothing_else() -> None:
    with pytest.raises(AttributeError, match="no attribute 'daemon'"):
        _ = latlab.daemon
