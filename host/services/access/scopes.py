"""The scope that each method of the lab's API needs: the only place that says so.

A method that is missing here needs the scope ADMIN, and counts as one that changes the lab.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from latlab.domain.access.token import AccessToken, Scope
from latlab.domain.errors import PermissionDenied


@dataclass(frozen=True, slots=True)
class Method:
    """A method of the API.

    Attributes:
        scope: What a token must allow; None if any valid token will do.
        changes: Whether the method changes the lab. Then the audit log has its calls.
    """

    scope: Scope | None
    changes: bool = False


_ANY = Method(None)
_READ = Method(Scope.READ)
_PREDICT = Method(Scope.PREDICT)
_MEASURE = Method(Scope.MEASURE, changes=True)
_OPERATE = Method(Scope.OPERATE, changes=True)
_ADMIN = Method(Scope.ADMIN, changes=True)

_SERVICES: Mapping[str, Mapping[str, Method]] = {
    "latlab.v1.LatencyService": {
        "CancelJob": _MEASURE,
        "CreateMeasurement": _MEASURE,
        "GetBreakdown": _READ,
        "GetJob": _READ,
        "GetMeasurement": _READ,
        "GetTarget": _READ,
        "GetUpload": Method(Scope.MEASURE),
        "ListMeasuredNetworks": _READ,
        "ListRefits": _READ,
        "ListSamples": _READ,
        "ListTargets": _READ,
        "ListVisits": _READ,
        "LookUp": _READ,
        "Measure": _MEASURE,
        "Predict": _PREDICT,
        "QueryMeasurements": _READ,
        "UploadProgram": _MEASURE,
        "WatchJobs": _READ,
        "WriteProgram": _MEASURE,
    },
    "latlab.v1.LabService": {
        "AddBoard": _OPERATE,
        "CancelJobs": _OPERATE,
        "ExcludeMeasurement": _OPERATE,
        "GetBaseline": _READ,
        "GetDeviceHistory": _READ,
        "IncludeMeasurement": _OPERATE,
        "ListBaselines": _READ,
        "ListConditions": _READ,
        "ListDevices": _READ,
        "ListJobs": _READ,
        "ListMeasurements": _READ,
        "ListQueue": _READ,
        "PinSentinel": _OPERATE,
        "ReadConditions": _READ,
        "Refit": _OPERATE,
        "RemoveBaseline": _OPERATE,
        "RemoveBoard": _OPERATE,
        "RemoveDevice": _OPERATE,
        "RenewBaseline": _OPERATE,
        "SetBaseline": _OPERATE,
        "SetDrained": _OPERATE,
        "SetNote": _OPERATE,
    },
    "latlab.v1.AccessService": {
        "CreateToken": _ADMIN,
        "GetCaller": _ANY,
        "ListAuditEntries": Method(Scope.ADMIN),
        "ListTokens": Method(Scope.ADMIN),
        "RevokeToken": _ADMIN,
    },
    "latlab.v1.MaintenanceService": {
        "BackUp": Method(Scope.ADMIN),
        "Check": Method(Scope.OPERATE),
        "Compact": _ADMIN,
        "Export": _READ,
    },
    "grpc.health.v1.Health": {"Check": _ANY, "Watch": _ANY, "List": _ANY},
    "grpc.reflection.v1alpha.ServerReflection": {"ServerReflectionInfo": _ANY},
}

METHODS: Mapping[str, Method] = {
    f"/{service}/{name}": method
    for service, methods in _SERVICES.items()
    for name, method in methods.items()
}


def method_of(name: str) -> Method:
    """Return what a method needs, by its name "/package.Service/Method"."""
    return METHODS.get(name, _ADMIN)


def require(token: AccessToken, scope: Scope | None, action: str) -> None:
    """Raise PermissionDenied if the token does not allow an action, which the message names."""
    if scope is not None and not token.allows(scope):
        allowed = ", ".join(sorted(each.value for each in token.scopes))
        raise PermissionDenied(
            f"{action} needs a token with the scope {scope.value!r}, and the token {token.id} of"
            f" {token.owner} has: {allowed}. Ask the lab's owner for one (latlab token create"
            f" --owner {token.owner} --scopes {scope.value})"
        )
