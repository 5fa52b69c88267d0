"""A profile as files for Google's Model Explorer: node data, and a graph that they fit.

The formats are those of ai-edge-model-explorer: `node_data_builder.py` and `graph_builder.py`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from latlab.domain.kernel import UNARY_KINDS
from latlab.profiling.profile import Place, Profile, ProfileRow
from search.report.profile import words
from search.report.profile.calls import calls
from search.report.profile.tree import has_modules, module_parts

KERNELS = "kernels"  # the id of the graph of kernels
# The ids that pte-adapter-model-explorer gives the graph of a program and its instructions.
PLAN = "forward"
INSTRUCTION = "forward_0_{}"
PTE_SUFFIX = ".pte"

# From little to much of the time, in colours that people with any colour vision can order.
GRADIENT = (
    (0.0, "#ffffff"),
    (0.05, "#dfe9f7"),
    (0.3, "#8ab1e4"),
    (0.6, "#2c69bb"),
    (1.0, "#174785"),
)
_SLASH = "∕"  # Model Explorer separates namespaces by "/"


def node_data(profile: Profile) -> str:
    """Return the times of a profile, in ms, as JSON for the nodes of graphs.

    It has the times for three graphs, each by its id, and Model Explorer takes those of the graph
    that it shows: the graph of kernels that `graph` returns; that of the program's instructions,
    as the adapter for `.pte` files draws it; and that of each delegate call, if the profile is of
    a `.pte` file, whose name these graphs have in their ids.
    """
    graphs = {KERNELS: {_node_id(index): row.time_ns for index, row in enumerate(profile.rows)}}
    instructions: dict[str, float] = {}
    for call in calls(profile):
        node = INSTRUCTION.format(call.instruction)
        time_ns = sum(profile.rows[index].time_ns for index in call.rows)
        instructions[node] = instructions.get(node, 0.0) + time_ns
    if instructions:
        graphs |= {PLAN: instructions, **_delegates(profile)}
    return _json({name: _graph_data(profile, times) for name, times in graphs.items()})


def graph(profile: Profile) -> str:
    """Return the kernels of a profile as a graph, in JSON that Model Explorer opens.

    A kernel is a node in the namespace of its module. The edges are the order of execution: a
    profile does not know which kernel reads what another has written.
    """
    nodes = [_node(profile, index) for index in range(len(profile.rows))]
    title = f"{words.short(profile.network)} on {words.short(profile.target)}"
    attributes = {
        "": {"network": words.short(profile.network), "target": words.short(profile.target)}
    }
    attributes[""]["latency (ms)"] = _ms(profile, profile.latency.time_ns)
    graph = {"id": KERNELS, "nodes": nodes, "groupNodeAttributes": attributes}
    return _json({"label": title, "graphs": [graph]})


def _delegates(profile: Profile) -> dict[str, dict[str, float]]:
    """Return the times of the nodes of each delegate call, by the id of the call's graph.

    A call whose kernels may not be its nodes is left out: one of which a kernel is not known, or
    that may have run several nodes as one look-up table.
    """
    name = words.short(PurePath(profile.network).name)
    if not name.endswith(PTE_SUFFIX):
        return {}
    return {
        f"{name}::{INSTRUCTION.format(call.instruction)}": {
            str(node): profile.rows[index].time_ns for node, index in enumerate(call.rows)
        }
        for call in calls(profile)
        if call.place is Place.DELEGATE
        and call.is_whole
        and not any(_may_be_look_up_table(profile.rows[index]) for index in call.rows)
    }


def _may_be_look_up_table(row: ProfileRow) -> bool:
    return row.kernel.kind in UNARY_KINDS and row.kernel.dtype in ("qint8", "quint8")


def _graph_data(profile: Profile, times_ns: Mapping[str, float]) -> dict[str, Any]:
    return {
        "name": "predicted time (ms)" if profile.is_predicted else "time (ms)",
        "results": {
            node: {"value": float(_ms(profile, time_ns))} for node, time_ns in times_ns.items()
        },
        "gradient": [{"stop": stop, "bgColor": color} for stop, color in GRADIENT],
    }


def _node(profile: Profile, index: int) -> dict[str, Any]:
    row = profile.rows[index]
    attributes = {
        "number": str(index + 1),
        "computes": words.details(row.kernel),
        "runs in": row.place.value,
        "module": words.module(row),
        "module type": words.short(row.source.module_type) if row.source else "",
        "line": words.line(row),
        "backend's name": words.short(row.name),
        "time (ms)": _ms(profile, row.time_ns),
        "90 % interval (ms)": words.interval(row, words.decimals(profile)),
        "share of latency": words.percent(profile, row.time_ns),
    }
    return {
        "id": _node_id(index),
        "label": words.kind(row),
        "namespace": _namespace(profile, row),
        "attrs": [{"key": key, "value": value} for key, value in attributes.items() if value],
        "incomingEdges": [{"sourceNodeId": _node_id(index - 1)}] if index else [],
        "outputsMetadata": [{"id": "0", "attrs": [_shape(row)]}],
    }


def _shape(row: ProfileRow) -> dict[str, str]:
    shape = ", ".join(map(str, row.kernel.output))
    return {"key": "tensor_shape", "value": f"{words.short(row.kernel.dtype)}[{shape}]"}


def _namespace(profile: Profile, row: ProfileRow) -> str:
    """Return the path of a kernel's module as Model Explorer writes paths."""
    if not has_modules(profile) or (row.source is not None and not row.source.module):
        return ""
    return "/".join(part.replace("/", _SLASH) or "_" for part in module_parts(row))


def _node_id(index: int) -> str:
    return f"kernel-{index + 1}"


def _ms(profile: Profile, time_ns: float) -> str:
    return words.milliseconds(time_ns, words.decimals(profile))


def _json(value: Any) -> str:  # noqa: ANN401 -- what JSON holds
    return json.dumps(value, indent=1)
