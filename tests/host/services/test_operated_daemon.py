"""A real daemon as its operator sees it: pages, logs, the dashboard, health and reflection."""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

import latlab.v1
from host.home.paths import LabHome
from latlab.client.client import LatencyClient
from latlab.domain.errors import NotFound
from tests.host.board_lab import latlab as command
from tests.host.board_lab import running_lab
from tests.host.operation.watched_lab import families, get
from tests.structure import REPOSITORY

DASHBOARD = REPOSITORY / "docs/grafana/latency-lab.json"
PAGE = REPOSITORY / "docs/operating.md"
TIMEOUT_S = 60.0
# What Prometheus makes of the family of a histogram.
PARTS = ("_bucket", "_sum", "_count")


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LabHome, LatencyClient]]:
    """One without devices, whose log is JSON."""
    home = LabHome(tmp_path_factory.mktemp("operated") / "home")
    log = home.root.with_name("log")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LATLAB_LOG_FORMAT", "json")
        before = f"""\
import sys
from latlab.common.log import start_logging
sys.stderr = open({str(log)!r}, "a", buffering=1)
start_logging()
"""
        with running_lab(home, before) as client:
            yield home, client


def pages(home: LabHome) -> str:
    return f"http://{json.loads(home.daemon_file.read_text())['metrics']}"


def scrape(home: LabHome) -> dict[str, str]:
    """The type of each metric by its name, as Prometheus knows it: in the text, not the parser."""
    status, text = get(f"{pages(home)}/metrics")
    assert status == 200
    return dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))


def test_the_status_shows_the_pages(daemon: tuple[LabHome, LatencyClient]) -> None:
    home, _ = daemon
    shown = command(home, "lab", "status")
    assert f"{pages(home)}/metrics" in shown
    assert f"{pages(home)}/healthz" in shown
    status, text = get(f"{pages(home)}/healthz")
    assert (status, json.loads(text)["devices"]) == (503, {})


def test_every_expression_of_the_dashboard_names_metrics_of_the_daemon(
    daemon: tuple[LabHome, LatencyClient],
) -> None:
    known = scrape(daemon[0])
    dashboard = json.loads(DASHBOARD.read_text())
    charts = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    used = set()
    for chart in charts:
        for target in chart["targets"]:
            names = re.findall(r"\b(?:latlab|process)_\w+", target["expr"])
            assert names, target["expr"]
            for name in names:
                assert is_series(name, known), name
            used.update(names)
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
    families_used = {re.sub(r"_bucket$", "", name) for name in used}
    ours = {name for name in known if name.startswith("latlab_")}
    assert ours - families_used <= {"latlab_device_info"}  # everything is shown


def is_series(name: str, known: dict[str, str]) -> bool:
    """Whether Prometheus has such a series."""
    if known.get(name) in ("gauge", "counter"):
        return True
    family = next((name[: -len(part)] for part in PARTS if name.endswith(part)), "")
    return known.get(family) == "histogram"


def test_a_metric_that_does_not_exist_would_be_found() -> None:
    known = {"latlab_a_total": "counter", "latlab_b_seconds": "histogram"}
    assert is_series("latlab_a_total", known)
    assert is_series("latlab_b_seconds_bucket", known)
    for name in ("latlab_a", "latlab_b_seconds", "latlab_a_total_bucket", "latlab_c"):
        assert not is_series(name, known)


def test_the_page_lists_every_metric_with_its_labels(
    daemon: tuple[LabHome, LatencyClient],
) -> None:
    rows = re.findall(r"^\| `(latlab_\w+)` \|(.*?)\| .+ \|$", PAGE.read_text(), re.MULTILINE)
    listed = {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in rows}
    assert set(listed) == {name for name in scrape(daemon[0]) if name.startswith("latlab_")}
    _, text = get(f"{pages(daemon[0])}/metrics")
    for family in families(text).values():
        for sample in family.samples:
            name = sample.name if sample.name in listed else family.name
            if name in listed:
                assert set(sample.labels) - {"le"} == listed[name], name


def test_the_log_is_json(
    daemon: tuple[LabHome, LatencyClient],
) -> None:
    home, client = daemon
    with pytest.raises(NotFound):
        client.refit("nothing")
    lines = home.root.with_name("log").read_text().splitlines()
    messages = [json.loads(line)["message"] for line in lines]
    assert any(message.startswith("serving: address 127.0.0.1:") for message in messages)


def test_every_service_answers_to_health_and_reflection(
    daemon: tuple[LabHome, LatencyClient],
) -> None:
    home, _ = daemon
    info = json.loads(home.daemon_file.read_text())
    metadata = [("authorization", f"Bearer {home.token_file.read_text().strip()}")]
    with grpc.insecure_channel(info["address"]) as channel:
        served = {name for name in our_services() if is_served(channel, name, metadata)}
        assert {"latlab.v1.LatencyService", "latlab.v1.LabService"} <= served
        check = health_pb2_grpc.HealthStub(channel).Check
        for name in ("", *served):
            request = health_pb2.HealthCheckRequest(service=name)
            answer = check(request, metadata=metadata, timeout=TIMEOUT_S)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING, name
        reflect = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo
        ask = reflection_pb2.ServerReflectionRequest(list_services="")
        [listed] = reflect(iter([ask]), metadata=metadata, timeout=TIMEOUT_S)
        names = {each.name for each in listed.list_services_response.service}
        assert served <= names


def our_services() -> dict[str, Any]:
    """Those of the generated code, by full name."""
    found = {}
    for module in pkgutil.iter_modules(latlab.v1.__path__):
        if module.name.endswith("_pb2"):
            file = importlib.import_module(f"latlab.v1.{module.name}").DESCRIPTOR
            found.update({each.full_name: each for each in file.services_by_name.values()})
    return found


def is_served(channel: grpc.Channel, service: str, metadata: Any) -> bool:  # noqa: ANN401
    """Whether the daemon has the service, by a request that it cannot parse."""
    method = our_services()[service].methods[0].name
    call: Any = channel.stream_stream(f"/{service}/{method}")
    try:
        list(call(iter([b"\xff"]), metadata=metadata, timeout=TIMEOUT_S))
    except grpc.RpcError as error:
        failure: Any = error
        return bool(failure.details() != "Method not found!")
    return True
