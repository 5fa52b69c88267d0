"""Set up the gRPC servers of the daemon and of the agents, which clients may treat badly.

A call holds a thread from its beginning to its end. So calls without a token are refused by an
interceptor before any of their messages is awaited, a caller has a deadline for its requests, and
connections without calls are closed.
"""

from __future__ import annotations

import resource
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from latlab.common.request_interceptor import RequestInterceptor
from latlab.common.telemetry.call_interceptor import CallInterceptor

# A thread that waits costs some 50 kB. Further calls are refused with RESOURCE_EXHAUSTED.
MAX_CALLS = 2_000
MAX_CONNECTIONS = 4_000
# gRPC advises against fewer.
MAX_CALLS_OF_A_CONNECTION = 100
HANDSHAKE_S = 10.0
IDLE_S = 10.0


def make_server(
    interceptors: Sequence[grpc.ServerInterceptor],
    options: Sequence[tuple[str, int]] = (),
    patient: Collection[str] = (),
) -> grpc.Server:
    """Return a server without services and ports.

    Args:
        interceptors: They see each call before its requests are received, in this order.
        options: More options of the server.
        patient: The full names of methods whose callers may take any time for their requests.
    """
    return grpc.server(
        ThreadPoolExecutor(MAX_CALLS),
        interceptors=[CallInterceptor(), *interceptors, RequestInterceptor(patient)],
        maximum_concurrent_rpcs=MAX_CALLS,
        options=[
            ("grpc.so_reuseport", 0),
            ("grpc.max_concurrent_streams", MAX_CALLS_OF_A_CONNECTION),
            ("grpc.max_allowed_incoming_connections", min(MAX_CONNECTIONS, allow_files() // 2)),
            ("grpc.server_handshake_timeout_ms", round(HANDSHAKE_S * 1e3)),
            ("grpc.http2.settings_timeout", round(HANDSHAKE_S * 1e3)),
            ("grpc.max_connection_idle_ms", round(IDLE_S * 1e3)),
            # Only uncompressed messages: a small compressed one may hold gigabytes.
            ("grpc.compression_enabled_algorithms_bitset", 1),
            *options,
        ],
    )


def allow_files() -> int:
    """Let this process open as many files as it may, and return that number.

    Each connection is a file, and so is each device.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most


def add_health_and_reflection(
    server: grpc.Server, services: Sequence[str]
) -> health.HealthServicer:
    """Add the health and reflection services to a gRPC server, and return the health service.

    Args:
        server: The server.
        services: The full names of the server's own services.
    """
    servicer = _Health()
    for name in ("", *services):
        servicer.set(name, health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    reflection.enable_server_reflection(
        [*services, health.SERVICE_NAME, reflection.SERVICE_NAME], server
    )
    return servicer


class _Health(health.HealthServicer):  # type: ignore[misc]  # it comes without types
    """Answers Check alone: a Watch would hold a thread for as long as its caller likes."""

    def Watch(  # noqa: N802
        self, request: health_pb2.HealthCheckRequest, context: grpc.ServicerContext
    ) -> Sequence[health_pb2.HealthCheckResponse]:
        context.set_code(grpc.StatusCode.UNIMPLEMENTED)
        context.set_details("Watch is not served: call Check now and then")
        return ()
