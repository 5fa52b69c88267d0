"""Activations and batch normalizations that no convolution took in."""

from __future__ import annotations

from collections.abc import Iterator

from latlab.domain import kernel as k
from latlab.profiling.findings.evidence import Evidence, Row, Site, places, saved_share
from latlab.profiling.findings.finding import FindingKind

# The kernels that XNNPACK gives an activation's limits.
_FUSING_KINDS = frozenset({k.CONV2D, k.DEPTHWISE_CONV2D, k.FULLY_CONNECTED, k.CONV_TRANSPOSE2D})
_NAMES = {
    "gelu": "GELU",
    "elu": "ELU",
    "leaky_re_lu": "LeakyReLU",
    "pre_lu": "PReLU",
    "tanh": "Tanh",
    k.HARDSWISH: "Hardswish",
}
# The next kernel reads what the activation has left in the cache, and will read it from further
# away. So a part of the time may stay.
_LEAST_GAIN = 0.6


def unfolded_norms(evidence: Evidence) -> Iterator[Site]:
    """Yield batch normalizations that run as a depthwise convolution of 1 x 1."""
    for row in evidence.rows:
        kernel = row.kernel
        is_norm = (
            kernel.kind == k.DEPTHWISE_CONV2D
            and kernel.kernel_size == kernel.stride == (1, 1)
            and kernel.groups == kernel.output[-1]
        )
        if is_norm:
            yield Site(
                FindingKind.BATCH_NORM,
                (row.place,),
                saved_share([row], _LEAST_GAIN, 1.0, 1.0),
                "A batch normalization does not directly follow a convolution, so it runs as a"
                " convolution of its own.",
                "Put nn.BatchNorm2d directly after a convolution and before its activation, whose"
                " weights then take it in.",
            )


def separate_activations(evidence: Evidence) -> Iterator[Site]:
    """Yield activations that follow a convolution and are not computed inside it."""
    rows = evidence.rows
    for place in range(1, len(rows)):
        before, row = rows[place - 1], rows[place]
        if before.kernel.kind not in _FUSING_KINDS or before.kernel.activation:
            continue
        if before.kernel.output not in row.kernel.inputs:
            continue
        following = rows[place + 1] if place + 1 < len(rows) else None
        if row.kernel.kind == k.SIGMOID and following is not None and _is_product(row, following):
            yield _activation([row, following], "SiLU")
        elif row.kernel.kind in _NAMES:
            yield _activation([row], _NAMES[row.kernel.kind])
        elif row.kernel.kind == k.CLAMP:
            yield Site(
                FindingKind.ACTIVATION,
                (row.place,),
                saved_share([row], _LEAST_GAIN, 1.0, 1.0),
                "A ReLU runs as a kernel of its own, because its input is used a second time.",
                "Give other operators the ReLU's output instead of its input.",
            )


def _activation(rows: list[Row], name: str) -> Site:
    return Site(
        FindingKind.ACTIVATION,
        places(rows),
        saved_share(rows, _LEAST_GAIN, 1.0, 1.0),
        f"A {name} cannot be computed inside the convolution or linear layer before it.",
        f"Replace nn.{name} with nn.ReLU, nn.ReLU6 or nn.Hardtanh, which cost nothing there.",
    )


def _is_product(sigmoid: Row, row: Row) -> bool:
    """Return whether a row multiplies a tensor with its own sigmoid."""
    shape = sigmoid.kernel.output
    return row.kernel.kind == k.MULTIPLY and row.kernel.inputs == (shape, shape)
