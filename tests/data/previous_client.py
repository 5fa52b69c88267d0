"""What a program of another project does with the client of version 0.2.0: it lists targets,
predicts, uploads, measures and looks up. It runs with that client alone, in a process of its own.

python previous_client.py ADDRESS TOKEN TARGET PROGRAM       prints one JSON object
"""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import latlab
from latlab.client.client import LatencyClient
from latlab.domain.benchmark_spec import BenchmarkSpec, VisitSpec
from latlab.domain.errors import InvalidRequest, NotFound, NotReady
from latlab.domain.estimate import MeasuredLatency
from latlab.domain.kernel import Kernel
from latlab.domain.program import Program, ProgramFile

SPEC = BenchmarkSpec(
    VisitSpec(warmup_runs=1, warmup_ns=0, timed_runs=3, timed_ns=0),
    min_visits=1,
    max_visits=2,
    traced_visits=0,
    spacing_ns=0,
)


def main(address: str, token: str, target: str, path: str) -> None:
    data = Path(path).read_bytes()
    program = Program(hashlib.sha256(data).hexdigest(), len(data), "xnnpack", (), (), (), "old")
    said: dict[str, Any] = {"client": latlab.__file__, "errors": []}
    with LatencyClient(address, token) as client:
        targets = [status.target for status in client.targets()]
        wanted = target or client.default_target().name
        said["targets"] = [each.name for each in targets]
        said["devices"] = len(client.devices())
        [measured] = client.measure(wanted, [ProgramFile(program, Path(path))], SPEC)
        assert isinstance(measured, MeasuredLatency), measured
        said["measured"] = [measured.estimate.source.value, measured.estimate.latency_ns]
        [found] = client.look_up([measured.measurement_id])
        said["looked_up"] = found.source.value
        whole = client.measurement(measured.measurement_id)
        said["program"] = whole.program_sha256
        said["stored"] = len(list(client.measured_networks(wanted)))
        try:
            networks = [network.kernels for network in client.measured_networks(wanted)][:1]
            [predicted] = client.predict(wanted, networks)
            said["predicted"] = predicted.latency_ns
        except NotReady as error:
            said["errors"].append(type(error).__name__)
        odd = [[Kernel("never seen", ((1,),), (1,))]]
        for call in (
            lambda: client.look_up(["f" * 32]),
            lambda: client.predict("nowhere", odd),
            lambda: client.cancel_jobs(),
        ):
            try:
                call()
            except (NotFound, InvalidRequest) as error:
                said["errors"].append(type(error).__name__)
    print(json.dumps(said))


if __name__ == "__main__":
    main(*sys.argv[1:])
