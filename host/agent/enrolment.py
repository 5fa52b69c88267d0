"""Enrolling a board: its agent's code is traded for its token."""

from __future__ import annotations

import hmac
import re

import grpc

from host.agent.tls import pinned_channel, presented_certificate
from host.home.boards import Board, checked_address
from latlab.common.certificates import fingerprint
from latlab.convert.errors import from_enrolment
from latlab.domain.errors import (
    InvalidRequest,
    Unauthenticated,
)
from latlab.v1.device_agent_pb2 import EnrolRequest
from latlab.v1.device_agent_pb2_grpc import EnrolmentStub

ENROL_TIMEOUT_S = 10.0
_CODE = re.compile(r"([0-9a-f]{64})-([0-9a-f]{32})")


def enrol(address: str, code: str) -> Board:
    """Trades the code that the agent printed for its token, with the agent that the code
    names and with nobody else.

    Raises InvalidRequest where address or code is none, Unauthenticated where the code is
    another agent's or wrong, NotReady where it was used, Unavailable.
    """
    match = _CODE.fullmatch(code)
    if match is None:
        raise InvalidRequest("this is no enrolment code: it is one line of 97 characters")
    named_fingerprint, secret = match.groups()
    certificate = presented_certificate(checked_address(address))
    if not hmac.compare_digest(fingerprint(certificate), named_fingerprint):
        raise Unauthenticated(
            f"{address} does not show the certificate that the code names: the code is of"
            " another agent, or another answers in its place. Nothing was told to it"
        )
    with pinned_channel(address, certificate) as channel:
        try:
            response = EnrolmentStub(channel).Enrol(
                EnrolRequest(secret=secret), timeout=ENROL_TIMEOUT_S
            )
        except grpc.RpcError as error:
            raise from_enrolment(error, address) from error
    return Board(address, certificate, response.token)
