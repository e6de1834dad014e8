"""What runs first inside a sandbox that is kept: it forks a fresh process for each program.

To start Python anew for each program takes a hundred times as long as to fork one that has started. This
process never runs anything of a model. It talks with its parent over a Unix socket, whose descriptor is the
argument: first comes the text of the child, then, for each program, a message with two pipe ends; back goes a
descriptor that stands for the new process. When the socket closes it ends, and the namespaces with it.
"""

import gc
import os
import signal
import socket
import sys

_MOST = 1 << 16
_COMMON = ("bisect", "collections", "functools", "heapq", "itertools", "math", "operator", "random", "re")


def main():
    """Fork on demand until the parent goes away."""
    control = socket.socket(fileno=int(sys.argv[1]))
    code = compile(control.recv(_MOST), "<child>", "exec")
    names = {"__name__": "child"}
    exec(code, names)  # noqa: S102 - our own source, sent by the parent
    for name in _COMMON:  # that many programs import
        __import__(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries the children
    gc.freeze()
    control.send(b"ready")
    while True:
        message, pipes, _, _ = socket.recv_fds(control, 16, 2)
        if not message:
            os._exit(0)
        child = os.fork()
        if child == 0:
            become(names["Worker"], pipes)
        for pipe in pipes:
            os.close(pipe)
        handle = os.pidfd_open(child)
        socket.send_fds(control, [b"started"], [handle])
        os.close(handle)


def become(worker, pipes):
    """The life of a forked process: two pipes as its descriptors 0 and 1, and no other."""
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.dup2(pipes[0], 0)
        os.dup2(pipes[1], 1)
        os.closerange(3, 256)
        worker().serve()
    finally:
        os._exit(1)


if __name__ == "__main__":
    main()
