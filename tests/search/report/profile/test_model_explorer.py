from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given

from latlab.profiling.profile import Profile
from search.report.profile.model_explorer import graph, node_data
from tests.search.report.profile.profiles import ORDINARY, profile, profiles, row


def values(profile: Profile, graph_id: str) -> dict[str, float]:
    """Return the node data of one graph: the value by the node's id."""
    results = json.loads(node_data(profile))[graph_id]["results"]
    return {node: result["value"] for node, result in results.items()}


def nodes(profile: Profile) -> list[dict[str, Any]]:
    collection = json.loads(graph(profile))
    assert isinstance(collection["label"], str)
    [only] = collection["graphs"]
    assert only["id"] == "kernels"
    return list(only["nodes"])


def test_node_data_fit_the_graph_of_kernels() -> None:
    times_ms = values(ORDINARY, "kernels")
    assert list(times_ms) == [node["id"] for node in nodes(ORDINARY)]
    assert list(times_ms.values()) == [0.1, 2.0, 1.0, 0.3, 0.7, 0.9, 0.0, 0.4]


def test_nodes_lie_in_the_namespaces_of_their_modules() -> None:
    shown = nodes(ORDINARY)
    assert [node["namespace"] for node in shown] == [
        "stem/conv",
        "stem/conv",
        "layers/1/conv",
        "layers/1",
        "layers/1/shift",
        "layers/10/conv",
        "",
        "head",
    ]
    about = {each["key"]: each["value"] for each in shown[4]["attrs"]}
    assert about["line"] == "nets/net.py:12"
    assert about["runs in"] == "portable"
    assert about["time (ms)"] == "0.7000"
    assert about["share of latency"] == "12.7%"


def test_edges_are_the_order_of_execution() -> None:
    edges = [(e["sourceNodeId"], n["id"]) for n in nodes(ORDINARY) for e in n["incomingEdges"]]
    assert edges == [(f"kernel-{n}", f"kernel-{n + 1}") for n in range(1, 8)]


def test_instructions_have_the_ids_that_the_adapter_of_programs_gives_them() -> None:
    assert values(ORDINARY, "forward") == {
        "forward_0_0": 3.4,
        "forward_0_1": 0.7,
        "forward_0_2": 1.3,
    }


def test_delegate_calls_of_a_program_file_have_values_for_each_node() -> None:
    of_file = replace(ORDINARY, network="programs/net.pte")
    assert values(of_file, "net.pte::forward_0_2") == {"0": 0.9, "1": 0.0, "2": 0.4}
    assert set(json.loads(node_data(of_file))) == {
        "kernels",
        "forward",
        "net.pte::forward_0_0",
        "net.pte::forward_0_2",
    }
    assert set(json.loads(node_data(ORDINARY))) == {"kernels", "forward"}


@pytest.mark.parametrize(("dtype", "is_shown"), [("qint8", False), ("float32", True)])
def test_a_call_that_may_hold_look_up_tables_is_left_out(dtype: str, is_shown: bool) -> None:
    rows = row("conv2d", 1e6, None, 0, "qint8"), row("sigmoid", 1e5, None, 0, dtype)
    made = json.loads(node_data(profile(*rows, network="net.pte")))
    assert ("net.pte::forward_0_0" in made) == is_shown


def test_a_fused_kernel_counts_as_a_node_of_its_call() -> None:
    rows = row("conv2d", 1e6, None, 0), row("clamp", 0.0), row("conv2d", 2e6, None, 0)
    made = profile(*rows, network="net.pte")
    assert values(made, "net.pte::forward_0_0") == {"0": 1.0, "1": 0.0, "2": 2.0}
    assert values(made, "forward") == {"forward_0_0": 3.0}


def test_a_fused_kernel_between_two_calls_leaves_their_nodes_unknown() -> None:
    rows = row("conv2d", 1e6, None, 0), row("clamp", 0.0), row("conv2d", 2e6, None, 1)
    made = profile(*rows, network="net.pte")
    assert set(json.loads(node_data(made))) == {"kernels", "forward"}
    assert values(made, "forward") == {"forward_0_0": 1.0, "forward_0_1": 2.0}


def test_without_instructions_there_is_only_the_graph_of_kernels() -> None:
    assert set(json.loads(node_data(profile(row("add", 1e6))))) == {"kernels"}


def test_without_modules_nodes_have_no_namespaces() -> None:
    assert {node["namespace"] for node in nodes(profile(row("add", 1e6)))} == {""}


@given(profiles)
def test_any_profile_gives_a_graph_that_its_node_data_fit(hostile: Profile) -> None:
    shown = nodes(hostile)
    ids = [node["id"] for node in shown]
    assert len(set(ids)) == len(ids) == len(hostile.rows)
    assert list(values(hostile, "kernels")) == ids
    for node in shown:
        assert isinstance(node["label"], str)
        assert all(node["namespace"].split("/")) or not node["namespace"]
        assert all(edge["sourceNodeId"] in ids for edge in node["incomingEdges"])
        assert all(isinstance(each["value"], str) for each in node["attrs"])
    for text in (graph(hostile), node_data(hostile)):
        json.dumps(json.loads(text), ensure_ascii=False).encode()  # no half characters
