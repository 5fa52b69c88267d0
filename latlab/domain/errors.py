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
    """The request makes no sense."""


class UnknownKernels(InvalidRequest):
    """The predictor has never seen some kinds of kernels."""


class NotFound(LabError):
    """There is no such target, program, device or measurement."""


class TooLarge(LabError):
    """Something exceeds a stated limit."""


class NotReady(LabError):
    """Something must happen first, such as more measurements."""


class LeaseLost(LabError):
    """A device's agent has seen a higher token: another holder has the device."""


class Unavailable(LabError):
    """The lab or a device does not answer."""


class Unauthenticated(LabError):
    """The token is missing or wrong."""


class StorageError(LabError):
    """A file or the database is damaged, full or not permitted."""


class UnreadableRow(StorageError):
    """A row is damaged, or was written by a newer version."""


class ExportError(LabError):
    """A network cannot be exported to a program."""


class TraceMismatch(Exception):
    """A kernel list and a trace are not of the same network."""


class UnknownKernelKinds(Exception):
    """Kernels of kinds that no measured network holds; `kinds` lists them all."""

    def __init__(self, kinds: Sequence[str]) -> None:
        super().__init__(f"never measured on this target: {', '.join(kinds)}")
        self.kinds = tuple(kinds)


class NotEnoughData(Exception):
    """Too few networks were measured, or have too little in common; says what is needed."""
