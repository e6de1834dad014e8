"""The system-call filter: what it allows and refuses, on both processors, by running its program here."""

import ctypes
import ctypes.util
import struct

import pytest

from k2repro.verify import seccomp
from k2repro.verify.level import LevelMissing

ALLOW, KILL = "allow", "kill"
EPERM, ENOSYS = 1, 38
MACHINES = list(seccomp.ARCHITECTURES)


def decide(machine: str, number: int, *arguments: int, architecture: int | None = None) -> str | int:
    """Run the BPF program as the kernel does (linux/filter.h) and name what it returns."""
    asked = architecture or seccomp.ARCHITECTURES[machine]
    padded = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack("<IIQ6Q", number, asked, 0, *(value & (2**64 - 1) for value in padded))
    steps = list(struct.iter_unpack("=HBBI", seccomp.filter_program(machine)))
    at = value = 0
    while True:
        code, if_true, if_false, constant = steps[at]
        at += 1
        if code == 0x20:
            (value,) = struct.unpack_from("<I", data, constant)
        elif code == 0x54:
            value &= constant
        elif code == 0x15:
            at += if_true if value == constant else if_false
        elif code == 0x35:
            at += if_true if value >= constant else if_false
        elif code == 0x06:
            break
        else:
            raise AssertionError(f"unknown instruction {code:#x}")
    if constant == 0x7FFF0000:
        return ALLOW
    return KILL if constant == 0x80000000 else constant & 0xFFFF


def number_of(machine: str, name: str) -> int | None:
    """The number that libseccomp knows a call by (seccomp_syscall_resolve_name_arch), None for none."""
    path = ctypes.util.find_library("seccomp")
    if path is None:
        pytest.skip("needs libseccomp, as an oracle")
    architecture = ctypes.c_uint32(seccomp.ARCHITECTURES[machine])
    found = ctypes.CDLL(path).seccomp_syscall_resolve_name_arch(architecture, name.encode())
    return found if found >= 0 else None


@pytest.mark.parametrize("at", range(len(MACHINES)), ids=MACHINES)
def test_the_numbers_are_those_of_the_kernel(at):
    """Catches a number of the wrong call or the wrong processor, which would allow who knows what."""
    machine = MACHINES[at]
    for name, numbers in seccomp.ALLOWED.items():
        assert numbers[at] == number_of(machine, name), name
    for name, (*numbers, _) in seccomp.CONDITIONAL.items():
        assert numbers[at] == number_of(machine, name), name


# What Landlock and namespaces leave open, and what was used to get out or to leave something behind.
REFUSED = """
chmod fchmod fchmodat chown fchown lchown fchownat utime utimes utimensat futimesat setxattr
lsetxattr fsetxattr removexattr truncate ftruncate rename unlink mkdir link symlink mknod mknodat
socket connect bind listen accept accept4 sendmsg sendmmsg recvmmsg shmget shmat shmctl msgget
msgsnd semget semop mq_open add_key request_key keyctl ptrace process_vm_readv process_vm_writev
kill tkill tgkill rt_sigqueueinfo fork vfork execve execveat unshare setns mount umount2 pivot_root
chroot bpf userfaultfd perf_event_open personality memfd_create setpriority sched_setaffinity
sched_setscheduler ioprio_set kcmp flock inotify_init1 fanotify_init name_to_handle_at
open_by_handle_at seccomp setuid setgid capset setsid setpgid reboot kexec_load init_module swapon
settimeofday clock_settime adjtimex timer_create signalfd4 splice vmsplice tee sendfile readlink
readlinkat statfs fstatfs sysinfo syslog quotactl acct modify_ldt ioperm iopl lookup_dcookie mbind
migrate_pages move_pages process_madvise
"""


@pytest.mark.parametrize("machine", MACHINES)
def test_what_was_used_to_get_out_is_refused(machine):
    """Catches a call on the list of what is allowed that reaches something outside of the process."""
    for name in REFUSED.split():
        number = number_of(machine, name)
        if number is not None:
            assert decide(machine, number) in {EPERM, ENOSYS}, name


@pytest.mark.parametrize("machine", MACHINES)
def test_calls_that_are_not_known_are_refused(machine):
    """Catches a list of what is forbidden: a call that a new kernel brings must not be allowed by default."""
    at = MACHINES.index(machine)
    known = {numbers[at] for numbers in seccomp.ALLOWED.values()}
    known |= {numbers[at] for numbers in seccomp.CONDITIONAL.values()}
    for number in set(range(1024)) - known:
        assert decide(machine, number) == (ENOSYS if number >= 424 else EPERM), number


@pytest.mark.parametrize("machine", MACHINES)
def test_another_processors_numbers_end_the_process(machine):
    """Catches a 32-bit call (int 0x80 on x86-64), whose numbers mean other calls."""
    assert decide(machine, 1, architecture=0x40000003) == KILL


def test_the_second_set_of_numbers_of_x86_64_is_refused():
    """Catches x32: the same calls from 0x40000000 on, past a list that compares numbers only."""
    for number in (0, 41, 57, 512, 547):
        assert decide("x86_64", 0x40000000 + number) == EPERM


OPEN_PATH, THREAD, NEW_USER = 0x200000, 0x10000, 0x10000000
ARGUMENTS = [
    ("openat", (0, 0, 0), ALLOW),
    ("openat", (0, 0, OPEN_PATH), EPERM),
    ("clone", (0x3D0F00,), ALLOW),  # what pthread_create of glibc asks for
    ("clone", (17,), EPERM),  # SIGCHLD: a process
    ("clone", (0x4111,), EPERM),  # CLONE_VM | CLONE_VFORK: posix_spawn
    ("clone", (0x3D0F00 | NEW_USER,), EPERM),
    ("clone3", (0, 88), ENOSYS),
    ("fcntl", (0, 1030), ALLOW),
    ("fcntl", (0, 3), ALLOW),
    ("fcntl", (0, 8), EPERM),  # F_SETOWN
    ("fcntl", (0, 10), EPERM),  # F_SETSIG
    ("fcntl", (0, 1031), EPERM),  # F_SETPIPE_SZ
    ("fcntl", (0, 5), EPERM),
    ("ioctl", (0, 0x5401), ALLOW),
    ("ioctl", (0, 0x5451), ALLOW),
    ("ioctl", (0, 0x8901), EPERM),  # FIOSETOWN
    ("ioctl", (0, 0x5412), EPERM),  # TIOCSTI
    ("prlimit64", (0, 7), ALLOW),
    ("prlimit64", (1, 7), EPERM),
    ("prctl", (15,), ALLOW),
    ("prctl", (1,), EPERM),
    ("prctl", (22,), EPERM),
    ("socketpair", (1, 1, 0), ALLOW),
    ("socketpair", (2, 1, 0), EPERM),
    ("sendto", (3, 0, 5, 0, 0, 0), ALLOW),
    ("sendto", (3, 0, 5, 0x4000, 0, 0), ALLOW),
    ("sendto", (3, 0, 5, 0x20000000, 0, 0), EPERM),  # MSG_FASTOPEN
    ("sendto", (3, 0, 5, 0, 0x1000, 16), EPERM),
    ("sendto", (3, 0, 5, 0, 0x7F0000000000, 16), EPERM),  # an address whose lower half is 0
]


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize(("name", "arguments", "expected"), ARGUMENTS)
def test_arguments_decide(machine, name, arguments, expected):
    """Catches a condition on the wrong argument, on half of a pointer, or a jump that lands one step off."""
    number = number_of(machine, name)
    assert number is not None
    assert decide(machine, number, *arguments) == expected


def test_a_processor_without_numbers_is_refused():
    """Catches a filter of another processor where there is none."""
    with pytest.raises(LevelMissing, match="no system-call filter for the processor 'riscv64'"):
        seccomp.filter_program("riscv64")
