"""Hostile requests for every RPC of a server, and what is wrong with its answers."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.descriptor import FieldDescriptor, FileDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

TIMEOUT_S = 300.0  # a first fit may be waited for
# These go on for as long as their clients stay, once they are accepted.
ENDLESS, ENDLESS_TIMEOUT_S = ("/Measure", "/WatchJobs"), 0.1
# These take the first digits of a SHA-256 too.
BEGINNINGS = ("CancelJobsRequest", "QueryMeasurementsRequest")
MAX_PARTS = 3
# Hypothesis makes one request in so many; it takes longer for one than the server.
MADE_BY_HYPOTHESIS = 5

# The statuses by which a server refuses.
REFUSALS = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.FAILED_PRECONDITION,
}
# Words of internal errors, which no answer may hold.
INTERNAL_WORDS = re.compile(
    r"Traceback|Exception|\w{2}Error\b|\.py\b|sqlalchemy|sqlite|psycopg|SELECT"
)

_SHA256 = re.compile(r"[0-9a-f]{64}")
_BEGINNING = re.compile(r"[0-9a-f]{6,64}")
_RUN_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")

ODD_TEXTS = (
    "",
    "..",
    "../../escaped",
    "a/b",
    "~",
    "\0",
    "a\0b",
    "%",
    "*",
    "'; DROP TABLE jobs; --",
    "\N{RIGHT-TO-LEFT OVERRIDE}",
    "\x1b[2J",
    "0" * 63,
    "A" * 64,
    "0" * 64,
    "0" * 64 + "\n",
    "x" * 10_000,
)
ODD_INTEGERS = (
    *(0, 1, 2, 100, 101, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1),
    *(-1, -(2**31), -(2**63)),
)
ODD_FLOATS = (0.0, -0.0, -1.0, 1.0, 0.01, float("nan"), float("inf"), -float("inf"), 5e-324, 1e308)

_RANGES = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
    FieldDescriptor.CPPTYPE_ENUM: (-(2**31), 2**31 - 1),
}


@dataclass(frozen=True)
class Rpc:
    """One method of a server."""

    name: str
    request: type[Message]
    takes_stream: bool


def rpcs(*files: FileDescriptor) -> list[Rpc]:
    """Every method of the services in these files."""
    return [
        Rpc(
            f"/{service.full_name}/{method.name}",
            GetMessageClass(method.input_type),
            method.client_streaming,
        )
        for file in files
        for service in file.services_by_name.values()
        for method in service.methods
    ]


@dataclass(frozen=True)
class Request:
    """A call: its parts are messages, or bytes that are none."""

    rpc: Rpc
    parts: tuple[bytes, ...]
    token: str | None


@dataclass
class Target:
    """A server under attack.

    Attributes:
        port: Its port of 127.0.0.1.
        channel: A channel to it.
        token: Its token.
        rpcs: Its methods.
        public: Those that need no token.
        known: Names of what it holds.
        valid: Valid requests, by method.
        trace: Returns a value that changes when the server has stored something.
        secrets: Texts that no answer may hold.
    """

    port: int
    channel: grpc.Channel
    token: str
    rpcs: Sequence[Rpc]
    public: Sequence[str]
    known: Sequence[str]
    valid: Mapping[str, Sequence[tuple[Message, ...]]]
    trace: Callable[[], object]
    secrets: Sequence[str]
    statuses: Counter[str] = field(default_factory=Counter)


def attack(target: Target, count: int, seed_of_all: int) -> list[str]:
    """Send so many hostile requests. Return what was wrong with the answers."""
    wrong: list[str] = []

    @seed(seed_of_all)
    @settings(
        max_examples=max(count // MADE_BY_HYPOTHESIS, 1),
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(_requests(target))
    def made_by_hypothesis(request: Request) -> None:
        wrong.extend(fault(target, request))

    made_by_hypothesis()
    count -= count // MADE_BY_HYPOTHESIS
    for request in _mutated(target, count, random.Random(seed_of_all)):
        wrong.extend(fault(target, request))
    return wrong


def fault(target: Target, request: Request) -> Iterator[str]:
    """Send the request; yield what is wrong with its answer."""
    before = target.trace()
    status, details = _send(target, request)
    target.statuses[status.name] += 1
    said = f"{request.rpc.name} {status.name} {details[:200]!r} for {_shown(request)}"
    is_endless = request.rpc.name.endswith(ENDLESS)
    is_open = is_endless and status is grpc.StatusCode.DEADLINE_EXCEEDED
    if request.token != target.token and request.rpc.name not in target.public:
        if status is not grpc.StatusCode.UNAUTHENTICATED:
            yield f"a wrong token: {said}"
    elif (status is grpc.StatusCode.OK or is_open) and _must_be_refused(request):
        yield f"accepted: {said}"
    elif not (status is grpc.StatusCode.OK or is_open or status in _refusals(request.rpc)):
        yield f"a wrong status: {said}"
    if INTERNAL_WORDS.search(details) or any(secret in details for secret in target.secrets):
        yield f"internal text: {said}"
    if not (status is grpc.StatusCode.OK or is_endless) and target.trace() != before:
        yield f"a refused request has stored something: {said}"


def _refusals(rpc: Rpc) -> set[grpc.StatusCode]:
    if rpc.name.endswith("/Enrol"):
        return {*REFUSALS, grpc.StatusCode.UNAUTHENTICATED}
    if rpc.name.endswith("LabService/ReadConditions"):  # the device is away
        return {*REFUSALS, grpc.StatusCode.UNAVAILABLE}
    if rpc.name.endswith("/WriteProgram"):  # the bytes follow none that the lab has
        return {*REFUSALS, grpc.StatusCode.OUT_OF_RANGE}
    return REFUSALS


def _send(target: Target, request: Request) -> tuple[grpc.StatusCode, str]:
    # As bytes: the client's own code would refuse much of it.
    method: Any = target.channel.stream_stream(request.rpc.name)
    metadata = () if request.token is None else (("authorization", f"Bearer {request.token}"),)
    is_trusted = request.token == target.token and not _must_be_refused(request)
    may_go_on = is_trusted and request.rpc.name.endswith(ENDLESS)
    timeout_s = ENDLESS_TIMEOUT_S if may_go_on else TIMEOUT_S
    call = method(iter(request.parts), metadata=metadata, timeout=timeout_s)
    try:
        for _ in call:
            pass
    except grpc.RpcError:
        pass
    return call.code(), call.details() or ""


def _must_be_refused(request: Request) -> bool:
    """Whether no server may accept the request, whatever it holds.

    A server need not read more of an upload than its first part.
    """
    if not request.parts:
        return not request.rpc.name.endswith("/Measure")
    try:
        first = request.rpc.request.FromString(request.parts[0])
    except DecodeError:
        return True
    return _has_bad_name(first) or _has_bad_spec(first)


def _has_bad_name(message: Any) -> bool:  # noqa: ANN401 -- any generated type
    for field_, value in message.ListFields():
        values = value if field_.is_repeated else [value]
        if field_.name in ("program_sha256", "sha256"):
            takes_beginnings = type(message).__name__ in BEGINNINGS
            if not all(map((_BEGINNING if takes_beginnings else _SHA256).fullmatch, values)):
                return True
        elif field_.name in ("run_id", "run_ids"):
            if not all(map(_RUN_ID.fullmatch, values)):
                return True
        elif field_.name in ("program", "header") and _has_bad_name(value):
            return True
    return False


def _has_bad_spec(message: Any) -> bool:  # noqa: ANN401 -- as above
    if type(message).__name__ != "MeasureRequest" or not message.program_sha256:
        return False
    spec = message.spec
    return not (1 <= spec.min_visits <= spec.max_visits <= 100 and 0 < spec.tolerance < 1)


def _shown(request: Request) -> str:
    try:
        texts = [str(request.rpc.request.FromString(part)) for part in request.parts]
    except DecodeError:
        texts = [part.hex() for part in request.parts]
    return " | ".join(texts)[:300]


# ---------------------------------------------------------------- requests


def _requests(target: Target) -> st.SearchStrategy[Request]:
    """Requests of whole messages with odd values."""
    # Hypothesis draws words from the sources too, which refusals quote.
    free = st.text(max_size=80).filter(lambda text: not INTERNAL_WORDS.search(text))
    texts = st.sampled_from([*target.known] * 3 + [*ODD_TEXTS]) | free
    tokens = st.sampled_from([target.token] * 30 + _wrong_tokens(target))

    def requests_of(rpc: Rpc) -> st.SearchStrategy[Request]:
        message = _messages(rpc.request.DESCRIPTOR, texts).map(_serialized)
        least, most = (0, MAX_PARTS) if rpc.takes_stream else (1, 1)
        parts = st.lists(message, min_size=least, max_size=most).map(tuple)
        return st.builds(Request, st.just(rpc), parts, tokens)

    return st.sampled_from(_weighted(target)).flatmap(requests_of)


def _weighted(target: Target) -> list[Rpc]:
    """The methods: those that compute for long are called less often."""
    slow = ("/Refit", "/Predict")
    return [rpc for rpc in target.rpcs for _ in range(1 if rpc.name.endswith(slow) else 4)]


def _wrong_tokens(target: Target) -> list[str | None]:
    return [None, "", target.token[:-1], target.token + "x", target.token.swapcase()]


def _messages(
    descriptor: Any,  # noqa: ANN401 -- a Descriptor, of one of two types
    texts: st.SearchStrategy[str],
) -> st.SearchStrategy[Message]:
    kind = GetMessageClass(descriptor)
    fields = {each.name: _values(each, texts) for each in descriptor.fields}
    return st.fixed_dictionaries({}, optional=fields).map(lambda values: kind(**values))


def _values(descriptor: FieldDescriptor, texts: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    one = _value(descriptor, texts)
    return st.lists(one, max_size=4) if descriptor.is_repeated else one


def _value(descriptor: FieldDescriptor, texts: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    kind = descriptor.cpp_type
    if kind == FieldDescriptor.CPPTYPE_MESSAGE:
        return _messages(descriptor.message_type, texts)
    if kind == FieldDescriptor.CPPTYPE_STRING:
        return st.binary(max_size=80) if descriptor.type == FieldDescriptor.TYPE_BYTES else texts
    if kind == FieldDescriptor.CPPTYPE_BOOL:
        return st.booleans()
    if kind in (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT):
        return st.sampled_from(ODD_FLOATS) | st.floats()
    if descriptor.name == "lease_token":  # a high one would end all other runs
        return st.integers(0, 1)
    lowest, highest = _RANGES[kind]
    odd = [number for number in ODD_INTEGERS if lowest <= number <= highest]
    return st.sampled_from(odd) | st.integers(lowest, highest) | st.integers(0, 20)


def _serialized(message: Message) -> bytes:
    return message.SerializeToString()


def _mutated(target: Target, count: int, rng: random.Random) -> Iterator[Request]:
    """Valid requests with some changed bytes."""
    methods = [rpc for rpc in _weighted(target) if rpc.name in target.valid]
    for _ in range(count):
        rpc = rng.choice(methods)
        parts = [bytearray(_serialized(each)) for each in rng.choice(target.valid[rpc.name])]
        for _ in range(rng.choice((0, 1, 1, 1, 2, 4))):
            _mutate(parts[rng.randrange(len(parts))], rng, target)
        is_trusted = rng.random() < 0.9
        token = target.token if is_trusted else rng.choice(_wrong_tokens(target))
        yield Request(rpc, tuple(_tame(rpc, bytes(part)) for part in parts), token)


def _mutate(data: bytearray, rng: random.Random, target: Target) -> None:
    place = rng.randrange(len(data) + 1)
    match rng.randrange(5):
        case 0 if data:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        case 1 if data:
            data[rng.randrange(len(data))] = rng.choice((0, 1, 0x7F, 0x80, 0xFF))
        case 2:
            del data[place:]
        case 3:
            data[place:place] = rng.randbytes(rng.randrange(1, 9))
        case _:
            del data[place : place + rng.randrange(1, 9)]


def _tame(rpc: Rpc, part: bytes) -> bytes:
    """The part, without a high lease token that would end all other runs."""
    if not rpc.name.endswith("DeviceAgent/Run"):
        return part
    try:
        message: Any = rpc.request.FromString(part)
    except DecodeError:
        return part
    message.lease_token = min(message.lease_token, 1)
    return _serialized(message)
