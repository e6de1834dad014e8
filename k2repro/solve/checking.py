"""The process check in the procedure: the solver goes the way of each candidate once more, greedily."""

from collections.abc import Sequence
from dataclasses import replace

from k2repro.best_of_n import Candidate, agreements, derivation_requests, distinct_ways
from k2repro.engine.backend import Completion, Prompt, Sampling
from k2repro.planning import Ask, Plan
from k2repro.solve.dialects import Dialect


def check_ways(
    question: str,
    candidates: Sequence[Candidate],
    completions: Sequence[Completion],
    dialect: Dialect,
    ask: Ask,
    sampling: Sampling,
) -> list[Candidate]:
    """Candidates with `agrees`. One whose way the dialect cannot read is not confirmed.

    ask: the solver's `Backend.complete`. sampling: the solver's; its temperature is not used.
    """
    read = [dialect.own_plan(question, [completion]) for completion in completions]
    ways = distinct_ways([None if plan is None else plan.text for plan in read])

    def prompt(way: str) -> Prompt:
        return dialect.prompt(question, Plan(way, source="own"))

    requests = [
        replace(each, stop=sampling.stop)
        for each in derivation_requests(ways, prompt, max_new_tokens=sampling.max_new_tokens)
    ]
    replies = [reply for (reply,) in ask(requests)] if requests else []
    derived = [None if reply.failed else dialect.answer(reply) for reply in replies]
    agree = agreements([each.answer for each in candidates], ways, derived, same=dialect.same)
    return [replace(each, agrees=agrees) for each, agrees in zip(candidates, agree, strict=True)]
