"""Will a draft help, with how many tokens a cycle, at which batch: predicted before it is run.

`expected_tokens` is Leviathan's, equation 1. His speed-up (theorem 3.8) takes a pass over gamma + 1 tokens to
cost as much as one over a single token, and a draft step to cost what it costs alone. Both are untrue on a
processor, where a pass over more tokens computes more, and a draft's weights have been pushed out of the near
cache by the target's. `Costs.speedup` takes costs as they were timed in place (`timing.py`), and cycles as
one run with many guesses showed them: acceptances are not independent, and look-up often has no guess.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from k2repro.errors import K2ReproError

# [G + 1, G + 1]: how many cycles, or which share of them, had so many guesses, of which so many stayed.
Cycles = NDArray[Any]
Distributions = NDArray[np.float64]


def expected_tokens(acceptance: float, gamma: int) -> float:
    """Mean tokens of a cycle, (1 - a^(gamma + 1)) / (1 - a); gamma + 1 where a = 1. Acceptances independent.

    Source: Leviathan et al., arXiv 2211.17192, equation 1. Raises K2ReproError outside 0 .. 1, or gamma < 0.
    """
    _check(acceptance, gamma)
    if acceptance == 1:
        return gamma + 1.0
    return (1 - acceptance ** (gamma + 1)) / (1 - acceptance)


def expected_speedup(acceptance: float, gamma: int, cost: float = 0.0) -> float:
    """Speed over ordinary decoding where a pass costs the same whatever it reads; theorem 3.8.

    cost: time of a draft step over that of a target step.
    """
    if cost < 0:
        raise K2ReproError(f"cost = {cost}: must not be negative; it is a ratio of times")
    return expected_tokens(acceptance, gamma) / (gamma * cost + 1)


def expected_operations(acceptance: float, gamma: int, cost: float) -> float:
    """Arithmetic over that of ordinary decoding; theorem 3.11. cost: ratio of operations a token."""
    return (gamma * cost + gamma + 1) / expected_tokens(acceptance, gamma)


def independent(acceptance: float, gamma: int) -> Cycles:
    """Cycles of `gamma` guesses that stay or go each on its own, as shares that add up to 1."""
    _check(acceptance, gamma)
    found = np.zeros((gamma + 1, gamma + 1))
    found[gamma] = acceptance ** np.arange(gamma + 1) * np.append(np.full(gamma, 1 - acceptance), 1.0)
    return found


def shortened(cycles: Cycles, gamma: int) -> Cycles:
    """What a run with more guesses says of one with at most `gamma`: what comes behind them is left out.

    So one run tells all smaller numbers of guesses, with acceptance as it is at each place of a cycle, and
    with as many guesses as the draft had.
    """
    found = np.zeros((gamma + 1, gamma + 1))
    guessed, kept = np.indices(cycles.shape)
    np.add.at(found, (np.minimum(guessed, gamma), np.minimum(kept, gamma)), cycles)
    return found


def tokens_a_cycle(cycles: Cycles) -> float:
    """Mean tokens that a cycle writes: those that stay, and one more."""
    return float((cycles * (1 + np.arange(len(cycles)))).sum() / cycles.sum())


def shared_mass(p: Distributions, q: Distributions) -> Distributions:
    """The chance that a guess from q stays under the token rule: no rule has more at one place.

    p, q: [.., V] of target and draft. Source: Leviathan et al., arXiv 2211.17192, theorem 3.5.
    """
    found: Distributions = np.minimum(p, q).sum(-1)
    return found


def shared_numbers(p: Distributions, q: Distributions) -> Distributions:
    """The chance that a guess stays under the coupled rule: the numbers that give both models the same token.

    p, q: [.., V]. Far below `shared_mass` where both are flat: the stretches of a token then lie apart.
    """
    ends_p, ends_q = p.cumsum(-1), q.cumsum(-1)
    low, high = np.maximum(ends_p - p, ends_q - q), np.minimum(ends_p, ends_q)
    found: Distributions = np.maximum(high - low, 0.0).sum(-1)
    return found


def acceptance_of(cycles: Cycles) -> float:
    """Share of the judged guesses that stayed; those behind the first refused one are not judged."""
    guessed, kept = np.indices(cycles.shape)
    judged = (cycles * np.minimum(kept + 1, guessed)).sum()
    return float((cycles * kept).sum() / judged) if judged else 0.0


@dataclass(frozen=True)
class Costs:
    """Seconds on this machine at one batch size, of all rows together.

    passes: of a cycle without its guesses, by the tokens that the target reads of each row; with choosing.
    guesses: of so many guesses in a row, by their number. reading, draft_reading: of the prompts, by target
    and draft.
    """

    passes: dict[int, float]
    guesses: dict[int, float] = field(default_factory=lambda: {0: 0.0})
    reading: float = 0.0
    draft_reading: float = 0.0

    def of_pass(self, tokens: int) -> float:
        """A pass over `tokens` tokens of each row; between the numbers that were timed, along a line."""
        return _along(self.passes, tokens)

    def of_guesses(self, guesses: int) -> float:
        """`guesses` guesses, one after the other; a draft that is no model costs next to nothing."""
        return _along(self.guesses, guesses)

    def of_cycle(self, cycles: Cycles) -> float:
        """Mean seconds of a cycle: a guess that the draft does not have costs nothing."""
        return self._guessing(cycles) + _mean(cycles, lambda guesses: self.of_pass(guesses + 1))

    def _guessing(self, cycles: Cycles) -> float:
        return _mean(cycles, self.of_guesses)

    def speedup(self, cycles: Cycles, response: float | None = None) -> float:
        """Over ordinary decoding. response: tokens behind the prompt; None leaves out reading prompts."""
        a_token = self.of_cycle(cycles) / tokens_a_cycle(cycles)
        if response is None:
            return self.of_pass(1) / a_token
        alone = self.reading + response * self.of_pass(1)
        return alone / (self.reading + self.draft_reading + response * a_token)

    def phases(self, cycles: Cycles, response: float) -> dict[str, float]:
        """Shares of the time of a response: reading the prompt, guessing, checking with choosing."""
        many, reading = response / tokens_a_cycle(cycles), self.reading + self.draft_reading
        guessing, cycling = many * self._guessing(cycles), many * self.of_cycle(cycles)
        parts = {"reading": reading, "guessing": guessing, "checking": cycling - guessing}
        return {name: seconds / (reading + cycling) for name, seconds in parts.items()}

    def break_even_acceptance(self, gamma: int) -> float | None:
        """The acceptance from which on a draft of `gamma` guesses helps; None where none would."""
        if self.speedup(independent(1.0, gamma)) <= 1:
            return None
        low, high = 0.0, 1.0
        for _ in range(40):
            middle = (low + high) / 2
            helps = self.speedup(independent(middle, gamma)) > 1
            low, high = (low, middle) if helps else (middle, high)
        return high


def _along(timed: dict[int, float], number: int) -> float:
    sizes = sorted(timed)
    if len(sizes) > 1 and number > sizes[-1]:
        raise K2ReproError(f"{number} tokens at once: the most that was timed is {sizes[-1]}")
    return float(np.interp(number, sizes, [timed[size] for size in sizes]))


def _mean(cycles: Cycles, of: Callable[[int], float]) -> float:
    """Mean over cycles of what depends on their number of guesses."""
    many = cycles.sum(1)
    return float(sum(count * of(guesses) for guesses, count in enumerate(many) if count) / many.sum())


def _check(acceptance: float, gamma: int) -> None:
    if not 0 <= acceptance <= 1:
        raise K2ReproError(f"acceptance = {acceptance}: must be from 0 to 1; 80 per cent is 0.8")
    if isinstance(gamma, bool) or not isinstance(gamma, int) or gamma < 0:
        raise K2ReproError(f"gamma = {gamma!r}: must be a whole number of at least 0")
