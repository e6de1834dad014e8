"""What runs inside a real-CPython sandbox: load a program, call its functions, say what came back.

Started as `python -I -S -c <this file>`, so it imports the standard library only. Requests and
replies are lines of JSON. Nothing here is trusted by the parent: a program that takes this process
over can only choose its own return values, and the expected ones are not here.
"""

import io
import json
import os
import resource
import sys
import types


class OutputLimit(BaseException):
    """More printed than allowed. Not an Exception, so that a program does not swallow it by accident."""


class Printed(io.TextIOBase):
    """A standard stream that counts and forgets."""

    def __init__(self, room):
        self.room = room

    def writable(self):
        return True

    def write(self, text):
        self.room -= len(text)
        if self.room < 0:
            raise OutputLimit
        return len(text)


def reason_of(error):
    """The word for an exception that left the program."""
    words = {
        MemoryError: "memory",
        RecursionError: "recursion",
        SystemExit: "exit",
        OutputLimit: "output",
        PermissionError: "forbidden",
    }
    return next((word for kind, word in words.items() if isinstance(error, kind)), "exception")


def failure(error, reason=None):
    """The reply that says what an exception was. `str(error)` may itself be hostile."""
    kind = type(error).__name__
    try:
        text = str(error)[:200]
    except BaseException:
        text = ""
    return {"reason": reason or reason_of(error), "kind": kind, "detail": text}


class Worker:
    """One conversation over two pipes."""

    def __init__(self):
        self.requests = os.fdopen(os.dup(0), "rb")
        self.replies = os.fdopen(os.dup(1), "wb", 0)
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nothing, stream)
        start = self.receive()
        shelf: dict = {}
        exec(start["codec"], shelf)  # noqa: S102 - our own source, sent by the parent
        self.encode, self.decode = shelf["codec"]()
        # A module, registered: dataclasses and pickling look their class's module up.
        self.program = types.ModuleType("program")
        sys.modules["program"] = self.program
        restrict(start["memory"])
        sys.stdout = sys.stderr = Printed(start["output"])
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


def restrict(memory):
    """Limits of the process itself, below those of the sandbox: no child, no file, no core dump."""
    for kind, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_NPROC, 1),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 64),
    ):
        resource.setrlimit(kind, (most, most))


if __name__ == "__main__":
    Worker().serve()
