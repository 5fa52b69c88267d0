"""Studies and trials as JSON documents: the one serializer of what a search writes down."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any, TypeVar

from cattrs import BaseValidationError, Converter, ForbiddenExtraKeysError, transform_error
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override
from cattrs.strategies import configure_tagged_union

from latlab.domain.errors import LabError
from latlab.domain.estimate import LatencyEstimate, Source
from search.space.architecture import Architecture
from search.space.deployment import Deployment
from search.study.settings import AccuracySource, Reward, StrategyName, StudySettings
from search.study.trial import Trial
from search.study.upgrade import upgraded, with_earlier_choices

VERSION = 2  # of a study's document
INTEGER_LIMIT = 2**63  # Integers stay below it, so that they can become floats and be stored.
T = TypeVar("T")


class DocumentError(ValueError):
    """A JSON document does not describe what it should. The message names the wrong fields."""


def settings_to_document(settings: StudySettings) -> dict[str, Any]:
    """Return a study's settings as values that JSON can hold."""
    return {"version": VERSION, **_converter.unstructure(settings)}


def settings_from_document(document: object) -> StudySettings:
    """Return the study's settings that a document describes, also one that an older version wrote.

    Raises:
        DocumentError: The document does not describe a study's settings.
    """
    if not isinstance(document, dict):
        raise DocumentError(f"{_shown(document)} is not a JSON object of settings")
    version = document.get("version", 1)
    if version not in (1, VERSION):
        raise DocumentError(
            f"the settings' version {_shown(version)} is unknown: update Latency Lab"
        )
    try:
        values = with_earlier_choices(upgraded(document) if version == 1 else document)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise DocumentError(
            "the settings, in the older form of version 1, are wrong: "
            f"{type(error).__name__}: {error}"
        ) from error
    values.pop("version", None)
    return _structured(values, StudySettings)


def trial_to_document(trial: Trial) -> dict[str, Any]:
    """Return a trial as values that JSON can hold."""
    document: dict[str, Any] = _converter.unstructure(trial)
    return document


def trial_from_document(document: object) -> Trial:
    """Return the trial that a document describes. Fields that a trial does not have are ignored.

    Raises:
        DocumentError: The document does not describe a trial.
    """
    trial = _structured(document, Trial)
    for accuracy in (trial.accuracy, *trial.accuracies):
        if accuracy is not None and not 0 <= accuracy <= 1:
            raise DocumentError(f"an accuracy must be from 0 to 1, not {accuracy}")
    return trial


def statistics_from_document(document: object) -> dict[str, float]:
    """Return the statistics that a document describes: finite numbers by name.

    Raises:
        DocumentError: The document does not describe statistics.
    """
    return _structured(document, dict[str, float])


def estimate_from_document(document: object) -> LatencyEstimate | None:
    """Return the latency estimate that a document describes; None for None.

    Raises:
        DocumentError: The document does not describe a latency estimate.
    """
    return None if document is None else _structured(document, LatencyEstimate)


def flat_settings(settings: StudySettings) -> dict[str, Any]:
    """Return every setting that tells two studies apart, by its dotted name."""
    return dict(_flat("", settings))


def _flat(name: str, value: object) -> Iterator[tuple[str, Any]]:
    prefix = f"{name}." if name else ""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _flat(f"{prefix}{key}", each)
    elif isinstance(value, tuple):
        for index, each in enumerate(value):
            yield from _flat(f"{name}[{index}]", each)
    elif is_dataclass(value):
        if hasattr(value, "kind"):
            yield name, value.kind
        for each in fields(value):
            if each.compare:
                yield from _flat(f"{prefix}{each.name}", getattr(value, each.name))
    else:
        yield name, value.value if isinstance(value, Enum) else value


def _structured(value: object, kind: type[T]) -> T:
    try:
        return _converter.structure(value, kind)
    except (BaseValidationError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise DocumentError("; ".join(transform_error(error, "$", _in_words))) from error
    except (RecursionError, LabError) as error:
        raise DocumentError(
            f"the study's settings cannot be read: {type(error).__name__}: {error}"
        ) from error


def _in_words(error: BaseException, kind: object) -> str:
    if isinstance(error, AttributeError):
        return "an object is missing here"
    if isinstance(error, KeyError):
        return f"{error} is missing or unknown"
    if isinstance(error, ForbiddenExtraKeysError):
        return f"unknown fields: {', '.join(sorted(map(_shown, error.extra_fields)))}"
    return str(error)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _strict(*allowed: type) -> Callable[[Any, Any], Any]:
    """Return a hook that takes values of these types only: JSON may hold anything."""

    def structure(value: Any, kind: Any) -> Any:  # noqa: ANN401
        if type(value) not in allowed:
            raise TypeError(f"{_shown(value)} is not of type {kind.__name__}")
        # Infinity is not below the limit, and no comparison holds for NaN.
        if kind in (int, float) and not abs(value) < INTEGER_LIMIT:
            raise ValueError(f"{_shown(value)} is not a finite number below 2**63")
        return kind(value)

    return structure


def _make_converter() -> Converter:
    converter = Converter(forbid_extra_keys=True)
    for kind, allowed in {str: (str,), bool: (bool,), int: (int,), float: (int, float)}.items():
        converter.register_structure_hook(kind, _strict(*allowed))
    for kind in (StrategyName, Source):  # cattrs leaves enumerations of strings as they are
        converter.register_structure_hook(kind, lambda value, kind: kind(value))
        converter.register_unstructure_hook(kind, operator.attrgetter("value"))
    for union in (AccuracySource, Reward):
        configure_tagged_union(union, converter, operator.attrgetter("kind"), tag_name="kind")
    converter.register_structure_hook(Architecture, lambda value, _: Architecture.from_dict(value))
    converter.register_unstructure_hook(Architecture, Architecture.to_dict)
    converter.register_unstructure_hook(  # studies of float32 are written as before
        Deployment,
        make_dict_unstructure_fn(Deployment, converter, precision=override(omit_if_default=True)),
    )
    _register_estimates(converter)
    converter.register_unstructure_hook(  # other studies are written as before
        StudySettings,
        make_dict_unstructure_fn(
            StudySettings,
            converter,
            separate_targets=override(omit_if_default=True),
        ),
    )
    converter.register_structure_hook(
        Trial, make_dict_structure_fn(Trial, converter, _cattrs_forbid_extra_keys=False)
    )
    converter.register_unstructure_hook(  # networks evaluated once, unsmoothed, are as before
        Trial,
        make_dict_unstructure_fn(
            Trial,
            converter,
            accuracies=override(omit_if_default=True),
            repeats=override(omit_if_default=True),
            trained_accuracy=override(omit_if_default=True),
        ),
    )
    return converter


def _register_estimates(converter: Converter) -> None:
    """Register hooks that are looked up when they run, because estimates hold estimates."""

    def structure(value: Any, kind: Any) -> LatencyEstimate:  # noqa: ANN401
        estimate: LatencyEstimate = structure_fields(value, kind)
        if estimate.latency_ns <= 0:
            raise ValueError(f"the latency must be above zero, not {estimate.latency_ns} ns")
        return estimate

    def unstructure(estimate: LatencyEstimate) -> dict[str, Any]:
        document: dict[str, Any] = unstructure_fields(estimate)
        return document

    converter.register_structure_hook(LatencyEstimate, structure)
    converter.register_unstructure_hook(LatencyEstimate, unstructure)
    structure_fields = make_dict_structure_fn(LatencyEstimate, converter)
    unstructure_fields = make_dict_unstructure_fn(
        LatencyEstimate,
        converter,
        parts=override(omit_if_default=True),
        raw=override(omit_if_default=True),
        correction=override(omit_if_default=True),
    )


_converter = _make_converter()
