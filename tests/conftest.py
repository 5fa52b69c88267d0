from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from host.home.paths import LabHome
from tests.virtual_phone.adb_server import adb_server
from tests.virtual_phone.phone import NoPhone


@pytest.fixture(scope="session")
def runner() -> Path:
    """The real runner."""
    path = LabHome(Path()).runner
    if not path.is_file():
        pytest.fail(f"no runner at {path}: run `make runner`")
    return path


@pytest.fixture(scope="session", autouse=True)
def own_adb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No lab of a test measures on a phone that is plugged into this machine."""
    with pytest.MonkeyPatch.context() as patch:
        try:
            with adb_server(tmp_path_factory.mktemp("adb")) as server:
                patch.setenv("ANDROID_ADB_SERVER_PORT", str(server.port))
                yield
        except NoPhone:  # without adb no lab finds any
            yield
