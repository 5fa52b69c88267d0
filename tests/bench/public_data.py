"""Where data sets that others have published lie: not part of this repository."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_BESIDE_THE_REPOSITORY = Path(__file__).parents[2].parent / "shared" / "data"


def public_data(name: str) -> Path | None:
    """The file `name` in the folder $LATLAB_PUBLIC_DATA, by default ../shared/data beside the
    repository. None, said on stderr, where it is absent: whoever needs it skips.
    """
    path = Path(os.environ.get("LATLAB_PUBLIC_DATA", _BESIDE_THE_REPOSITORY)) / name
    if path.exists():
        return path
    print(f"skipped: {path} is absent; LATLAB_PUBLIC_DATA names its folder", file=sys.stderr)
    return None
