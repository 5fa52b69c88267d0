"""Set up the gRPC server of the daemon: its services, health and reflection, on loopback."""

from __future__ import annotations

import functools
import hmac

import grpc

from host.services.devices import LabServicer
from host.services.lab import Lab
from host.services.latency import LatencyServicer
from host.services.maintenance import MaintenanceServicer
from latlab.common.channel import MAX_MESSAGE_BYTES
from latlab.common.server import add_health_and_reflection, make_server
from latlab.convert.error_interceptor import ErrorInterceptor
from latlab.convert.token_interceptor import TokenInterceptor
from latlab.v1 import lab_pb2, latency_pb2, maintenance_pb2
from latlab.v1.lab_pb2_grpc import add_LabServiceServicer_to_server
from latlab.v1.latency_pb2_grpc import add_LatencyServiceServicer_to_server
from latlab.v1.maintenance_pb2_grpc import add_MaintenanceServiceServicer_to_server

# A client may export for any time between two programs that it wants to have measured.
PATIENT = ["/latlab.v1.LatencyService/Measure"]


def serve_lab(lab: Lab, token: str) -> tuple[grpc.Server, int]:
    """Return the daemon's gRPC server, which is not started yet, and its port."""
    is_token = functools.partial(hmac.compare_digest, token.encode())
    server = make_server(
        [TokenInterceptor(is_token), ErrorInterceptor()],
        [
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        ],
        PATIENT,
    )
    add_LatencyServiceServicer_to_server(LatencyServicer(lab), server)
    add_LabServiceServicer_to_server(LabServicer(lab), server)
    add_MaintenanceServiceServicer_to_server(MaintenanceServicer(lab.maintenance), server)
    services = [
        module.DESCRIPTOR.services_by_name[name].full_name
        for module, name in (
            (latency_pb2, "LatencyService"),
            (lab_pb2, "LabService"),
            (maintenance_pb2, "MaintenanceService"),
        )
    ]
    add_health_and_reflection(server, services)
    return server, server.add_insecure_port("127.0.0.1:0")
