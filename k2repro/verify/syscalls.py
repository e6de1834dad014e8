"""System calls that a program has no use for, and the filter that refuses them (seccomp, Linux).

Namespaces and Landlock guard files and networks. They leave gaps, and each was found open on a real
machine: `prlimit` on the judge kills it, `chmod` reaches every file of the same user, memory shared
through System V escapes the limit on address space, and the superuser has no limit on processes.
"""

import struct

# name -> number on (x86-64, arm64), from the kernel's tables; None where the architecture lacks it.
REFUSED: dict[str, tuple[int | None, int | None]] = {
    # Start a process or a thread, or become another program.
    "fork": (57, None), "vfork": (58, None), "clone": (56, 220), "clone3": (435, 435),
    "execve": (59, 221), "execveat": (322, 281), "unshare": (272, 97), "setns": (308, 268),
    # Reach into another process: its memory, limits, priority, descriptors; send it a signal.
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "process_madvise": (440, 440), "kcmp": (312, 272), "migrate_pages": (256, 238),
    "move_pages": (279, 239), "prlimit64": (302, 261), "setpriority": (141, 140), "ioprio_set": (251, 30),
    "sched_setparam": (142, 118), "sched_setscheduler": (144, 119), "sched_setattr": (314, 274),
    "sched_setaffinity": (203, 122), "pidfd_open": (434, 434), "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424), "kill": (62, 129), "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    # Change what is known of a file: Landlock has no rule for these.
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452),
    "chown": (92, None), "fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54),
    "utime": (132, None), "utimes": (235, None), "futimesat": (261, None), "utimensat": (280, 88),
    "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7), "setxattrat": (463, 463),
    "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16),
    "removexattrat": (466, 466), "file_setattr": (469, 469),
    # Open a socket, or memory and kernel objects outside the limits of a process.
    "socket": (41, 198), "shmget": (29, 194), "msgget": (68, 186), "semget": (64, 190),
    "mq_open": (240, 180), "memfd_create": (319, 279), "memfd_secret": (447, 447),
    "inotify_init": (253, None), "inotify_init1": (294, 26), "fanotify_init": (300, 262),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    # The kernel's own large surfaces.
    "io_uring_setup": (425, 425), "userfaultfd": (323, 282), "perf_event_open": (298, 241),
    "bpf": (321, 280), "syslog": (103, 116),
}  # fmt: skip
_COLUMNS = {"x86_64": 0, "aarch64": 1}  # as `platform.machine()` says
_ARCHITECTURES = (0xC000003E, 0xC00000B7)  # AUDIT_ARCH_* of linux/audit.h
_X32 = 0x40000000  # from here on, x86-64 accepts a second set of numbers for the same calls
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050001, 0x80000000  # SECCOMP_RET_*; 1 is EPERM
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06  # BPF instructions


def refused_numbers(machine: str) -> list[int] | None:
    """Numbers of the refused calls on a machine; None for a machine without a table."""
    if machine not in _COLUMNS:
        return None
    numbers = (row[_COLUMNS[machine]] for row in REFUSED.values())
    return [number for number in numbers if number is not None]


def seccomp_filter(machine: str) -> bytes | None:
    """A BPF program (linux/filter.h) that answers EPERM to every refused call; None as above.

    A call by the conventions of another architecture ends the process. seccomp_data is
    {int nr; u32 arch; ...}.
    """
    numbers = refused_numbers(machine)
    if numbers is None:
        return None
    count = len(numbers)
    steps = [
        (_LOAD, 0, 0, 4),
        (_EQUAL, 1, 0, _ARCHITECTURES[_COLUMNS[machine]]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, 0),
        (_AT_LEAST, count + 1, 0, _X32),
        *((_EQUAL, count - at, 0, number) for at, number in enumerate(numbers)),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _REFUSE),
    ]
    return b"".join(struct.pack("=HBBI", *step) for step in steps)
