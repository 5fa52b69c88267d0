"""On a full disk an export raises a StorageError: the network is not to blame."""

from __future__ import annotations

import errno
from functools import partial
from pathlib import Path

import pytest
from torch import nn

from latlab.domain.errors import ExportError, StorageError
from latlab.domain.kernel import Shape
from latlab.domain.program import ProgramFile
from latlab.export import ExportPool, ExportSpec, ProgramCache
from latlab.export.pool import _export
from search.latency.networks import export_spec
from search.space.zoo import ZOO
from tests.small_disk import small_disk

NETWORK = export_spec(ZOO["mnasnet-small"])


class FullCache(ProgramCache):
    def put(self, *stored: object) -> ProgramFile:
        raise StorageError("the disk that holds x is full")


def raise_error(error: Exception) -> tuple[nn.Module, Shape]:
    raise error


def outcome_of(cache: ProgramCache, spec: ExportSpec) -> object:
    return _export(spec, cache)[0]


def test_what_cannot_be_stored_is_a_storage_error(tmp_path: Path) -> None:
    assert isinstance(outcome_of(FullCache(tmp_path), NETWORK), StorageError)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_behind_another_error_is_a_storage_error(tmp_path: Path, number: int) -> None:
    wrapped = ExportError("ExecuTorch cannot lower this network")
    wrapped.__cause__ = OSError(number, "full", "/tmp/x")
    spec = ExportSpec("key", partial(raise_error, wrapped))
    outcome = outcome_of(ProgramCache(tmp_path), spec)
    assert isinstance(outcome, StorageError)
    assert "the disk that holds /tmp is full" in str(outcome)


def test_another_error_is_still_the_networks(tmp_path: Path) -> None:
    spec = ExportSpec("key", partial(raise_error, OSError(errno.EIO, "broken")))
    assert isinstance(outcome_of(ProgramCache(tmp_path), spec), ExportError)


def test_a_pool_on_a_really_full_disk(tmp_path: Path) -> None:
    with (
        small_disk(tmp_path / "disk") as disk,
        ExportPool(ProgramCache(disk / "exports")) as pool,
        pytest.raises(StorageError, match=f"disk that holds {disk / 'exports'} is full"),
    ):
        pool.export_all([NETWORK])
