"""Confines a process that reads bytes of unknown origin: no files, no network, no processes.

The kernel refuses every system call but those of _MACHINES. A Python process needs these to
compute, to read from descriptors that it has, and to write its answers. See seccomp(2).
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_NO_NEW_PRIVILEGES = 38  # of prctl(2)
_SET_FILTER, _ALL_THREADS = 1, 1  # of seccomp(2)
# Classic BPF: load a word of the call's data, return unless equal, and the offsets of that data.
_LOAD, _JUMP_EQUAL, _RETURN = 0x20, 0x15, 0x06
_NUMBER, _MACHINE, _ARGUMENTS, _ARGUMENT_BYTES = 0, 4, 16, 8
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x80000000


# Calls that are allowed with one value of one argument, which is counted from 0.
_DUPLICATE = (1, 1030)  # fcntl(2): another descriptor of an open file, which a mapping keeps
# newfstatat(2): the status of an open file. With a path it would show the size and the times of any
# file, and no more.
_EMPTY_PATH = (3, 0x1000)


@dataclass(frozen=True)
class _Machine:
    """What system calls are called by number on one kind of machine.

    Attributes:
        audit_name: The kernel's number for the machine's calls.
        seccomp: The number of seccomp(2).
        limited: The numbers of the calls that are allowed with one value of one argument.
        others: The numbers of the other calls that are allowed.
    """

    audit_name: int
    seccomp: int
    limited: Mapping[int, tuple[int, int]]
    others: Mapping[str, int]


_MACHINES = {
    "x86_64": _Machine(
        audit_name=0xC000003E,
        seccomp=317,
        limited={72: _DUPLICATE, 262: _EMPTY_PATH},
        others={
            "read": 0,
            "write": 1,
            "close": 3,
            "fstat": 5,
            "lseek": 8,
            "mmap": 9,
            "mprotect": 10,
            "munmap": 11,
            "brk": 12,
            "rt_sigaction": 13,
            "rt_sigprocmask": 14,
            "rt_sigreturn": 15,
            "sched_yield": 24,
            "mremap": 25,
            "madvise": 28,
            "setitimer": 38,
            "recvmsg": 47,
            "exit": 60,
            "futex": 202,
            "restart_syscall": 219,
            "clock_gettime": 228,
            "exit_group": 231,
            "getrandom": 318,
        },
    ),
    "aarch64": _Machine(
        audit_name=0xC00000B7,
        seccomp=277,
        limited={25: _DUPLICATE, 79: _EMPTY_PATH},
        others={
            "close": 57,
            "lseek": 62,
            "read": 63,
            "write": 64,
            "fstat": 80,
            "exit": 93,
            "exit_group": 94,
            "futex": 98,
            "setitimer": 103,
            "clock_gettime": 113,
            "sched_yield": 124,
            "restart_syscall": 128,
            "rt_sigaction": 134,
            "rt_sigprocmask": 135,
            "rt_sigreturn": 139,
            "recvmsg": 212,
            "brk": 214,
            "munmap": 215,
            "mremap": 216,
            "mmap": 222,
            "mprotect": 226,
            "madvise": 233,
            "getrandom": 278,
        },
    ),
}


class _FilterProgram(ctypes.Structure):
    """sock_fprog of linux/filter.h."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def confine() -> bool:
    """Refuse this process, for the rest of its life, every call that it does not need.

    Import first whatever it will need: it cannot open another file. A refused call raises
    PermissionError.

    Returns:
        False, and nothing is refused, on kernels without seccomp and on other machines than x86-64
        and aarch64.

    Raises:
        OSError: The kernel has seccomp and refuses the filter.
    """
    machine = _MACHINES.get(platform.machine())
    if machine is None:
        return False
    filter_ = b"".join(_instructions(machine))
    program = _FilterProgram(len(filter_) // 8, filter_)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0:
        return False
    result = libc.syscall(machine.seccomp, _SET_FILTER, _ALL_THREADS, ctypes.byref(program))
    if result != 0:
        number = ctypes.get_errno()
        if number in {errno.ENOSYS, errno.EINVAL}:
            return False
        raise OSError(number, f"the kernel refuses the seccomp filter: {os.strerror(number)}")
    return True


def _instructions(machine: _Machine) -> Iterator[bytes]:
    """Yield the instructions of the filter, which jump over those that follow."""
    yield _instruction(_LOAD, _MACHINE)
    yield _instruction(_JUMP_EQUAL, machine.audit_name, if_equal=1)
    yield _instruction(_RETURN, _KILL)
    yield _instruction(_LOAD, _NUMBER)
    for number in machine.others.values():
        yield _instruction(_JUMP_EQUAL, number, otherwise=1)
        yield _instruction(_RETURN, _ALLOW)
    for number, (argument, value) in machine.limited.items():
        yield _instruction(_JUMP_EQUAL, number, otherwise=4)
        yield _instruction(_LOAD, _ARGUMENTS + argument * _ARGUMENT_BYTES)
        yield _instruction(_JUMP_EQUAL, value, otherwise=1)
        yield _instruction(_RETURN, _ALLOW)
        yield _instruction(_RETURN, _REFUSE)
    yield _instruction(_RETURN, _REFUSE)


def _instruction(code: int, operand: int, *, if_equal: int = 0, otherwise: int = 0) -> bytes:
    """Return one sock_filter: how many instructions each outcome of a comparison skips."""
    return struct.pack("=HBBI", code, if_equal, otherwise, operand)
