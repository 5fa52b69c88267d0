"""The best networks of a study, trained in full, exported in several precisions and measured.

runs/<study>/trained/
├── <architecture id>/checkpoint.safetensors   the training's state, until it ends
├── <architecture id>/weights.safetensors      the trained weights
├── seed-<seed>/<architecture id>/…            the same for each further seed
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
from search.accuracy.accuracy import AccuracyFailure, Score
from search.accuracy.checkpoint import (
    CheckpointError,
    check_same,
    load_checkpoint,
    save_checkpoint,
)
from search.accuracy.data.datasets import OpenDataset
from search.accuracy.full_training import train_fully
from search.accuracy.training import (
    network_for,
    normalized,
    reference_images,
    right_answers,
    statistics,
    validation_batches,
)
from search.latency.lab import Measured
from search.space.architecture import Architecture
from search.space.zoo import NAMES
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
        scores: The score that is the accuracy, then those of further seeds, whose networks are
            not exported.
    """

    architecture: Architecture
    precision: Precision
    accuracy: float | None = None
    program: ProgramFile | None = None
    latency: LatencyEstimate | None = None
    measurement_id: str | None = None
    failure: str | None = None
    scores: tuple[Score, ...] = ()


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
        mean, std = statistics(reference_images(dataset, recipe.centre_share))
        batches = validation_batches(dataset, mean, std, recipe.centre_share)
        facts = {
            **asdict(_score(right_answers(network, batches).tolist())),
            "made_with": _made_with(dataset, recipe),
        }
        save_checkpoint(path, network.state_dict(), facts)
        checkpoint.unlink()
    return None


def training_folder(folder: Path, seed: int, first_seed: int) -> Path:
    """Return the folder of the trainings with a seed, of which the first has no folder of its own.

    Args:
        folder: The folder of all trainings of a study.
        seed: The seed.
        first_seed: The seed of the trainings whose networks are exported.
    """
    return folder if seed == first_seed else folder / f"seed-{seed}"


def trained_score(architecture: Architecture, dataset: OpenDataset, folder: Path) -> Score | None:
    """Return the score of a network that `train_one` has trained, or None if it has not.

    Raises:
        CheckpointError: The weights are damaged.
    """
    found = load_checkpoint(_weights(folder, architecture))
    return None if found is None else _recorded_score(found[1], dataset)


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
    reference = reference_images(dataset, recipe.centre_share)
    mean, std = statistics(reference)
    images = normalized(reference[:CALIBRATION_IMAGES], mean, std)
    calibration = torch.split(images, 1)
    programs = ProgramCache(folder / "programs")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()

    def exported(precision: Precision) -> Finalist:
        key = f"{precision.value} of weights {digest}"
        finalist = Finalist(architecture, precision)
        if precision is Precision.FP32:
            score = _recorded_score(facts, dataset)
            finalist = replace(finalist, accuracy=score.accuracy, scores=(score,))
        try:
            file = programs.get(key) or programs.put(
                key, *export_program(network, shape, precision, calibration)
            )
        except ExportError as error:
            return replace(finalist, failure=str(error))
        if precision is not Precision.FP32:
            batches = validation_batches(dataset, mean, std, recipe.centre_share)
            score = _program_score(file, batches)
            finalist = replace(finalist, accuracy=score.accuracy, scores=(score,))
        return replace(finalist, program=file)

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
        "name": NAMES.get(finalist.architecture),
        **asdict(replace(finalist, program=None, scores=())),
        "precision": finalist.precision.value,
        "scores": [{"accuracy": each.accuracy, "images": each.images} for each in finalist.scores],
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


def _score(right: Sequence[bool]) -> Score:
    digits = "".join("1" if each else "0" for each in right)
    return Score(digits.count("1") / max(1, len(digits)), len(digits), digits)


def _recorded_score(facts: dict[str, Any], dataset: OpenDataset) -> Score:
    """Return the score beside a network's weights. Earlier versions recorded the accuracy only."""
    images, right = facts.get("images", len(dataset.validation)), facts.get("right", "")
    return Score(facts["accuracy"], images, right)


def _program_score(file: ProgramFile, batches: Iterable[tuple[Tensor, Tensor]]) -> Score:
    labels: list[int] = []
    dtype = getattr(torch, file.program.inputs[0].dtype)

    def images() -> Iterator[Tensor]:
        for batch, batch_labels in batches:
            labels.extend(batch_labels.tolist())
            yield from torch.split(batch.contiguous().to(dtype), 1)

    answers = [int(logits.argmax()) for logits in outputs(file.path.read_bytes(), images())]
    return _score([answer == label for answer, label in zip(answers, labels, strict=True)])
