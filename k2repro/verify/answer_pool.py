"""Workers for math-verify: processes that are killed at a deadline and replaced."""

import atexit
import functools
import importlib.util
import os
import queue
import subprocess
import sys
import threading

from k2repro.errors import K2ReproError
from k2repro.verify.talk import PipedPeer, Talk

SECONDS = 0.8  # for one comparison
_START_SECONDS = 60.0  # sympy takes a second to import, many on a busy machine
_MOST_BYTES = 4096
_PASSED_ON = ("PATH", "HOME", "PYTHONPATH", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "LANG")  # no API keys


class _Worker:
    """One process. It starts by itself in the background; the first question waits until it is ready."""

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
            reply = self._talk.ask({"do": "start"}, _START_SECONDS)
            if reply.reason != "ready":
                raise K2ReproError(
                    f"the process that compares answers does not start ({reply.reason} {reply.detail}); "
                    "usual cause: a broken installation of math-verify or sympy"
                )
            self._ready = True
        reply = self._talk.ask({"gold": gold, "answer": answer}, SECONDS)
        return reply.value == "true" if reply.reason == "value" else None

    def end(self) -> None:
        self._peer.end()


class _Pool:
    """A few workers, each lent to one thread at a time."""

    def __init__(self) -> None:
        # One more than is used on a small machine: a killed worker's substitute starts meanwhile.
        self._workers = [_Worker() for _ in range(2)]
        self._free: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        for worker in self._workers:
            self._free.put(worker)

    def compare(self, gold: str, answer: str) -> bool | None:
        worker = self._free.get()
        verdict = None
        try:
            verdict = worker.compare(gold, answer)
        finally:
            if verdict is None:
                worker.end()
                self._workers.remove(worker)
                worker = _Worker()
                self._workers.append(worker)
            self._free.put(worker)
        return verdict

    def end(self) -> None:
        for worker in self._workers:
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
