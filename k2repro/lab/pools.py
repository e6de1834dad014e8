"""What models answer to the benchmarks, and what their answers come to: pools and scores.

A pool of thousands of traces takes a megabyte, its scores a few kilobytes, and every statistic can be drawn
from them. So scores ship for every seed, and a reader's notebook answers at once. Sample j of a problem draws
from the random numbers of (seed, problem, j), whatever the model: two models of a seed differ by their
weights and by nothing else.
"""

import copy
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from k2repro.architecture import Qwen2
from k2repro.engine import NUMERICS as ENGINE
from k2repro.engine import Sampler
from k2repro.errors import K2ReproError
from k2repro.evaluate import POOLS
from k2repro.evaluate.generate import generate_pool
from k2repro.evaluate.pool import Attempts, Generation, Pool, Score, Scores
from k2repro.evaluate.pool_file import KIND, load_pool, load_scores, save_pool
from k2repro.lab.made import Made, Making, OnReport, no_report
from k2repro.lab.progress import JobProgress
from k2repro.mini import GRADER, TEXTS, mistakes, program_mistakes, programs, tokenizer
from k2repro.mini.benchmarks import MAX_NEW_TOKENS, TEMPERATURE, benchmark_problems
from k2repro.mini.checkpoint import load_checkpoint
from k2repro.mini.grading import grade
from k2repro.mini.problem import Problem

POOL_FILE = "pool.jsonl.gz"
# Kinds of both families in one order: where a response goes right or wrong, from its start to its end.
KINDS = program_mistakes.KINDS
# What a model is sampled at to see how much of a gain a lower temperature alone would bring.
SHARP = 0.7


# ---- things to be made ----------------------------------------------------------------------------


def pool(
    weights: Made,
    tiers: Sequence[str],
    *,
    problems: int,
    samples: int,
    deep: int = 0,
    deep_samples: int = 0,
    about: Mapping[str, Any] | None = None,
    sharp: bool = False,
    name: str | None = None,
) -> Made:
    """What the model of `weights` answers to the first test problems of each tier.

    deep: so many problems of each tier get `deep_samples` instead of `samples`. about: what the file says of
    itself; None the number of samples and the seed. sharp: sample at SHARP. name: of the pool, the weights'
    by default.
    """
    params = {
        "tiers": list(tiers),
        "problems": problems,
        "samples": samples,
        "deep": deep,
        "deep_samples": deep_samples,
        "sharp": sharp,
        "max_new_tokens": MAX_NEW_TOKENS,
        "temperature": TEMPERATURE,
        "about": None if about is None else dict(about),
    }
    return Made(
        "pool",
        name or weights.name,
        weights.seed,
        partial(_make_pool, params, weights.seed),
        params,
        (ENGINE, POOLS, TEXTS, GRADER),
        {"model": weights},
    )


def scores(pool: Made) -> Made:
    """The pool without its texts; it ships."""
    return Made(
        "scores", pool.name, pool.seed, _make_scores, numerics=(GRADER,), needs={"pool": pool}, ships=True
    )


def read_scores(folder: Path) -> Scores:
    """The scores of an artifact's folder."""
    return load_scores(folder / POOL_FILE)


def _make_pool(params: Mapping[str, Any], seed: int, making: Making) -> None:
    model = load_checkpoint(making.needs["model"])
    asked = Asked(sharpened(model) if params["sharp"] else model, seed, making.work, making.report)
    first, rest = [], []
    for tier in params["tiers"]:
        every = benchmark_problems(tier, "test", params["problems"])
        first += every[: params["deep"]]
        rest += every[params["deep"] :]
    groups = [(first, params["deep_samples"]), (rest, params["samples"])]
    about = params["about"] or {"n": params["samples"], "seed": seed}
    save_pool(
        asked.pool([(problems, n) for problems, n in groups if problems], about), making.folder / POOL_FILE
    )


def _make_scores(making: Making) -> None:
    answers = load_pool(making.needs["pool"] / POOL_FILE)
    counts = {tier: len(answers.tier(tier)) for tier in answers.tiers}
    problems = [each for tier, count in counts.items() for each in benchmark_problems(tier, "test", count)]
    save_pool(score(answers, problems), making.folder / POOL_FILE)


# ---- asking ---------------------------------------------------------------------------------------


class Asked:
    """A model that is asked problems, its graded answers kept in `work` as they come."""

    def __init__(
        self,
        model: Qwen2,
        seed: int,
        work: Path | None = None,
        report: OnReport = no_report,
        *,
        max_new_tokens: int = MAX_NEW_TOKENS,
        temperature: float = TEMPERATURE,
        planned: bool = False,
    ) -> None:
        """planned: whether the prompt carries the plan of a problem."""
        self.seed, self.work, self.report, self.planned = seed, work, report, planned
        self._ask = partial(
            Sampler(model.eval()).sample,
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            stop=[tokenizer.turn_end()],
            tokenizer=tokenizer.load(),
        )

    def pool(self, groups: Sequence[tuple[Sequence[Problem], int]], about: Mapping[str, Any]) -> Pool:
        """`n` graded responses to each problem of each (problems, n), as one pool."""
        total = sum(len(problems) * n for problems, n in groups)
        attempts: tuple[Attempts[Generation], ...] = ()
        before = 0
        for number, (problems, n) in enumerate(groups):
            part = generate_pool(
                self._ask,
                problems,
                grade,
                n=n,
                seed=self.seed,
                prompt=lambda problem: tokenizer.prompt_text(
                    problem.question, problem.plan if self.planned else ""
                ),
                journal=None if self.work is None else self.work / f"pool-{number}.jsonl",
                progress=partial(self._progress, before, total),
            )
            attempts += part.attempts
            before += len(problems) * n
        return Pool(attempts, about)

    def _progress(self, before: int, total: int, done: int, _: int) -> None:
        self.report(JobProgress((before + done) / total, f"{before + done:,} of {total:,} sampled"))


@torch.no_grad()
def sharpened(model: Qwen2, temperature: float = SHARP) -> Qwen2:
    """A copy that samples at temperature 1 as `model` does at `temperature`: the last norm multiplies all
    logits. Log-probabilities of the copy are those at that temperature."""
    sharp = copy.deepcopy(model)
    sharp.model.norm.weight.div_(temperature)
    return sharp


# ---- scoring --------------------------------------------------------------------------------------


def score(pool: Pool, problems: Sequence[Problem]) -> Scores:
    """The kind of its first mistake in place of each text; "right" where it was graded so.

    problems: those of the pool, found by id. A response that was graded right is "right" even after a wrong
    step (a zero times anything); one that was graded wrong never is. Raises K2ReproError where a response
    without any mistake was graded wrong: grader and taxonomy disagree, so one of them is broken.
    """
    known = {problem.id: problem for problem in problems}
    missing = [attempt.id for attempt in pool.attempts if attempt.id not in known]
    if missing:
        raise K2ReproError(f"problem {missing[0]!r} of the pool is not among the {len(known)} problems")
    attempts = (
        Attempts(each.id, each.tier, tuple(_scored(known[each.id], one) for one in each.generations))
        for each in pool.attempts
    )
    return Scores(tuple(attempts), {**pool.about, "text": KIND})


def _scored(problem: Problem, generation: Generation) -> Score:
    kind = mistakes.RIGHT if generation.right else _mistake(problem, generation.text)
    return Score(kind, generation.tokens, generation.finish, generation.right)


def _mistake(problem: Problem, text: str) -> str:
    family = program_mistakes if problem.family == programs.FAMILY else mistakes
    kind: str = family.classify(problem, text)
    if kind == mistakes.RIGHT:
        raise K2ReproError(
            f"{problem.id}: the response {text!r} has no mistake and was graded wrong; usual "
            "causes: a changed grader, or a sandbox that ran out of time"
        )
    return kind
