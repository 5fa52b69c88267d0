"""Published data sets, which are not part of this repository."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_BESIDE_THE_REPOSITORY = Path(__file__).parents[2].parent / "shared" / "data"


def public_data(name: str) -> Path | None:
    """Return the path of a data set.

    It is the file `name` in the folder $LATLAB_PUBLIC_DATA, which is by default ../shared/data
    beside the repository. If it is absent, a line on stderr says so and the result is None.
    """
    path = Path(os.environ.get("LATLAB_PUBLIC_DATA", _BESIDE_THE_REPOSITORY)) / name
    if path.exists():
        return path
    print(f"skipped: {path} is absent; LATLAB_PUBLIC_DATA names its folder", file=sys.stderr)
    return None
