"""Plan, sample N, judge: one question from beginning to end, every call kept with its role and cost."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from k2repro.best_of_n import SELECTORS, Candidate, Verdicts, choose, knock_out, round_robin, score_all
from k2repro.engine.backend import Completion, Prompt, Request, Sampling, derived_seed
from k2repro.errors import K2ReproError, unknown
from k2repro.planning import PLANNER, Ask, Plan
from k2repro.solve.checking import check_ways
from k2repro.solve.dialects import Dialect
from k2repro.solve.reading import Reader
from k2repro.solve.roles import (
    COMPARISONS,
    JUDGE_READS,
    NEEDS_CERTAINTY,
    NEEDS_JUDGE,
    NEEDS_LOGPROBS,
    SELECTIONS,
    SOLVER_READS,
    Roles,
    check_roles,
)
from k2repro.solve.usage import Call, Recorder, Usage, usage_of

# The published protocol: temperature 1.0, top-p 0.95, 64k tokens, stop at </answer>.
SOLVER = Sampling(64_000, temperature=1.0, top_p=0.95, stop=("</answer>",))
NO_ANSWER = "usual causes: a limit of tokens that cuts every response, a stop string that comes too early"
# Called with one line whenever something has happened.
Tell = Callable[[str], None]


@dataclass(frozen=True)
class SolveSettings:
    """How many samples, how many of them with a plan, and who chooses.

    n: samples. planned: how many of them read a plan; each has a plan of its own, as released. select: one of
    SELECTIONS. solver, planner, judge: how each role is sampled.
    """

    n: int = 3
    planned: int = 3
    select: str = "knock-out"
    solver: Sampling = SOLVER
    planner: Sampling = PLANNER
    judge: Sampling = Sampling(2048)

    def __post_init__(self) -> None:
        if self.n < 1 or not 0 <= self.planned <= self.n:
            raise K2ReproError(
                f"{self.n} samples, {self.planned} planned: at least one sample, no more plans than samples"
            )
        if self.select not in SELECTIONS:
            raise unknown("selector", self.select, SELECTIONS)


@dataclass(frozen=True)
class Solution:
    """What came of a question.

    plans: one for each planned sample, empty where none was written. candidates: unplanned ones first.
    chosen: index of the chosen one, None when all samples failed. answer: the value that it states, None
    when it states none that can be read. scores: of a selector. verdicts: of comparisons. tied: how many
    candidates shared the highest score.
    """

    question: str
    plans: tuple[Plan, ...]
    candidates: tuple[Candidate, ...]
    completions: tuple[Completion, ...]
    chosen: int | None
    answer: str | None
    scores: tuple[float, ...] | None
    verdicts: Verdicts | None
    tied: int
    calls: tuple[Call, ...]

    @property
    def usage(self) -> dict[str, Usage]:
        """Tokens and seconds by role; roles that were not asked are missing."""
        return usage_of(self.calls)


def solve(
    question: str,
    roles: Roles,
    dialect: Dialect,
    settings: SolveSettings | None = None,
    *,
    seed: int,
    plan: Plan | None = None,
    label: str = "solve",
    tell: Tell | None = None,
) -> Solution:
    """Answer a question by the whole procedure.

    plan: given by whoever asks, for all planned samples; no planner is asked then. seed: of everything that
    is drawn; the same seed, backends and settings give the same solution where the backends are
    reproducible. tell: called with a line for each step.
    Raises K2ReproError for a question or a plan that the dialect refuses, for roles that the settings need,
    and for a judge that cannot read, all of them before a sample is drawn.
    """
    run = _Run(
        dialect.check(question), roles, dialect, settings or SolveSettings(), seed, Recorder(label), tell
    )
    run.check(plan)
    plans, completions = run.sample(plan)
    candidates = run.candidates(plans, completions)
    alive = [index for index, each in enumerate(completions) if not each.failed]
    if len(alive) < len(completions):
        why = next(each.error or each.finish for each in completions if each.failed)
        run.say(
            f"{len(completions) - len(alive)} of {len(completions)} samples failed and are left out: {why}"
        )
    picked = run.select(candidates, completions, run.prompts(plans, len(completions)), alive)
    chosen = None if picked.index is None else alive[picked.index]
    answer = None if chosen is None else candidates[chosen].answer
    run.say(f"chosen: sample {chosen}, answer {answer!r}")
    return Solution(
        question=run.question,
        plans=tuple(plans),
        candidates=tuple(candidates),
        completions=tuple(completions),
        chosen=chosen,
        answer=answer,
        scores=picked.scores,
        verdicts=picked.verdicts,
        tied=picked.tied,
        calls=tuple(run.recorder.calls),
    )


@dataclass(frozen=True)
class _Picked:
    index: int | None
    scores: tuple[float, ...] | None = None
    verdicts: Verdicts | None = None
    tied: int = 1


@dataclass(frozen=True)
class _Run:
    """One question on its way."""

    question: str
    roles: Roles
    dialect: Dialect
    settings: SolveSettings
    seed: int
    recorder: Recorder
    tell: Tell | None

    def say(self, line: str) -> None:
        if self.tell is not None:
            self.tell(line)

    def check(self, plan: Plan | None) -> None:
        """Everything that can be refused before a sample is paid for."""
        if plan is not None:
            if not self.settings.planned:
                raise K2ReproError(
                    "a plan is given and no sample shall read one: let at least one be planned"
                )
            self.dialect.check_plan(self.question, plan)
        check_roles(self.roles, self.settings.select, self.settings.n)
        for reader in self._readers():
            reader.check(self.dialect.prompt(self.question, plan))

    def _readers(self) -> list[Reader]:
        """Those whom the selection needs."""
        wanted = {JUDGE_READS: NEEDS_JUDGE, SOLVER_READS: NEEDS_CERTAINTY}
        return [
            reader
            for role, reader in self.roles.readers.items()
            if self.settings.n > 1 and self.settings.select in wanted[role]
        ]

    def prompts(self, plans: Sequence[Plan], samples: int) -> list[Prompt]:
        """What each sample read."""
        every: list[Plan | None] = [None] * (samples - len(plans))
        return [self.dialect.prompt(self.question, plan) for plan in [*every, *plans]]

    def sample(self, given: Plan | None) -> tuple[list[Plan], list[Completion]]:
        """Plans, and completions: unplanned ones first. With a planner all samples leave together."""
        settings, ask = self.settings, self.recorder.ask(self.roles.solver)
        search = (
            [self._request(None, settings.n - settings.planned, 0)] if settings.n > settings.planned else []
        )
        if not settings.planned:
            return [], ask(search)[0]
        if given is not None or self.roles.planner is not None:
            plans = self._planner() if given is None else [given] * settings.planned
            found = ask(search + [self._request(plan, 1, index) for index, plan in enumerate(plans)])
            return plans, [each for group in found for each in group]
        if not search:
            raise K2ReproError(
                "all samples shall read a plan and there is no planner: the solver's own plan is read off a "
                "first pass, so leave at least one sample without a plan"
            )
        (searched,) = ask(search)
        plan = self.dialect.own_plan(self.question, searched) or Plan("", source="own")
        self.say(f"plan, the solver's own order: {plan.text.strip() or '(none could be read off)'}")
        (planned,) = ask([self._request(plan, settings.planned, 0)])
        return [plan] * settings.planned, [*searched, *planned]

    def _planner(self) -> list[Plan]:
        assert self.roles.planner is not None
        plans = self.dialect.plans(
            self.question,
            self.recorder.ask(self.roles.planner),
            count=self.settings.planned,
            seed=derived_seed("planner", self.seed),
            sampling=self.settings.planner,
        )
        for index, plan in enumerate(plans):
            none = f"(none: {plan.fault or 'the planner saw no need'})"
            self.say(f"plan {index + 1}: {plan.text.strip() or none}")
        return list(plans)

    def _request(self, plan: Plan | None, n: int, index: int) -> Request:
        settings, sampling = self.settings, self.settings.solver
        return Request(
            self.dialect.prompt(self.question, plan),
            sampling.max_new_tokens,
            n=n,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            stop=sampling.stop,
            seed=self.seed if plan is None else derived_seed("planned", self.seed, index),
            logprobs=settings.n > 1 and settings.select in NEEDS_LOGPROBS,
            label="search" if plan is None else "planned",
        )

    def candidates(self, plans: Sequence[Plan], completions: Sequence[Completion]) -> list[Candidate]:
        """What selectors see of the samples; equal answers get one spelling."""
        planned = [False] * (len(completions) - len(plans)) + [bool(plan.text) for plan in plans]
        answers = [None if each.failed else self.dialect.answer(each) for each in completions]
        same = representatives([answer for answer in answers if answer is not None], self.dialect)
        found = [
            Candidate(
                self.dialect.text(completion),
                None if answer is None else same[answer],
                tokens=completion.count,
                logprob=None if completion.logprobs is None else float(completion.logprobs.sum()),
                planned=flag,
            )
            for completion, answer, flag in zip(completions, answers, planned, strict=True)
        ]
        for index, each in enumerate(found):
            kind = "planned" if each.planned else "no plan"
            self.say(f"sample {index}: {each.tokens} tokens, {kind}, answer {each.answer!r}")
        if all(each.answer is None for each in found):
            self.say(f"none of {len(found)} samples states an answer that can be read; {NO_ANSWER}")
        return found

    def select(
        self,
        every: Sequence[Candidate],
        completions: Sequence[Completion],
        prompts: Sequence[Prompt],
        alive: Sequence[int],
    ) -> _Picked:
        """Who is chosen among the samples that did not fail, as a place among those."""
        candidates = [every[index] for index in alive]
        completions, prompts = [completions[index] for index in alive], [prompts[index] for index in alive]
        if len(candidates) < 2:
            return _Picked(0 if candidates else None)
        generator = random.Random(derived_seed("tie", self.seed))
        if self.settings.select in COMPARISONS:
            return self._compared([each.text for each in candidates], generator)
        if self._readers():
            candidates = self._read(candidates, completions, prompts)
        elif self.settings.select in NEEDS_JUDGE:
            candidates = self._marked(candidates)
        if self.settings.select == "process":
            candidates = self._checked(candidates, completions)
        chosen = choose(candidates, SELECTORS[self.settings.select], generator=generator)
        return _Picked(chosen.index, chosen.scores, None, chosen.tied)

    def _judge(self) -> Ask:
        assert self.roles.judge is not None
        return self.recorder.ask(self.roles.judge)

    def _compared(self, texts: Sequence[str], generator: random.Random) -> _Picked:
        seed, sampling = derived_seed("judge", self.seed), self.settings.judge
        if self.settings.select == "knock-out":
            index, verdicts = knock_out(self.question, texts, self._judge(), seed=seed, sampling=sampling)
        else:
            index, verdicts = round_robin(
                self.question, texts, self._judge(), seed=seed, sampling=sampling, generator=generator
            )
        if verdicts.unreadable:
            self.say(f"{verdicts.unreadable} of {verdicts.asked} verdicts could not be read")
        return _Picked(index, verdicts=verdicts, tied=verdicts.tied)

    def _checked(self, candidates: Sequence[Candidate], completions: Sequence[Completion]) -> list[Candidate]:
        """Candidates that know whether their answer came out again along their own way."""
        ask, sampling = self.recorder.ask(self.roles.solver), self.settings.solver
        found = check_ways(self.question, candidates, completions, self.dialect, ask, sampling)
        self.say(f"process check: {sum(each.agrees or False for each in found)} of {len(found)} confirmed")
        return found

    def _read(
        self, candidates: Sequence[Candidate], completions: Sequence[Completion], prompts: Sequence[Prompt]
    ) -> list[Candidate]:
        """Candidates with how likely the judge finds them, or with the solver's certainty."""
        (reader,) = self._readers()
        found = reader.read(prompts, completions)
        role = JUDGE_READS if self.settings.select in NEEDS_JUDGE else SOLVER_READS
        for each in found:
            read = Completion((), "stop", prompt_tokens=each.tokens, seconds=each.seconds)
            self.recorder.calls.append(Call("read", role, read))
        if role == SOLVER_READS:
            return [
                replace(each, certainty=one.certainty) for each, one in zip(candidates, found, strict=True)
            ]
        return [replace(each, judge=one.logprob) for each, one in zip(candidates, found, strict=True)]

    def _marked(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Candidates with the judge's marks. One that cannot be read is the lowest: prose must not choose."""
        marks = score_all(
            self.question,
            [each.text for each in candidates],
            self._judge(),
            seed=derived_seed("judge", self.seed),
            sampling=self.settings.judge,
        )
        return [
            replace(each, judge=-1.0 if mark is None else mark)
            for each, mark in zip(candidates, marks, strict=True)
        ]


def representatives(answers: Sequence[str], dialect: Dialect) -> dict[str, str]:
    """Each spelling of an answer with the first spelling of the same value, so that votes meet."""
    first: list[str] = []
    found: dict[str, str] = {}
    for answer in answers:
        if answer not in found:
            found[answer] = next((known for known in first if dialect.same(known, answer)), answer)
            if found[answer] == answer:
                first.append(answer)
    return found
