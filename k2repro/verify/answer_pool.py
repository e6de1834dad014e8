"""Workers for math-verify: processes that are killed at a deadline and replaced."""

import atexit
import functools
import importlib.util
import os
import subprocess
import sys
import threading

from k2repro.errors import K2ReproError
from k2repro.verify.talk import PipedPeer, Talk

SECONDS = 0.8  # of processor time, for one comparison
_WALL_SECONDS = 8.0  # of wall-clock time, when the machine is busy or the process hangs
_START_SECONDS = 60.0  # sympy takes a second to import, many on a busy machine
_MOST_BYTES = 4096
_PASSED_ON = ("PATH", "HOME", "PYTHONPATH", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "LANG")  # no API keys


class _Worker:
    """One process. It starts in the background; the first question waits until it says that it is ready."""

    def __init__(self) -> None:
        process = subprocess.Popen(
            [sys.executable, "-m", "k2repro.verify.answer_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env={name: os.environ[name] for name in _PASSED_ON if name in os.environ},
        )
        self._peer = PipedPeer(process)
        self._talk = Talk(self._peer, _MOST_BYTES)
        self._ready = False

    def compare(self, gold: str, answer: str) -> bool | None:
        """The verdict, or None when the process had to be killed."""
        if not self._ready:
            reply = self._talk.ask(None, _START_SECONDS)
            if reply.reason != "ready":
                raise K2ReproError(
                    f"the process that compares answers does not start ({reply.reason} {reply.detail}); "
                    "usual cause: a broken installation of math-verify or sympy"
                )
            self._ready = True
        request = {"gold": gold, "answer": answer, "seconds": SECONDS}
        reply = self._talk.ask(request, _WALL_SECONDS)
        return reply.value == "true" if reply.reason == "value" else None

    def is_ready(self) -> bool:
        return self._ready or self._talk.has_news()

    def end(self) -> None:
        self._peer.end()


class _Pool:
    """Two workers, each lent to one thread at a time; while a killed one is replaced the other serves."""

    def __init__(self) -> None:
        self._free = [_Worker(), _Worker()]
        self._all = list(self._free)
        self._count = threading.Semaphore(len(self._free))
        self._lock = threading.Lock()

    def compare(self, gold: str, answer: str) -> bool | None:
        """The verdict of the first worker that is ready, or None when it had to be killed."""
        with self._count:
            with self._lock:
                worker = next((each for each in self._free if each.is_ready()), self._free[0])
                self._free.remove(worker)
            verdict = None
            try:
                verdict = worker.compare(gold, answer)
            finally:
                with self._lock:
                    self._free.append(worker if verdict is not None else self._replace(worker))
            return verdict

    def _replace(self, worker: _Worker) -> _Worker:
        worker.end()
        self._all.remove(worker)
        self._all.append(_Worker())
        return self._all[-1]

    def end(self) -> None:
        """End the processes."""
        for worker in self._all:
            worker.end()


class _TooLong(Exception):
    pass


_lock = threading.Lock()
_pools: dict[int, _Pool] = {}  # by process id: a forked child cannot use its parent's workers


def ask(gold: str, answer: str) -> bool:
    """Whether math-verify finds the two formulas equal within SECONDS.

    Raises K2ReproError when math-verify is not installed or its process does not start.
    """
    try:
        return _compare(gold, answer)
    except _TooLong:
        return False


@functools.lru_cache(maxsize=20_000)
def _compare(gold: str, answer: str) -> bool:
    """Remembered: the samples of one group give the same answers again. What took too long is not."""
    verdict = _pool().compare(gold, answer)
    if verdict is None:
        raise _TooLong
    return verdict


def _pool() -> _Pool:
    with _lock:
        if os.getpid() not in _pools:
            if importlib.util.find_spec("math_verify") is None:
                raise K2ReproError(
                    "comparing formulas needs the package math-verify, which is not installed; "
                    "plain numbers and words are compared without it"
                )
            _pools.clear()
            _pools[os.getpid()] = pool = _Pool()
            atexit.register(pool.end)
        return _pools[os.getpid()]
