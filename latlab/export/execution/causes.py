"""Explain errors of PyTorch and ExecuTorch: what in the network is the cause, and where it is."""

from __future__ import annotations

import re

import torch
from torch import fx, nn

from latlab.export.execution.user_code import frames, is_users, users_place

MAX_TEXT = 300
# What to try, by a part of an error's kind or text.
_ADVICE = {
    "[Dd]ata.?dependent|Could not guard": "choose with torch.where or torch.cond, instead of with "
    "if and while, where values decide",
    "out variants|not in Core ATen|no kernel for": "compute it from other operators, or outside of "
    "the network",
    "'indices'": "give the input a dtype of integers, such as --input 1x128:int64",
    "index out of range": "give the range of the integers, such as --input 1x128:int64:0..999",
    "required positional argument": "give an input for each argument",
}
# What follows an error's text is for the developers of PyTorch.
_REST = re.compile(
    r"\n\s*\n|\nWhile executing|\nOriginal traceback|There are a few things|Here is the node"
)
_NOT_CORE = re.compile(r"Operator torch\._ops\.(\S+) is not in Core ATen opset.*")
_OPERATOR = re.compile(r"\b(\w+)::(\w+)")


def explained(error: Exception, network: nn.Module, graph: fx.Graph | None = None) -> str:
    """Return an error's text with the operator, the module, the source line, and what to try.

    Args:
        error: An error that arose when the network ran, was traced or was lowered.
        network: The network.
        graph: What it was traced to, if it was.
    """
    text = _shortened(str(error)) or type(error).__name__
    node = _node_at_work(error) or named_node(str(error), graph)
    advice = advice_for(f"{type(error).__name__}: {error}")
    return text + place(node, *_called(error, network)) + advice


def advice_for(text: str) -> str:
    """Return what to try after an error with this text, as the end of a sentence, or ""."""
    found = (f": {advice}" for part, advice in _ADVICE.items() if re.search(part, text))
    return next(found, "")


def place(node: fx.Node | None, module: str = "", line: str = "") -> str:
    """Return the place of a node, as the end of a sentence; "" if nothing is known.

    Args:
        node: A node of the traced network, if one is known.
        module: The path of the module, where the node does not say it.
        line: The file and line, where the node does not say it.
    """
    operator = ""
    if node is not None:
        inner = getattr(node.target, "_op", None)  # of an edge operator
        operator = str(inner if isinstance(inner, torch._ops.OpOverload) else node.target)
        operator = "" if operator.startswith("<") else operator  # a function of Python
        module, line = _module_of(node) or module, _line_of(node) or line
    parts = (
        f"operator {operator}" if operator else "",
        f"in {module}" if module else "",
        f"at {line}" if line else "",
    )
    words = " ".join(filter(None, parts))
    return f" ({words})" if words else ""


def _shortened(text: str) -> str:
    """Return the first paragraph of an error's text, which says the most."""
    paragraph = _REST.split(text.strip())[0].removeprefix("Failed with error:")
    line = _NOT_CORE.sub(r"ExecuTorch does not know the operator \1", " ".join(paragraph.split()))
    return line if len(line) <= MAX_TEXT else f"{line[:MAX_TEXT]}..."


def _called(error: Exception, network: nn.Module) -> tuple[str, str]:
    """Return the path of the innermost module that was called, and the user's innermost line."""
    names = {id(part): name for name, part in network.named_modules()}
    module = line = ""
    for file, number, frame in frames(error):
        module = names.get(id(frame.f_locals.get("self"))) or module
        line = f"{file}:{number}" if is_users(file) else line
    is_wrapped = type(network).__module__.startswith("latlab.")  # for the export
    return module.removeprefix("network.") if is_wrapped else module, line


def _node_at_work(error: Exception) -> fx.Node | None:
    """Return the node of the traced network that torch or ExecuTorch was working on."""
    found = None
    for _, _, frame in frames(error):
        for name in ("node", "n"):
            node = frame.f_locals.get(name)
            if isinstance(node, fx.Node) and node.op == "call_function":
                found = node
    return found


def named_node(text: str, graph: fx.Graph | None) -> fx.Node | None:
    """Return the first node with an operator that the text names."""
    operators = {f"{namespace}.{name}" for namespace, name in _OPERATOR.findall(text)}
    nodes = () if graph is None else graph.nodes
    found = (node for node in nodes if str(node.target).rpartition(".")[0] in operators)
    return next(found, None)


def _module_of(node: fx.Node) -> str:
    stack = list(node.meta.get("nn_module_stack", {}).values())
    return str(stack[-1][0]) if stack else ""


def _line_of(node: fx.Node) -> str:
    file, line = users_place(node.meta.get("stack_trace") or "")
    return f"{file}:{line}" if file else ""
