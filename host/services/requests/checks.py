"""Check what comes from clients before anything else sees it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from host.database.schema import MAX_KERNEL_CHARS
from latlab.domain.errors import InvalidRequest
from latlab.domain.program import Program, check_program_name

MAX_NAME_CHARS = 1_000
MAX_IDS = 100_000
MAX_KERNELS = 100_000
MAX_KERNEL_BYTES = 8_192
MAX_INPUTS = 100


@contextmanager
def about(field: str) -> Iterator[None]:
    """Let each InvalidRequest of the block name this field, unless it names one already."""
    try:
        yield
    except InvalidRequest as error:
        error.field = error.field or field
        raise


def check_text(what: str, text: str, field: str = "") -> str:
    """Return the text. Raises InvalidRequest if the database cannot hold it, or it is too long."""
    if "\0" in text:
        raise InvalidRequest(
            f"{what} holds a NUL character, which cannot be stored: {text[:80]!r}", field
        )
    if len(text) > MAX_NAME_CHARS:
        raise InvalidRequest(
            f"{what} has {len(text)} characters, the limit is {MAX_NAME_CHARS}: {text[:80]!r}...",
            field,
        )
    return text


def check_count(what: str, items: Collection[object], most: int, field: str = "") -> None:
    """Raise InvalidRequest if there are too many items."""
    if len(items) > most:
        raise InvalidRequest(f"there are {len(items)} {what}, the limit is {most}", field)


def check_program(program: Program) -> Program:
    """Return the program. Raises InvalidRequest if a name or a number in it is out of range."""
    check_program_name(program.sha256, "")
    check_count("inputs", program.inputs, MAX_INPUTS)
    check_count("kernels", program.kernels, MAX_KERNELS)
    check_count("operators outside the backend", program.undelegated, MAX_KERNELS)
    check_text("the backend's name", program.backend)
    check_text("the exporter's name", program.exporter)
    for operator in program.undelegated:
        check_text("an operator's name", operator)
    for kernel in program.kernels:
        check_text("the words of a kernel", f"{kernel.kind} {kernel.activation} {kernel.dtype}")
        if (chars := len(str(kernel))) > MAX_KERNEL_CHARS:
            raise InvalidRequest(
                f"a kernel of the kind {kernel.kind} with {len(kernel.inputs)} inputs takes"
                f" {chars} characters to describe, the limit is {MAX_KERNEL_CHARS}"
            )
    return program


def check_kernel(message: bytes) -> bytes:
    """Return the message of a kernel. Raises InvalidRequest if it is larger than any can be."""
    if len(message) > MAX_KERNEL_BYTES:
        raise InvalidRequest(f"a kernel has {len(message)} bytes, the limit is {MAX_KERNEL_BYTES}")
    return message
