"""bundle.*: the size of the agent's bundle for aarch64, and how long it takes to build.

python -m tests.bench.bench_bundle
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from device_agent.bundle.build import build
from tests.bench.figures import at_most, report
from tests.device_agent.agent_process import REPOSITORY

MACHINE = "aarch64"


def main() -> None:
    bundles = REPOSITORY / "build/bundle"
    build(MACHINE, bundles)  # downloads the packages
    with tempfile.TemporaryDirectory(dir=bundles) as folder:
        (Path(folder) / "downloads").symlink_to(bundles / "downloads")
        start_s = time.perf_counter()
        bundle, archive = build(MACHINE, Path(folder))
        build_s = time.perf_counter() - start_s
        unpacked_bytes = sum(file.stat().st_size for file in bundle.rglob("*") if file.is_file())
        compressed_bytes = archive.stat().st_size
    report(
        "bundle.mb",
        round(unpacked_bytes / 1e6, 1),
        "MB",
        at_most(90),
        machine=MACHINE,
        compressed_mb=round(compressed_bytes / 1e6, 1),
    )
    report("bundle.build_s", round(build_s, 1), "s", at_most(120), machine=MACHINE)


if __name__ == "__main__":
    main()
