"""Set up the gRPC server of the daemon: its services, health and reflection, on loopback."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import grpc

from host.services.devices import LabServicer
from host.services.interceptors import TokenInterceptor
from host.services.lab import Lab
from host.services.latency import LatencyServicer
from latlab.common.server import add_health_and_reflection
from latlab.convert.error_interceptor import ErrorInterceptor
from latlab.v1 import lab_pb2, latency_pb2
from latlab.v1.lab_pb2_grpc import add_LabServiceServicer_to_server
from latlab.v1.latency_pb2_grpc import add_LatencyServiceServicer_to_server

MAX_MESSAGE_BYTES = 64 << 20
# A client that measures holds a thread until its campaign ends.
THREADS = 32


def make_server(lab: Lab, token: str) -> tuple[grpc.Server, int]:
    """Return the daemon's gRPC server, which is not started yet, and its port."""
    server = grpc.server(
        ThreadPoolExecutor(THREADS),
        interceptors=[TokenInterceptor(token), ErrorInterceptor()],
        options=[
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
            ("grpc.so_reuseport", 0),
        ],
    )
    add_LatencyServiceServicer_to_server(LatencyServicer(lab), server)
    add_LabServiceServicer_to_server(LabServicer(lab), server)
    services = [
        module.DESCRIPTOR.services_by_name[name].full_name
        for module, name in ((latency_pb2, "LatencyService"), (lab_pb2, "LabService"))
    ]
    add_health_and_reflection(server, services)
    return server, server.add_insecure_port("127.0.0.1:0")
