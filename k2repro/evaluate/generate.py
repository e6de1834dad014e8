"""Making a pool: ask a model, grade what it says, keep everything; a killed run goes on where it was.

Sampler and grader come as callables, so this room needs neither the engine nor the problems.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from k2repro.errors import K2ReproError
from k2repro.evaluate.pool import Attempts, Generation, Pool, PoolProblem, check_ids, problem_seed
from k2repro.evaluate.pool_journal import PoolJournal
from k2repro.results.hashing import hash_value

if TYPE_CHECKING:
    from k2repro.engine.backend import Completion

P = TypeVar("P", bound=PoolProblem)
# Generations between two writes of the journal: what a kill loses at most. Each part ends with a few long
# responses that keep the sampler alone, so it should not be small.
AT_ONCE = 512


class Ask(Protocol):
    """`n` responses to each prompt, [prompt][sample]; sample j draws from the stream of (seed, j) alone."""

    def __call__(
        self, prompts: Sequence[str], *, n: int, seeds: Sequence[int]
    ) -> Sequence[Sequence["Completion"]]: ...


def generate_pool(
    ask: Ask,
    problems: Sequence[P],
    grade: Callable[[Sequence[P], Sequence[str]], Sequence[bool]],
    *,
    n: int,
    seed: int,
    prompt: Callable[[P], str],
    about: Mapping[str, Any] | None = None,
    journal: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Pool:
    """Sample `n` responses to each problem, grade them, and keep everything.

    ask      such as `functools.partial(sample, model, max_new_tokens=400, stop=[end], tokenizer=t)`
    grade    verdicts on pairs of problem and response, such as `k2repro.mini.grading.grade`
    seed     of the pool; a problem's own seed is the SHA-256 of it and of the problem's id, so that neither
             the other problems nor their order nor n changes a response
    prompt   the text that the model reads
    journal  file to which graded problems are appended as they come; problems that stand there are not asked
             again. It belongs to one model and one setting: keep it in a folder that is keyed by both
    progress called with (generations done, generations in all)

    Raises K2ReproError for no problems, n below 1, an id that occurs twice, where sampler or grader
    return another number of results than they were asked for, and for responses that failed; what was
    graded before stands in the journal.
    """
    if n < 1:
        raise K2ReproError(f"n is {n}: must be at least 1 generation for each problem")
    if not problems:
        raise K2ReproError("no problems to generate a pool for; usual cause: a filter removed them all")
    check_ids([problem.id for problem in problems])
    book = PoolJournal(journal, hash_value({"n": n, "seed": seed}))
    todo = [problem for problem in problems if problem.id not in book.known]
    step = max(1, AT_ONCE // n)
    for start in range(0, len(todo), step):
        if progress is not None:
            progress((len(problems) - len(todo) + start) * n, len(problems) * n)
        book.add(_attempts(ask, todo[start : start + step], grade, n, seed, prompt))
    if progress is not None:
        progress(len(problems) * n, len(problems) * n)
    return Pool(
        tuple(book.known[problem.id] for problem in problems), {**(about or {}), "n": n, "seed": seed}
    )


def _attempts(
    ask: Ask,
    problems: Sequence[P],
    grade: Callable[[Sequence[P], Sequence[str]], Sequence[bool]],
    n: int,
    seed: int,
    prompt: Callable[[P], str],
) -> list[Attempts[Generation]]:
    """The graded generations of some problems."""
    sampled = _sampled(ask, problems, n, seed, prompt)
    repeated = [problem for problem in problems for _ in range(n)]
    texts = [_text(problem, response) for problem, response in zip(repeated, sampled, strict=True)]
    verdicts = grade(repeated, texts)
    if len(verdicts) != len(texts):
        raise K2ReproError(f"the grader returned {len(verdicts)} verdicts for {len(texts)} responses")
    generations = [
        Generation(text, response.count, response.finish, bool(right))
        for response, text, right in zip(sampled, texts, verdicts, strict=True)
    ]
    return [
        Attempts(problem.id, problem.tier, tuple(generations[at * n : (at + 1) * n]))
        for at, problem in enumerate(problems)
    ]


def _sampled(
    ask: Ask, problems: Sequence[P], n: int, seed: int, prompt: Callable[[P], str]
) -> list["Completion"]:
    """`n` responses to each problem, one after the other."""
    seeds = [problem_seed(seed, problem.id) for problem in problems]
    sampled = ask([prompt(problem) for problem in problems], n=n, seeds=seeds)
    if len(sampled) != len(problems) or any(len(group) != n for group in sampled):
        sizes = sorted({len(group) for group in sampled})
        raise K2ReproError(
            f"the sampler returned {len(sampled)} prompts with {sizes} samples, asked for were "
            f"{len(problems)} with {n}; usual cause: a server that ignores n"
        )
    return [response for group in sampled for response in group]


def _text(problem: PoolProblem, response: "Completion") -> str:
    if response.failed:
        raise K2ReproError(
            f"a response to {problem.id!r} failed ({response.finish}): {response.error or 'no reason told'}; "
            "what was graded before is kept, so asking again goes on from there"
        )
    if response.text is None:
        raise K2ReproError(
            f"a response to {problem.id!r} has no text; usual cause: the sampler was not given a tokenizer"
        )
    return response.text
