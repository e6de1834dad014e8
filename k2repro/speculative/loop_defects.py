"""Loops that are wrong and lose no token: the target checks everything, so a careless draft is only slow.

No text shows such a defect, and no test of texts finds it. What shows it is acceptance: a draft that *is* the
target guesses right every time, unless the loop has given it another text to read.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from k2repro.architecture import Qwen2
from k2repro.engine.streams import uniforms
from k2repro.errors import K2ReproError
from k2repro.fast.speculator import ASKS, BROKEN, BROKEN_DRAFT, Speculator
from k2repro.speculative.prediction import acceptance_of

Spoil = Callable[[Speculator], None]
# Tokens that the second defect loses.
LOST = 3


def nothing(loop: Speculator) -> None:
    """The loop as it is."""


def stale_bonus(loop: Speculator) -> None:
    """After a cycle that kept all guesses the draft has not read the last of them; this one never will."""
    loop.draft.lengths[:] = loop.state.counts - 1


def cut_too_far(loop: Speculator) -> None:
    """The draft's cache loses the last tokens, and the draft goes on as if it had read them."""
    keys, values = loop.draft.cache
    for row, length in enumerate(loop.draft.lengths):
        keys[:, row, :, :, max(0, length - LOST) : length] = 0
        values[:, row, :, max(0, length - LOST) : length] = 0


@dataclass(frozen=True)
class LoopDefect:
    """defect: in words. seen: a public thread. spoil: what it does between two cycles."""

    defect: str
    seen: str
    spoil: Spoil


LOOP_DEFECTS = (
    LoopDefect("the draft never reads the last of its guesses where all stay", "vLLM #9730", stale_bonus),
    LoopDefect("the draft's cache is cut too far", "mlxcel #994", cut_too_far),
)


def as_its_own_draft(
    model: Qwen2, prompt: Sequence[int], new: int, gamma: int, seed: int, spoil: Spoil = nothing
) -> tuple[list[int], float]:
    """(tokens, acceptance) of a target that is its own draft, under the coupled rule; `spoil` at each cycle.

    Raises K2ReproError for a number that the compiled loop leaves to `engine.choose`: take another seed.
    """
    loop = Speculator(
        model, model, kind="model", table=None, rows=1, gamma=gamma, positions=len(prompt) + new
    )
    loop.begin([(prompt, uniforms(seed, 0, new), new)])
    while loop.cycle():
        spoil(loop)
    if loop.state.state[0] in (ASKS, BROKEN, BROKEN_DRAFT):
        raise K2ReproError(
            f"seed = {seed}: one of its numbers is too close to call, or a logit is not finite"
        )
    return loop.response(0)[0], acceptance_of(loop.state.cycles[0])
