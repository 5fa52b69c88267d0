"""The agent of an old lab's board: `python -m tests.old_lab.agent DESCRIPTION ...`, then the
agent's own arguments. It describes the device and the runner that the lab measured with,
whatever this machine and this version's runner are."""

from __future__ import annotations

import sys
from pathlib import Path

import grpc
from google.protobuf.json_format import Parse

from device_agent import __main__ as agent
from device_agent.servicer import Agent
from latlab.v1.device_agent_pb2 import DescribeRequest, DeviceDescription


class OldDevice(Agent):
    description = DeviceDescription()

    def Describe(  # noqa: N802
        self, request: DescribeRequest, context: grpc.ServicerContext
    ) -> DeviceDescription:
        return self.description


if __name__ == "__main__":
    OldDevice.description = Parse(Path(sys.argv.pop(1)).read_text(), DeviceDescription())
    vars(agent)["Agent"] = OldDevice
    sys.exit(agent.main())
