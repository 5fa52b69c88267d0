"""python -m tests.bench [GROUP]: one JSON line a figure. Run them on a quiet machine."""

from __future__ import annotations

import importlib
import sys

GROUPS = {
    "first": ("zoo", "kernels", "predict", "agent", "controller", "service"),
    "export": ("export", "pipeline"),
    "latency": ("predict60", "repeat", "agent", "other", "active", "public", "transfer"),
    "lab": ("lab", "agent_cost", "faults", "bundle", "scale"),
    "search": ("search", "controller", "train", "hybrid"),
}


def main() -> int:
    wanted = sys.argv[1] if len(sys.argv) > 1 else None
    if wanted is not None and wanted not in GROUPS:
        print(f"no benchmarks {wanted!r}; there are: {', '.join(GROUPS)}", file=sys.stderr)
        return 2
    names = GROUPS[wanted] if wanted else dict.fromkeys(n for g in GROUPS.values() for n in g)
    sys.argv = sys.argv[:1]
    for name in names:
        importlib.import_module(f"tests.bench.bench_{name}").main()
    return 0


if __name__ == "__main__":
    sys.exit(main())
