"""Profiles for tests: an ordinary one, and hostile ones."""

from __future__ import annotations

from hypothesis import strategies as st

from latlab.domain.estimate import Footprint
from latlab.domain.kernel import Kernel
from latlab.domain.program import KernelSource
from latlab.profiling.findings.finding import Finding, FindingKind
from latlab.profiling.profile import Profile, ProfileRow, Span


def span(time_ns: float) -> Span:
    return Span(time_ns, time_ns - abs(time_ns) / 20, time_ns + abs(time_ns) / 20)


def row(
    kind: str,
    time_ns: float,
    module: str | None = None,
    instruction: int | None = None,
    dtype: str = "float32",
) -> ProfileRow:
    source = None if module is None else KernelSource(module, "Conv2d", "nets/net.py", 12)
    kernel = Kernel(kind, ((1, 8, 8, 16),), (1, 8, 8, 24), activation="relu", dtype=dtype)
    around = span(time_ns)
    return ProfileRow(
        kernel, time_ns, around.lower_ns, around.upper_ns, instruction, source, "Convolution"
    )


def profile(*rows: ProfileRow, network: str = "nets/net.py:Net", rest_ns: float = 1e5) -> Profile:
    total_ns = sum(each.time_ns for each in rows) + rest_ns
    return Profile(
        network,
        "board/big/1t",
        span(total_ns),
        rows,
        span(rest_ns),
        span(2e5),
        False,
        Footprint(13_900_000, 8e6, 2e7, 61_000_000, 5_000_000),
    )


ORDINARY = profile(
    row("transpose", 1e5, "stem.conv", 0),
    row("conv2d", 2e6, "stem.conv", 0),
    row("conv2d", 1e6, "layers.1.conv", 0),
    row("add", 3e5, "layers.1", 0),
    row("portable:aten::roll", 7e5, "layers.1.shift", 1),
    row("conv2d", 9e5, "layers.10.conv", 2),
    row("reshape", 0.0, "", 2),
    row("fully_connected", 4e5, "head", 2),
)
FINDING = Finding(
    FindingKind.OUTSIDE, span(7e5), (4, 5), "aten::roll is portable.", "Use torch.cat."
)

HOSTILE = (
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "</style><img src=x onerror=alert(1)>",
    '" onmouseover="alert(1)',
    "' onmouseover='alert(1)",
    "{{ 7 * 7 }}{% raw %}",
    "]]>&lt;!--",
    "\u202egnp.exe\u202c\u2067",
    "שלום.עולם",
    "网络.层",
    "a/b\\c\x00\x1b[2Jd\re\nf\u2028g",
    "\ud800half",
    "a" * 5000,
    "a." * 2000,
    "..",
    " ",
)
# Noncharacters are the only ones that a page shows and XML refuses.
texts = st.sampled_from(HOSTILE) | st.text(
    st.characters(exclude_characters="\ufffe\uffff"), max_size=8
)
names = st.one_of(texts, st.lists(st.sampled_from("abc"), max_size=5).map(".".join))
times = st.floats(-1e4, 1e9) | st.sampled_from([0.0, 1e-3, 1.4, 1e6])
spans = st.builds(Span, times, times, times)
kernels = st.builds(
    Kernel,
    kind=st.sampled_from(["conv2d", "add", "sigmoid", "portable:aten::roll"]) | names,
    inputs=st.lists(st.lists(st.integers(0, 9), max_size=4).map(tuple), max_size=2).map(tuple),
    output=st.lists(st.integers(0, 9), max_size=4).map(tuple),
    kernel_size=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    groups=st.integers(1, 3),
    activation=st.just("") | texts,
    dtype=st.sampled_from(["float32", "float16", "qint8"]) | texts,
)
sources = st.builds(KernelSource, names, texts, texts, st.integers(0, 10**6))
profile_rows = st.builds(
    ProfileRow,
    kernels,
    times,
    times,
    times,
    st.none() | st.integers(0, 3),
    st.none() | sources,
    texts,
)
footprints = st.builds(Footprint, st.integers(0, 10**12), *[st.none() | st.integers(0, 10**12)] * 4)
profiles = st.builds(
    Profile,
    texts | texts.map("{}.pte".format),
    texts,
    st.builds(Span, st.floats(1, 1e10), times, times),
    st.lists(profile_rows, max_size=6).map(tuple),
    st.none() | spans,
    st.none() | spans,
    st.booleans(),
    footprints,
    st.lists(texts, max_size=2).map(tuple),
)
findings = st.builds(
    Finding,
    st.sampled_from(FindingKind),
    spans,
    st.lists(st.integers(-1, 15), max_size=3).map(tuple),
    texts,
    texts,
)
