"""From attempts to rows of scale "real": accuracies, differences, tokens of all roles, and what went wrong.

Ids begin with `endpoint.MODEL.BENCHMARK`. Where the model is K2-Think itself and the protocol the published
one, the cells are written a second time under the ids that the paper's tables wait for (`real.table2...`).
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from k2repro.errors import K2ReproError
from k2repro.evaluate.intervals import Interval, wilson_interval
from k2repro.harness.attempts import Attempt
from k2repro.harness.benchmarks import Benchmark
from k2repro.harness.protocol import PUBLISHED_N, Protocol
from k2repro.harness.scores import (
    ProblemScore,
    ScoreCell,
    adaptive_by_agreement,
    cells,
    differences,
    equal_tokens,
    intervals,
    length_change,
)
from k2repro.planning import leak_rate
from k2repro.results.fingerprint import fingerprint
from k2repro.results.hashing import hash_files, hash_value
from k2repro.results.rows import Row

PROFILE = "endpoint"
FEWEST = 2
K2_THINK = re.compile(r"\bk2-?think\b", re.IGNORECASE)
# Rooms whose text decides a number, for the code hash.
ROOMS = (
    *("harness", "solve", "best_of_n", "planning.py", "engine/chat.py", "engine/backend.py", "verify"),
    "verify/spellings.toml",  # by which an answer is read
)


@dataclass(frozen=True)
class HarnessReport:
    """What a run came to: rows, and the cells and notes for people."""

    rows: list[Row]
    cells: list[ScoreCell]
    scores: list[ProblemScore]
    notes: list[str]


@dataclass(frozen=True)
class _Writer:
    """Adds provenance to numbers."""

    prefix: str
    seed: int
    params_hash: str
    code_hash: str
    data_hash: str

    def row(
        self,
        name: str,
        value: float,
        unit: str,
        n: int,
        interval: Interval | None = None,
        prefix: str | None = None,
    ) -> Row:
        return Row(
            id=f"{self.prefix if prefix is None else prefix}.{name}",
            value=value,
            unit=unit,
            n=n,
            interval=None if interval is None else (interval.low, interval.high),
            interval_method=None if interval is None else interval.method,
            seeds=(self.seed,),
            profile=PROFILE,
            params_hash=self.params_hash,
            code_hash=self.code_hash,
            data_hash=self.data_hash,
            fingerprint=fingerprint(1),
            scale="real",
        )

    def score(self, score: ProblemScore, n: int, name: str | None = None, prefix: str | None = None) -> Row:
        """The row of a score, with its interval; under its own name without another."""
        chosen = slug(score.name) if name is None else name
        return self.row(chosen, score.value, "fraction", n, score.interval, prefix)


def report(
    attempts: Sequence[Attempt],
    benchmark: Benchmark,
    protocol: Protocol,
    *,
    model: str,
    params: object,
    answers: str,
) -> HarnessReport:
    """Rows of a whole run; the same attempts give the same bytes.

    params: what the journal was opened with. answers: digest of the journal's answers.
    Raises K2ReproError for fewer than two problems, which have no interval.
    """
    if len(benchmark) < FEWEST:
        raise K2ReproError(f"{len(benchmark)} problem: an interval by problem needs at least {FEWEST}")
    writer = _Writer(
        f"endpoint.{slug(model)}.{slug(benchmark.name)}",
        protocol.seed,
        hash_value(params),
        _code_hash(),
        hash_value([benchmark.digest, answers]),
    )
    generator, n = np.random.default_rng(protocol.seed), len(benchmark)
    found = cells(attempts, protocol)
    scores = [*intervals(found, generator), *differences(found, protocol, generator)]
    rows = [writer.score(each, n, f"{slug(each.name)}.accuracy") for each in scores]
    rows += _token_rows(writer, found, n)
    notes = protocol.deviations
    rows += _equal_token_rows(writer, found, attempts, generator, scores, n)
    rows += _adaptive_rows(writer, attempts, protocol, generator, scores, n)
    change = length_change(attempts, generator)
    if change is not None:
        rows.append(writer.score(change, n))
    rows += _health_rows(writer, attempts, benchmark)
    if K2_THINK.search(model) and not notes and benchmark.part:
        rows += _paper_rows(writer, scores, change, benchmark, n)
    return HarnessReport(sorted(rows, key=lambda row: row.id), found, scores, notes)


def _token_rows(writer: _Writer, found: Iterable[ScoreCell], n: int) -> list[Row]:
    """Output tokens of a question, by role and of all roles."""
    rows = []
    for cell in found:
        if "." in cell.name:
            continue
        for role, tokens in cell.tokens.items():
            rows.append(writer.row(f"{slug(cell.name)}.tokens.{role}", tokens, "tokens", n))
        rows.append(writer.row(f"{slug(cell.name)}.tokens.all", cell.total, "tokens", n))
    return rows


def _equal_token_rows(
    writer: _Writer,
    found: Sequence[ScoreCell],
    attempts: Sequence[Attempt],
    generator: np.random.Generator,
    scores: list[ProblemScore],
    n: int,
) -> list[Row]:
    """Each cell against plain votes that cost the same tokens; its differences are added to `scores`."""
    rows = []
    for each in equal_tokens(found, attempts, generator):
        scores.append(each.difference)
        rows.append(writer.score(each.difference, n))
        rows.append(writer.row(f"{slug(each.cell)}.votes-for-its-tokens", each.votes, "samples", n))
    return rows


def _adaptive_rows(
    writer: _Writer,
    attempts: Sequence[Attempt],
    protocol: Protocol,
    generator: np.random.Generator,
    scores: list[ProblemScore],
    n: int,
) -> list[Row]:
    found = adaptive_by_agreement(attempts, protocol.n, generator)
    if found is None:
        return []
    scores.append(found.equal_votes)
    return [
        writer.score(found.accuracy, n, "adaptive.accuracy"),
        writer.row("adaptive.samples", found.samples, "samples", n),
        writer.score(found.equal_votes, n),
    ]


def _health_rows(writer: _Writer, attempts: Sequence[Attempt], benchmark: Benchmark) -> list[Row]:
    """Shares of what went wrong: lost and cut samples, unread answers and verdicts, position bias, leaks."""
    samples = sum(len(each.answers) for each in attempts)
    unread = sum(answer is None for each in attempts for answer in each.answers)
    counts = [
        ("failed", sum(each.failed for each in attempts), samples),
        ("cut-at-the-limit", sum(each.cut for each in attempts), samples),
        ("unread-answers", unread, samples),
    ]
    verdicts = sum(each.verdicts for each in attempts)
    if verdicts:
        unreadable = sum(each.unreadable for each in attempts)
        counts.append(("unread-verdicts", unreadable, verdicts))
        if verdicts > unreadable:
            counts.append(("first-preferred", sum(each.first for each in attempts), verdicts - unreadable))
    rows = [
        writer.row(name, count / total, "fraction", total, wilson_interval(count, total))
        for name, count, total in counts
    ]
    by_id = {problem.id: problem for problem in benchmark.problems}
    plans = [(plan, by_id[each.problem]) for each in attempts for plan in each.plans if plan]
    if plans:
        leaks = leak_rate(
            [plan for plan, _ in plans],
            [problem.question for _, problem in plans],
            [problem.gold for _, problem in plans],
        )
        for name in ("stated", "held", "chance"):
            rows.append(writer.row(f"plan-leaks.{name}", getattr(leaks, name), "fraction", leaks.plans))
    return rows


def _paper_rows(
    writer: _Writer, scores: Sequence[ProblemScore], change: ProblemScore | None, benchmark: Benchmark, n: int
) -> list[Row]:
    """The cells that the paper's tables wait for (paper/cells.toml)."""
    named, part = {score.name: score for score in scores}, benchmark.part
    bo, both = f"bo{PUBLISHED_N}", f"plan-bo{PUBLISHED_N}"
    wanted = [(f"table2.{name}.{part}", named.get(name)) for name in ("checkpoint", "plan", bo, both)]
    wanted += [(f"table1.{part}", named.get(both)), (f"table3.{part}", change)]
    return [writer.score(score, n, name, prefix="real") for name, score in wanted if score is not None]


def slug(text: str) -> str:
    """`text` as a part of a row's id. Letters that an id cannot hold are told apart by a hash.

    >>> slug("LLM360/K2-Think (32B)")
    'llm360-k2-think-32b'
    """
    plain = re.sub(r"[^a-z0-9.]+", "-", text.lower())
    plain = re.sub(r"-*\.[-.]*", ".", plain).strip("-.")
    if not plain or any(each.isalnum() and not each.isascii() for each in text):
        return f"{plain}-{hash_value(text)[:8]}".lstrip("-")
    return plain


def _code_hash() -> str:
    package = Path(__file__).resolve().parents[1]
    files: list[Path] = []
    for room in ROOMS:
        place = package / room
        files += [place] if place.is_file() else place.rglob("*.py")
    return hash_files(files, package)
