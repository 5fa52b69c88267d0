"""Enrol a board: trade its agent's code for the agent's token."""

from __future__ import annotations

import hmac
import re

import grpc

from host.agent.client import AgentClient
from host.agent.tls import open_channel, presented_certificate
from host.home.boards import Board, Boards, checked_address
from latlab.common.certificates import fingerprint
from latlab.convert.errors import from_enrolment
from latlab.domain.errors import InvalidRequest, LabError, TokenChanged, Unauthenticated
from latlab.v1.device_agent_pb2 import EnrolRequest
from latlab.v1.device_agent_pb2_grpc import EnrolmentStub

ENROL_TIMEOUT_S = 10.0
_CODE = re.compile(r"([0-9a-f]{64})-([0-9a-f]{32})")


def enrol(address: str, code: str) -> Board:
    """Trade the code that an agent has printed for its token, with that agent only.

    Args:
        address: "host:port" of the agent.
        code: The enrolment code: the fingerprint of the agent's certificate, and a secret.

    Raises:
        InvalidRequest: The address or the code is malformed.
        Unauthenticated: The code is wrong, or another agent's.
        NotReady: The code was used.
        Unavailable: The agent does not answer.
    """
    match = _CODE.fullmatch(code)
    if match is None:
        raise InvalidRequest("this is no enrolment code: a code is one line of 97 characters")
    named_fingerprint, secret = match.groups()
    certificate = presented_certificate(checked_address(address))
    if not hmac.compare_digest(fingerprint(certificate), named_fingerprint):
        raise Unauthenticated(
            f"{address} does not show the certificate that the code names: the code is from"
            " another agent, or another machine answers. Nothing was sent to it"
        )
    with open_channel(address, certificate) as channel:
        try:
            response = EnrolmentStub(channel).Enrol(
                EnrolRequest(secret=secret), timeout=ENROL_TIMEOUT_S
            )
        except grpc.RpcError as error:
            raise from_enrolment(error, address) from error
    return Board(address, certificate, response.token)


def former_addresses(board: Board, boards: Boards) -> list[str]:
    """Return the other addresses by which an enrolled board was enrolled before.

    There its agent refuses the token of that time. A copy of the board's disk shows the same
    certificate, but takes its own token still. Raises StorageError.
    """
    former = []
    for address in boards.addresses():
        other = boards.get(address)
        if other is None or address == board.address or other.certificate != board.certificate:
            continue
        agent = AgentClient(address, other.token, other.certificate)
        try:
            agent.describe()
        except TokenChanged:
            former.append(address)
        except LabError:
            continue
        finally:
            agent.close()
    return former
