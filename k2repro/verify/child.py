"""What runs inside a real-CPython sandbox: load a program, call its functions, say what came back.

Imports the standard library only. What runs is the source of `codec.codec` and then this file's. Requests
and replies are lines of JSON over descriptors 0 and 1. Nothing here is trusted by the parent: a program that
takes this process over can only choose its own return values, and the expected ones are not here.
"""

import ctypes
import errno
import io
import json
import os
import resource
import sys
import types


class OutputLimit(BaseException):
    """More printed than allowed. Not an Exception, so that a program does not swallow it by accident."""


class Printed(io.RawIOBase):
    """What stands under a standard stream: counts and forgets. Descriptor 1 is /dev/null."""

    mode = "wb"

    def __init__(self, room):
        self.room = room

    def writable(self):
        return True

    def fileno(self):
        return 1

    def write(self, data):
        self.room -= len(data)
        if self.room < 0:
            raise OutputLimit
        return len(data)


class Stream(io.TextIOWrapper):
    """A standard stream, with what `open` would have set; fast writers ask for it."""

    mode = "w"


def reason_of(error):
    """The word for an exception that left the program."""
    words = {
        MemoryError: "memory",
        RecursionError: "recursion",
        SystemExit: "exit",
        OutputLimit: "output",
        PermissionError: "forbidden",
        FileNotFoundError: "forbidden",  # a sandbox hides a file, or refuses it: one word for both
    }
    if isinstance(error, OSError) and error.errno in (errno.EROFS, errno.ENOSYS):
        return "forbidden"
    if isinstance(error, RuntimeError) and "can't start new thread" in str(error):
        return "memory"  # a thread's stack counts, all of it, when the thread starts
    return next((word for kind, word in words.items() if isinstance(error, kind)), "exception")


def failure(error, reason=None):
    """The reply that says what an exception was. `str(error)` may itself be hostile."""
    kind = type(error).__name__
    try:
        text, reason = str(error)[:200], reason or reason_of(error)
    except BaseException:
        text, reason = "", reason or "exception"
    return {"reason": reason, "kind": kind, "detail": text}


class Worker:
    """One conversation over two pipes."""

    def __init__(self):
        self.requests = os.fdopen(os.dup(0), "rb")
        self.replies = os.fdopen(os.dup(1), "wb", 0)
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nothing, stream)
        os.close(nothing)
        start = self.receive()
        self.encode, self.decode = globals()["codec"]()  # its source stands above this file's
        # A module, registered: dataclasses and pickling look their class's module up.
        self.program = types.ModuleType("program")
        sys.modules["program"] = self.program
        self.printed = Stream(io.BufferedWriter(Printed(start["output"])), encoding="utf-8")
        for name in ("stdout", "stderr", "__stdout__", "__stderr__"):
            setattr(sys, name, self.printed)
        try:
            restrict(start["memory"], start["seconds"])
            refuse_calls(bytes.fromhex(start["filter"]))
        except (OSError, ValueError) as error:
            self.send({"reason": "crashed", "detail": f"its limits do not hold: {error}"})
            os._exit(1)
        self.send({"reason": "ready"})

    def receive(self):
        """The next request; the parent closing the pipe ends the process."""
        line = self.requests.readline()
        if not line:
            os._exit(0)
        return json.loads(line)

    def send(self, reply):
        """One reply. Written in one piece, without Python-level buffering."""
        data = (json.dumps(reply) + "\n").encode()
        while data:
            data = data[self.replies.write(data) :]

    def load(self, request):
        """Execute the program's source."""
        try:
            code = compile(request["source"], "<program>", "exec")
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            return failure(error, "syntax error")
        if "random" in request["source"]:
            import random

            random.seed(0)  # a verdict must not depend on luck
        exec(code, self.program.__dict__)  # noqa: S102 - this process is the sandbox
        return {"reason": "value", "value": "null"}

    def call(self, request):
        """Call one function of the program with plain values."""
        if request["function"] not in self.program.__dict__:
            return {"reason": "no function", "detail": request["function"]}
        arguments, keywords = self.decode(json.loads(request["arguments"]))
        result = self.program.__dict__[request["function"]](*arguments, **keywords)
        return {"reason": "value", "value": json.dumps(self.encode(result))}

    def check(self, request):
        """Execute test code; its `candidate` asks the parent to have the program called."""

        def candidate(*arguments, **keywords):
            self.send({"reason": "call", "value": json.dumps(self.encode((arguments, keywords)))})
            reply = self.receive()
            if reply["reason"] == "value":
                return self.decode(json.loads(reply["value"]))
            raise exception_named(reply.get("kind"), reply.get("detail", ""))

        names = {"__name__": "__main__", "candidate": candidate}
        exec(compile(request["code"], "<checks>", "exec"), names)  # noqa: S102 - the benchmark's code
        return {"reason": "value", "value": "null"}

    def serve(self):
        """Answer requests until the parent closes the pipe."""
        while True:
            request = self.receive()
            try:
                reply = getattr(self, request["do"])(request)
                if not self.printed.closed:
                    self.printed.flush()  # what is printed counts now, not at some later time
            except BaseException as error:
                reply = failure(error)
            used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB on Linux
            self.send({**reply, "memory": used})


def exception_named(kind, detail):
    """The built-in exception of that name, so that checks which expect a ValueError can catch it."""
    import builtins

    found = getattr(builtins, kind or "", None)
    if isinstance(found, type) and issubclass(found, Exception):
        try:
            return found(detail)
        except TypeError:  # UnicodeDecodeError and its like want five arguments
            return RuntimeError(detail)
    return RuntimeError(f"{kind}: {detail}")


def restrict(memory, seconds):
    """Limits of the process itself, below those of the sandbox.

    memory: bytes of address space. seconds: of processor time; the parent looks at the clock more closely,
    this one holds even when the parent is gone.
    """
    for kind, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 64),
    ):
        resource.setrlimit(kind, (most, most))


def refuse_calls(program):
    """Put the system-call filter (a BPF program) on this process; raise OSError unless it then holds."""
    no_new_privileges, set_filter, by_program, ask_filter = 38, 22, 2, 21  # PR_* of linux/prctl.h

    class Filter(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("steps", ctypes.c_char_p)]

    prctl = ctypes.CDLL(None, use_errno=True).prctl
    given = Filter(len(program) // 8, program)
    if prctl(no_new_privileges, 1, 0, 0, 0) or prctl(set_filter, by_program, ctypes.byref(given), 0, 0):
        raise OSError(ctypes.get_errno(), "no system-call filter can be installed")
    if prctl(ask_filter, 0, 0, 0, 0) != -1:  # a call that the filter refuses
        raise OSError("the system-call filter was installed and does not hold")


if __name__ == "__main__":
    Worker().serve()
