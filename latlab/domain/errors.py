"""The lab's errors, one tree. Each kind carries the gRPC status it travels as.

LabError
├── InvalidRequest        what was asked makes no sense              INVALID_ARGUMENT
│   └── UnknownKernels    kernel kinds the predictor has never seen
├── NotFound              no such target, program or measurement     NOT_FOUND
├── TooLarge              over a stated limit                        RESOURCE_EXHAUSTED
├── NotReady              e.g. too little measured to predict        FAILED_PRECONDITION
├── Unavailable           the lab or a device does not answer        UNAVAILABLE
├── Unauthenticated       the token is missing or wrong              UNAUTHENTICATED
├── StorageError          files or database: no right, damaged, full DATA_LOSS
│   └── UnreadableRow     damaged, or written by a newer version
└── ExportError           a network cannot be made a program         INVALID_ARGUMENT
"""

from __future__ import annotations

import grpc

ERROR_KEY = "latlab-error"  # trailing metadata: the class, which is finer than a status


class LabError(Exception):
    """Base of all; the message says what to do."""

    status: grpc.StatusCode = grpc.StatusCode.INTERNAL


class InvalidRequest(LabError):
    status = grpc.StatusCode.INVALID_ARGUMENT


class UnknownKernels(InvalidRequest):
    pass


class NotFound(LabError):
    status = grpc.StatusCode.NOT_FOUND


class TooLarge(LabError):
    status = grpc.StatusCode.RESOURCE_EXHAUSTED


class NotReady(LabError):
    status = grpc.StatusCode.FAILED_PRECONDITION


class Unavailable(LabError):
    status = grpc.StatusCode.UNAVAILABLE


class Unauthenticated(LabError):
    status = grpc.StatusCode.UNAUTHENTICATED


class StorageError(LabError):
    status = grpc.StatusCode.DATA_LOSS


class UnreadableRow(StorageError):
    pass


class ExportError(LabError):
    status = grpc.StatusCode.INVALID_ARGUMENT
