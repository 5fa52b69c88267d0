"""Clients of a lab in one process: some ask again and again, some watch jobs, some feed the lab.

python -m tests.bench.lab_clients

It reads a `Load` as JSON from its standard input, and prints a `Seen` as JSON at the end.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import time
from collections.abc import Coroutine, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import grpc

from latlab.client.measuring import measure_request
from latlab.convert.latency import spec_to_message
from latlab.v1 import latency_pb2
from tests.bench.bench_scale import SPEC

SERVICE = "/latlab.v1.LatencyService"
TIMEOUT_S = 10.0
STREAMS_A_CONNECTION = 50  # the lab takes 100
INTERVAL_S = 1.0  # between two requests of a client


@dataclass(frozen=True)
class Load:
    """What the clients do.

    Attributes:
        address: The lab's.
        token: The lab's.
        seconds: For how long.
        predict: A PredictRequest, in base64, which each client sends once in INTERVAL_S.
        clients: How many ask.
        watched: For each watcher, the targets and programs whose jobs it asks for and watches.
        fed: Targets, and programs that are measured there together, again and again.
    """

    address: str
    token: str
    seconds: float
    predict: str
    clients: int
    watched: Sequence[Sequence[Sequence[str]]] = ()
    fed: Sequence[tuple[str, Sequence[str]]] = ()


@dataclass
class Seen:
    """What came of it.

    Attributes:
        answers_ms: How long each answer took.
        late_ms: How late each request was sent, because this process was busy.
        errors: How often a call failed, by its status and what was said.
        news: How many messages the watchers got.
        measured: How many measurements ended for those who feed the lab.
    """

    answers_ms: list[float] = field(default_factory=list)
    late_ms: list[float] = field(default_factory=list)
    errors: dict[str, int] = field(default_factory=dict)
    news: int = 0
    measured: int = 0

    def failed(self, error: grpc.aio.AioRpcError) -> None:
        """Count a call that failed."""
        self.count(f"{error.code().name}: {error.details()}")

    def count(self, why: str) -> None:
        """Count an error."""
        self.errors[why] = self.errors.get(why, 0) + 1


class Clients:
    """Does what a load says."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._seen = Seen()
        self._metadata = (("authorization", f"Bearer {load.token}"),)
        self._until_s = 0.0

    async def run(self) -> Seen:
        """Run all clients until the time is over."""
        load = self._load
        names = await self._open_watched()  # asking for jobs is not part of the load
        self._until_s = time.monotonic() + load.seconds
        work = [self._ask(number) for number in range(load.clients)]
        for first in range(0, len(names), STREAMS_A_CONNECTION):
            work.append(self._watch_all(names[first : first + STREAMS_A_CONNECTION]))
        for first in range(0, len(load.fed), STREAMS_A_CONNECTION):
            work.append(self._feed_all(load.fed[first : first + STREAMS_A_CONNECTION]))
        await asyncio.gather(*work)
        return self._seen

    async def _ask(self, number: int) -> None:
        """Ask for a prediction once in INTERVAL_S, as one client."""
        request = base64.b64decode(self._load.predict)
        async with self._channel() as channel:
            await asyncio.wait_for(channel.channel_ready(), TIMEOUT_S)  # connecting is no answer
            due_s = time.monotonic() + INTERVAL_S * number / self._load.clients
            predict: Any = channel.unary_unary(f"{SERVICE}/Predict")
            while due_s < self._until_s:
                await asyncio.sleep(due_s - time.monotonic())
                self._seen.late_ms.append(1e3 * (time.monotonic() - due_s))
                start_s = time.perf_counter()
                try:
                    await predict(request, metadata=self._metadata, timeout=TIMEOUT_S)
                except grpc.aio.AioRpcError as error:
                    self._seen.failed(error)
                else:
                    self._seen.answers_ms.append(1e3 * (time.perf_counter() - start_s))
                due_s = max(due_s + INTERVAL_S, time.monotonic())

    async def _open_watched(self) -> list[list[str]]:
        """Ask for the jobs of each watcher, and return their names."""
        async with self._channel() as channel:
            create: Any = channel.unary_unary(
                f"{SERVICE}/CreateMeasurement",
                latency_pb2.CreateMeasurementRequest.SerializeToString,
                latency_pb2.Job.FromString,
            )
            spec = spec_to_message(SPEC)
            return [
                [
                    (
                        await create(
                            latency_pb2.CreateMeasurementRequest(
                                target=target, program_sha256=program, spec=spec
                            ),
                            metadata=self._metadata,
                            timeout=TIMEOUT_S,
                        )
                    ).name
                    for target, program in pairs
                ]
                for pairs in self._load.watched
            ]

    async def _watch_all(self, watched: Sequence[Sequence[str]]) -> None:
        async with self._channel() as channel:
            await asyncio.gather(*(self._watch(channel, names) for names in watched))

    async def _watch(self, channel: grpc.aio.Channel, names: Sequence[str]) -> None:
        """Watch jobs until they have ended, or the time is over."""
        watch: Any = channel.unary_stream(f"{SERVICE}/WatchJobs")
        request = latency_pb2.WatchJobsRequest(names=names).SerializeToString()

        async def listen() -> None:
            async for _ in watch(request, metadata=self._metadata):
                self._seen.news += 1

        await self._until_the_end(listen())

    async def _feed_all(self, fed: Sequence[tuple[str, Sequence[str]]]) -> None:
        async with self._channel() as channel:
            await asyncio.gather(
                *(self._feed(channel, target, programs) for target, programs in fed)
            )

    async def _feed(self, channel: grpc.aio.Channel, target: str, programs: Sequence[str]) -> None:
        """Have programs measured, and again whenever all of them have been."""
        request = measure_request(target, SPEC, {"fresh": True})
        request.program_sha256.extend(programs)
        measure: Any = channel.stream_stream(
            f"{SERVICE}/Measure",
            latency_pb2.MeasureRequest.SerializeToString,
            latency_pb2.MeasureEvent.FromString,
        )

        async def listen() -> None:
            while True:
                async for event in measure([request], metadata=self._metadata):
                    self._seen.measured += event.HasField("measured")
                    if event.HasField("failure"):
                        self._seen.count("a measurement failed")

        await self._until_the_end(listen())

    async def _until_the_end(self, listening: Coroutine[Any, Any, None]) -> None:
        try:
            await asyncio.wait_for(listening, self._until_s - time.monotonic())
        except asyncio.TimeoutError:
            pass
        except grpc.aio.AioRpcError as error:
            self._seen.failed(error)

    def _channel(self) -> grpc.aio.Channel:
        # Without an own pool of connections, channels to one address share one.
        return grpc.aio.insecure_channel(
            self._load.address, options=[("grpc.use_local_subchannel_pool", 1)]
        )


if __name__ == "__main__":
    seen = asyncio.run(Clients(Load(**json.load(sys.stdin))).run())
    print(json.dumps(asdict(seen)))
