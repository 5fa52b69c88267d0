"""What a hostile board says of itself takes no effect, in whatever shows it; boards of labs that
clean nothing yet included."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import cast
from unittest.mock import patch

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from host.doctor.daemon import device_finding
from host.doctor.first_phone import Log
from latlab.client.client import LatencyClient
from latlab.common.log import LogFormatter
from latlab.domain.device import (
    CoreClass,
    DeviceEvent,
    DeviceHistory,
    DevicePhase,
    DeviceState,
    DeviceStatus,
    EventKind,
    TransportKind,
)
from latlab.domain.measurement import Conditions
from latlab.domain.target import TargetStatus, targets_of
from search.cli import app
from search.report.drawing.html import render
from tests.host.fake_lab import DEVICE
from tests.host.measuring.test_statistics import NOW

SAMPLES = [
    "\x1b]0;title\x07\x1b[2J\x1b[31mred",
    "[red]x[/blue][link=http://x]y",
    "<script>alert(1)</script>&amp;\"'",
    "\u202egnp.exe\u2066\u200f",
    "\x9b31m\x85\u2028two lines",
    "\r\nSat Nov 28 INFO forged",
    "\0\udc80",
    "x" * 3_000,
]
# A board's own text reaches the lab as UTF-8, but nothing relies on that here.
hostile = st.sampled_from(SAMPLES) | st.text(max_size=40)
EFFECTIVE = set("\x00\x07\x1b\x85\x9b\u200f\u2028\u202e\u2066\r")


class HostileLab:
    """A client of a lab whose only device says `text` wherever it can."""

    def __init__(self, text: str) -> None:
        device = replace(
            DEVICE,
            serial=text,
            model=text,
            os_build=text,
            runtime_version=text,
            core_classes=(CoreClass(text, (0,)),),
        )
        [self.target] = targets_of(device)
        state = DeviceState(DevicePhase.LOST, text)
        self.status = DeviceStatus(
            *(device, f"adb:{text}", state, (self.target.name,), 0, text),
            transport_kind=TransportKind.ADB,
            address=text,
        )
        self.past = DeviceHistory(
            *(text, text, 0, 0, 0, {}), (DeviceEvent(0, EventKind.LOST, text),), ()
        )

    def devices(self) -> list[DeviceStatus]:
        return [self.status]

    def targets(self) -> list[TargetStatus]:
        return [TargetStatus(self.target, 1, 0, 0, False)]

    def history(self, device: str) -> DeviceHistory:
        return self.past

    def conditions(self, transport: str) -> Conditions:
        return replace(NOW, governor=self.status.note)


@contextmanager
def lab_of(client: HostileLab) -> Iterator[None]:
    @contextmanager
    def connect(*_: object) -> Iterator[HostileLab]:
        yield client

    with patch.object(LatencyClient, "connect", connect):
        yield


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=12
)
@given(hostile, st.sampled_from([20, 80, 200]))
def test_no_command_and_no_log_is_broken(tmp_path: Path, text: str, columns: int) -> None:
    client = HostileLab(text)
    environment = {"LATLAB_HOME": str(tmp_path), "COLUMNS": str(columns)}
    with lab_of(client):
        for command in (["lab", "status"], ["devices", "history", "x"]):
            result = CliRunner().invoke(app, command, env=environment)
            assert result.exit_code == 0, result.output
            assert not EFFECTIVE & set(result.output)
    finding = device_finding(cast(LatencyClient, client), client.status)
    log = Log(tmp_path / "log", lambda line: None)
    log(f"{finding.check}: {finding.found}")
    record = logging.LogRecord("x", logging.INFO, "x", 1, "device %s", (text,), None)
    for lines in ((tmp_path / "log").read_text(), LogFormatter().format(record) + "\n"):
        assert len(lines.splitlines()) == lines.count("\n") == 1
        assert not EFFECTIVE & set(lines)


@settings(deadline=None, max_examples=12)
@given(hostile)
def test_no_page_is_broken(text: str) -> None:
    page = render("results.html", results=[], target=text, accuracy=text)
    assert not EFFECTIVE & set(page)
    assert "<script" not in page
