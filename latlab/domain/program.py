"""Exported programs, and the inputs that they take."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from latlab.domain.kernel import Kernel, Shape

BACKEND = "xnnpack"
# What a runner can fill an input with.
INTEGER_RANGES = {
    "int64": (-(2**63), 2**63 - 1),
    "int32": (-(2**31), 2**31 - 1),
    "int8": (-128, 127),
    "uint8": (0, 255),
}
DTYPES = ("float32", "float16", *INTEGER_RANGES, "bool")


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input of a program, and what it is filled with.

    Floats are standard normal, a bool is either value. low, high: the inclusive range of an
    integer's values (token ids, say); without one the runner takes a range that is safe for
    an index: 0 and 1 for int64 and int32, and the whole dtype for int8 and uint8.
    """

    shape: Shape
    dtype: str = "float32"
    low: int | None = None
    high: int | None = None

    def __post_init__(self) -> None:
        """Raises ValueError, in a sentence for a person."""
        if self.dtype not in DTYPES:
            raise ValueError(f"an input's dtype must be one of {', '.join(DTYPES)}: {self.dtype}")
        if self.low is None and self.high is None:
            return
        if self.low is None or self.high is None:
            raise ValueError("an input's range needs both its lowest and its highest value")
        if self.dtype not in INTEGER_RANGES:
            raise ValueError(f"only integers are drawn from a range, not {self.dtype}")
        lowest, highest = INTEGER_RANGES[self.dtype]
        if not lowest <= self.low <= self.high <= highest:
            raise ValueError(
                f"the range {self.low} to {self.high} of an input is empty, or reaches beyond"
                f" {self.dtype}: {lowest} to {highest}"
            )

    def __str__(self) -> str:
        """As the command line takes it: 1x128:int64:0..30521."""
        text = f"{'x'.join(map(str, self.shape))}:{self.dtype}"
        return text if self.low is None else f"{text}:{self.low}..{self.high}"


@dataclass(frozen=True, slots=True)
class Program:
    """An exported `.pte` without its bytes. `kernels` in the order the backend runs them."""

    sha256: str
    size_bytes: int
    backend: str
    inputs: tuple[TensorSpec, ...]
    kernels: tuple[Kernel, ...]
    undelegated: tuple[str, ...]
    exporter: str

    @property
    def input_shapes(self) -> tuple[Shape, ...]:
        return tuple(spec.shape for spec in self.inputs)


@dataclass(frozen=True, slots=True)
class ProgramFile:
    """A Program and where its bytes lie."""

    program: Program
    path: Path
