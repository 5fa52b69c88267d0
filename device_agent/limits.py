"""The limits of everything that a Run request may ask for."""

from __future__ import annotations

import math
from collections.abc import Sequence

from latlab.domain.benchmark_spec import visit_spec_fault
from latlab.domain.errors import InvalidRequest
from latlab.domain.program import TensorSpec
from latlab.v1 import common_pb2
from latlab.v1.common_pb2 import VisitSpec
from latlab.v1.device_agent_pb2 import CoreClass, RunRequest

MAX_INPUTS = 16
MAX_RANK = 8
MAX_INPUT_ELEMENTS = 1 << 28


def inputs_of(request: RunRequest) -> list[TensorSpec]:
    """Return the inputs that the request asks for; shapes without dtypes mean float32.

    Raises InvalidRequest if one contradicts itself.
    """
    if not request.inputs:
        return [TensorSpec(tuple(shape.dims)) for shape in request.input_shapes]
    return [_input(f"input {index}", spec) for index, spec in enumerate(request.inputs)]


def _input(name: str, message: common_pb2.TensorSpec) -> TensorSpec:
    low = message.low if message.HasField("low") else None
    high = message.high if message.HasField("high") else None
    try:
        return TensorSpec(tuple(message.shape.dims), message.dtype, low, high)
    except ValueError as error:
        raise InvalidRequest(f"{name} is wrong: {error}") from error


def check_inputs(request: RunRequest) -> None:
    """Check the inputs that the request asks for.

    Raises InvalidRequest if they are missing, absurdly large, or contradict themselves or the
    shapes beside them.
    """
    inputs = inputs_of(request)
    shapes = [tuple(shape.dims) for shape in request.input_shapes]
    if shapes and shapes != [spec.shape for spec in inputs]:
        raise InvalidRequest("inputs and input_shapes: the shapes of one differ from the other's")
    if not 1 <= len(inputs) <= MAX_INPUTS:
        raise InvalidRequest(f"inputs: there must be 1 to {MAX_INPUTS}, not {len(inputs)}")
    for index, spec in enumerate(inputs):
        if len(spec.shape) > MAX_RANK or not 1 <= math.prod(spec.shape) <= MAX_INPUT_ELEMENTS:
            raise InvalidRequest(
                f"input {index}: up to {MAX_RANK} dimensions and {MAX_INPUT_ELEMENTS} elements, "
                f"none zero, not {spec.shape}"
            )


def check_spec(spec: VisitSpec, core_classes: Sequence[CoreClass]) -> list[int]:
    """Return the cpus to pin a visit to: as many as it has threads, the last ones of its class.

    A machine's first cpus handle most of its interrupts. Raises InvalidRequest, saying what is
    possible.
    """
    by_name = {core_class.name: core_class for core_class in core_classes}
    if spec.core_class not in by_name:
        raise InvalidRequest(f"core_class: one of {sorted(by_name)}, not {spec.core_class!r}")
    cpus = list(by_name[spec.core_class].cpus)
    if not 1 <= spec.threads <= len(cpus):
        raise InvalidRequest(
            f"threads: 1 to {len(cpus)} on {spec.core_class!r}, not {spec.threads}"
        )
    if fault := visit_spec_fault(spec):
        raise InvalidRequest(fault)
    return cpus[-spec.threads :]
