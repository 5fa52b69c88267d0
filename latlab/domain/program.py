"""Exported programs, and the inputs that they take."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from latlab.domain.errors import InvalidRequest
from latlab.domain.kernel import Kernel, Shape

BACKEND = "xnnpack"
# The ranges of the integers that a runner can fill an input with.
INTEGER_RANGES = {
    "int64": (-(2**63), 2**63 - 1),
    "int32": (-(2**31), 2**31 - 1),
    "int8": (-128, 127),
    "uint8": (0, 255),
}
DTYPES = ("float32", "float16", *INTEGER_RANGES, "bool")
T = TypeVar("T")

_SHA256 = re.compile(r"[0-9a-f]{64}")
_BASELINE_NAME = re.compile(r"[A-Za-z0-9._/-]{1,100}")


def check_program_name(sha256: str, field: str = "program_sha256") -> str:
    """Return the name of a program. Raises InvalidRequest about the field if it is none."""
    if not _SHA256.fullmatch(sha256):
        raise InvalidRequest(
            f"a program is named by 64 lower-case hexadecimal digits, not {sha256[:80]!r}", field
        )
    return sha256


def check_baseline_name(name: str) -> str:
    """Return the name of a baseline. Raises InvalidRequest if it is none."""
    if not _BASELINE_NAME.fullmatch(name):
        raise InvalidRequest(
            "a baseline is named by 1 to 100 letters, digits and characters of ._/-, not"
            f" {name[:110]!r}",
            "name",
        )
    return name


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input of a program, and what it is filled with.

    Floats are drawn from the standard normal distribution, and bools from both values.

    Attributes:
        shape: The input's shape.
        dtype: The input's data type, one of DTYPES.
        low: The lowest of an integer's values, such as token ids. Without a range the runner
            takes one that is safe for an index: 0 and 1 for int64 and int32, and the whole
            dtype for int8 and uint8.
        high: The highest of an integer's values.
    """

    shape: Shape
    dtype: str = "float32"
    low: int | None = None
    high: int | None = None

    def __post_init__(self) -> None:
        """Check the dtype and the range. Raises ValueError, in a sentence for a person."""
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
        """Return the input as the command line takes it: 1x128:int64:0..30521."""
        text = f"{'x'.join(map(str, self.shape))}:{self.dtype}"
        return text if self.low is None else f"{text}:{self.low}..{self.high}"


@dataclass(frozen=True, slots=True)
class Program:
    """An exported `.pte` file, without its bytes.

    Attributes:
        sha256: The SHA-256 of the bytes, which names the program.
        size_bytes: The number of the bytes.
        backend: The name of the backend that runs most of it.
        inputs: Its inputs.
        kernels: Its kernels, in the order in which the backend runs them.
        undelegated: The operators outside the backend.
        exporter: Name and version of the exporter.
    """

    sha256: str
    size_bytes: int
    backend: str
    inputs: tuple[TensorSpec, ...]
    kernels: tuple[Kernel, ...]
    undelegated: tuple[str, ...]
    exporter: str

    @property
    def input_shapes(self) -> tuple[Shape, ...]:
        """The inputs' shapes."""
        return tuple(spec.shape for spec in self.inputs)


@dataclass(frozen=True, slots=True)
class KernelSource:
    """Where a kernel comes from in the code of a PyTorch module.

    Attributes:
        module: The path of the submodule that computes it, such as "layer1.0.conv1"; "" for the
            network itself.
        module_type: The name of that submodule's class, such as "Conv2d".
        file: The file of the line that calls it, or of the network's __init__ method where only
            PyTorch's code calls it. It is relative to the folder that the export ran in where it
            is below that; "" where it is not known.
        line: The number of that line, from 1; 0 where it is not known.
    """

    module: str
    module_type: str = ""
    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        """Return the file and line for people, as in "net.py:12"; the module where it has none."""
        return f"{self.file}:{self.line}" if self.file else self.module


@dataclass(frozen=True, slots=True)
class ProgramFile:
    """A program with its bytes.

    Attributes:
        program: The program.
        path: The file that holds its bytes.
        sources: Where each kernel comes from, parallel to the program's kernels; empty where
            nothing is known. They stay with the client: the lab never gets them.
    """

    program: Program
    path: Path
    sources: tuple[KernelSource | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Baseline:
    """A program that the lab keeps under a name, for others to be compared with.

    Attributes:
        name: The name.
        program_sha256: The program.
        size_bytes: The number of the program's bytes.
        unix_ns: When the program got the name, in ns since 1970.
    """

    name: str
    program_sha256: str
    size_bytes: int
    unix_ns: int


def program_of(source: ProgramFile | Program) -> Program:
    """Return the program of a file, or a program as it is."""
    return source.program if isinstance(source, ProgramFile) else source


def from_json(kind: type[T], fields: Mapping[str, Any]) -> T:
    """Return a Kernel or a TensorSpec, given its fields as JSON holds them: tuples as lists."""
    return kind(**{name: _tuples(value) for name, value in fields.items()})


def _tuples(value: Any) -> Any:  # noqa: ANN401 -- what JSON holds
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def memory_excess(size_bytes: int, memory_bytes: int | None) -> str:
    """Return both sizes and what to do if something does not fit in a device's memory, or "".

    Args:
        size_bytes: The size of a program, or of a module's weights.
        memory_bytes: The device's memory; None if it is not known.
    """
    if memory_bytes is None or size_bytes <= memory_bytes:
        return ""
    return (
        f"{gib(size_bytes)}, and the device has {gib(memory_bytes)} of memory: choose a smaller "
        "network or precision, or a device with more memory"
    )


def gib(size_bytes: int) -> str:
    """Return a size as text in GiB."""
    return f"{size_bytes / 2**30:.3g} GiB"
