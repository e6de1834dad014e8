"""mini-K2 behind a real server, `transformers serve` on loopback, against the local backend."""

import json
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from importlib.util import find_spec
from urllib.error import URLError
from urllib.request import urlopen

import numpy as np
import pytest
from mini_served import DIALECT, asked, right

from k2repro.engine import LocalBackend
from k2repro.engine.endpoint import EndpointBackend
from k2repro.engine.probe import probe
from k2repro.engine.server import Endpoint
from k2repro.evaluate import wilson_interval
from k2repro.mini.variables import problems
from k2repro.results import Places
from k2repro.solve.mini import servable_copy, shipped_checkpoint

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("uvicorn") is None, reason="needs transformers[serving]"),
]


# Seconds; eight on a free core, but a test machine may be busy.
LONGEST_START = 600.0


@contextmanager
def served(folder):
    """The base URL of `transformers serve` on a checkpoint."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = [sys.executable, "-m", "transformers.cli.transformers"]
    words = ["serve", str(folder), "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    log = (folder / "server.log").open("w")
    process = subprocess.Popen([*program, *words], stdout=log, stderr=subprocess.STDOUT)
    try:
        until = time.monotonic() + LONGEST_START
        while True:
            try:
                urlopen(f"http://127.0.0.1:{port}/health", timeout=1).close()
                break
            except (URLError, OSError):
                assert process.poll() is None, (folder / "server.log").read_text()[-2000:]
                assert time.monotonic() < until, "the server did not start"
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait()
        log.close()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served") / "mini"
    return servable_copy(shipped_checkpoint(Places.find().shipped_artifacts("laptop")), folder)


GREEDY, COUNT, SAMPLES = 4, 12, 4


def test_local_and_served_agree_and_the_trap_is_seen(checkpoint):
    """Catches a template or a tokenizer that serves another model than was trained, and greedy copies.

    At temperature 1 mini-K2 is right nearly always, so this finds a model that is worse, and not one that
    leaves out unlikely tokens; the test of llama.cpp, hot and with twins, finds that too.
    """
    local = LocalBackend.from_checkpoint(checkpoint, compiled=False)
    tasks, settings = problems("tier-1", "validation", COUNT), {"n": SAMPLES, "seed": 1}
    with served(checkpoint) as url:
        remote = EndpointBackend(Endpoint(url, str(checkpoint)), concurrency=2)
        greedy = asked(tasks[:GREEDY], temperature=0.0)
        for (mine,), (theirs,) in zip(local.complete(greedy), remote.complete(greedy), strict=True):
            assert DIALECT.text(mine).split() == DIALECT.text(theirs).split()
            assert theirs.finish == "stop" and theirs.count > 0
        # One at a time: this server seeds a generator that requests side by side share.
        remote = EndpointBackend(Endpoint(url, str(checkpoint)), concurrency=1)
        here = right(tasks, local.complete(asked(tasks, **settings)))
        there = right(tasks, remote.complete(asked(tasks, **settings)))
        low, high = wilson_interval(int(np.sum(list(there.values()))), COUNT * SAMPLES)
        assert low <= np.mean(list(here.values())) <= high
        found = {
            each.name: each.state for each in probe(remote, problems("tier-2", "validation", 1)[0].question)
        }
        assert (found["temperature"], found["seed"]) == ("honoured", "honoured")
        assert (found["n"], found["logprobs"]) == ("ignored", "ignored")


def test_a_checkpoint_without_do_sample_is_served_greedily_and_the_probe_says_so(checkpoint):
    """Catches best-of-N over copies: the server takes temperature and ignores it."""
    settings = {
        "eos_token_id": json.loads((checkpoint / "generation_config.json").read_text())["eos_token_id"]
    }
    (checkpoint / "generation_config.json").write_text(json.dumps(settings))
    with served(checkpoint) as url:
        remote = EndpointBackend(Endpoint(url, str(checkpoint)), concurrency=2)
        found = {each.name: each for each in probe(remote, problems("tier-2", "validation", 1)[0].question)}
        assert found["temperature"].state == "no effect seen"
        assert "generation_config.json" in found["temperature"].detail
