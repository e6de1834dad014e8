"""One problem answered twice, with a plan and without, and where the first mistake of each stands."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from k2repro.engine import Sampler
from k2repro.evaluate.pool import problem_seed
from k2repro.mini import tokenizer
from k2repro.mini.benchmarks import MAX_NEW_TOKENS_LEVELS
from k2repro.mini.checkpoint import load_checkpoint
from k2repro.mini.mistakes import RIGHT, diagnose
from k2repro.mini.problem import Problem
from k2repro.mini.variables import marked


@dataclass(frozen=True)
class Answered:
    """A response. good: characters of it before the first mistake; kind: of that mistake, or "right"."""

    text: str
    tokens: int
    good: int
    kind: str

    @property
    def right(self) -> bool:
        return self.kind == RIGHT


Pair = tuple[Problem, Answered, Answered]


def pairs_of_answers(checkpoint: Path, problems: Sequence[Problem]) -> list[Pair]:
    """Each problem with the solver's search and its pass along the program's plan, one sample each."""
    sampler = Sampler(load_checkpoint(checkpoint).eval())
    prompts = [
        tokenizer.prompt_text(each.question, plan) for each in problems for plan in ("", marked(each.plan))
    ]
    seeds = [problem_seed(0, f"{each.id}#{at}") for each in problems for at in range(2)]
    found = sampler.sample(
        prompts,
        max_new_tokens=MAX_NEW_TOKENS_LEVELS,
        seeds=seeds,
        stop=[tokenizer.turn_end()],
        tokenizer=tokenizer.load(),
    )
    responses = [(each[0].text or "", each[0].count) for each in found]
    return [
        (problem, _answered(problem, *responses[2 * at]), _answered(problem, *responses[2 * at + 1]))
        for at, problem in enumerate(problems)
    ]


def differing(pairs: Sequence[Pair]) -> Pair:
    """The first problem that the plan alone solved; else one that the search alone solved; else the first."""
    for wanted in ((False, True), (True, False)):
        for pair in pairs:
            if (pair[1].right, pair[2].right) == wanted:
                return pair
    return pairs[0]


def _answered(problem: Problem, text: str, tokens: int) -> Answered:
    found = diagnose(problem, text)
    return Answered(text, tokens, found.at, found.kind)
