"""Float islands in int8 programs, and quantization that is computed anew on every call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from latlab.domain import kernel as k
from latlab.domain.kernel import Kernel
from latlab.profiling.findings.evidence import Evidence, Row, Site, places, saving
from latlab.profiling.findings.finding import FindingKind
from latlab.profiling.findings.rates import Amount

_INT8 = ("qint8", "quint8")
_DYNAMIC_DTYPES = ("qdint8", "qduint8", "qpint8")
# The names of operators outside the delegate that find the ranges of activations, or apply them.
_DYNAMIC_OPERATORS = ("choose_qparams", "_per_token", "quantize_affine")


def dynamic_quantization(evidence: Evidence) -> Iterator[Site]:
    """Yield the quantizations of activations whose ranges are found on every call."""
    for row in evidence.rows:
        kernel = row.kernel
        is_inside = kernel.kind == k.CONVERT and kernel.dtype in _DYNAMIC_DTYPES
        if is_inside or any(name in row.operator for name in _DYNAMIC_OPERATORS):
            yield Site(
                FindingKind.EVERY_CALL,
                (row.place,),
                saving([row]),
                "The activations' ranges are found, and activations quantized, on every call.",
                "Quantize statically, with ranges from calibration: export the float module in"
                " the precision int8.",
            )


def float_islands(evidence: Evidence) -> Iterator[Site]:
    """Yield what is computed in float between kernels in int8, with its conversions."""
    rows = evidence.rows
    computing = [index for index, row in enumerate(rows) if _computes_in_int8(row.kernel)]
    if not computing:
        return
    island: list[Row] = []
    for row in rows[computing[0] : computing[-1] + 1]:
        if _dequantizes(row):
            island.append(row)
        elif island and _quantizes(row):
            yield _island([*island, row], evidence)
            island = []
        elif island and not _computes_in_int8(row.kernel):
            island.append(row)


def _island(rows: Sequence[Row], evidence: Evidence) -> Site:
    computed = [row for row in rows if not _dequantizes(row) and not _quantizes(row)]
    names = ", ".join(dict.fromkeys(row.kernel.kind.removeprefix(k.PORTABLE) for row in computed))
    quarter = sum(row.kernel.moved_bytes for row in computed) / 4
    remaining = evidence.rates.byte_ns.times(quarter)
    # An operator may be slower than its bytes say, in int8 too.
    half_ns = sum(row.row.time_ns for row in computed) / 2
    remaining = Amount(remaining.low, remaining.middle, max(remaining.high, half_ns))
    return Site(
        FindingKind.FLOAT_ISLAND,
        places(rows),
        saving(rows, remaining),
        f"Between kernels in int8, {names or 'nothing'} runs in float, with conversions there and"
        " back.",
        "Use operators that XNNPACK has in int8: convolutions, linear layers, additions,"
        " products, nn.ReLU, nn.Hardtanh, nn.MaxPool2d and torch.cat.",
    )


def _computes_in_int8(kernel: Kernel) -> bool:
    return kernel.dtype in _INT8 and kernel.kind != k.CONVERT and "quantize" not in kernel.kind


def _dequantizes(row: Row) -> bool:
    kernel = row.kernel
    if "dequantize" in row.operator:
        return True
    return kernel.kind == k.CONVERT and kernel.dtype.startswith("float")


def _quantizes(row: Row) -> bool:
    if "dequantize" in row.operator:
        return False
    kernel = row.kernel
    return "quantize" in row.operator or (kernel.kind == k.CONVERT and kernel.dtype in _INT8)
