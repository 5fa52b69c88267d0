"""The lab's errors, one tree. `latlab.convert.errors` maps it to gRPC statuses and back.

LabError
├── InvalidRequest           the request makes no sense                INVALID_ARGUMENT
│   ├── UnknownKernelKinds   kernels that were never measured          INVALID_ARGUMENT
│   └── WrongOffset          an upload goes on at the wrong byte       OUT_OF_RANGE
├── NotFound                 no such target, program or measurement    NOT_FOUND
├── TooLarge                 something exceeds a stated limit          RESOURCE_EXHAUSTED
│   └── LimitReached         an owner's share is used up for now       RESOURCE_EXHAUSTED
├── NotReady                 something else must happen first          FAILED_PRECONDITION
│   └── NotEnoughData        too few networks were measured            FAILED_PRECONDITION
├── LeaseLost                another holder has the device             FAILED_PRECONDITION
├── Unavailable              the lab or a device does not answer       UNAVAILABLE
│   └── TokenChanged         a device was enrolled again meanwhile     UNAVAILABLE
├── Unauthenticated          the token is missing or wrong             UNAUTHENTICATED
├── PermissionDenied         the token does not allow that             PERMISSION_DENIED
├── StorageError             a file or the database is of no use       DATA_LOSS
│   ├── DatabaseBusy         other work keeps the database locked      UNAVAILABLE
│   ├── DiskFull             the disk has no space left                RESOURCE_EXHAUSTED
│   └── UnreadableRow        damaged, or written by a newer version    DATA_LOSS
├── ExportError              a network cannot be made a program        INVALID_ARGUMENT
└── TraceMismatch            a trace is of another network             INVALID_ARGUMENT

Other packages derive errors of their own from these: search (StudyError, DatasetError,
TableError, CheckpointError), device_agent and host.doctor. Such an error reaches a client as
the nearest of its bases that is in this module.
"""

from __future__ import annotations

from collections.abc import Sequence

from latlab.domain.precision import Precision


class LabError(Exception):
    """Base of all the lab's errors; the message says what is wrong and what to do."""


class InvalidRequest(LabError):
    """The request makes no sense.

    Attributes:
        field: The field of the request that is wrong, as the API names it; "" if that is not known.
    """

    def __init__(self, message: object = "", field: str = "") -> None:
        """Make the error with its message."""
        self.field = field
        super().__init__(message)


class UnknownKernelKinds(InvalidRequest):
    """Some kernels are of kinds that no measured network holds.

    Attributes:
        kinds: All these kinds.
    """

    def __init__(self, kinds: Sequence[str]) -> None:
        """Make the error of these kinds."""
        self.kinds = tuple(kinds)
        super().__init__(self.kinds)

    def __str__(self) -> str:
        """Name the kinds, and say what to do."""
        text = f"never measured on this target: {', '.join(self.kinds)}"
        prefixes = {kind.partition(" ")[0] for kind in self.kinds}
        names = sorted(prefixes & {Precision.FP16.value, Precision.INT8.value})
        if not names:
            return f"{text}. Measure them first (latlab calibrate --for NETWORK)"
        for name in names:
            text += f"; measure {name} networks first (latlab calibrate --precision {name})"
        return text


class WrongOffset(InvalidRequest):
    """The bytes of an upload do not follow those that the lab has."""


class NotFound(LabError):
    """There is no such target, program, device or measurement."""


class TooLarge(LabError):
    """Something exceeds a stated limit."""


class LimitReached(TooLarge):
    """An owner has too many open jobs, say, or has used up the device time of the day.

    Attributes:
        retry_s: After how many seconds the same request may succeed.
    """

    def __init__(self, message: str, retry_s: float = 1.0) -> None:
        """Make the error with its message."""
        self.retry_s = retry_s
        super().__init__(message)


class NotReady(LabError):
    """Something else must happen before the lab can do what was asked for."""


class NotEnoughData(NotReady):
    """Too few networks were measured, or they have too little in common."""


class LeaseLost(LabError):
    """Another holder has the device: its agent has seen a higher lease token."""


class Unavailable(LabError):
    """The lab or a device does not answer."""


class TokenChanged(Unavailable):
    """A device's agent has a new token, because it was enrolled again, by this lab or another."""


class Unauthenticated(LabError):
    """The token is missing or wrong."""


class PermissionDenied(LabError):
    """The token does not allow that. The message names the scope that is needed."""


class StorageError(LabError):
    """A file or the database is damaged, or may not be used."""


class DatabaseBusy(StorageError):
    """Other work keeps the database locked; the same request may succeed later."""


class DiskFull(StorageError):
    """A disk has no space left."""


class UnreadableRow(StorageError):
    """A row of the database is damaged, or was written by a newer version."""


class ExportError(LabError):
    """A network cannot be exported to a program."""


class TraceMismatch(LabError):
    """A kernel list and a trace are not of the same network."""
