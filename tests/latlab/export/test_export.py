from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from latlab.domain.errors import ExportError
from latlab.domain.kernel import Kernel, Shape
from latlab.domain.precision import Precision
from latlab.domain.program import Program, ProgramFile, TensorSpec
from latlab.export import ExportPool, ExportSpec, ProgramCache, export_program
from latlab.export.execution import running
from latlab.export.execution.example import example_of_call
from latlab.export.lowering import int8, proof
from latlab.export.lowering.edge.graph import Unsupported
from latlab.export.pool import _export

SHAPE = (1, 3, 12, 12)


class Function(nn.Module):
    """A function after a convolution, whose weights are always the same ones."""

    def __init__(self, function: Callable[[Tensor], Tensor], channels: int = 8) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, channels, 3, padding=1)
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.conv(x))


def _close(actual: Tensor, expected: Tensor, relative: float) -> bool:
    return bool((actual - expected).abs().max() <= relative * expected.abs().max())


def _residual(x: Tensor) -> Tensor:
    return torch.relu(x + torch.sigmoid(x))


def _gate(x: Tensor) -> Tensor:
    return x * torch.sigmoid(x.mean((2, 3), keepdim=True))


def _concatenation(x: Tensor) -> Tensor:
    return torch.cat((x, torch.relu(x), torch.sigmoid(x)), dim=1)


def _used_twice(x: Tensor) -> Tensor:
    """The activation may not be fused: its input is needed too."""
    return torch.relu(x) + x


def _in_place_residual(x: Tensor) -> Tensor:
    """As ResNet has it."""
    y = torch.sigmoid(x)
    y += x
    return nn.functional.relu(y, inplace=True)


def _in_place_and_read_again(x: Tensor) -> Tensor:
    y = nn.functional.relu(nn.Identity()(x), inplace=True)
    return torch.sigmoid(y) + x  # x has been changed


def _changed_by_what_nobody_reads(x: Tensor) -> Tensor:
    nn.functional.relu(x, inplace=True)
    return torch.sigmoid(x)


def _shuffled(x: Tensor) -> Tensor:
    """As ShuffleNet has it, with a residual that is cropped to the same size."""
    batch, channels, height, width = x.shape
    assert channels % 2 == 0
    y = x.view(batch, 2, channels // 2, height, width).transpose(1, 2).contiguous()
    y = nn.functional.pad(y.view(batch, channels, height, width), (1, 1, 1, 0))
    if y.size(-1) != x.size(-1):
        y = y[:, :, 1:, 1:-1]
    y = (x + y).permute(0, 2, 3, 1)
    return y.reshape(height, -1)


def _elementwise(x: Tensor) -> Tensor:
    """As MobileNetV3 and GhostNet are often written, and other activations."""
    x = x * nn.functional.relu6(x + 3.0) / 6.0
    x = x * torch.clamp(x, min=0.0, max=1.0) - nn.functional.leaky_relu(x, 0.1)
    return nn.functional.softmax(torch.tanh(nn.functional.gelu(x)), dim=-1)


def _arithmetic(x: Tensor) -> Tensor:
    """Numbers that stand first, and what norms and distances are made of."""
    root = (x.abs() + 1.5).sqrt() - torch.exp(-x) * 0.5
    largest = torch.maximum(1.0 - x, 0.5 * root)
    return torch.minimum(largest, x**2) + nn.functional.hardtanh(x, -0.5, 0.5)


class SeveralOutputs(nn.Module):
    """Two inputs, one by keyword, and one that is left out; nested outputs of several ranks."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.image = nn.Conv2d(3, 8, 3)
        self.numbers = nn.Linear(5, 8)

    def forward(
        self, image: Tensor, mask: Tensor | None = None, *, numbers: Tensor
    ) -> dict[str, object]:
        features = self.image(image)
        if mask is not None:
            features = features * mask
        hidden = torch.sigmoid(self.numbers(numbers))
        gated = features * hidden.view(1, 8, 1, 1)
        return {"hidden": hidden, "maps": (torch.relu(gated), features)}


def _inception(x: Tensor) -> Tensor:
    """Six branches, which one XNNPACK kernel cannot concatenate."""
    pools = [
        nn.functional.max_pool2d(x, 3, 2, ceil_mode=True),
        nn.functional.avg_pool2d(x, 2),
    ]
    resized = nn.functional.interpolate(pools[0], scale_factor=2.0, mode="bilinear")
    halves = [nn.functional.max_pool2d(resized, 2), pools[1], pools[0]]
    return torch.cat([*halves, *(torch.relu(half) for half in halves)], dim=1)


class Branching(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if x.shape[0] == 1:
            return torch.relu(x)
        return x


class NormFirst(nn.Sequential):
    """As a DenseNet has it: no convolution takes the batch-norms."""

    def __init__(self) -> None:
        norms = [nn.BatchNorm2d(3), nn.BatchNorm2d(4)]
        for norm in norms:
            assert norm.running_mean is not None
            assert norm.running_var is not None
            nn.init.uniform_(norm.weight, 0.5, 2.0)
            nn.init.uniform_(norm.running_mean, -1.0, 1.0)
            nn.init.uniform_(norm.running_var, 0.5, 2.0)
        super().__init__(
            norms[0], nn.ReLU(), nn.ConvTranspose2d(3, 4, 2, stride=2), nn.PReLU(4), norms[1]
        )


# Networks with which each kernel kind of direct lowering is proved equal to stock's.
PROOFS: dict[str, tuple[nn.Module, str]] = {
    "conv2d": (nn.Sequential(nn.Conv2d(3, 8, 5, 2, 2, dilation=2), nn.ReLU()), "conv2d"),
    "grouped": (nn.Sequential(nn.Conv2d(3, 6, (3, 1), groups=3, bias=False)), "depthwise_conv2d"),
    "groups-of-2": (Function(nn.Conv2d(8, 8, 3, groups=4)), "conv2d"),
    "batch-norm": (nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU6()), "conv2d"),
    "linear-without-bias": (
        nn.Sequential(nn.Flatten(), nn.Linear(432, 5, bias=False)),
        "fully_connected",
    ),
    "linear": (nn.Sequential(nn.Flatten(), nn.Linear(432, 5)), "fully_connected"),
    "add": (Function(_residual), "add"),
    "in-place": (Function(_in_place_residual), "add"),
    "multiply": (Function(_gate), "multiply"),
    "used-twice": (Function(_used_twice), "clamp"),
    "avg-pool": (Function(nn.AvgPool2d(3, 2, 1, count_include_pad=False)), "avg_pool2d"),
    "max-pool": (Function(nn.MaxPool2d(2)), "max_pool2d"),
    "global-pool": (Function(nn.AdaptiveAvgPool2d(1)), "global_avg_pool2d"),
    "hard-swish": (Function(nn.Hardswish()), "hardswish"),
    "concatenation": (Function(_concatenation), "concatenate"),
    "pad": (Function(nn.ZeroPad2d((1, 2, 0, 1))), "constant_pad"),
    "activation-only": (nn.Sequential(nn.ReLU6()), "clamp"),
    "shuffle": (Function(_shuffled), "static_slice"),
    "elementwise": (Function(_elementwise), "leaky_re_lu"),
    "arithmetic": (Function(_arithmetic), "square_root"),
    "concatenation-of-6": (Function(_inception), "static_resize_bilinear2_d"),
    "norm-first": (NormFirst(), "pre_lu"),
    "linear-of-rank-3": (nn.Sequential(nn.Flatten(2), nn.Linear(144, 5)), "fully_connected"),
    "branch": (Branching(), "clamp"),
}


@pytest.mark.parametrize("name", PROOFS)
def test_direct_lowering_makes_what_stock_lowering_makes(name: str) -> None:
    module, kind = PROOFS[name]
    assert proof.agrees(module, SHAPE)
    program, data = export_program(module, SHAPE)
    assert program.exporter.startswith("direct executorch ")
    assert kind in {kernel.kind for kernel in program.kernels}
    x = torch.randn(SHAPE)
    with torch.no_grad():
        assert _close(proof.run(data, x), module.eval()(x), 1e-4)


def test_several_inputs_and_outputs_are_lowered_as_stock_lowers_them() -> None:
    module = SeveralOutputs()
    image, numbers = torch.randn(SHAPE), torch.randn(1, 5)
    example = example_of_call(module, (image,), {"numbers": numbers})
    assert proof.agrees(module, example)
    program, data = export_program(module, example)
    assert program.exporter.startswith("direct executorch ")
    assert program.input_shapes == (SHAPE, (1, 5))
    with torch.no_grad():
        expected = module(image, numbers=numbers)
    hidden, gated, features = running.results(data, image, numbers)
    assert _close(hidden, expected["hidden"], 1e-4)
    assert _close(gated, expected["maps"][0], 1e-4)
    assert _close(features, expected["maps"][1], 1e-4)


def test_kernels_carry_shapes_strides_and_activation() -> None:
    program, _ = export_program(nn.Sequential(nn.Conv2d(3, 8, 5, 2, 2), nn.ReLU6()), SHAPE)
    assert program.input_shapes == (SHAPE,)
    assert program.kernels == (
        Kernel("transpose", ((1, 3, 12, 12),), (1, 12, 12, 3)),
        Kernel("conv2d", ((1, 12, 12, 3),), (1, 6, 6, 8), (5, 5), (2, 2), activation="relu6"),
        Kernel("transpose", ((1, 6, 6, 8),), (1, 8, 6, 6)),
    )


def test_what_is_not_delegated_is_reported_and_listed_where_it_runs() -> None:
    program, data = export_program(Function(nn.AvgPool2d(3, 1, 1)), SHAPE)
    assert program.exporter.startswith("stock executorch ")
    assert program.undelegated == ("avg_pool2d",)
    kinds = [kernel.kind for kernel in program.kernels]
    assert kinds == ["transpose", "conv2d", "transpose", "portable:avg_pool2d"]
    assert program.kernels[-1].inputs == ((1, 8, 12, 12),)
    assert program.size_bytes == len(data)


class CalledTwice(nn.Module):
    """Folding the batch-norm into the convolution once for each call would be wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)
        self.norm = nn.BatchNorm2d(3)
        nn.init.constant_(self.norm.weight, 3.0)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.conv(x))
        out: Tensor = self.norm(self.conv(x))
        return out


@pytest.mark.parametrize(
    "module",
    [
        pytest.param(Function(torch.erf), id="an operator outside the set"),
        pytest.param(Function(lambda x: x * 2), id="arithmetic with an integer"),
        pytest.param(Function(_in_place_and_read_again), id="changed in place and read again"),
        pytest.param(Function(_changed_by_what_nobody_reads), id="changed by what nobody reads"),
        pytest.param(CalledTwice(), id="a layer that is called twice"),
    ],
)
def test_anything_else_takes_stock_lowering(module: nn.Module) -> None:
    program, data = export_program(module, SHAPE)
    assert program.exporter.startswith("stock executorch ")
    x = torch.randn(SHAPE)
    with torch.no_grad():
        assert _close(proof.run(data, x), module.eval()(x), 1e-4)


def test_direct_lowering_refuses_what_it_does_not_know() -> None:
    with pytest.raises(Unsupported):
        proof.agrees(Function(torch.erf), SHAPE)


def test_another_version_is_proved_before_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    proof.direct_lowering_holds.cache_clear()
    monkeypatch.setattr(proof, "PROVED_WITH", "0.0.0")
    try:
        assert proof.direct_lowering_holds()
        proof.direct_lowering_holds.cache_clear()
        monkeypatch.setattr(proof, "agrees", lambda *_: False)
        with pytest.warns(UserWarning, match="direct lowering was proved with"):
            program, _ = export_program(nn.ReLU(), SHAPE)
        assert program.exporter.startswith("stock executorch ")
    finally:
        proof.direct_lowering_holds.cache_clear()


def test_the_module_is_left_as_it_was() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5)).train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    export_program(module, SHAPE)
    assert all(part.training for part in module.modules())
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())


def test_bytes_depend_on_the_weights_alone() -> None:
    first, _ = export_program(Function(torch.relu), SHAPE)
    again, _ = export_program(Function(torch.relu), SHAPE)
    assert first == again


def _with_nan() -> nn.Module:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    with torch.no_grad():
        next(module.parameters())[0, 0, 0, 0] = float("nan")
    return module


@pytest.mark.parametrize(
    ("module", "shape", "message"),
    [
        (_with_nan(), SHAPE, r"NaN or infinite: 0\.weight"),
        (nn.Conv2d(4, 8, 3), SHAPE, "does not take an input of"),
        (nn.Conv2d(3, 8, 5), (1, 3, 4, 4), "does not take an input of"),
        (nn.Conv2d(3, 8, 3), (1, 3, 0, 4), "holds nothing"),
    ],
)
def test_bad_networks_are_refused(module: nn.Module, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ExportError, match=message):
        export_program(module, shape)


def test_a_layer_of_zero_width_is_named() -> None:
    with warnings.catch_warnings(action="ignore"):
        module = nn.Sequential(nn.Conv2d(3, 0, 3))
    with pytest.raises(ExportError, match=r"zero width: 0\.weight"):
        export_program(module, SHAPE)


# The cache, with made-up programs.


def _program(size_bytes: int) -> tuple[Program, bytes]:
    kernel = Kernel("conv2d", ((1, 8, 8, 3),), (1, 4, 4, 8), (3, 3), (2, 2), activation="relu")
    program = Program(
        "00" * 32, size_bytes, "xnnpack", (TensorSpec(SHAPE),), (kernel,), ("erf",), "test"
    )
    return program, b"x" * size_bytes


def test_the_cache_returns_what_was_put(tmp_path: Path) -> None:
    cache = ProgramCache(tmp_path / "deep" / "programs")
    program, data = _program(100)
    assert cache.get("a") is None
    stored = cache.put("a", program, data)
    assert stored.program == program
    assert stored.path.read_bytes() == data
    assert ProgramCache(cache.directory).get("a") == stored
    assert cache.get("b") is None


def test_the_cache_stays_below_its_size_and_keeps_what_was_used_last(tmp_path: Path) -> None:
    cache = ProgramCache(tmp_path, max_bytes=300)
    for age, key in ((40, "a"), (30, "b"), (20, "c")):
        stored = cache.put(key, *_program(100))
        os.utime(stored.path, (stored.path.stat().st_mtime - age,) * 2)
    assert cache.get("a") is not None  # used now
    cache.put("d", *_program(100))
    assert [key for key in "abcd" if cache.get(key)] == ["a", "c", "d"]
    assert cache.put("huge", *_program(1000)).path.exists()
    assert len(list(tmp_path.iterdir())) == 2


def test_a_damaged_entry_counts_as_absent(tmp_path: Path) -> None:
    cache = ProgramCache(tmp_path)
    cache.put("a", *_program(100)).path.write_bytes(b"cut")
    description = cache.put("b", *_program(100)).path.with_suffix(".json")
    description.write_text("{")
    assert cache.get("a") is None
    assert cache.get("b") is None


def test_a_directory_that_cannot_be_written_is_replaced_with_a_warning(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.warns(UserWarning, match="cannot be written"):
        cache = ProgramCache(tmp_path / "file" / "programs")
    cache.put("a", *_program(100))
    assert cache.get("a") is not None


# The pool.


def _convolution(channels: int) -> nn.Module:
    torch.manual_seed(0)
    return nn.Conv2d(3, channels, 3)


def _made(channels: int, shape: Shape = SHAPE) -> tuple[nn.Module, Shape]:
    return _convolution(channels), shape


def _broken() -> tuple[nn.Module, Shape]:
    raise ValueError("no such layer")


def test_a_pool_gives_every_outcome_its_place(tmp_path: Path) -> None:
    cache = ProgramCache(tmp_path)
    good = ExportSpec("good", partial(_made, 4))
    bad = ExportSpec("bad", partial(_made, 4, (1, 5, 8, 8)))
    broken = ExportSpec("broken", _broken)
    deadly = ExportSpec("deadly", partial(os._exit, 1))
    # Whoever is exported beside the deadly one has to survive it.
    with ExportPool(cache, workers=2) as pool:
        outcomes = pool.export_all([bad, deadly, good, broken, good])
    exported = outcomes[2]
    assert isinstance(exported, ProgramFile)
    assert outcomes[4] == exported
    program, data = export_program(_convolution(4), SHAPE)
    assert exported.program == program
    assert exported.path.read_bytes() == data
    messages = [str(outcome) for outcome in outcomes if isinstance(outcome, ExportError)]
    assert "does not take an input" in messages[0]
    assert "the worker exporting deadly died" in messages[1]
    assert "ValueError: no such layer" in messages[2]


def test_what_is_cached_starts_no_worker(tmp_path: Path) -> None:
    cache = ProgramCache(tmp_path)
    stored = cache.put("a", *_program(100))
    with ExportPool(cache) as pool:
        assert pool.export_all([ExportSpec("a", partial(os._exit, 1))]) == [stored]


def test_a_spec_without_a_key_is_stored_by_its_program(tmp_path: Path) -> None:
    cache = ProgramCache(tmp_path)
    first, again = (_export(ExportSpec(None, partial(_made, 4)), cache)[0] for _ in range(2))
    assert isinstance(first, ProgramFile)
    assert again == first == cache.get(first.program.sha256)
    assert len(list(tmp_path.glob("*.pte"))) == 1
    assert ExportSpec(None, _broken).identity != ExportSpec(None, os.getpid).identity  # type: ignore


def test_int8_is_one_delegate_and_computes_about_the_same() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 16, 3, 2, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 8, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 5),
    ).eval()
    inputs = list(torch.randn(16, *SHAPE))
    program, data = export_program(module, SHAPE, Precision.INT8, inputs)
    assert program.undelegated == ()
    assert {kernel.dtype for kernel in program.kernels} == {"qint8", "float32"}
    assert [kernel.kind for kernel in program.kernels if kernel.dtype == "float32"] == ["convert"]
    actual = torch.cat(list(running.outputs(data, inputs)))
    assert _close(actual, module(torch.cat(inputs)), 0.1)


def test_int8_of_a_network_that_amplifies_rounding_errors() -> None:
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for _ in range(12):
        layer = nn.Conv2d(8, 8, 1)
        nn.init.orthogonal_(layer.weight, gain=2.0)
        layers += [layer, nn.Hardtanh()]
    program, _ = export_program(nn.Sequential(*layers), (1, 8, 8, 8), Precision.INT8)
    assert program.undelegated == ()


@pytest.mark.parametrize(("error", "tolerance"), [(0.01, 0.3), (0.25, 0.5), (5.0, 0.9)])
def test_int8_programs_may_differ_as_much_as_quantization_changes_the_network(
    error: float, tolerance: float
) -> None:
    exact = [torch.tensor([1.0, -0.5]), torch.tensor([3]), "a text"]
    quantized = [torch.tensor([1.0 + error, -0.5]), torch.tensor([3]), "a text"]
    assert int8.tolerance(quantized, exact) == pytest.approx(tolerance)


def test_int8_of_an_input_that_the_network_cannot_take() -> None:
    with pytest.raises(ExportError):
        export_program(nn.Linear(4, 2), SHAPE, Precision.INT8)
