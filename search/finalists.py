"""The best networks of a study, trained in full, exported in several precisions and measured.

runs/<study>/trained/
├── <architecture id>/checkpoint.safetensors   the training's state, until it ends
├── <architecture id>/weights.safetensors      the trained weights
├── programs/                                  the exported programs
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
from latlab.domain.precision import Precision
from latlab.domain.program import ProgramFile
from latlab.export import ProgramCache, export_program
from latlab.export.execution.running import outputs
from search.accuracy.accuracy import AccuracyFailure
from search.accuracy.checkpoint import (
    CheckpointError,
    check_same,
    load_checkpoint,
    save_checkpoint,
)
from search.accuracy.data.datasets import OpenDataset
from search.accuracy.full_training import reference_images, train_fully, validation_batches
from search.accuracy.training import network_for, normalized, score, statistics
from search.latency.lab import Measured
from search.space.architecture import Architecture
from search.study.settings import FullTraining

CALIBRATION_IMAGES = 128  # for the ranges of int8 activations


@dataclass(frozen=True)
class Finalist:
    """One trained network in one precision.

    Attributes:
        architecture: The network.
        precision: The precision.
        accuracy: Accuracy on the validation images, from 0 to 1. For other precisions than float32
            it is the accuracy of the exported program.
        program: The exported program.
        latency: Its measured latency.
        measurement_id: Id of the measurement.
        failure: Why one of the above is None, in one line; None if nothing has failed.
    """

    architecture: Architecture
    precision: Precision
    accuracy: float | None = None
    program: ProgramFile | None = None
    latency: LatencyEstimate | None = None
    measurement_id: str | None = None
    failure: str | None = None


def train_one(
    architecture: Architecture,
    dataset: OpenDataset,
    recipe: FullTraining,
    folder: Path,
    on_epoch: Callable[[int], None],
) -> AccuracyFailure | None:
    """Train a network in full, unless the folder holds its weights already.

    Several processes may share the training, and one of them writes the weights.

    Args:
        architecture: The network to train.
        dataset: The images.
        recipe: How to train.
        folder: The folder that receives checkpoints and weights.
        on_epoch: Called with the number of finished epochs.

    Returns:
        None, or why the training has failed.

    Raises:
        CheckpointError: The folder holds the weights of another training.
        StorageError: The folder cannot be written.
    """
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


def export_trained(
    architecture: Architecture,
    dataset: OpenDataset,
    recipe: FullTraining,
    folder: Path,
    precisions: Iterable[Precision],
) -> list[Finalist]:
    """Export a trained network in some precisions, calibrated on training images.

    Args:
        architecture: The network.
        dataset: The images that it was trained on.
        recipe: How it was trained.
        folder: The folder where `train_one` left its weights.
        precisions: The precisions.

    Raises:
        CheckpointError: The weights are missing or damaged.
        StorageError: The folder cannot be written.
    """
    path = _weights(folder, architecture)
    found = load_checkpoint(path)
    if found is None:
        raise CheckpointError(f"{path} is missing: run `latlab train` again")
    tensors, facts = found
    network = network_for(architecture, dataset, seed=recipe.seed, classes=recipe.classes)
    network.load_state_dict(tensors)
    shape = (1, dataset.channels, recipe.resolution, recipe.resolution)
    reference = reference_images(dataset, recipe)
    mean, std = statistics(reference)
    images = normalized(reference[:CALIBRATION_IMAGES], mean, std)
    calibration = torch.split(images, 1)
    programs = ProgramCache(folder / "programs")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()

    def exported(precision: Precision) -> Finalist:
        key = f"{precision.value} of weights {digest}"
        in_float32 = precision is Precision.FP32
        finalist = Finalist(architecture, precision, facts["accuracy"] if in_float32 else None)
        try:
            file = programs.get(key) or programs.put(
                key, *export_program(network, shape, precision, calibration)
            )
        except ExportError as error:
            return replace(finalist, failure=str(error))
        if in_float32:
            return replace(finalist, program=file)
        validation = validation_batches(dataset, recipe, mean, std)
        return replace(finalist, program=file, accuracy=_program_accuracy(file, validation))

    return list(map(exported, precisions))


def untrained(
    architecture: Architecture, failure: AccuracyFailure, precisions: Iterable[Precision]
) -> list[Finalist]:
    """Return the finalists, all failed, of a network whose training has failed."""
    return [Finalist(architecture, p, failure=failure.message) for p in precisions]


def with_outcomes(
    finalists: Sequence[Finalist], outcomes: Iterable[Measured | Failure]
) -> list[Finalist]:
    """Return the finalists with their latencies or failures.

    Args:
        finalists: The finalists.
        outcomes: The outcome of each finalist that has a program, in the same order.
    """
    remaining = iter(outcomes)

    def measured(finalist: Finalist) -> Finalist:
        if finalist.program is None:
            return finalist
        outcome = next(remaining)
        if isinstance(outcome, Failure):
            return replace(finalist, failure=outcome.message)
        return replace(finalist, latency=outcome.latency, measurement_id=outcome.measurement_id)

    return list(map(measured, finalists))


def write_results(path: Path, finalists: Iterable[Finalist], facts: dict[str, Any]) -> None:
    """Write finalists and facts about their training to a JSON file, which is never partial.

    Raises:
        StorageError: The file cannot be written.
    """
    results = [_to_json(finalist) for finalist in finalists]
    with replacing(path) as draft:
        draft.write_text(json.dumps({**facts, "results": results}, indent=2) + "\n")


def _to_json(finalist: Finalist) -> dict[str, Any]:
    file = finalist.program
    return {
        "architecture_id": finalist.architecture.id,
        **asdict(replace(finalist, program=None)),
        "precision": finalist.precision.value,
        "program": file
        and {
            "path": str(file.path),
            "sha256": file.program.sha256,
            "size_bytes": file.program.size_bytes,
        },
    }


def _weights(folder: Path, architecture: Architecture) -> Path:
    return folder / architecture.id / "weights.safetensors"


def _made_with(dataset: OpenDataset, recipe: FullTraining) -> dict[str, Any]:
    return {"dataset": dataset.note, **asdict(recipe)}


def _program_accuracy(file: ProgramFile, batches: Iterable[tuple[Tensor, Tensor]]) -> float:
    labels: list[int] = []
    dtype = getattr(torch, file.program.inputs[0].dtype)

    def images() -> Iterator[Tensor]:
        for batch, batch_labels in batches:
            labels.extend(batch_labels.tolist())
            yield from torch.split(batch.contiguous().to(dtype), 1)

    answers = [int(logits.argmax()) for logits in outputs(file.path.read_bytes(), images())]
    right = sum(answer == label for answer, label in zip(answers, labels, strict=True))
    return right / len(labels)
