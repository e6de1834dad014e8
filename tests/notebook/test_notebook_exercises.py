"""Exercises: a stub fails, the solution passes, a slip is explained, and no solution reaches a student."""

import inspect
import math
import re
from collections import Counter
from itertools import accumulate
from operator import mul
from statistics import fmean, stdev

import nbformat
import pytest

from k2repro.errors import K2ReproError
from k2repro.notebook import checks
from k2repro.notebook.build import build
from k2repro.notebook.checks.outcome import AnswerOutcome, Slip, check_function, check_number
from k2repro.notebook.source import read_source, source_names
from k2repro.notebook.student import CHECK, EXERCISE, solution_of, stub_of, student_copy, write_student_copies
from k2repro.results import Places
from k2repro.results.profiles import NotebookPlan, Profile

PLACES = Places.find()
COURSE = ("01_architecture", "02_sft", "03_rlvr", "04_planning", "05_best_of_n", "06_speculative", "07_wafer")


def tagged(name: str, tag: str) -> list:
    cells = read_source(PLACES.sources / f"{name}.py").cells
    return [(place, cell) for place, cell in enumerate(cells) if tag in cell.metadata.get("tags", [])]


EXERCISES = [(name, place, cell.source) for name in COURSE for place, cell in tagged(name, EXERCISE)]


def namespace_of(name: str) -> dict:
    """What an exercise may use of the notebook above it."""
    from k2repro.architecture import ModelConfig, kv_cache_bytes, weight_bytes

    known = {"kv_cache_bytes": kv_cache_bytes, "weight_bytes": weight_bytes, "checks": checks}
    known |= {"fmean": fmean, "stdev": stdev, "comb": math.comb, "Counter": Counter}
    known |= {"fmean": fmean, "stdev": stdev, "accumulate": accumulate, "mul": mul}
    return known | {"k2": ModelConfig.preset("k2-think")}


def outcome(name: str, place: int, code: str) -> AnswerOutcome:
    check = read_source(PLACES.sources / f"{name}.py").cells[place + 1]
    assert CHECK in check.metadata.get("tags", []), "an exercise is followed by its check"
    namespace = namespace_of(name)
    exec(compile(code, "cell", "exec"), namespace)  # noqa: S102  our own source, not a model's
    return eval(compile(check.source, "check", "eval"), namespace)  # noqa: S307


@pytest.mark.parametrize("name", COURSE)
def test_each_lesson_has_three_exercises_with_level_minutes_and_hint(name):
    """Catches an exercise without a way in, or a lesson without exercises."""
    cells = read_source(PLACES.sources / f"{name}.py").cells
    found = tagged(name, EXERCISE)
    assert len(found) >= 3 and len(tagged(name, CHECK)) == len(found)
    for place, _ in found:
        text = cells[place - 1].source
        assert text.startswith("### Exercise ")
        assert any(f"*{level} ·" in text for level in ("Easy", "Medium", "Hard"))
        assert " minutes.*" in text and "<summary>Hint</summary>" in text


@pytest.mark.parametrize(("name", "place", "source"), EXERCISES)
def test_the_stub_fails_and_the_solution_passes(name, place, source):
    """Catches a check that passes whatever is written, and a solution that its own check refuses."""
    stub = outcome(name, place, stub_of(source))
    assert not stub.passed and "Nothing there yet" in stub.why
    solved = outcome(name, place, solution_of(source))
    assert solved.passed, solved.why


@pytest.mark.parametrize(("name", "place", "source"), EXERCISES)
def test_no_line_of_a_solution_is_in_the_stub(name, place, source):
    """Catches a marker in the wrong place, so that the student reads the answer."""
    inside = source.split("### BEGIN SOLUTION\n")[1].split("### END SOLUTION")[0]
    stub = stub_of(source)
    assert all(line.strip() not in stub for line in inside.splitlines() if line.strip())
    assert "SOLUTION" not in stub and "SOLUTION" not in solution_of(source)


WRONG = {
    checks.kv_bytes_per_token: [
        (lambda n, kv, d, q, s: n * kv * d * s, "keys *and* values|two tensors"),
        (lambda n, kv, d, q, s: 2 * n * q * d * s, "Queries are not kept"),
        (lambda n, kv, d, q, s: 2 * kv * d * s, "one layer"),
    ],
    checks.rotated: [
        (
            lambda x, y, p, f: [x * math.cos(p) - y * math.sin(p), x * math.sin(p) + y * math.cos(p)],
            "same pace",
        )
    ],
    checks.targets_of: [
        (lambda p, r: [-100] * len(p) + list(r), "shift by one"),
        (lambda p, r: [*p[1:], *r, -100], "question is learned too"),
    ],
    checks.response_loss: [
        (lambda v, t: -sum(v) / len(v), "Ignored places"),
        (lambda v, t: sum(-x for x, y in zip(v, t, strict=True) if y != -100), "That is the sum"),
    ],
    checks.pass_at_k: [
        (lambda n, c, k: 1 - (1 - c / n) ** k, "putting back"),
        (lambda n, c, k: c / n, "pass@1"),
    ],
    checks.group_advantages: [
        (lambda r: [x - sum(r) / len(r) for x in r], "Dr. GRPO"),
        (lambda r: [x / sum(r) for x in r], "1e-4"),
    ],
    checks.clipped_loss: [
        (lambda r, a, c: -r * a, "Never clipped"),
        (lambda r, a, c: -min(max(r, 1 - c), 1 + c) * a, "Always"),
    ],
    checks.strict_reward: [
        (lambda response, answer: answer in response, "Hacked by '<answer> 0 1 2"),
        (lambda response, answer: 0.0, "not paid"),
    ],
    checks.chance_to_stay: [
        (lambda p, q: p / q, "at most 1"),
        (lambda p, q: p, "q times p"),
        (lambda p, q: float(p >= q), "All or nothing"),
    ],
    checks.replacement: [
        (lambda p, q: p, "come twice"),
        (lambda p, q: [max(0, a - b) for a, b in zip(p, q, strict=True)], "divide by the sum"),
    ],
    checks.speed_with_draft: [
        (lambda s, p, g: (1 + sum(s)) / (p + len(s) * g), "chances multiply"),
        (lambda s, p, g: sum(math.prod(s[:k]) for k in range(len(s) + 1)) / (p + g), "not once a cycle"),
    ],
    checks.tokens_per_second: [
        (lambda n, s, b: n * s / b, "seconds a token"),
        (lambda n, s, b: b / n, "bytes_per_value"),
    ],
    checks.roofline: [(lambda i, b, p: max(i * b, p), "lower"), (lambda i, b, p: i * b, "Without the roof")],
    checks.expected_tokens: [
        (lambda a, k: 1 + a * k, "the rest of the draft is lost"),
        (lambda a, k: (1 - a ** (k + 1)) / (1 - a), "closed formula divides by zero"),
    ],
}


@pytest.mark.parametrize(
    ("check", "answer", "why"), [(c, a, w) for c, pairs in WRONG.items() for a, w in pairs]
)
def test_a_usual_slip_is_explained(check, answer, why):
    """Catches a check that says "wrong" and nothing else."""
    said = check(answer)
    assert not said.passed and re.search(why, said.why), said.why


def test_a_number_is_explained_too():
    """Catches an off-by-a-factor answer that gets no word on the factor."""
    assert "weights need room" in checks.sequences_that_fit(18).why
    assert not checks.sequences_that_fit(...).passed
    assert "too small, by a factor of 2" in check_number(5, 10, {}, "").why
    assert "A number is expected" in check_number("5", 10, {}, "").why


def test_a_coincidence_is_not_taken_for_the_cause():
    """Catches an explanation of a slip that agrees with the answer on the first case only."""
    slips = [Slip(lambda x: 4, "You always say 4.")]
    said = check_function(lambda x: 2 + x, lambda x: x, [(2,), (3,)], slips, "")
    assert not said.passed and "always" not in said.why


@pytest.mark.parametrize("answer", [None, 3, lambda: 1, lambda *a: None, lambda *a: [], lambda *a: "text"])
def test_a_check_never_stops_a_notebook(answer):
    """Catches a check that raises: Run All would end at the first exercise."""
    for name in checks.__all__:
        check = getattr(checks, name)
        if inspect.isfunction(check):
            assert isinstance(check(answer), AnswerOutcome) and not check(answer).passed


def test_an_exercise_without_a_marked_solution_is_refused():
    """Catches a student copy that holds the answer because a marker was forgotten."""
    with pytest.raises(K2ReproError, match="would hold the solution"):
        stub_of("def f():\n    return 1")
    with pytest.raises(K2ReproError, match="sets no name"):
        stub_of("### BEGIN SOLUTION\nprint(1)\n### END SOLUTION")


@pytest.mark.slow
def test_a_student_copy_is_the_same_lesson_and_runs_to_the_end(checkout, write_source, tmp_path):
    """Catches a copy that lost cells or outputs, keeps the check's verdict, or stops at a stub."""
    write_source("01_demo", ROWS)
    path = checkout.sources / "01_demo.py"
    path.write_text(path.read_text() + EXERCISE_CELLS)
    profile = Profile("laptop", "test", 1, {"01_demo": NotebookPlan(60, 2000)})
    build("01", profile, checkout, checkout.root / "build", progress=False)
    built = nbformat.read(checkout.root / "build" / "notebooks" / "01_demo.ipynb", as_version=4)
    nbformat.write(built, checkout.notebooks / "01_demo.ipynb")
    assert write_student_copies(checkout) == ["01_demo"]
    student = checkout.notebooks / "student" / "01_demo.ipynb"
    copied = nbformat.read(student, as_version=4)
    assert len(copied.cells) == len(built.cells)
    assert "Right." in str(built.cells[-1].outputs) and "2 * x" in built.cells[-2].source
    assert "2 * x" not in student.read_text() and copied.cells[-1].outputs == []
    assert copied.cells[2].outputs == built.cells[2].outputs != []

    import papermill

    # In a folder of its own: without a build around it, the notebook leaves its rows where it runs.
    papermill.execute_notebook(
        student, tmp_path / "run.ipynb", kernel_name="python3", progress_bar=False, cwd=tmp_path
    )
    assert "Not yet." in str(nbformat.read(tmp_path / "run.ipynb", as_version=4).cells[-1].outputs)


ROWS = """
import os
from pathlib import Path
from k2repro.results import Fingerprint, Row, write_rows
row = Row("demo.size", 1, "count", None, None, None, (), profile, "0"*16,
          "1"*16, "2"*16, Fingerprint("3.11", "2.13.0", "AVX2", 1), "exact")
write_rows(Path(os.environ.get("K2REPRO_RUN", ".")) / "rows" / "01_demo.jsonl", [row])
print("a lesson")
"""
EXERCISE_CELLS = """
# %% tags=["exercise"]
def twice(x):
    ### BEGIN SOLUTION
    return 2 * x
    ### END SOLUTION

# %% tags=["check"]
from k2repro.notebook.checks.outcome import check_function
check_function(twice, lambda x: x + x, [(3,)], [], "Twice it is.")
"""


@pytest.mark.parametrize("name", [name for name in source_names(PLACES) if tagged(name, EXERCISE)])
def test_the_shipped_student_copy_follows_from_the_shipped_notebook(name):
    """Catches a student copy that was left from an earlier build."""
    built, student = PLACES.notebooks / f"{name}.ipynb", PLACES.notebooks / "student" / f"{name}.ipynb"
    source = read_source(PLACES.sources / f"{name}.py")
    expected = student_copy(source, nbformat.read(built, as_version=4))
    found = nbformat.read(student, as_version=4)
    assert [cell.source for cell in found.cells] == [cell.source for cell in expected.cells]
    assert "### BEGIN SOLUTION" not in student.read_text()
