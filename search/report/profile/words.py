"""Profiles in words: times, sizes, kernels and modules as texts for people."""

from __future__ import annotations

import math

from latlab.domain.checks.text import cleaned
from latlab.domain.estimate import milliseconds_text
from latlab.domain.kernel import Kernel, Shape
from latlab.profiling.profile import Profile, ProfileRow, Span

MAX_NAME_LENGTH = 300  # no honest path or line is longer, and every row repeats it
MODULE_UNKNOWN = "module not known"
NETWORK_ITSELF = "the network itself"

_DIGITS = 5  # of a latency in ms; a kernel has as many decimals as the latency
_UNITS = ((10**9, "GB"), (10**6, "MB"), (10**3, "kB"))


def decimals(profile: Profile) -> int:
    """Return how many decimals all times of a profile have in ms, so that columns align."""
    latency_ms = abs(profile.latency.time_ns) / 1e6
    whole_digits = math.floor(math.log10(latency_ms)) + 1 if latency_ms > 0 else 0
    return min(max(_DIGITS - whole_digits, 0), 6)  # the sixth is a nanosecond


def milliseconds(time_ns: float, digits: int) -> str:
    """Return a time in ms with so many decimals, without the unit."""
    text = f"{time_ns / 1e6:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def rounded_interval(span: Span) -> str:
    """Return a 90 % interval in ms, with at least three significant digits."""
    return f"{milliseconds_text(span.lower_ns)} to {milliseconds_text(span.upper_ns)}"


def interval(span: Span | ProfileRow, digits: int) -> str:
    """Return a 90 % interval in ms, as in "0.401 to 0.425"."""
    return f"{milliseconds(span.lower_ns, digits)} to {milliseconds(span.upper_ns, digits)}"


def sentence(text: str) -> str:
    """Return a text that begins with a capital letter and ends with a full stop.

    A name at its beginning, such as "aten::roll", stays as it is.
    """
    text = text.strip()
    first = text.split(" ", 1)[0]
    end = "" if not text or text[-1] in ".!?" else "."
    return f"{text[:1].upper() if first.isalpha() else text[:1]}{text[1:]}{end}"


def percent(profile: Profile, time_ns: float) -> str:
    """Return a time's share of the latency, as in "3.4%"."""
    text = f"{100 * profile.share(time_ns):.1f}"
    return f"{text.removeprefix('-') if float(text) == 0 else text}%"


def size(size_bytes: int) -> str:
    """Return a size with three significant digits, as in "13.9 MB"."""
    for unit_bytes, unit in _UNITS:
        if size_bytes >= unit_bytes:
            value = size_bytes / unit_bytes
            return f"{value:.{max(0, 2 - math.floor(math.log10(value)))}f} {unit}"
    return f"{size_bytes} bytes"


def kind(row: ProfileRow) -> str:
    """Return a kernel's kind with its precision. A program may name its operators as it likes."""
    return short(row.kernel.typed_kind)


def details(kernel: Kernel) -> str:
    """Return what a kernel computes beside its kind: shapes, window, stride, groups, ..."""
    inputs = " + ".join(map(_shape, kernel.inputs))
    parts = [f"{inputs} → {_shape(kernel.output)}" if inputs else _shape(kernel.output)]
    if kernel.kernel_size != (1, 1):
        parts.append(f"window {_shape(kernel.kernel_size)}")
    if kernel.stride != (1, 1):
        parts.append(f"stride {_pair(kernel.stride)}")
    if kernel.dilation != 1:
        parts.append(f"dilation {kernel.dilation}")
    if kernel.groups != 1:
        parts.append(f"{kernel.groups} groups")
    if kernel.activation:
        parts.append(short(kernel.activation))
    return ", ".join(parts)


def module(row: ProfileRow) -> str:
    """Return the path of a kernel's module, or what stands for it."""
    if row.source is None:
        return MODULE_UNKNOWN
    return short(row.source.module) or NETWORK_ITSELF


def module_filter(row: ProfileRow) -> str | None:
    """Return the path of a kernel's module, by which the page filters; None if not known."""
    return None if row.source is None else short(row.source.module)


def line(row: ProfileRow) -> str:
    """Return a kernel's source line, as in "net.py:12"; "" where it is not known."""
    if row.source is None or not row.source.file:
        return ""
    return f"{short(row.source.file)}:{row.source.line}"


def short(name: str) -> str:
    """Return a name of the user's code without characters that have an effect, and not too long."""
    return cleaned(name, MAX_NAME_LENGTH)


def _shape(shape: Shape) -> str:
    return "×".join(map(str, shape)) or "scalar"


def _pair(values: tuple[int, int]) -> str:
    return str(values[0]) if values[0] == values[1] else _shape(values)
