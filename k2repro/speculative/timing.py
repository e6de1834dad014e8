"""What a cycle costs on this machine, timed in place: `prediction.py` needs it.

In place: whole cycles of the compiled loop, half-way through a response, one after the other. So a guess
finds the caches as a pass of the target leaves them, a token alone is timed in the loop that writes tokens
alone, and choosing tokens is paid for.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from k2repro.errors import K2ReproError
from k2repro.fast.speculator import Speculator
from k2repro.speculative.prediction import Costs

# Seconds of a burst of cycles between two looks at the clock.
_BURST = 4e-3

Run = Callable[[int], object]


def time_costs(
    speculator: Speculator,
    *,
    rows: int,
    prompt: int,
    response: int,
    sizes: Sequence[int] | None = None,
    rounds: int = 7,
) -> Costs:
    """Costs at a batch of `rows`, in CPU time of this thread: medians over `rounds`, all kinds in turn.

    prompt, response: tokens. sizes: numbers of guesses whose pass is timed; all up to the speculator's gamma
    without it. Raises K2ReproError for more than the speculator has room for.
    """
    most = speculator.gamma
    passes = sorted({0, 1, most, *(range(most + 1) if sizes is None else sizes)})
    if rows > speculator.rows or prompt + response > speculator.positions or passes[-1] > most:
        raise K2ReproError(
            f"{rows} rows of {prompt + response} tokens, {passes[-1]} guesses: there is room for "
            f"{speculator.rows} rows of {speculator.positions}, {most} guesses"
        )
    middle = prompt + response // 2 - most // 2
    if response < most + 2 or middle < most + 3:
        raise K2ReproError(
            f"{prompt} tokens and {response} more: too short to time {most} guesses in the middle of them"
        )
    texts = _texts_that_start_again(rows, middle, max(most + 1, middle // 2), speculator.words)
    # Look-up guesses for nothing: its cycles are passes of the target.
    alone = speculator.retuned(gamma=most, lookup=True)
    both = alone, speculator
    reading, with_draft = _seconds([_prompts(one, texts, prompt) for one in both], rounds)
    for one in both:
        one.prepare(texts)
    kinds = [(alone, guesses) for guesses in passes] + [(speculator, guesses) for guesses in (1, most)]
    found = _seconds([partial(one.rehearse, guesses) for one, guesses in kinds], rounds)
    seconds = dict(zip(passes, found, strict=False))
    guessed = zip((1, most), found[len(passes) :], strict=True)
    first, last = (max(0.0, _median(whole - seconds[guesses])) for guesses, whole in guessed)
    return Costs(
        {guesses + 1: _median(times) for guesses, times in seconds.items()},
        {0: 0.0, 1: first, most: last},
        _median(reading),
        max(0.0, _median(with_draft - reading)),
    )


def _texts_that_start_again(rows: int, length: int, period: int, words: int) -> list[list[int]]:
    """Token ids, [rows][length]: look-up always has its guesses there."""
    return [[(row + at % period) % words for at in range(length)] for row in range(rows)]


def typical(found: Sequence[Costs]) -> Costs:
    """The median of each number, where costs were timed several times."""

    def middle(of: Callable[[Costs], float]) -> float:
        return float(np.median([of(costs) for costs in found]))

    return Costs(
        {size: middle(lambda costs: costs.passes[size]) for size in found[0].passes},  # noqa: B023
        {size: middle(lambda costs: costs.guesses[size]) for size in found[0].guesses},  # noqa: B023
        middle(lambda costs: costs.reading),
        middle(lambda costs: costs.draft_reading),
    )


def _prompts(speculator: Speculator, texts: Sequence[Sequence[int]], prompt: int) -> Run:
    """Reading the prompts of all rows, again and again."""
    begun = [(text[:prompt], np.full(1, 0.5), 1) for text in texts]

    def run(many: int) -> None:
        for _ in range(many):
            speculator.begin(begun)

    return run


def _seconds(kinds: Sequence[Run], rounds: int) -> list[NDArray[np.float64]]:
    """Seconds of one repetition of each kind, [rounds], all kinds in turn."""
    many = []
    for run in kinds:
        run(1)
        many.append(max(1, round(_BURST / max(1e-7, _timed(run, 1)))))
    found = np.array(
        [[_timed(run, times) for run, times in zip(kinds, many, strict=True)] for _ in range(rounds)]
    )
    return list(found.T)


def _timed(run: Run, many: int) -> float:
    began = time.thread_time()
    run(many)
    return (time.thread_time() - began) / many


def _median(found: NDArray[np.float64]) -> float:
    return float(np.median(found))
