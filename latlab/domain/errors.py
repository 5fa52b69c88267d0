"""The lab's errors, one tree. `latlab.convert.errors` says which gRPC status each kind travels as.

LabError
├── InvalidRequest        what was asked makes no sense              INVALID_ARGUMENT
│   └── UnknownKernels    kernel kinds the predictor has never seen
├── NotFound              no such target, program or measurement     NOT_FOUND
├── TooLarge              over a stated limit                        RESOURCE_EXHAUSTED
├── NotReady              e.g. too little measured to predict        FAILED_PRECONDITION
├── LeaseLost             another holder has the device              FAILED_PRECONDITION
├── Unavailable           the lab or a device does not answer        UNAVAILABLE
├── Unauthenticated       the token is missing or wrong              UNAUTHENTICATED
├── StorageError          files or database: no right, damaged, full DATA_LOSS
│   └── UnreadableRow     damaged, or written by a newer version
└── ExportError           a network cannot be made a program         INVALID_ARGUMENT
"""

from __future__ import annotations

from collections.abc import Sequence


class LabError(Exception):
    """Base of all; the message says what to do."""


class InvalidRequest(LabError):
    pass


class UnknownKernels(InvalidRequest):
    pass


class NotFound(LabError):
    pass


class TooLarge(LabError):
    pass


class NotReady(LabError):
    pass


class LeaseLost(LabError):
    """A device's agent has seen a higher token: another holder has the device."""


class Unavailable(LabError):
    pass


class Unauthenticated(LabError):
    pass


class StorageError(LabError):
    pass


class UnreadableRow(StorageError):
    pass


class ExportError(LabError):
    pass


class TraceMismatch(Exception):
    """A kernel list and a trace are not of the same network."""


class UnknownKernelKinds(Exception):
    """Kernels of kinds that no measured network holds; `kinds` lists them all."""

    def __init__(self, kinds: Sequence[str]) -> None:
        super().__init__(f"never measured on this target: {', '.join(kinds)}")
        self.kinds = tuple(kinds)


class NotEnoughData(Exception):
    """Too few networks were measured, or have too little in common; says what is needed."""
