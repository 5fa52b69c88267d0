"""Latency Lab, for programs: how long does a network take on a device?

    import latlab

    with latlab.connect() as lab:
        target = lab.default_target()
        [outcome] = lab.measure(target.id, [program_file])
        [estimate] = lab.predict(target.id, [program_file.program.kernels])

Names are loaded when they are first used: `import latlab` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from latlab.client.client import LatencyClient as LatencyClient
    from latlab.client.client import connect as connect
    from latlab.domain import errors as errors

_PLACES = {
    "LatencyClient": "latlab.client.client",
    "connect": "latlab.client.client",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 -- whatever the name stands for
    if name in _PLACES:
        return getattr(importlib.import_module(_PLACES[name]), name)
    raise AttributeError(f"module 'latlab' has no attribute {name!r}")
