"""Sixty networks from outside the project, as people bring them to the lab.

They come from `transformers` and `pytorchcv`, and some are written here. None downloads weights:
they are random, and the same ones each time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

from tests.bench.corpus import hand_written, pytorchcv_networks, transformers_networks
from tests.bench.figures import IS_QUICK

if TYPE_CHECKING:
    from torch import nn

    from latlab.export.execution.example import Inputs


@dataclass(frozen=True)
class ForeignNetwork:
    """make: returns the module and its inputs; it pickles."""

    name: str
    make: Callable[[], tuple[nn.Module, Inputs]]


_SOURCES = {
    "pytorchcv": pytorchcv_networks,
    "transformers": transformers_networks,
    "hand-written": hand_written,
}

CORPUS = tuple(
    ForeignNetwork(f"{source}/{name}", partial(networks.make, name))
    for source, networks in _SOURCES.items()
    for name in networks.NAMES
)

PACKAGES = ("transformers", "pytorchcv")


def available() -> Sequence[ForeignNetwork]:
    """Return the networks of a run: a sixth of them if QUICK=1 is set.

    Raises:
        SystemExit: A package is missing. The message says how to install it.
    """
    missing = [package for package in PACKAGES if find_spec(package) is None]
    if missing:
        raise SystemExit(
            f"{' and '.join(missing)} missing: pip install -e '.[bench]', and then "
            "pip install --no-deps 'pytorchcv>=0.0.74,<0.1', which would also bring torchvision"
        )
    return CORPUS[:: len(CORPUS) // 10] if IS_QUICK else CORPUS
