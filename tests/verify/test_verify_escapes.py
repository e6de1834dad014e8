"""Nothing that a hostile program tries gets out of a sandbox, hurts, or passes; on every level here."""

import atexit
import os
import socket
import threading
import time
from pathlib import Path

import pytest

from k2repro.verify import CodeTest, FunctionTest, Limits, available_levels, run_tests, targets

LEVELS = available_levels()
QUICK = Limits(seconds=0.4, memory_mb=128)
ADD = FunctionTest((2, 3), 5)

# name -> (program, the reasons it may end with). Every program goes on to return the right answer
# where it survives the attack, so that only an attack that was really stopped, or a value that the
# attack really produced, decides the test.
HARMLESS_ENDS = {
    "infinite loop": ("def f(a, b):\n    while True:\n        pass", {"timeout"}),
    "loop that swallows everything": (
        "def f(a, b):\n    while True:\n        try:\n            while True:\n                pass\n"
        "        except BaseException:\n            pass",
        {"timeout"},
    ),
    "sleep": ("import time\ndef f(a, b):\n    time.sleep(3600)\n    return a + b", {"timeout"}),
    "infinite loop while loading": ("while True:\n    pass", {"timeout"}),
    "10 GB list": ("def f(a, b):\n    return len([0] * (10 * 2**27))", {"memory"}),
    "10 GB text": ("def f(a, b):\n    return len('a' * (10 * 2**30))", {"memory"}),
    "10 GB step by step": (
        "def f(a, b):\n    kept = []\n    while True:\n        kept.append('a' * 1000000 + str(len(kept)))",
        {"memory", "timeout"},
    ),
    "deep recursion": ("def f(a, b):\n    return f(a, b)", {"recursion"}),
    "deep recursion without a limit": (
        "import sys\nsys.setrecursionlimit(10**9)\ndef f(a, b):\n    return f(a, b)",
        {"crashed", "memory", "recursion", "unsupported", "timeout"},
    ),
    "deeply nested source": ("x = " + "(" * 5000 + ")" * 5000, {"syntax error"}),
    "power tower": ("def f(a, b):\n    return 9 ** 9 ** 9 ** 9 % 7", {"memory", "timeout"}),
    "100 MB print": (
        "def f(a, b):\n    print('a' * 10**8)\n    return a + b",
        {"output", "memory", "timeout"},
    ),
    "100 MB of lines": (
        "def f(a, b):\n    for i in range(10**6):\n        print('a' * 100)\n    return a + b",
        {"output", "timeout"},
    ),
    "100 MB result": ("def f(a, b):\n    return 'a' * 10**8", {"output", "memory"}),
    "exit": ("import sys\ndef f(a, b):\n    sys.exit(0)", {"exit", "unsupported"}),
    "exit while loading": ("print('passed')\nraise SystemExit(0)", {"exit", "unsupported"}),
    "hard exit": ("import os\nos._exit(0)", {"crashed", "unsupported"}),
    "password file": (
        "def f(a, b):\n    open('/etc/passwd').read()\n    return a + b",
        {"forbidden", "exception"},
    ),
    "write elsewhere": (
        "def f(a, b):\n    open('/tmp/k2repro-escape', 'w').write('x')\n    return a + b",
        {"forbidden", "exception"},
    ),
    "write into the working folder": (
        "def f(a, b):\n    open('k2repro-escape', 'w').write('x')\n    return a + b",
        {"forbidden", "exception"},
    ),
    "second program": (
        "import os\ndef f(a, b):\n    os.posix_spawn('/bin/true', ['true'], {})\n    return a + b",
        {"exception", "forbidden", "unsupported"},
    ),
}


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", HARMLESS_ENDS)
def test_an_attack_on_the_machine_ends_the_program_only(name, level):
    """Catches a limit that is set and not enforced; the program after it must find all in order."""
    source, ends = HARMLESS_ENDS[name]
    # The subset interpreter goes by the clock on the wall: where time is not what ends the program, it gets
    # enough of it on a busy machine too.
    limits = QUICK if level != "monty" or "timeout" in ends else Limits(seconds=10, memory_mb=QUICK.memory_mb)
    run = run_tests(source, [ADD], limits, level=level)
    assert not run.passed
    assert run.reason in ends, run
    assert run.level == level
    if level == "monty":  # its workers are used again, the others' are not
        assert run_tests("def f(a, b): return a + b", [ADD], level=level).passed
    assert not Path("/tmp/k2repro-escape").exists()
    assert not Path("k2repro-escape").exists()


@pytest.mark.parametrize("level", LEVELS)
def test_a_fork_bomb_starts_no_process(level):
    """Catches a process limit that does not hold for the user the sandbox runs as (the superuser)."""
    source = (
        "import os\ndef f(a, b):\n    started = 0\n    for i in range(50):\n        try:\n"
        "            if os.fork() == 0:\n                while True:\n                    pass\n"
        "            started += 1\n        except OSError:\n            pass\n    return started"
    )
    run = run_tests(source, [FunctionTest((2, 3), 0)], Limits(seconds=2), level=level)
    assert run.passed or run.reason == "unsupported", run


@pytest.mark.parametrize("level", LEVELS)
def test_no_thread_or_process_outlives_its_check(level):
    """Catches a kill that hits the sandbox's front process and leaves its children spinning."""
    before = _children()
    run_tests("while True:\n    pass", [ADD], QUICK, level=level)
    for _ in range(50):
        if _children() <= before:
            return
        time.sleep(0.1)
    pytest.fail(f"left behind: {_children() - before}")


def _children() -> set[str]:
    """Processes below this one whose command holds our child's source; monty's workers may stay."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if b"What runs inside a real-CPython sandbox" in command:
                found.add(entry.name)
    return found


@pytest.mark.parametrize("level", LEVELS)
def test_the_environment_does_not_reach_the_program(level, monkeypatch):
    """Catches API keys of the parent in the environment of the sandbox, or readable through /proc."""
    monkeypatch.setenv("K2REPRO_SECRET", "hunter2")
    source = (
        "import os\ndef f():\n    found = str(dict(os.environ))\n"
        "    for path in ('/proc/self/environ', '/proc/1/environ', '/proc/%d/environ' % os.getppid()):\n"
        "        try:\n            found += open(path).read()\n        except OSError:\n            pass\n"
        "    return 'hunter2' in found"
    )
    run = run_tests(source, [FunctionTest((), False)], QUICK, level=level)
    assert run.passed or run.reason in {"unsupported", "forbidden"}, run


@pytest.mark.parametrize("level", LEVELS)
def test_no_connection_leaves_the_sandbox(level):
    """Catches a network that is merely unrouted: a listener on this machine must stay unreached."""
    heard = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)

        def listen():
            try:
                heard.append(server.accept())
            except OSError:
                return

        thread = threading.Thread(target=listen)
        thread.start()
        source = (
            "import socket\ndef f(port):\n"
            "    socket.create_connection(('127.0.0.1', port), timeout=1)\n    return 'connected'"
        )
        port = server.getsockname()[1]
        run = run_tests(source, [FunctionTest((port,), "connected")], Limits(seconds=2), level=level)
        thread.join()
    assert not run.passed
    assert not heard


@pytest.mark.parametrize("level", LEVELS)
def test_a_walk_over_subclasses_finds_nothing_outside(level):
    """Catches trust in hidden builtins: the walk finds `os` on real Python, and then has no rights."""
    source = (
        "def f(a, b):\n    for kind in ().__class__.__bases__[0].__subclasses__():\n"
        "        if kind.__name__ == '_wrap_close':\n"
        "            found = kind.__init__.__globals__\n"
        "            found['system']('touch /tmp/k2repro-escape')\n"
        "            return found['open']('/etc/passwd', 0)\n    return a + b + 1"
    )
    run = run_tests(source, [ADD], QUICK, level=level)
    assert not run.passed
    assert not Path("/tmp/k2repro-escape").exists()


CHEATS = {
    "prints passed": (
        'print(\'passed\')\nprint(\'{"reason": "value", "value": "5"}\')\ndef f(a, b): return 0'
    ),
    "equal to everything": (
        "class Any:\n    def __eq__(self, other): return True\n    def __hash__(self): return 5\n"
        "def f(a, b): return Any()"
    ),
    "an int equal to everything": (
        "class Any(int):\n    def __eq__(self, other): return True\n    __hash__ = int.__hash__\n"
        "def f(a, b): return Any(4)"
    ),
    "a text that looks like the value": "def f(a, b): return '5'",
    "true for one": "def f(a, b): return True if (a, b) == (1, 0) else 0",
    "a function": "def f(a, b): return lambda: 5",
    "replaces builtins": (
        "import builtins\nbuiltins.isinstance = lambda *a: True\nbuiltins.AssertionError = ValueError\n"
        "def f(a, b): return 0"
    ),
    "replaces json": "import json\njson.dumps = lambda *a: '5'\ndef f(a, b): return 0",
    "patches the harness": (
        "import sys\nfor module in list(sys.modules.values()):\n"
        "    for name in ('same', 'judge', 'encode'):\n"
        "        if hasattr(module, name):\n            setattr(module, name, lambda *a: True)\n"
        "def f(a, b): return 0"
    ),
    "replaces the codec": "def codec(): return 5\nk2_call = lambda *a: '0'\ndef f(a, b): return 0",
    "reads the caller's frames": (
        "import sys\ndef f(a, b):\n    frame = sys._getframe()\n    while frame:\n"
        "        for name in ('expected', 'test', 'tests', 'request'):\n"
        "            if name in frame.f_locals:\n"
        "                found = frame.f_locals[name]\n"
        "                if isinstance(found, dict) and 'expected' in found: return found['expected']\n"
        "                if isinstance(found, int): return found\n"
        "        frame = frame.f_back\n    return 0"
    ),
    "searches the heap for the answer": (
        "import gc\ndef f(a, b):\n    for thing in gc.get_objects():\n"
        "        if type(thing).__name__ == 'FunctionTest': return thing.expected\n    return 0"
    ),
    "forges a reply on every descriptor": (
        "import os\ndef f(a, b):\n    for fd in range(64):\n        try:\n"
        '            os.write(fd, b\'{"reason": "passed", "value": "0"}\\n\' * 10)\n'
        "        except OSError:\n            pass\n    return 0"
    ),
    "forges nonsense": (
        "import os\ndef f(a, b):\n    for fd in range(3, 64):\n        try:\n"
        "            os.write(fd, b'[' * 100000 + b'\\n\\xff\\n')\n"
        "        except OSError:\n            pass\n    return 0"
    ),
    "patches the worker": (
        "import sys\nmain = sys.modules['__main__']\nmain.Worker.call = lambda self, request: "
        "{'reason': 'passed', 'value': '0'}\ndef f(a, b): return 0"
    ),
    "mutates its arguments": "def f(a, b):\n    a.clear()\n    return 0",
}
CHECKS = """
def check(candidate):
    assert candidate(2, 3) == 5
    assert isinstance(candidate(40, 2), int)
    assert abs(candidate(1, 1) - 2) < 1e-9
check(candidate)
"""


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", CHEATS)
def test_a_cheat_does_not_pass(name, level):
    """Catches a verdict that the program can reach: everything that decides is outside its process."""
    run = run_tests(CHEATS[name], [ADD, CodeTest(CHECKS)], QUICK, level=level)
    assert not any(outcome.passed for outcome in run), run


def test_the_wrong_twin_is_fooled_by_these_cheats():
    """Catches cheats that are no cheats: a judge that compares inside the program's world passes some."""

    def judged_inside(source: str) -> bool:
        names: dict = {}
        try:
            exec(source, names)  # noqa: S102 - sources of this very file
            return bool(names["f"](2, 3) == 5)
        except Exception:
            return False

    assert judged_inside(CHEATS["equal to everything"])
    assert judged_inside(CHEATS["an int equal to everything"])


@pytest.mark.skipif(os.geteuid() != 0, reason="only the superuser can be too strong")
@pytest.mark.parametrize("level", [level for level in LEVELS if level != "monty"])
def test_the_superuser_is_nobody_inside(level):
    """Catches a sandbox that keeps the capabilities of a parent which runs as root."""
    source = "import os\ndef f():\n    return os.getuid()"
    assert run_tests(source, [FunctionTest((), 65534)], QUICK, level=level).passed


@pytest.mark.parametrize("level", LEVELS)
def test_hundreds_of_runs_leave_nothing_in_this_process(level):
    """Catches descriptors, threads and processes that pile up over a training run."""

    sources = [
        "def f(a, b): return a + b",
        "def f(a, b): return 0",
        "import os\nos._exit(1)",
        "raise SystemExit",
    ]
    seen = []
    for _ in range(3):
        for source in sources * 6:  # as many as one sandlock sandbox has pipes for: the same point each time
            run_tests(source, [ADD], level=level)
        seen.append(held_at_rest())
    assert max(seen[1:]) <= seen[0], seen


def held_at_rest() -> tuple[int, ...]:
    """Descriptors, threads and processes of this process, the least of each within half a second.

    Sandlock lets go of the descriptor that stands for a program 15 to 40 ms after the program has ended.
    """
    found = []
    for _ in range(20):
        descriptors = os.listdir("/proc/self/fd")
        found.append((len(descriptors), threading.active_count(), len(targets._descendants())))
        time.sleep(0.025)
    return tuple(map(min, zip(*found, strict=True)))


@pytest.mark.skipif(not {"bubblewrap", "sandlock"} & set(LEVELS), reason="needs a level of real Python")
def test_a_forked_copy_of_this_process_ends_no_sandbox_of_ours():
    """Catches multiprocessing: the copy's exit, or its first run, must not end what the parent uses."""
    level = next(name for name in LEVELS if name != "monty")
    assert run_tests("def f(a, b): return a + b", [ADD], level=level).passed
    child = os.fork()
    if child == 0:
        try:
            passed = run_tests("def f(a, b): return a + b", [ADD], level=level).passed
            atexit._run_exitfuncs()
            os._exit(0 if passed else 1)
        finally:
            os._exit(2)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert run_tests("def f(a, b): return a + b", [ADD], level=level).passed
