"""Explain why a call of a lab has failed."""

from __future__ import annotations

from typing import Any

import grpc

from latlab.client.connection.endpoint import Endpoint
from latlab.client.connection.pinning import require_fingerprint
from latlab.common.certificates import fingerprint
from latlab.convert.errors import NOT_RUNNING, from_daemon, is_from_server
from latlab.domain.errors import LabError, NotReady, Unauthenticated, Unavailable


def error_of(endpoint: Endpoint, error: Any) -> LabError:  # noqa: ANN401 -- grpc.RpcError
    """Return the error that a lab raised, or why it could not be reached.

    It may ask the lab for its certificate, which takes some seconds where nobody answers.
    """
    advice = NOT_RUNNING if endpoint.is_own else f"is a lab up at {endpoint.address}?"
    found = from_daemon(error, advice)
    if isinstance(found, Unauthenticated) and not endpoint.is_own:
        return Unauthenticated(
            f"the lab at {endpoint.address} refuses the token: {found}. Ask its owner for one, and"
            " set LATLAB_TOKEN to it, or LATLAB_TOKEN_FILE to a file that holds it"
        )
    if error.code() is grpc.StatusCode.UNIMPLEMENTED:
        return NotReady(
            f"the lab at {endpoint.address} runs an older version, which cannot do that: upgrade it"
        )
    is_unreached = error.code() is grpc.StatusCode.UNAVAILABLE and not is_from_server(error)
    if endpoint.is_own or not is_unreached:
        return found
    try:
        if endpoint.certificate is not None:
            require_fingerprint(endpoint.address, fingerprint(endpoint.certificate))
    except LabError as reason:
        return reason
    if endpoint.certificate is None:
        return Unavailable(
            f"no lab answers at {endpoint.address} ({error.details()}): if a lab listens there with"
            " TLS, set LATLAB_CA; else bring it up with `latlab lab up`"
        )
    return found
