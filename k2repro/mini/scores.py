"""Scores: a pool without its texts; each text gives way to the kind of its first mistake.

A pool of thousands of traces takes a megabyte, its scores a few kilobytes, and every statistic of the pillar
can be drawn from them. So scores ship for every seed, and a reader's notebook answers at once.
"""

from collections.abc import Sequence
from dataclasses import replace

from k2repro.errors import K2ReproError
from k2repro.evaluate.pool import Attempts, Generation, Pool
from k2repro.mini import mistakes, program_mistakes, programs
from k2repro.mini.problem import Problem

# Kinds of both families in one order: where a response goes right or wrong, from its start to its end.
KINDS = program_mistakes.KINDS


def score(pool: Pool, problems: Sequence[Problem]) -> Pool:
    """The same pool with the kind of its first mistake in place of each text; "right" where it was graded so.

    problems: those of the pool, found by id. A response that was graded right is "right" even after a wrong
    step (a zero times anything); one that was graded wrong never is. Raises K2ReproError where a response
    without any mistake was graded wrong: grader and taxonomy disagree, so one of them is broken.
    """
    known = {problem.id: problem for problem in problems}
    missing = [attempt.id for attempt in pool.attempts if attempt.id not in known]
    if missing:
        raise K2ReproError(f"problem {missing[0]!r} of the pool is not among the {len(known)} problems")
    attempts = tuple(
        Attempts(
            attempt.id,
            attempt.tier,
            tuple(_scored(known[attempt.id], generation) for generation in attempt.generations),
        )
        for attempt in pool.attempts
    )
    return Pool(attempts, {**pool.about, "text": "kind of the first mistake"})


def _scored(problem: Problem, generation: Generation) -> Generation:
    if generation.right:
        return replace(generation, text=mistakes.RIGHT)
    family = program_mistakes if problem.family == programs.FAMILY else mistakes
    kind = family.classify(problem, generation.text)
    if kind == mistakes.RIGHT:
        raise K2ReproError(
            f"{problem.id}: the response {generation.text!r} has no mistake and was graded wrong; usual "
            "causes: a changed grader, or a sandbox that ran out of time"
        )
    return replace(generation, text=kind)
