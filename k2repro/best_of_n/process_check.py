"""Process check: go each candidate's own way once more, and see whether the same answer comes out.

A candidate's way is the order of its steps. The solver gets it as a plan and follows it greedily; a slip on
the first way is rarely made again on the second. Nobody is trained for it. Candidates that went the same way
share a derivation, so a pool needs fewer than it has candidates.

    ways -> distinct ways -> one greedy request each -> answers -> whether each candidate agrees
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from k2repro.engine.backend import Prompt, Request
from k2repro.errors import K2ReproError


@dataclass(frozen=True)
class Ways:
    """The ways of the candidates to one question.

    distinct: each way once, in the order of the first candidate that went it. of: for each candidate the
    index of its way, None where its response shows none.
    """

    distinct: tuple[str, ...]
    of: tuple[int | None, ...]


def distinct_ways(ways: Sequence[str | None]) -> Ways:
    """ways: of each candidate, as the text of a plan; None or empty where none can be read off it."""
    distinct = list(dict.fromkeys(way for way in ways if way))
    return Ways(tuple(distinct), tuple(distinct.index(way) if way else None for way in ways))


def derivation_requests(ways: Ways, prompt: Callable[[str], Prompt], *, max_new_tokens: int) -> list[Request]:
    """One greedy request for each distinct way; prompt: what the solver reads for the plan it is given."""
    return [
        Request(prompt(way), max_new_tokens, temperature=0.0, role="solver", label="check")
        for way in ways.distinct
    ]


def agreements(
    answers: Sequence[str | None],
    ways: Ways,
    derived: Sequence[str | None],
    *,
    same: Callable[[str, str], bool] = str.__eq__,
) -> list[bool]:
    """Whether each candidate's answer came out again along its own way.

    answers: of the candidates; derived: of the distinct ways; None where none can be read, which agrees with
    nothing, not even with another None. A candidate without a way is not confirmed either.
    Raises K2ReproError for lists that do not belong to `ways`.
    """
    if len(answers) != len(ways.of) or len(derived) != len(ways.distinct):
        raise K2ReproError(
            f"{len(answers)} answers of {len(ways.of)} candidates, {len(derived)} derivations of "
            f"{len(ways.distinct)} ways: must be equal. Usual cause: the derivations of another question"
        )
    found = []
    for answer, at in zip(answers, ways.of, strict=True):
        again = None if at is None else derived[at]
        found.append(answer is not None and again is not None and same(answer, again))
    return found
