"""Set up the health and reflection services, which every gRPC server of the lab has."""

from __future__ import annotations

from collections.abc import Sequence

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection


def add_health_and_reflection(
    server: grpc.Server, services: Sequence[str]
) -> health.HealthServicer:
    """Add the health and reflection services to a gRPC server, and return the health service.

    Args:
        server: The server.
        services: The full names of the server's own services.
    """
    servicer = health.HealthServicer()
    for name in ("", *services):
        servicer.set(name, health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    reflection.enable_server_reflection(
        [*services, health.SERVICE_NAME, reflection.SERVICE_NAME], server
    )
    return servicer
