"""Benchmarks: named ones through `datasets` where a hub can be reached, and any JSON-lines file.

A problem is a question, a right answer and the kind of check. A file has one JSON object a line with
`question` (or `problem`, `prompt`), `answer` (or `gold`), and, if there is one, `id`.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from k2repro.errors import K2ReproError
from k2repro.results.atomic import canonical_json, write_text
from k2repro.results.hashing import hash_value

KINDS = ("maths", "choice", "code", "safety")
QUESTION_KEYS = ("question", "problem", "prompt")
ANSWER_KEYS = ("answer", "gold", "expected_answer")
# Of a file that says nothing else.
DEFAULT_KIND = "maths"


@dataclass(frozen=True)
class BenchmarkProblem:
    """One problem. kind: one of KINDS; tests: what the sandbox runs, for "code"."""

    id: str
    question: str
    gold: str
    kind: str = DEFAULT_KIND
    tests: tuple[Any, ...] = field(default=(), hash=False, compare=False)


@dataclass(frozen=True)
class Benchmark:
    """Problems in their order. source: where they came from; part: the paper's column that they stand for."""

    name: str
    problems: tuple[BenchmarkProblem, ...]
    source: str
    part: str = ""

    def __post_init__(self) -> None:
        if not self.problems:
            raise K2ReproError(
                f"benchmark {self.name!r} has no problem; usual cause: a filter removed them all"
            )
        twice = [
            name for name, count in Counter(problem.id for problem in self.problems).items() if count > 1
        ]
        if twice:
            raise K2ReproError(
                f"benchmark {self.name!r}: the id {twice[0]!r} occurs {len(twice) + 1} times or more"
            )

    def __len__(self) -> int:
        return len(self.problems)

    @property
    def digest(self) -> str:
        """16 hexadecimal digits of ids, questions and answers."""
        return hash_value([[each.id, each.question, each.gold, each.kind] for each in self.problems])

    def first(self, count: int | None) -> "Benchmark":
        """The first `count` problems; all for None. Raises K2ReproError below 1."""
        if count is None:
            return self
        if count < 1:
            raise K2ReproError(f"--limit {count}: must be at least 1 problem")
        return Benchmark(self.name, self.problems[:count], self.source, self.part)


def read_file(path: Path, kind: str | None = None) -> Benchmark:
    """A benchmark from a JSON-lines file. Raises K2ReproError that names the line and what is missing."""
    rows = list(json_lines(path))
    problems = [_plain_problem(place, row, str(n), kind) for n, (_, place, row) in enumerate(rows, 1)]
    return Benchmark(path.stem, tuple(problems), f"file {path.name}")


def json_lines(path: Path) -> Iterator[tuple[int, str, Any]]:
    """(number of the line, words that name it in an error, value) of each line that is not empty.

    Raises K2ReproError for a file that cannot be read, and for a line that is not JSON.
    """
    try:
        # Not splitlines(): a question may hold U+2028, which JSON leaves as it is.
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise K2ReproError(f"{path} cannot be read: {error}") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        place = f"{path.name}, line {number}"
        try:
            row = json.loads(line)
        except ValueError as error:
            raise K2ReproError(f"{place}: not JSON: {error}") from error
        yield number, place, row


def _plain_problem(place: str, row: object, number: str, kind: str | None) -> BenchmarkProblem:
    if not isinstance(row, Mapping):
        raise K2ReproError(f"{place}: must be a JSON object, got {str(row)[:40]!r}")
    found = kind or str(row.get("kind", DEFAULT_KIND))
    if found not in KINDS:
        raise K2ReproError(f"{place}: kind {found!r} must be one of {', '.join(KINDS)}")
    question = text_of(place, row, QUESTION_KEYS)
    gold = "" if found == "safety" else text_of(place, row, ANSWER_KEYS)
    tests: tuple[Any, ...] = ()
    if found == "code":
        from k2repro.verify import CodeTest

        checks, entry = text_of(place, row, ("test",)), text_of(place, row, ("entry_point",))
        tests = (CodeTest(checks, entry),)
    return BenchmarkProblem(str(row.get("id", number)), question, gold, found, tests)


def text_of(place: str, row: Mapping[str, Any], keys: Sequence[str]) -> str:
    """The first of `keys` that a row has, as text; numbers become their digits.

    Raises K2ReproError that names the row, the keys and those that are there: a benchmark whose schema has
    changed must not be read halfway.
    """
    for key in keys:
        value = row.get(key)
        if isinstance(value, bool) or value is None:
            continue
        text = str(value).strip()
        if text:
            return text
    raise K2ReproError(
        f"{place}: no {' or '.join(map(repr, keys))} with a value; the row has {', '.join(map(repr, row))}. "
        "Usual cause: a missing gold answer, or a changed schema"
    )


def save_problems(benchmark: Benchmark, path: Path) -> Path:
    """Write the problems as they were asked, tests included, so that a replay needs no hub."""
    header = {"name": benchmark.name, "source": benchmark.source, "part": benchmark.part}
    lines = [canonical_json(header)]
    lines += [canonical_json(asdict(each)) for each in benchmark.problems]
    return write_text(path, "\n".join(lines) + "\n")


def load_problems(path: Path) -> Benchmark:
    """The inverse of `save_problems`. Raises K2ReproError when the file is not there or is not whole."""
    from k2repro.verify import CodeTest, FunctionTest

    try:
        header, *rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
        problems = []
        for row in rows:
            tests = [
                CodeTest(**test) if "code" in test else FunctionTest(**test) for test in row.pop("tests")
            ]
            problems.append(BenchmarkProblem(**row, tests=tuple(tests)))
        return Benchmark(header["name"], tuple(problems), header["source"], header["part"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise K2ReproError(f"{path}: the problems of the run cannot be read: {error}") from error


def numbered(rows: Iterable[Mapping[str, Any]], name: str) -> Iterable[tuple[str, Mapping[str, Any]]]:
    """Rows with the words that name them in an error."""
    return ((f"{name}, row {number}", row) for number, row in enumerate(rows, 1))
