"""Will a draft help, with how many tokens a cycle, at which batch: predicted before it is run.

`expected_tokens` is Leviathan's, equation 1. His speed-up (theorem 3.8) takes a pass over gamma + 1 tokens to
cost as much as one over a single token, and a draft step to cost what it costs alone. Both are untrue on a
processor, where a pass over more tokens computes more, and a draft's weights have been pushed out of the near
cache by the target's. `Costs` are timed in place, and `Costs.speedup` uses them.
"""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from k2repro.errors import K2ReproError
from k2repro.fast.speculator import Speculator


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


def best_gamma(acceptance: float, cost: float, most: int = 64) -> int:
    """The number of drafts of the largest `expected_speedup`; 0 where none helps."""
    return max(range(most + 1), key=lambda gamma: expected_speedup(acceptance, gamma, cost))


@dataclass(frozen=True)
class Costs:
    """Seconds on this machine. passes: of the target over so many tokens, by tokens. draft: of one draft
    step, right after a pass of the target. fixed: of a cycle beside its passes.
    """

    passes: dict[int, float]
    draft: float = 0.0
    fixed: float = field(default=0.0)

    def of_pass(self, tokens: int) -> float:
        """A pass over `tokens` tokens; between the sizes that were timed, along a line."""
        sizes = sorted(self.passes)
        if tokens in self.passes:
            return self.passes[tokens]
        below = max((size for size in sizes if size < tokens), default=sizes[0])
        above = min((size for size in sizes if size > tokens), default=sizes[-1])
        if below == above:
            below = sizes[-2]
        slope = (self.passes[above] - self.passes[below]) / (above - below)
        return self.passes[below] + slope * (tokens - below)

    def speedup(self, tokens: float, gamma: int, rows: int = 1) -> float:
        """Over ordinary decoding of `rows` rows, where a cycle of each writes `tokens` tokens on average."""
        cycle = self.of_pass(rows * (gamma + 1)) + gamma * self.draft + self.fixed
        return tokens * self.of_pass(rows) / cycle

    def best_gamma(self, acceptance: float, most: int = 15, rows: int = 1) -> int:
        """The number of drafts that is fastest; 0 where none helps."""
        speeds = {g: self.speedup(expected_tokens(acceptance, g), g, rows) for g in range(1, most + 1)}
        best = max(speeds, key=lambda g: speeds[g])
        return best if speeds[best] > 1 else 0

    def break_even_acceptance(self, gamma: int, rows: int = 1) -> float | None:
        """The acceptance from which on a draft helps; None where none would."""
        if self.speedup(gamma + 1, gamma, rows) <= 1:
            return None
        low, high = 0.0, 1.0
        for _ in range(40):
            middle = (low + high) / 2
            helps = self.speedup(expected_tokens(middle, gamma), gamma, rows) > 1
            low, high = (low, middle) if helps else (middle, high)
        return high

    def break_even_rows(self, acceptance: float, gamma: int, most: int = 256) -> int | None:
        """The first number of rows at which a draft no longer helps; None up to `most`."""
        for rows in range(1, most + 1):
            if self.speedup(expected_tokens(acceptance, gamma), gamma, rows) <= 1:
                return rows
        return None


def time_costs(
    speculator: Speculator,
    gamma: int,
    *,
    context: int,
    sizes: Sequence[int] = (1, 2, 4, 8, 16),
    rounds: int = 5,
    cycles: int = 8,
) -> Costs:
    """Costs timed in place, in CPU time of this thread: medians over `rounds`, the kinds in turn.

    Passes over each of `sizes` tokens follow each other as in a loop; a draft step is timed as what `gamma`
    of them add to cycles of passes over gamma + 1 tokens. context: position of the first token of a pass.
    """
    kinds = [(size, 0) for size in sorted({*sizes, gamma + 1})] + ([(gamma + 1, gamma)] if gamma else [])
    seconds: dict[tuple[int, int], list[float]] = {kind: [] for kind in kinds}
    for tokens, drafts in kinds:
        speculator.read_cycles(context, tokens, drafts, 1)
    for _ in range(rounds):
        for kind in kinds:
            began = time.thread_time()
            speculator.read_cycles(context, *kind, cycles)
            seconds[kind].append((time.thread_time() - began) / cycles)
    passes = {size: statistics.median(seconds[size, drafts]) for size, drafts in kinds if not drafts}
    draft = 0.0
    if gamma:
        pairs = zip(seconds[gamma + 1, gamma], seconds[gamma + 1, 0], strict=True)
        draft = max(0.0, statistics.median(both - alone for both, alone in pairs) / gamma)
    return Costs(passes, draft)


def _check(acceptance: float, gamma: int) -> None:
    if not 0 <= acceptance <= 1:
        raise K2ReproError(f"acceptance = {acceptance}: must be from 0 to 1; 80 per cent is 0.8")
    if isinstance(gamma, bool) or not isinstance(gamma, int) or gamma < 0:
        raise K2ReproError(f"gamma = {gamma!r}: must be a whole number of at least 0")
