"""any.first_figure_s: from nothing to the first latency of a user's own module.

python -m tests.bench.bench_first_figure

These are the README's commands in an empty home, after `make setup runner`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.figures import at_most, report

NETWORK = """
from torch import nn


class Block(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x):
        return nn.functional.gelu(self.second(self.norm(self.first(x)).relu())) + x


class Net(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.Conv2d(3, 32, 7, stride=4),
            *(Block(32) for _ in range(4)),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(32, 1000),
        )
"""
MEASURE = ("measure", "net.py:Net", "--input", "1x3x224x224")


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "net.py").write_text(NETWORK)
        start_s = time.monotonic()
        try:
            latlab(folder, "lab", "up")
            up_s = time.monotonic() - start_s
            latlab(folder, *MEASURE)
            first_figure_s = time.monotonic() - start_s
        finally:
            latlab(folder, "lab", "down")
    conditions = {"lab_up_s": round(up_s, 1), "command": f"latlab {' '.join(MEASURE)}"}
    report("any.first_figure_s", round(first_figure_s, 1), "s", at_most(60), **conditions)


def latlab(folder: Path, *words: str) -> None:
    """Run the command. Raises CalledProcessError if it fails."""
    environment = {**os.environ, "LATLAB_HOME": str(folder / "home")}
    command = [str(Path(sys.executable).with_name("latlab")), *words]
    subprocess.run(command, cwd=folder, env=environment, check=True, stdout=sys.stderr)


if __name__ == "__main__":
    main()
