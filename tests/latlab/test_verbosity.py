from __future__ import annotations

import os
import subprocess
import sys

import pytest

CODE = "import latlab, os; print(os.environ['GRPC_VERBOSITY'])"


@pytest.mark.parametrize(("wanted", "told"), [(None, "ERROR"), ("DEBUG", "DEBUG")])
def test_grpc_reports_errors_only_unless_the_user_wants_more(wanted: str | None, told: str) -> None:
    environment = {name: os.environ[name] for name in os.environ if name != "GRPC_VERBOSITY"}
    if wanted is not None:
        environment["GRPC_VERBOSITY"] = wanted
    command = [sys.executable, "-c", CODE]
    assert subprocess.check_output(command, env=environment, text=True, timeout=60).strip() == told
