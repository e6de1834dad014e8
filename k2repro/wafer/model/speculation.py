"""Speculation as an overlay on any prediction: tokens per pass and the price of the draft.

A draft proposes `draft_tokens` tokens, the target verifies all of them in one pass. With i.i.d.
acceptance a the pass yields (1 - a^(g+1)) / (1 - a) tokens (Leviathan et al. 2023, equation 1) and
costs g x cost_ratio + 1 target passes (theorem 3.8). Acceptance belongs to a pair of models and a
text: measure it (`from_accepted`), a default would be a guess. The verification pass multiplies
arithmetic by g + 1; where that exceeds the reads, the roofline charges it.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from k2repro.errors import K2ReproError


def expected_tokens(acceptance: float, draft_tokens: int) -> float:
    """Mean tokens per verification pass, (1 - a^(g+1)) / (1 - a); g + 1 for a = 1."""
    if acceptance == 1.0:
        return draft_tokens + 1.0
    return (1.0 - acceptance ** (draft_tokens + 1)) / (1.0 - acceptance)


@dataclass(frozen=True)
class Speculation:
    """A draft. acceptance: 0 to 1; draft_tokens: per pass; cost_ratio: draft / target step time.

    tokens_per_pass: measured mean, if any; otherwise the i.i.d. formula.
    """

    acceptance: float
    draft_tokens: int = 4
    cost_ratio: float = 0.0
    tokens_per_pass: float | None = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.acceptance <= 1.0:
            raise K2ReproError(
                f"acceptance {self.acceptance!r} must lie between 0 and 1; 75 per cent is 0.75"
            )
        if self.draft_tokens < 1 or self.cost_ratio < 0:
            raise K2ReproError(
                f"draft_tokens {self.draft_tokens!r} must be at least 1 and "
                f"cost_ratio {self.cost_ratio!r} not negative"
            )

    @property
    def expected_tokens(self) -> float:
        """Mean tokens that one verification pass yields."""
        if self.tokens_per_pass is not None:
            return self.tokens_per_pass
        return expected_tokens(self.acceptance, self.draft_tokens)

    @property
    def draft_share(self) -> float:
        """Target passes that the draft costs per verification pass."""
        return self.draft_tokens * self.cost_ratio

    @staticmethod
    def from_accepted(accepted: Iterable[int], draft_tokens: int, cost_ratio: float = 0.0) -> "Speculation":
        """From accepted lengths, one per verification pass (0 to draft_tokens).

        The mean of accepted + 1 is used as measured; acceptance is accepted over tried tokens.
        """
        lengths = list(accepted)
        if not lengths or min(lengths) < 0 or max(lengths) > draft_tokens:
            raise K2ReproError(f"accepted lengths must be a non-empty list of 0 to {draft_tokens}")
        tried = sum(min(length + 1, draft_tokens) for length in lengths)
        return Speculation(
            sum(lengths) / tried, draft_tokens, cost_ratio, tokens_per_pass=sum(lengths) / len(lengths) + 1.0
        )


def needed_acceptance(factor: float, draft_tokens: int) -> float:
    """The acceptance that multiplies tokens per pass by `factor`, by bisection (draft for free).

    K2ReproError when no acceptance can: the factor must lie between 1 and draft_tokens + 1.
    """
    if not 1.0 <= factor <= draft_tokens + 1:
        raise K2ReproError(
            f"a factor of {factor:.2f} is out of reach of {draft_tokens} draft "
            f"tokens; they give between 1 and {draft_tokens + 1}"
        )
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if expected_tokens(middle, draft_tokens) < factor:
            low = middle
        else:
            high = middle
    return (low + high) / 2
