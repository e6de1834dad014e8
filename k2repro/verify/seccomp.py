"""The system calls that a hostile program may make: a list of what is allowed, as a kernel filter.

Namespaces and Landlock confine what a path or an address can reach. They say nothing about a file's mode,
owner and times, about protocols other than TCP and UDP, shared memory, keys, or a signal sent to a process
of the same user (https://github.com/landlock-lsm/linux/issues/11 and 41, 54). So every real-CPython
sandbox puts this filter on itself before it loads a program: a computation that reads Python's library and
talks over two pipes needs about a hundred calls, and nothing else is answered.

Calls from number 424 on, where both processors count alike, are answered as by an older kernel (ENOSYS), so
that the C library falls back to the call that came before; every other call is refused (EPERM).
"""

import functools
import struct
from collections.abc import Iterable

from k2repro.verify.level import LevelMissing

# AUDIT_ARCH_* of linux/audit.h, by the name that `platform.machine()` gives.
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

# Number on x86-64, number on arm64; None where that processor has no such call.
ALLOWED: dict[str, tuple[int | None, int | None]] = {
    # files: to read, and to write where the sandbox below lets it (/dev/null)
    "read": (0, 63), "write": (1, 64), "readv": (19, 65), "writev": (20, 66), "pread64": (17, 67),
    "lseek": (8, 62), "close": (3, 57), "close_range": (436, 436), "dup": (32, 23), "dup2": (33, None),
    "dup3": (292, 24), "getdents": (78, None), "getdents64": (217, 61), "stat": (4, None),
    "lstat": (6, None), "fstat": (5, 80), "newfstatat": (262, 79), "statx": (332, 291),
    "access": (21, None), "faccessat": (269, 48), "faccessat2": (439, 439),
    "getcwd": (79, 17), "fadvise64": (221, 223),
    # memory of its own
    "brk": (12, 214), "mmap": (9, 222), "munmap": (11, 215), "mprotect": (10, 226), "mremap": (25, 216),
    "madvise": (28, 233),
    # signals to itself
    "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139),
    "rt_sigpending": (127, 136), "sigaltstack": (131, 132), "pause": (34, None), "alarm": (37, None),
    "setitimer": (38, 103), "getitimer": (36, 102), "restart_syscall": (219, 128),
    # the process itself
    "exit": (60, 93), "exit_group": (231, 94), "getpid": (39, 172), "gettid": (186, 178),
    "getppid": (110, 173), "getuid": (102, 174), "geteuid": (107, 175), "getgid": (104, 176),
    "getegid": (108, 177), "getresuid": (118, 148), "getresgid": (120, 150), "getgroups": (115, 158),
    "getpgrp": (111, None), "sched_getaffinity": (204, 123), "sched_yield": (24, 124), "uname": (63, 160),
    "getrusage": (98, 165), "times": (100, 153), "getrlimit": (97, 163), "setrlimit": (160, 164),
    "set_tid_address": (218, 96), "set_robust_list": (273, 99), "rseq": (334, 293),
    "arch_prctl": (158, None), "futex": (202, 98), "getcpu": (309, 168), "getrandom": (318, 278),
    # clocks, to read and to wait for
    "clock_gettime": (228, 113), "clock_getres": (229, 114), "gettimeofday": (96, 169), "time": (201, None),
    "nanosleep": (35, 101), "clock_nanosleep": (230, 115),
    # waiting for, and talking over, pipes of its own (asyncio)
    "poll": (7, None), "ppoll": (271, 73), "select": (23, None), "pselect6": (270, 72),
    "epoll_create": (213, None), "epoll_create1": (291, 20), "epoll_ctl": (233, 21),
    "epoll_wait": (232, None), "epoll_pwait": (281, 22), "eventfd2": (290, 19), "pipe": (22, None),
    "pipe2": (293, 59), "recvfrom": (45, 207), "shutdown": (48, 210), "getsockopt": (55, 209),
    "getsockname": (51, 204), "getpeername": (52, 205),
}  # fmt: skip

# Calls that are allowed with some arguments only: (number on x86-64, on arm64, conditions that must all
# hold). A condition is (which argument, from 0; mask; values): argument & mask must be one of the values.
_O_PATH, _CLONE_THREAD, _AF_UNIX = 0x200000, 0x10000, 1
_CLONE_NEW = 0x7E020000  # a namespace of any kind
_WORD = 0xFFFFFFFF
Condition = tuple[int, int, tuple[int, ...]]
CONDITIONAL: dict[str, tuple[int | None, int | None, tuple[Condition, ...]]] = {
    # O_PATH needs no permission of Landlock, and shows a file's mode and times
    "open": (2, None, ((1, _O_PATH, (0,)),)),
    "openat": (257, 56, ((2, _O_PATH, (0,)),)),
    # threads, no processes. clone3 keeps its flags in memory, where a filter cannot look: as if too new.
    "clone": (56, 220, ((0, _CLONE_THREAD | _CLONE_NEW, (_CLONE_THREAD,)),)),
    # F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC: no locks, and no signals to others
    "fcntl": (72, 25, ((1, _WORD, (0, 1, 2, 3, 4, 1030)),)),
    # TCGETS (isatty), TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX
    "ioctl": (16, 29, ((1, _WORD, (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)),)),
    # limits of this process, not of another
    "prlimit64": (302, 261, ((0, _WORD, (0,)),)),
    # PR_SET_NAME, PR_GET_NAME: what a thread is called
    "prctl": (157, 167, ((0, _WORD, (15, 16)),)),
    "socketpair": (53, 199, ((0, _WORD, (_AF_UNIX,)),)),
    # no flag but MSG_DONTWAIT and MSG_NOSIGNAL (so no MSG_FASTOPEN), and no address
    "sendto": (44, 206, ((3, _WORD & ~0x4040, (0,)), (4, _WORD, (0,)), (-4, _WORD, (0,)))),
}  # fmt: skip

_FIRST_COMMON = 424  # pidfd_send_signal: from here on both processors use the same numbers
_FIRST_X32 = 0x40000000  # x86-64 accepts a second set of numbers for the same calls
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000  # SECCOMP_RET_* of linux/seccomp.h
_EPERM, _ENOSYS = 1, 38
_LOAD, _AND, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x06  # BPF instructions
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data

Step = tuple[int, int, int, int]  # instruction, steps to skip if true, if false, constant


@functools.cache
def filter_program(machine: str) -> bytes:
    """The filter as a BPF program (struct sock_filter[], linux/filter.h).

    machine: as `platform.machine()` says. Raises LevelMissing for a processor whose numbers are not here.
    """
    if machine not in ARCHITECTURES:
        raise LevelMissing(f"no system-call filter for the processor {machine!r}")
    at = list(ARCHITECTURES).index(machine)
    steps: list[Step] = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, ARCHITECTURES[machine]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 0, 1, _FIRST_X32),
        (_RETURN, 0, 0, _ERRNO | _EPERM),
    ]
    for numbers in ALLOWED.values():
        steps += _when(numbers[at], [(_RETURN, 0, 0, _ALLOW)])
    for *numbers_and_conditions, conditions in CONDITIONAL.values():
        steps += _when(numbers_and_conditions[at], _checked(conditions))
    steps += [
        (_AT_LEAST, 0, 1, _FIRST_COMMON),
        (_RETURN, 0, 0, _ERRNO | _ENOSYS),
        (_RETURN, 0, 0, _ERRNO | _EPERM),
    ]
    return b"".join(struct.pack("=HBBI", *step) for step in steps)


def _when(number: int | None, then: list[Step]) -> list[Step]:
    """Do `then`, which ends in a return, for the call of this number."""
    return [] if number is None else [(_EQUAL, 0, len(then), number), *then]


def _checked(conditions: Iterable[Condition]) -> list[Step]:
    """Allow if all conditions hold, refuse otherwise. A negative argument is the upper half of it."""
    steps: list[Step] = []
    refuse: Step = (_RETURN, 0, 0, _ERRNO | _EPERM)
    for argument, mask, values in conditions:
        offset = _ARGUMENTS + 8 * abs(argument) + (4 if argument < 0 else 0)  # both are little-endian
        steps += [(_LOAD, 0, 0, offset), (_AND, 0, 0, mask)]
        steps += [(_EQUAL, len(values) - at, 0, value) for at, value in enumerate(values)]
        steps.append(refuse)
    return [*steps, (_RETURN, 0, 0, _ALLOW)]
