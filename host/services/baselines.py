"""The part of the lab's service that is about baselines: programs kept under a name."""

from __future__ import annotations

import grpc

from host.services.lab import Lab
from latlab.convert.latency import program_to_message
from latlab.domain.program import check_baseline_name, check_program_name
from latlab.v1 import lab_pb2, latency_pb2
from latlab.v1.lab_pb2_grpc import LabServiceServicer


class BaselinesServicer(LabServiceServicer):
    """Sets, returns, lists and removes baselines."""

    _lab: Lab

    def SetBaseline(  # noqa: N802
        self, request: lab_pb2.SetBaselineRequest, context: grpc.ServicerContext
    ) -> lab_pb2.SetBaselineResponse:
        sha256 = check_program_name(request.program_sha256)
        self._lab.programs.set_baseline(check_baseline_name(request.name), sha256)
        return lab_pb2.SetBaselineResponse()

    def GetBaseline(  # noqa: N802
        self, request: lab_pb2.GetBaselineRequest, context: grpc.ServicerContext
    ) -> latency_pb2.Program:
        return program_to_message(self._lab.programs.baseline(check_baseline_name(request.name)))

    def ListBaselines(  # noqa: N802
        self, request: lab_pb2.ListBaselinesRequest, context: grpc.ServicerContext
    ) -> lab_pb2.ListBaselinesResponse:
        return lab_pb2.ListBaselinesResponse(
            baselines=[
                lab_pb2.Baseline(
                    name=each.name,
                    program_sha256=each.program_sha256,
                    size_bytes=each.size_bytes,
                    unix_ns=each.unix_ns,
                )
                for each in self._lab.programs.baselines()
            ]
        )

    def RemoveBaseline(  # noqa: N802
        self, request: lab_pb2.RemoveBaselineRequest, context: grpc.ServicerContext
    ) -> lab_pb2.RemoveBaselineResponse:
        self._lab.programs.remove_baseline(check_baseline_name(request.name))
        return lab_pb2.RemoveBaselineResponse()
