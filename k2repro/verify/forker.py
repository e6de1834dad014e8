"""What runs first inside a sandbox that is kept: it forks a fresh process for each program.

To start Python anew for each program takes many times as long as to fork one that has started. This process
never runs anything of a model. First comes the text of the child, then a request for each program; the child
gets two pipe ends. There are two ways to talk, since not every sandbox lets a socket in:

    socket NUMBER            descriptor of a Unix socket; pipe ends come, and a handle of the process goes
    pipes COUNT FOLDER       standard input and output; the ends are named pipes, opened at the start

When the parent closes its side, this process ends, and the sandbox with it.
"""

import gc
import json
import os
import signal
import socket
import sys

_MOST = 1 << 16
_COMMON = ("bisect", "collections", "functools", "heapq", "itertools", "math", "operator", "random", "re")


def by_socket(number):
    """Serve over a Unix socket."""
    control = socket.socket(fileno=int(number))
    worker = prepared(control.recv(_MOST))
    control.send(b"ready")
    while True:
        message, ends, _, _ = socket.recv_fds(control, 16, 2)
        if not message:
            return
        handle = os.pidfd_open(fork(worker, ends))
        socket.send_fds(control, [b"started"], [handle])
        os.close(handle)


def by_pipes(count, folder):
    """Serve over standard input and output, once for each pair of named pipes."""
    # A reader waits for a writer and the other way round: the parent has opened its ends before.
    pairs = [
        (os.open(f"{folder}/{at}-requests", os.O_RDONLY), os.open(f"{folder}/{at}-replies", os.O_WRONLY))
        for at in range(int(count))
    ]
    worker = prepared(json.loads(sys.stdin.readline()))
    print("ready", flush=True)  # noqa: T201 - this is how it talks
    for line in sys.stdin:
        print(fork(worker, pairs[int(line)]), flush=True)  # noqa: T201


def prepared(source):
    """The class that serves a program, with all imported that many programs need."""
    names = {"__name__": "child"}
    exec(compile(source, "<child>", "exec"), names)  # noqa: S102 - our own source, sent by the parent
    for name in _COMMON:
        __import__(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries the children
    gc.freeze()
    return names["Worker"]


def fork(worker, ends):
    """A new process that reads requests from one end and writes replies to the other; its number."""
    number = os.fork()
    if number:
        for end in ends:
            os.close(end)
        return number
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.dup2(ends[0], 0)
        os.dup2(ends[1], 1)
        os.closerange(3, 1024)
        worker().serve()
    finally:
        os._exit(1)


if __name__ == "__main__":
    if sys.argv[1] == "socket":
        by_socket(sys.argv[2])
    else:
        by_pipes(sys.argv[2], sys.argv[3])
