"""Running a protocol over a benchmark: one attempt for each problem, run and arm, resumable at any moment.

Texts are not kept: 16 runs of 263 problems at 64k tokens would not fit in memory. What they state is, and the
journal has the rest.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from itertools import islice

import numpy as np

from k2repro.best_of_n.judging import FIRST, SECOND
from k2repro.engine.backend import Completion, derived_seed
from k2repro.engine.budget import BudgetSpent
from k2repro.errors import K2ReproError
from k2repro.harness.benchmarks import Benchmark, BenchmarkProblem
from k2repro.harness.grading import INSTRUCTIONS, grade, stated
from k2repro.harness.protocol import Protocol
from k2repro.solve import ChatDialect, Roles, Solution, solve
from k2repro.solve.procedure import representatives

# Called with (attempts done, attempts in all).
Progress = Callable[[int, int], None]


class Stopped(K2ReproError):
    """The run ended before its end, cleanly; what had arrived is in the journal."""


@dataclass(frozen=True)
class Attempt:
    """What one problem gave in one run and arm. Lists have one entry for each candidate.

    answers: what each states. right: whether that is right. chosen: index, None when all failed. tokens: of
    each response. planner, judge: their output tokens. plans: texts. failed: samples that never came. cut:
    samples that ended at the token limit.
    verdicts: comparisons asked; unreadable: those that said nothing; first: those for the one shown first.
    """

    problem: str
    run: int
    arm: str
    answers: tuple[str | None, ...]
    right: tuple[bool, ...]
    chosen: int | None
    tokens: tuple[int, ...]
    planner: int
    judge: int
    plans: tuple[str, ...]
    failed: int
    cut: int
    verdicts: int
    unreadable: int
    first: int


@dataclass(frozen=True)
class ProblemDialect(ChatDialect):
    """Chat about one problem of a benchmark: its kind says how an answer is read and when two are one."""

    problem: BenchmarkProblem = field(kw_only=True)

    def answer(self, completion: Completion) -> str | None:
        return stated(self.problem, self.text(completion))

    def same(self, first: str, second: str) -> bool:
        return super().same(first, second) if self.problem.kind == "maths" else first == second


def run_protocol(
    benchmark: Benchmark,
    protocol: Protocol,
    roles: Roles,
    *,
    workers: int = 16,
    progress: Progress | None = None,
    seen: Callable[[Attempt, Solution], None] | None = None,
) -> list[Attempt]:
    """All attempts, in the order of problem, run and arm, whatever order they finished in.

    workers: problems on their way at the same time. seen: called with each attempt and its solution, for an
    export; in the order in which they finish. Raises Stopped when the budget is spent.
    """
    jobs = [
        (run, problem, arm)
        for run in range(protocol.runs)
        for problem in benchmark.problems
        for arm in protocol.arms
    ]
    found: list[Attempt] = []
    lock = threading.Lock()

    def work(job: tuple[int, BenchmarkProblem, str]) -> None:
        run, problem, arm = job
        attempt, solution = _attempt(benchmark.name, problem, run, arm, protocol, roles)
        with lock:
            found.append(attempt)
            if seen is not None:
                seen(attempt, solution)
            if progress is not None:
                progress(len(found), len(jobs))

    try:
        _carry_out(jobs, work, workers)
    except BudgetSpent as error:
        raise Stopped(
            f"{error}; {len(found)} of {len(jobs)} attempts are whole, {len(jobs) - len(found)} are left. "
            "The same command with a larger budget goes on from here and pays nothing twice"
        ) from error
    order = {problem.id: place for place, problem in enumerate(benchmark.problems)}
    found.sort(key=lambda each: (order[each.problem], each.run, each.arm))
    return _one_spelling(found, benchmark, protocol)


def _one_spelling(attempts: Sequence[Attempt], benchmark: Benchmark, protocol: Protocol) -> list[Attempt]:
    """Equal answers of a problem spelled alike over all attempts, so that votes across runs meet."""
    same: dict[str, dict[str, str]] = {}
    for problem in benchmark.problems:
        answers = [
            a for each in attempts if each.problem == problem.id for a in each.answers if a is not None
        ]
        same[problem.id] = representatives(answers, ProblemDialect(protocol.system, problem=problem))
    return [
        replace(each, answers=tuple(None if a is None else same[each.problem][a] for a in each.answers))
        for each in attempts
    ]


def _carry_out(jobs: Sequence, work: Callable, workers: int) -> None:
    """At most `workers` jobs at a time; the first error ends the others when their request has come in."""
    left: Iterator = iter(jobs)
    with ThreadPoolExecutor(workers) as pool:
        waiting: set[Future] = {pool.submit(work, job) for job in islice(left, workers)}
        while waiting:
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for each in done:
                each.result()
            waiting |= {pool.submit(work, job) for job in islice(left, len(done))}


def _attempt(
    benchmark: str, problem: BenchmarkProblem, run: int, arm: str, protocol: Protocol, roles: Roles
) -> tuple[Attempt, Solution]:
    solution = solve(
        problem.question,
        roles,
        ProblemDialect(protocol.system, INSTRUCTIONS[problem.kind], problem=problem),
        protocol.settings(arm),
        seed=derived_seed("run", protocol.seed, problem.id, run, arm),
        label=f"{benchmark}/{problem.id}/run {run}/{arm}",
    )
    answers = [stated(problem, each.text) for each in solution.candidates]
    spent = solution.usage
    table = solution.verdicts.table if solution.verdicts else np.zeros(0)
    return Attempt(
        problem=problem.id,
        run=run,
        arm=arm,
        answers=tuple(each.answer for each in solution.candidates),
        right=tuple(grade([problem] * len(answers), answers)),
        chosen=solution.chosen,
        tokens=tuple(each.tokens for each in solution.candidates),
        planner=spent["planner"].output_tokens if "planner" in spent else 0,
        judge=spent["judge"].output_tokens if "judge" in spent else 0,
        plans=tuple(plan.text for plan in solution.plans),
        failed=sum(each.failed for each in solution.completions),
        cut=sum(each.finish == "length" for each in solution.completions),
        verdicts=solution.verdicts.asked if solution.verdicts else 0,
        unreadable=solution.verdicts.unreadable if solution.verdicts else 0,
        first=int((table == FIRST).sum()) if np.isin(table, (FIRST, SECOND)).any() else 0,
    ), solution
