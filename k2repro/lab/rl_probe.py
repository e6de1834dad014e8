"""A look at a model during training: the same validation problems and the same random numbers every time.

The seed of a response is a hash of the problem alone, so two points of a curve, or two runs, differ by
their weights and by nothing else. What is kept is small: right or wrong and the length of every response, and
the full text of a few. With the lengths, a shorter response budget can be applied afterwards: a response that
is cut off is the beginning of the one that is not.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from k2repro.architecture.qwen2 import Qwen2
from k2repro.engine import Sampler
from k2repro.engine.backend import Completion
from k2repro.errors import K2ReproError
from k2repro.evaluate.pool import problem_seed
from k2repro.mini import programs, tokenizer, variables
from k2repro.mini.grading import grade
from k2repro.mini.problem import Problem
from k2repro.results.atomic import canonical_json

SHOWN = 6  # problems of each tier whose responses are kept as text


@dataclass(frozen=True)
class Point:
    """What a model did on the probe after `step` steps, by tier, problem by problem.

    right: "1" or "0" for each problem. tokens: length of each response. surprise: minus the mean
    log-probability of the tokens of each response, an estimate of the entropy in nats. texts: responses to
    the first few problems of each tier, by problem id.
    """

    step: int
    right: dict[str, str]
    tokens: dict[str, tuple[int, ...]]
    surprise: dict[str, tuple[float, ...]]
    texts: dict[str, str]

    @property
    def tiers(self) -> tuple[str, ...]:
        """Tiers, in the order of the probe."""
        return tuple(self.right)

    def outcomes(self, budget: int | None = None) -> dict[str, list[int]]:
        """1 or 0 for each problem, by tier; with `budget`, as if responses were cut after so many tokens."""
        return {
            tier: [
                int(mark == "1" and (budget is None or length <= budget))
                for mark, length in zip(self.right[tier], self.tokens[tier], strict=True)
            ]
            for tier in self.right
        }

    def line(self) -> str:
        """The point's only spelling on disk."""
        return canonical_json(asdict(self)) + "\n"


def benchmark(tier: str, split: str, count: int, *, start: int = 0) -> list[Problem]:
    """Problems of a tier of either family, from item `start` on."""
    family = programs if tier == programs.TIER else variables
    return family.problems(tier, split, count, start=start)


def look(model: Qwen2, problems: Sequence[Problem], step: int, *, max_new_tokens: int) -> Point:
    """Sample one response to each problem at temperature 1, judge it, and keep what `Point` says."""
    sampled = Sampler(model).sample(
        [tokenizer.prompt_text(problem.question) for problem in problems],
        max_new_tokens=max_new_tokens,
        seeds=[problem_seed(0, problem.id) for problem in problems],
        stop=[tokenizer.turn_end()],
        tokenizer=tokenizer.load(),
        logprobs=True,
    )
    completions = [samples[0] for samples in sampled]
    texts = [completion.text or "" for completion in completions]
    verdicts = grade(problems, texts)
    of: dict[str, list[int]] = {}
    for at, problem in enumerate(problems):
        of.setdefault(problem.tier, []).append(at)
    surprise = [_surprise(completion) for completion in completions]
    return Point(
        step=step,
        right={tier: "".join(str(int(verdicts[at])) for at in places) for tier, places in of.items()},
        tokens={tier: tuple(len(completions[at].tokens) for at in places) for tier, places in of.items()},
        surprise={tier: tuple(surprise[at] for at in places) for tier, places in of.items()},
        texts={problems[at].id: texts[at] for places in of.values() for at in places[:SHOWN]},
    )


def _surprise(completion: Completion) -> float:
    """Minus the mean log-probability, to five decimals: more would be rounding noise, and take room."""
    assert completion.logprobs is not None
    return round(-float(completion.logprobs.mean(dtype=np.float64)), 5)


def read_points(path: Path) -> list[Point]:
    """The points of a curve, in the order of their steps. Raises K2ReproError for a file that is not one."""
    try:
        return [_point(json.loads(line)) for line in path.read_text().splitlines()]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise K2ReproError(f"{path}: no curve of a run ({type(error).__name__}: {error})") from error


def _point(record: dict[str, Any]) -> Point:
    for name in ("tokens", "surprise"):
        record[name] = {tier: tuple(values) for tier, values in record[name].items()}
    return Point(**record)
