"""Drawing groups: which prompts, with which seeds, and what is refused."""

import pytest
import rlvr_tiny as tiny

from k2repro.engine import Completion
from k2repro.errors import K2ReproError
from k2repro.rlvr import Clock, Prompt, cycle, draw_groups

MODEL = tiny.model()


class Scripted:
    """A backend whose completions score as scripted: per prompt drawn, the scores of its group."""

    name = "scripted"

    def __init__(self, verdicts):
        self.verdicts, self.asked = verdicts, []

    def complete(self, requests, *, progress=None):
        first = len(self.asked)
        self.asked += requests
        groups = self.verdicts[first : first + len(requests)]
        return [[Completion((5,), "stop", text=str(value)) for value in group] for group in groups]


def value(prompts, completions):
    return [float(completion.text) for completion in completions]


def drawn(verdicts, **changes):
    """The groups of a step from place 10 on, and the requests that they took."""
    scripted = Scripted(verdicts)
    config = tiny.config(prompts_per_step=2, **changes)
    source = tiny.source(value, backend=lambda model: scripted)
    return draw_groups(MODEL, source, config, 10, 9, Clock()), scripted.asked


MIXED, RIGHT, WRONG = [1, 0, 0, 1], [1] * 4, [0] * 4


def test_sampling_is_on_policy():
    """Catches training on samples of another distribution: a temperature, a nucleus, no log-probabilities."""
    _, requests = drawn([MIXED, RIGHT])
    assert len(requests) == 2
    for request in requests:
        assert (request.temperature, request.top_p, request.logprobs) == (1.0, 1.0, True)
        assert (request.n, request.max_new_tokens, request.stop) == (4, 9, (tiny.STOP,))


@pytest.mark.parametrize(
    ("verdicts", "rounds", "groups"),
    [
        ([MIXED, RIGHT], 0, 2),
        ([MIXED, MIXED], 5, 2),
        ([MIXED, RIGHT, MIXED], 5, 3),
        ([WRONG, RIGHT, MIXED, WRONG, MIXED], 5, 5),
        ([WRONG, RIGHT, WRONG, RIGHT], 1, 4),
    ],
)
def test_refill_replaces_uniform_groups(verdicts, rounds, groups):
    """Catches a refill that draws too much, too little, or never ends."""
    found, requests = drawn(verdicts, refill_rounds=rounds)
    assert [group.scores for group in found] == [tuple(map(float, v)) for v in verdicts[:groups]]
    assert len({request.seed for request in requests}) == groups  # no place of the stream is used twice
    assert [group.prompt.id for group in found] == [
        cycle(tiny.PROMPTS, seed=0)(10 + i).id for i in range(groups)
    ]


def test_scores_stay_with_their_completions():
    """Catches prompts repeated in the wrong order: [a, b, a, b] instead of [a, a, b, b]."""

    def by_prompt(prompts, completions):
        return [
            float(prompt.tokens[0] * 100 + completion.tokens[0])
            for prompt, completion in zip(prompts, completions, strict=True)
        ]

    config = tiny.config(prompts_per_step=3)
    groups = draw_groups(MODEL, tiny.source(by_prompt), config, 0, 9, Clock())
    for group in groups:
        expected = [group.prompt.tokens[0] * 100 + c.tokens[0] for c in group.completions]
        assert list(group.scores) == expected


def test_samples_depend_on_the_place_in_the_stream_alone():
    """Catches seeds such as seed + index, with which neighbouring steps share samples."""
    config = tiny.config(prompts_per_step=4)

    def texts(position, **changes):
        groups = draw_groups(
            MODEL, tiny.source(), tiny.config(prompts_per_step=4, **changes), position, 9, Clock()
        )
        return [tuple(c.tokens for c in group.completions) for group in groups]

    assert texts(0) == texts(0)
    assert texts(0)[2:] == texts(2)[:2]
    assert not set(texts(0)) & set(texts(4))
    assert not set(texts(0)) & set(texts(0, seed=1))
    assert config.seed == 0


def test_cycle_is_fair_and_a_pure_function():
    """Catches an order that depends on what was asked before, which breaks resumption."""
    stream, again = cycle(tiny.PROMPTS, 0), cycle(tiny.PROMPTS, 0)
    order = [stream(i).id for i in range(30)]
    assert [again(i).id for i in reversed(range(30))] == order[::-1]
    turns = [tuple(order[i : i + 6]) for i in range(0, 30, 6)]
    assert all(set(turn) == {prompt.id for prompt in tiny.PROMPTS} for turn in turns)
    assert len(set(turns)) > 1
    assert order != [cycle(tiny.PROMPTS, 1)(i).id for i in range(30)]
    with pytest.raises(K2ReproError, match="no prompt to train on"):
        cycle([], 0)


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        (Prompt("long", (3,) * 250), "prompt 'long' has 250 tokens and the response budget is 9"),
        (Prompt("full", (3,) * 256), "prompt 'full' has 256 tokens"),
        (Prompt("bare", ()), "prompt 'bare' has no token"),
    ],
)
def test_prompts_without_room(prompt, message):
    """Catches a prompt at the context limit whose completions are cut off and all count as wrong."""
    config = tiny.config(prompts_per_step=1)
    with pytest.raises(K2ReproError, match=message):
        draw_groups(MODEL, tiny.source(prompts=[prompt]), config, 0, 9, Clock())
    fits = Prompt("fits", (3,) * (256 - 9))
    assert draw_groups(MODEL, tiny.source(prompts=[fits]), config, 0, 9, Clock())


def test_a_backend_that_loses_groups():
    """Catches a backend that ignores n or drops prompts."""
    with pytest.raises(K2ReproError, match="returned 1 groups for 2 prompts"):
        drawn([MIXED])
    with pytest.raises(K2ReproError, match="got 1 completions: must be group_size = 4"):
        drawn([MIXED, [1]])
    with pytest.raises(K2ReproError, match="got 0 completions"):
        drawn([[], MIXED])
