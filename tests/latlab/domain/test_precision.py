from __future__ import annotations

from latlab.domain.kernel import Kernel
from latlab.domain.precision import left_in_float


def test_what_int8_programs_leave_in_float() -> None:
    dtypes = {
        "convert": "float32",
        "conv2d": "qint8",
        "softmax": "float32",
        "portable:quantized_decomposed::quantize_per_tensor": "float32",
        "portable:embedding": "float32",
    }
    kernels = [Kernel(kind, ((1,),), (1,), dtype=dtype) for kind, dtype in dtypes.items()]
    assert left_in_float([*kernels, *kernels]) == ("softmax", "portable:embedding")
