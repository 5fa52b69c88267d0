"""Latency Lab for other programs: find out how long a network takes on a device.

    import latlab

    with latlab.connect() as lab:
        outcome = lab.measure(module, (1, 3, 224, 224))
        estimate = lab.predict(module, (1, 3, 224, 224))
        profile = lab.profile(module, (1, 3, 224, 224))

`latlab.aio.connect()` does the same for asyncio.

If PyTorch is installed, modules of it are exported to programs: see `latlab.export`.
Each name is loaded when it is first used, so `import latlab` alone is quick.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

# gRPC writes to the user's terminal whenever a server closes an idle connection, unless it is told
# before it is loaded to report errors only.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")

if TYPE_CHECKING:
    from latlab.client.client import LatencyClient, connect
    from latlab.domain.benchmark_spec import BenchmarkSpec, VisitSpec
    from latlab.domain.device import Device
    from latlab.domain.errors import (
        ExportError,
        InvalidRequest,
        LabError,
        LimitReached,
        NotFound,
        NotReady,
        PermissionDenied,
        StorageError,
        TooLarge,
        Unauthenticated,
        Unavailable,
        UnknownKernelKinds,
    )
    from latlab.domain.estimate import (
        Correction,
        Footprint,
        LatencyEstimate,
        MeasuredLatency,
        RawSamples,
        Source,
    )
    from latlab.domain.failure import Failure, FailureKind
    from latlab.domain.job import JobPhase, JobStatus, WaitReason
    from latlab.domain.kernel import Kernel
    from latlab.domain.measurement import Measurement, Visit
    from latlab.domain.precision import Precision
    from latlab.domain.program import Program, ProgramFile, TensorSpec
    from latlab.domain.records.breakdown import Breakdown
    from latlab.domain.records.measurements import (
        MeasurementOrder,
        MeasurementSummary,
        Samples,
        VisitSummary,
    )
    from latlab.domain.records.predictions import ProgramPredictions, QueryMode, TargetDetails
    from latlab.domain.target import Target
    from latlab.profiling.profile import Profile

__all__ = [
    "BenchmarkSpec",
    "Breakdown",
    "Correction",
    "Device",
    "ExportError",
    "Failure",
    "FailureKind",
    "Footprint",
    "InvalidRequest",
    "JobPhase",
    "JobStatus",
    "Kernel",
    "LabError",
    "LatencyClient",
    "LatencyEstimate",
    "LimitReached",
    "MeasuredLatency",
    "Measurement",
    "MeasurementOrder",
    "MeasurementSummary",
    "NotFound",
    "NotReady",
    "PermissionDenied",
    "Precision",
    "Profile",
    "Program",
    "ProgramFile",
    "ProgramPredictions",
    "QueryMode",
    "RawSamples",
    "Samples",
    "Source",
    "StorageError",
    "Target",
    "TargetDetails",
    "TensorSpec",
    "TooLarge",
    "Unauthenticated",
    "Unavailable",
    "UnknownKernelKinds",
    "Visit",
    "VisitSpec",
    "VisitSummary",
    "WaitReason",
    "connect",
]

_MODULES = {
    "client.client": ("LatencyClient", "connect"),
    "domain.benchmark_spec": ("BenchmarkSpec", "VisitSpec"),
    "domain.device": ("Device",),
    "domain.estimate": (
        "Correction",
        "Footprint",
        "LatencyEstimate",
        "MeasuredLatency",
        "RawSamples",
        "Source",
    ),
    "domain.failure": ("Failure", "FailureKind"),
    "domain.job": ("JobPhase", "JobStatus", "WaitReason"),
    "domain.kernel": ("Kernel",),
    "domain.measurement": ("Measurement", "Visit"),
    "domain.precision": ("Precision",),
    "domain.program": ("Program", "ProgramFile", "TensorSpec"),
    "domain.records.breakdown": ("Breakdown",),
    "domain.records.measurements": (
        "MeasurementOrder",
        "MeasurementSummary",
        "Samples",
        "VisitSummary",
    ),
    "domain.records.predictions": ("ProgramPredictions", "QueryMode", "TargetDetails"),
    "domain.target": ("Target",),
    "profiling.profile": ("Profile",),
}


def __getattr__(name: str) -> Any:  # noqa: ANN401
    """Load a public name from its module."""
    if name == "aio":
        return importlib.import_module("latlab.aio")
    if name not in __all__:
        raise AttributeError(f"module 'latlab' has no attribute {name!r}")
    place = next((module for module, names in _MODULES.items() if name in names), "domain.errors")
    return getattr(importlib.import_module(f"latlab.{place}"), name)
