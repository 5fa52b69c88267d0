"""The best of a study, trained in full, exported in two precisions, checked and measured.

runs/<study>/trained/
├── <architecture id>/checkpoint.safetensors   while it trains
├── <architecture id>/weights.safetensors      once it has
├── programs/                                  what was exported of them
└── results.json
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from torch import Tensor

from latlab.common.files import replacing
from latlab.domain.errors import ExportError
from latlab.domain.estimate import LatencyEstimate
from latlab.domain.failure import Failure
from latlab.domain.program import Program, ProgramFile
from latlab.export import ProgramCache, export_int8, export_program
from latlab.export.execution.running import outputs
from search.accuracy.checkpoint import (
    CheckpointError,
    check_same,
    load_checkpoint,
    save_checkpoint,
)
from search.accuracy.data.datasets import OpenDataset
from search.accuracy.full_training import Recipe, reference_images, train_fully, validation_batches
from search.accuracy.proxy_training import AccuracyFailure, normalized, score, statistics
from search.latency.lab import Measured
from search.space.architecture import Architecture
from search.space.network import build_network
from search.study.trial import Trial

CALIBRATION_IMAGES = 128  # for the ranges of int8 activations


@dataclass(frozen=True)
class Finalist:
    """One network in one precision, "float32" or "int8". accuracy: 0 to 1, on the validation
    images; of int8 that of the very program. What is None did not come about, or not yet;
    `failure` says why."""

    architecture: Architecture
    precision: str
    accuracy: float | None = None
    program: ProgramFile | None = None
    latency: LatencyEstimate | None = None
    measurement_id: str | None = None
    failure: str | None = None


def best(trials: Iterable[Trial], n: int) -> list[Trial]:
    """The `n` best by reward, of one trial for each architecture."""
    rewarded = [(trial.reward, trial) for trial in trials if trial.reward is not None]
    return [trial for _, trial in sorted(rewarded, key=lambda pair: -pair[0])[:n]]


def train_one(
    architecture: Architecture,
    dataset: OpenDataset,
    recipe: Recipe,
    folder: Path,
    on_epoch: Callable[[int], None],
) -> AccuracyFailure | None:
    """So that `folder` holds its weights; at once where it does already. Of several processes
    all take part, and one writes. Raises CheckpointError where `folder` holds those of
    another recipe, and OSError."""
    path = _weights(folder, architecture)
    found = load_checkpoint(path)
    if found is not None:
        check_same(path, found[1]["made_with"], _made_with(dataset, recipe))
        return None
    checkpoint = path.with_name("checkpoint.safetensors")
    try:
        network = train_fully(architecture, dataset, recipe, checkpoint, on_epoch)
    except FloatingPointError as error:
        return AccuracyFailure(str(error))
    if PartialState().is_main_process:
        mean, std = statistics(reference_images(dataset, recipe))
        facts = {
            "accuracy": score(network, validation_batches(dataset, recipe, mean, std)),
            "made_with": _made_with(dataset, recipe),
        }
        save_checkpoint(path, network.state_dict(), facts)
        checkpoint.unlink()
    return None


def export_both(
    architecture: Architecture, dataset: OpenDataset, recipe: Recipe, folder: Path
) -> list[Finalist]:
    """As float32 and as int8, of the weights that `train_one` left in `folder`. Raises OSError
    and CheckpointError."""
    path = _weights(folder, architecture)
    found = load_checkpoint(path)
    if found is None:
        raise CheckpointError(f"{path} is gone: train again")
    tensors, facts = found
    network = build_network(
        architecture, classes=len(dataset.classes), input_channels=dataset.channels
    )
    network.load_state_dict(tensors)
    shape = (1, dataset.channels, recipe.resolution, recipe.resolution)
    reference = reference_images(dataset, recipe)
    mean, std = statistics(reference)
    images = normalized(reference[:CALIBRATION_IMAGES], mean, std)
    programs = ProgramCache(folder / "programs")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()

    def exported(precision: str, export: Callable[[], tuple[Program, bytes]]) -> Finalist:
        key = f"{precision} of weights {digest}"
        try:
            file = programs.get(key) or programs.put(key, *export())
        except ExportError as error:
            return Finalist(architecture, precision, failure=str(error))
        return Finalist(architecture, precision, program=file)

    float32 = exported("float32", lambda: export_program(network, shape))
    int8 = exported("int8", lambda: export_int8(network, shape, torch.split(images, 1)))
    if int8.program is not None:
        validation = validation_batches(dataset, recipe, mean, std)
        int8 = replace(int8, accuracy=_program_accuracy(int8.program, validation))
    return [replace(float32, accuracy=facts["accuracy"]), int8]


def untrained(architecture: Architecture, failure: AccuracyFailure) -> list[Finalist]:
    return [Finalist(architecture, p, failure=failure.message) for p in ("float32", "int8")]


def with_outcomes(
    finalists: Sequence[Finalist], outcomes: Iterable[Measured | Failure]
) -> list[Finalist]:
    """`outcomes` are of those that have a program, in their order."""
    left = iter(outcomes)

    def measured(finalist: Finalist) -> Finalist:
        if finalist.program is None:
            return finalist
        outcome = next(left)
        if isinstance(outcome, Failure):
            return replace(finalist, failure=outcome.message)
        return replace(finalist, latency=outcome.latency, measurement_id=outcome.measurement_id)

    return list(map(measured, finalists))


def write_results(path: Path, finalists: Iterable[Finalist], facts: dict[str, Any]) -> None:
    """As JSON, all of it or nothing."""
    results = [_to_json(finalist) for finalist in finalists]
    with replacing(path) as draft:
        draft.write_text(json.dumps({**facts, "results": results}, indent=2) + "\n")


def _to_json(finalist: Finalist) -> dict[str, Any]:
    file = finalist.program
    return {
        "architecture_id": finalist.architecture.id,
        **asdict(replace(finalist, program=None)),
        "program": file
        and {
            "path": str(file.path),
            "sha256": file.program.sha256,
            "size_bytes": file.program.size_bytes,
        },
    }


def _weights(folder: Path, architecture: Architecture) -> Path:
    return folder / architecture.id / "weights.safetensors"


def _made_with(dataset: OpenDataset, recipe: Recipe) -> dict[str, Any]:
    return {"dataset": dataset.note, **asdict(recipe)}


def _program_accuracy(file: ProgramFile, batches: Iterable[tuple[Tensor, Tensor]]) -> float:
    labels: list[int] = []

    def images() -> Iterator[Tensor]:
        for batch, its_labels in batches:
            labels.extend(its_labels.tolist())
            yield from torch.split(batch.contiguous(), 1)

    named = [int(logits.argmax()) for logits in outputs(file.path.read_bytes(), images())]
    return sum(ours == label for ours, label in zip(named, labels, strict=True)) / len(labels)
