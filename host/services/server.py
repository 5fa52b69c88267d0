"""Set up the gRPC server of the daemon: its services, health and reflection, on loopback."""

from __future__ import annotations

import grpc

from host.services.access.access import Access
from host.services.access.interceptor import AccessInterceptor
from host.services.devices import LabServicer
from host.services.lab import Lab
from host.services.latency import LatencyServicer
from host.services.maintenance import MaintenanceServicer
from host.services.tokens import AccessServicer
from latlab.common.channel import MAX_MESSAGE_BYTES, PING_OPTIONS
from latlab.common.server import add_health_and_reflection, make_server
from latlab.convert.details.google_rpc import details_of
from latlab.convert.error_interceptor import ErrorInterceptor
from latlab.v1 import access_pb2, lab_pb2, latency_pb2, maintenance_pb2
from latlab.v1.access_pb2_grpc import add_AccessServiceServicer_to_server
from latlab.v1.lab_pb2_grpc import add_LabServiceServicer_to_server
from latlab.v1.latency_pb2_grpc import add_LatencyServiceServicer_to_server
from latlab.v1.maintenance_pb2_grpc import add_MaintenanceServiceServicer_to_server

# A client may export for any time between two programs that it wants to have measured.
PATIENT = ["/latlab.v1.LatencyService/Measure"]


def serve_lab(lab: Lab, access: Access) -> tuple[grpc.Server, int]:
    """Return the daemon's gRPC server, which is not started yet, and its port."""
    server = make_server(
        [AccessInterceptor(access), ErrorInterceptor(details_of)],
        [
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
            *PING_OPTIONS,
        ],
        PATIENT,
    )
    add_LatencyServiceServicer_to_server(LatencyServicer(lab), server)
    add_LabServiceServicer_to_server(LabServicer(lab), server)
    add_AccessServiceServicer_to_server(AccessServicer(access), server)
    add_MaintenanceServiceServicer_to_server(MaintenanceServicer(lab.maintenance), server)
    services = [
        service.full_name
        for module in (latency_pb2, lab_pb2, access_pb2, maintenance_pb2)
        for service in module.DESCRIPTOR.services_by_name.values()
    ]
    add_health_and_reflection(server, services)
    return server, server.add_insecure_port("127.0.0.1:0")
