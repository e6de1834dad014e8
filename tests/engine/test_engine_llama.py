"""mini-K2 behind a real llama.cpp server, by its wheel: greedy answers, likelihoods, samples, the procedure.

Optional: `pip install xllamacpp gguf` beside the project and run this file; neither is pinned here.
"""

from importlib.util import find_spec

import numpy as np
import pytest
from gguf_file import write_gguf
from mini_served import DIALECT, asked, right

from k2repro.engine import LocalBackend
from k2repro.engine.endpoint import EndpointBackend
from k2repro.engine.probe import probe
from k2repro.engine.server import Endpoint
from k2repro.evaluate import paired_difference
from k2repro.mini.variables import problems
from k2repro.results import Places
from k2repro.solve import Roles, solve
from k2repro.solve.mini import SETTINGS, shipped_checkpoint

MISSING = [name for name in ("xllamacpp", "gguf") if find_spec(name) is None]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=f"an optional server: pip install {' '.join(MISSING)}"),
]
COUNT, SAMPLES, HOT = 40, 3, 2.0
# llama.cpp draws from 40 tokens, none below a twentieth of the likeliest, unless it is told not to.
WHOLE = {"top_k": 0, "min_p": 0.0}


@pytest.fixture(scope="module")
def checkpoint():
    return shipped_checkpoint(Places.find().shipped_artifacts("laptop"))


@pytest.fixture(scope="module")
def local(checkpoint):
    return LocalBackend.from_checkpoint(checkpoint, compiled=False)


@pytest.fixture(scope="module")
def url(checkpoint, tmp_path_factory):
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(write_gguf(checkpoint, tmp_path_factory.mktemp("llama") / "mini.gguf"))
    params.n_ctx, params.n_parallel, params.port, params.warmup = 512, 1, 0, False
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    server = xllamacpp.Server(params)
    yield f"{server.listening_address}/v1"
    del server


def test_greedy_answers_are_those_of_the_local_backend(local, url):
    """Catches a template, a tokenizer or an order of rotated pairs that serves another model."""
    tasks = problems("tier-1", "validation", 12)
    ours = local.complete(asked(tasks, temperature=0.0))
    theirs = EndpointBackend(Endpoint(url, "mini")).complete(asked(tasks, temperature=0.0))
    same = [
        DIALECT.text(a).split() == DIALECT.text(b).split() for (a,), (b,) in zip(ours, theirs, strict=True)
    ]
    # Its cache is in 16 bit, so one near tie in twelve traces may fall otherwise.
    assert sum(same) >= 11
    assert [DIALECT.answer(group[0]) for group in ours] == [DIALECT.answer(group[0]) for group in theirs]


def test_sampled_accuracies_agree_and_those_of_twins_do_not(local, url):
    """Catches another distribution. Hot, because mini-K2 at temperature 1 is right nearly always.

    Twins: the server's own defaults, which cut off unlikely tokens; prompts without their first space.
    """
    tasks = problems("tier-1", "validation", COUNT)
    settings = {"n": SAMPLES, "seed": 1, "temperature": HOT}
    here = right(tasks, local.complete(asked(tasks, **settings)))
    generator = np.random.default_rng(0)

    def apart(requests, extra):
        found = EndpointBackend(Endpoint(url, "mini", extra=extra)).complete(requests)
        return paired_difference(right(tasks, found), here, generator=generator).interval

    same = apart(asked(tasks, **settings), WHOLE)
    assert same.low <= 0.0 <= same.high, same
    assert apart(asked(tasks, **settings), {}).low > 0.0
    assert apart(asked(tasks, bare=True, **settings), WHOLE).high < 0.0


def test_what_the_server_honours_is_found(url):
    """Catches a probe that calls a full server a liar."""
    question = problems("tier-2", "validation", 1)[0].question
    found = {
        each.name: each.state
        for each in probe(EndpointBackend(Endpoint(url, "mini", extra=WHOLE), concurrency=1), question)
    }
    assert found["n"] == "refused"  # it has one slot, and one slot is one sample
    wanted = ("temperature", "stop", "logprobs", "usage")
    assert {name: found[name] for name in wanted} == dict.fromkeys(wanted, "honoured")


def test_the_whole_procedure_of_mini_k2_runs_over_the_server(url):
    """Catches a trace that a server keeps apart and the plan is then not read off; and lost likelihoods."""
    task = problems("tier-1", "validation", 1)[0]
    remote = EndpointBackend(Endpoint(url, "mini"))
    found = solve(task.question, Roles(remote), DIALECT, SETTINGS, seed=0)
    assert found.plans[0].text
    assert all(each.logprob is not None for each in found.candidates)
    assert found.scores is not None
