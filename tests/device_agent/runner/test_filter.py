"""The seccomp filter of each machine, interpreted over that machine's whole table of calls.

Of aarch64's this is the only test: QEMU's user mode, which runs the other tests, cannot lay a
filter. It is untried on hardware.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

PID, STATUS = 4242, 7
ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | 1  # EPERM
MACHINES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
X32 = 0x40000000
HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}
Arguments = tuple[int, ...]


def any_arguments(_: Arguments) -> bool:
    return True


def to_output(arguments: Arguments) -> bool:
    return arguments[0] & 0xFFFFFFFF in (1, 2)


def without_code(arguments: Arguments) -> bool:
    return not arguments[2] & 4  # PROT_EXEC


class Call(NamedTuple):
    x86_64: int
    aarch64: int
    allows: Callable[[Arguments], bool] = any_arguments


# What is to be allowed, said a second time.
CALLS = {
    "write": Call(1, 64, to_output),
    "writev": Call(20, 66, to_output),
    "pread64": Call(17, 67, lambda arguments: arguments[0] & 0xFFFFFFFF == STATUS),
    "mmap": Call(9, 222, lambda arguments: bool(arguments[3] & 0x20) and without_code(arguments)),
    "mprotect": Call(10, 226, without_code),
    "munmap": Call(11, 215),
    "mremap": Call(25, 216),
    "brk": Call(12, 214),
    "madvise": Call(28, 233, lambda arguments: arguments[2] & 0xFFFFFFFF == 4),
    "tgkill": Call(234, 131, lambda arguments: arguments[0] & 0xFFFFFFFF == PID),
    "rt_sigprocmask": Call(14, 135),
    "rt_sigreturn": Call(15, 139),
    "restart_syscall": Call(219, 128),
    "exit": Call(60, 93),
    "exit_group": Call(231, 94),
    "futex": Call(202, 98),
    "sched_yield": Call(24, 124),
    "sched_getaffinity": Call(204, 123),
    "getcpu": Call(309, 168),
    "clock_gettime": Call(228, 113),
    "gettimeofday": Call(96, 169),
    "getrusage": Call(98, 165),
    "getrandom": Call(318, 278),
    "getpid": Call(39, 172),
    "gettid": Call(186, 178),
}
NUMBERS = {
    machine: {getattr(call, machine): call for call in CALLS.values()} for machine in MACHINES
}
# Of an argument: what the rules tell apart, with and without bits that the kernel ignores.
TELLING = (*range(8), 0x20, 0x21, 0x22, 0x4022, 100, PID, PID + 1, 0xFFFFFFFF, 1 << 32, 1 << 32 | 1)


class Step(NamedTuple):
    code: int
    jump_true: int
    jump_false: int
    value: int


Filter = Sequence[Step]


@pytest.fixture(scope="module")
def filters(trials: Path) -> dict[str, Filter]:
    return {machine: printed_filter(trials, machine, STATUS) for machine in MACHINES}


def printed_filter(trials: Path, machine: str, status: int) -> Filter:
    command = [str(trials / "runner-filter"), machine, str(PID), str(status)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return [Step(*map(int, line.split())) for line in done.stdout.splitlines()]


def run(program: Filter, audit: int, number: int, arguments: Arguments) -> int:
    """The filter's answer, as the kernel's interpreter gives it (seccomp_data in its layout)."""
    words = [number, audit, 0, 0]
    for argument in arguments:
        words += [argument & 0xFFFFFFFF, argument >> 32]
    accumulator = position = 0
    while True:
        step = program[position]
        position += 1
        match step.code:
            case 0x20:  # load a word
                accumulator = words[step.value // 4]
            case 0x15:  # jump if equal
                position += step.jump_true if accumulator == step.value else step.jump_false
            case 0x35:  # jump if at least
                position += step.jump_true if accumulator >= step.value else step.jump_false
            case 0x45:  # jump if any bit is set
                position += step.jump_true if accumulator & step.value else step.jump_false
            case 0x06:  # answer
                return step.value
            case code:
                raise AssertionError(f"an instruction that no test knows: {code:#x}")


def variations() -> Iterator[Arguments]:
    for first, third, fourth in product(TELLING, TELLING, TELLING):
        yield (first, 0, third, fourth, 0, 0)


FEW = [(0,) * 6, (1,) * 6, (2,) * 6, (PID,) * 6, (0x20, 0, 3, 0x22, 0, 0), (STATUS,) * 6]


@pytest.mark.parametrize("machine", MACHINES)
def test_every_other_call_is_refused_and_these_only_as_they_should(
    filters: dict[str, Filter], machine: str
) -> None:
    allowed = NUMBERS[machine]
    for number in range(1024):
        call = allowed.get(number)
        for arguments in FEW if call is None else variations():
            expected = ALLOW if call is not None and call.allows(arguments) else REFUSE
            answer = run(filters[machine], MACHINES[machine], number, arguments)
            assert answer == expected, (number, arguments)


@pytest.mark.parametrize("machine", MACHINES)
@given(data=st.data())
def test_any_number_and_any_arguments(
    filters: dict[str, Filter], machine: str, data: st.DataObject
) -> None:
    number = data.draw(st.integers(0, 2**32 - 1) | st.sampled_from(sorted(NUMBERS[machine])))
    words = st.integers(0, 2**64 - 1) | st.sampled_from(TELLING)
    arguments = data.draw(st.tuples(*[words] * 6))
    call = NUMBERS[machine].get(number)
    expected = ALLOW if call is not None and call.allows(arguments) else REFUSE
    assert run(filters[machine], MACHINES[machine], number, arguments) == expected


@pytest.mark.parametrize("machine", MACHINES)
def test_the_other_machine_s_calls_are_refused(filters: dict[str, Filter], machine: str) -> None:
    """A 32-bit call of the same processor as well: its numbers mean other calls."""
    i386, arm = 0x40000003, 0x40000028
    for audit in {*MACHINES.values(), i386, arm, 0} - {MACHINES[machine]}:
        for number in range(512):
            assert run(filters[machine], audit, number, (1,) * 6) == REFUSE


def test_x32_is_refused(filters: dict[str, Filter]) -> None:
    for number in range(1024):
        for arguments in FEW:
            answer = run(filters["x86_64"], MACHINES["x86_64"], X32 | number, arguments)
            assert answer == REFUSE


@pytest.mark.parametrize("machine", MACHINES)
def test_without_proc_nothing_is_read(trials: Path, machine: str) -> None:
    program = printed_filter(trials, machine, -1)
    number = getattr(CALLS["pread64"], machine)
    for arguments in variations():
        assert run(program, MACHINES[machine], number, arguments) == REFUSE


@pytest.mark.parametrize("machine", MACHINES)
def test_the_numbers_are_the_kernel_s(machine: str) -> None:
    if not HEADERS[machine].exists():
        pytest.skip(f"{HEADERS[machine]} is not here")
    defined = re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", HEADERS[machine].read_text())
    numbers = {name: int(number) for name, number in defined}
    for name, call in CALLS.items():
        assert numbers[name] == getattr(call, machine), name


@pytest.mark.parametrize("machine", MACHINES)
def test_it_fits_the_kernel(filters: dict[str, Filter], machine: str) -> None:
    """Every jump stays inside, and the last step answers."""
    program = filters[machine]
    assert len(program) < 4096
    assert program[-1].code == 0x06
    for position, step in enumerate(program):
        if step.code & 7 == 5:
            assert position + 1 + max(step.jump_true, step.jump_false) < len(program)
