"""Build build/bundle/MACHINE: `python -m device_agent.bundle MACHINE`.

If that fails, it says why and exits with code 2.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from device_agent.bundle import BundleError
from device_agent.bundle.build import LOADERS, build
from device_agent.bundle.toolchain import REPOSITORY


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m device_agent.bundle",
        description="Builds the agent's bundle for a machine, named as `uname -m` does.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("machine", choices=sorted(LOADERS))
    parser.add_argument(
        "--bundles", type=Path, default=REPOSITORY / "build/bundle", help="folder of all bundles"
    )
    options = parser.parse_args()
    try:
        bundle, archive = build(options.machine, options.bundles)
    except BundleError as error:
        print(f"agent-bundle: {error}", file=sys.stderr)
        return 2
    unpacked_bytes = sum(path.stat().st_size for path in bundle.rglob("*") if path.is_file())
    print(f"{bundle}: {unpacked_bytes / 1e6:.1f} MB")
    print(f"{archive}: {archive.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
