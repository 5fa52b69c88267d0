"""A training's state in one safetensors file, which is complete or absent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from latlab.common.files import replacing, storing
from latlab.domain.errors import LabError, StorageError


class CheckpointError(LabError):
    """A training cannot resume from a checkpoint. The message says what to do."""


def save_checkpoint(path: Path, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
    """Write tensors and facts to a file.

    Args:
        path: The file.
        tensors: Tensors by name.
        facts: Values of JSON's types, which lie in the file's header.

    Raises:
        StorageError: The file cannot be written.
    """
    contiguous = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    try:
        with replacing(path) as draft:
            save_file(contiguous, draft, metadata={"facts": json.dumps(facts)})
    except (
        SafetensorError
    ) as error:  # safetensors replaces the operating system's errors by its own
        raise StorageError(f"{path} cannot be written: {error}") from error


def load_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Return the tensors and the facts of a file, or None where there is no file.

    Raises:
        CheckpointError: The file is damaged.
    """
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, json.loads(file.metadata()["facts"])
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path} is damaged ({error}): remove the file to begin again"
        ) from error


def check_same(path: Path, made_with: dict[str, Any], asked_for: dict[str, Any]) -> None:
    """Check that a checkpoint was made with the settings that are asked for now.

    Raises:
        CheckpointError: A setting differs. The message names each.
    """
    asked_for = json.loads(json.dumps(asked_for))  # a file holds lists instead of tuples
    differences = [
        f"{name} was {made_with.get(name)!r} and is now {asked_for.get(name)!r}"
        for name in sorted(made_with.keys() | asked_for.keys())
        if made_with.get(name) != asked_for.get(name)
    ]
    if differences:
        raise CheckpointError(
            f"{path} was made with other settings: {'; '.join(differences)}. "
            "Use those settings, or remove the file"
        )


def save_training(
    path: Path,
    networks: dict[str, dict[str, Tensor]],
    optimizer: torch.optim.Optimizer,
    facts: dict[str, Any],
    made_with: dict[str, Any],
) -> None:
    """Write a training's state to a file, and make the file's folder.

    Args:
        path: The file.
        networks: The tensors of each network, by the network's name.
        optimizer: The optimizer, whose state is written.
        facts: How far the training is, in JSON's types.
        made_with: What decides the outcome of the training, in JSON's types.

    Raises:
        StorageError: The file cannot be written.
    """
    parts = {**networks, "optimizer": _optimizer_tensors(optimizer)}
    tensors = {
        f"{part}.{name}": tensor for part, named in parts.items() for name, tensor in named.items()
    }
    with storing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    save_checkpoint(path, tensors, {**facts, "made_with": made_with})


def restore_training(
    path: Path, optimizer: torch.optim.Optimizer, made_with: dict[str, Any]
) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]] | None:
    """Return the networks and the facts that `save_training` wrote, or None without a file.

    The optimizer gets its state back, except for its learning rates.

    Raises:
        CheckpointError: The file is damaged, or was made with other settings.
    """
    found = load_checkpoint(path)
    if found is None:
        return None
    tensors, facts = found
    check_same(path, facts["made_with"], made_with)
    parts: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        part, name = key.split(".", 1)
        parts.setdefault(part, {})[name] = tensor
    _restore_optimizer(optimizer, parts.pop("optimizer", {}))
    return parts, facts


def _optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the optimizer's state of each parameter, by the parameter's number."""
    return {
        f"{number}.{name}": value
        for number, kept in optimizer.state_dict()["state"].items()
        for name, value in kept.items()
        if isinstance(value, Tensor)
    }


def _restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Give the optimizer its state back; its learning rates stay as they are."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        number, name = key.split(".", 1)
        parameter = parameters[int(number)]
        # Fused optimizers assume that a parameter and its state have one memory layout, which a
        # file does not keep.
        if tensor.shape == parameter.shape:
            tensor = torch.empty_like(parameter.detach()).copy_(tensor)
        state.setdefault(int(number), {})[name] = tensor
    optimizer.load_state_dict(optimizer.state_dict() | {"state": state})
