"""One visit by ExecuTorch's own Python runtime on one thread of one cpu.

python -m tests.bench.executorch_visit PROGRAM INPUT SHAPE WARMUP_NS TIMED_NS

INPUT is a file of floats. It prints {"execute_ns": […], "call_ns": […]}. The first are the runs
alone, as the runner times them. The second are the public calls around them, which also set the
inputs and copy the outputs.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from executorch.extension.pybindings import portable_lib
from executorch.runtime import Method, Runtime, Verification


def main() -> None:
    program, file, shape, warmup_ns, timed_ns = sys.argv[1:]
    torch.set_num_threads(1)
    portable_lib._unsafe_reset_threadpool(1)
    dims = [int(size) for size in shape.split("x")]
    values = np.fromfile(file, np.float32).reshape(dims)
    loaded = Runtime.get().load_program(
        Path(program), verification=Verification.InternalConsistency
    )
    method = loaded.load_method("forward")
    assert method is not None
    inputs = [torch.from_numpy(values)]
    run(method, inputs, int(warmup_ns))
    execute_ns, call_ns = run(method, inputs, int(timed_ns))
    print(json.dumps({"execute_ns": execute_ns, "call_ns": call_ns}))


def run(
    method: Method, inputs: list[torch.Tensor], duration_ns: int
) -> tuple[list[int], list[int]]:
    """Run both ways in turn until the time is over."""
    execute_ns: list[int] = []
    call_ns: list[int] = []
    end_ns = time.monotonic_ns() + duration_ns
    while not call_ns or time.monotonic_ns() < end_ns:
        method._method.set_inputs(inputs)
        start_ns = time.monotonic_ns()
        method._method.execute()
        execute_ns.append(time.monotonic_ns() - start_ns)
        start_ns = time.monotonic_ns()
        method.execute(inputs)
        call_ns.append(time.monotonic_ns() - start_ns)
    return execute_ns, call_ns


if __name__ == "__main__":
    main()
