"""Reference responses of `programs`, read again from their text by rules of their own."""

import contextlib
import random
import re
from collections.abc import Callable
from typing import NamedTuple

import pytest

from k2repro.mini import tokenizer
from k2repro.mini.program_traces import (
    ARITHMETIC,
    TraceStep,
    direct_response,
    planned_response,
    planned_trace,
    search,
    searching_response,
    searching_trace,
    sloppy_response,
    write,
)
from k2repro.mini.programs import FORMS, Function, Task, problems, program_text, question_text, task_of

PROBLEMS = problems("code", "validation", 150, seed=8)
TASKS = [task_of(problem) for problem in PROBLEMS]
RESPONSE = re.compile(r"<think>(.*)</think><answer>(.*)</answer>")
CANDIDATE = re.compile(r"(?: (linear|square))?([1-9]) p(\d)(\d)(\d+) b=(\d)((?: [qrs]\d+ (?:ok|no))+)")
CHECK = re.compile(r" ([qrs])(\d)(\d)(\d+)(\d)(\d) (ok|no)")


class Result(NamedTuple):
    """One computed number of a trace: what stands there, and what its operands give."""

    written: int
    right: int


def read(trace: str, task: Task) -> tuple[list[Result], list[tuple[str, int]]]:
    """All computed numbers and all candidates; copies, verdicts, form and order are checked on the way."""
    examples = dict(zip("pqrs", task.examples, strict=True))
    results: list[Result] = []
    tried: list[tuple[str, int]] = []
    form, at = "", 0
    while at < len(trace):
        found = CANDIDATE.match(trace, at)
        assert found, trace[at:]
        at = found.end()
        form = found[1] or form
        a, b = int(found[2]), int(found[6])
        tried.append((form, a))
        assert (int(found[3]), int(found[4])) == examples["p"]
        product = take_product(results, form, a, int(found[3]), found[5])
        results.append(Result(b, (int(found[4]) - product) % 10))
        checks = CHECK.findall(found[7])
        assert "".join(label for label, *_ in checks) == "qrs"[: len(checks)]
        for place, (label, x, y, work, deduced, copied, verdict) in enumerate(checks, 1):
            assert (int(x), int(y), int(copied)) == (*examples[label], b)
            product = take_product(results, form, a, int(x), work)
            results.append(Result(int(deduced), (int(y) - product) % 10))
            assert (verdict == "ok") == (deduced == copied)
            assert verdict == "ok" or place == len(checks)
    return results, tried


def take_product(results: list[Result], form: str, a: int, x: int, work: str) -> int:
    """The digits between an example and its sum: the product, with a square the square before it."""
    assert len(work) == {"linear": 1, "square": 2}[form]
    if form == "square":
        results.append(Result(int(work[0]), x * x % 10))
        x = int(work[0])
    results.append(Result(int(work[-1]), a * x % 10))
    return results[-1].written


def halves(response: str) -> tuple[str, str]:
    found = RESPONSE.fullmatch(response)
    assert found
    return found[1], found[2]


@pytest.mark.parametrize("respond", [searching_response, planned_response])
def test_every_number_of_a_reference_follows_from_what_stands_before(respond: Callable[[Task], str]) -> None:
    """Catches a reference that teaches a wrong result, a wrong copy or a wrong verdict."""
    for problem, task in zip(PROBLEMS, TASKS, strict=True):
        trace, answer = halves(respond(task))
        results, tried = read(trace, task)
        assert all(written == right for written, right in results)
        assert re.search(r" q\d+ ok r\d+ ok s\d+ ok$", trace)
        assert answer == problem.gold
        assert tried[-1] == (problem.facts["form"], problem.facts["a"])


def test_the_search_goes_in_order_and_stops_at_the_first_that_agrees() -> None:
    """Catches a reference that knows the answer: it would start near it, or skip what fails."""
    order = [("linear", a) for a in range(1, 10)] + [("square", a) for a in range(1, 5)]
    backtracked = 0
    for task in TASKS:
        _, tried = read(searching_trace(task), task)
        assert tried == order[: len(tried)]
        backtracked += len(tried) - 1
        _, tried = read(planned_trace(task), task)
        assert tried == [place for place in order if place[0] == task.function.form.name][: len(tried)]
    assert backtracked / len(TASKS) > 5


def test_a_plan_shortens_the_search_of_squares_only() -> None:
    """Catches a planned trace that still goes through the forms before."""
    for task in TASKS:
        shorter = len(planned_trace(task)) < len(searching_trace(task))
        assert shorter == (task.function.form.name == "square")
        assert searching_trace(task).endswith(planned_trace(task))


def test_a_worked_example() -> None:
    """Catches a change of the format, which would make trained checkpoints useless."""
    linear, square = FORMS
    task = Task(Function(linear, 3, 4), ((2, 0), (5, 9), (7, 5), (1, 7)))
    assert question_text(task) == " find f p20 q59 r75 s17"
    assert searching_response(task) == (
        "<think> linear1 p202 b=8 q59548 no2 p204 b=6 q59096 no3 p206 b=4 q59544 ok"
        " r75144 ok s17344 ok</think>"
        "<answer>def f(x): return (3*x+4)%10</answer>"
    )
    assert direct_response(task) == "<think></think><answer>def f(x): return (3*x+4)%10</answer>"
    task = Task(Function(square, 2, 5), ((3, 3), (4, 7), (0, 5), (1, 7)))
    assert planned_trace(task) == (
        " square1 p3399 b=4 q476614 no2 p3398 b=5 q476255 ok r050055 ok s171255 ok"
    )


@pytest.mark.parametrize("respond", [searching_response, planned_response, direct_response])
def test_tokens_give_the_text_back_and_every_word_is_one(respond: Callable[[Task], str]) -> None:
    """Catches words that fall into letters: a trace would be longer and a step no longer one token."""
    for task in TASKS[:60]:
        text = respond(task) + tokenizer.TURN_END
        tokens = tokenizer.encode(text)
        assert tokenizer.decode(tokens) == text
        trace, program = halves(respond(task))
        words = re.findall(r" [a-z]+=?|\d", trace)
        assert [tokenizer.decode([token]) for token in tokenizer.encode(trace)] == words
        expression = re.findall(r"\d|\*x|\+", program[len("def f(x): return (") : -len(")%10")])
        assert [tokenizer.decode([token]) for token in tokenizer.encode(f"answer>{program}")] == [
            "answer",
            ">def",
            " f",
            "(x",
            "):",
            " return",
            " (",
            *expression,
            ")%",
            "1",
            "0",
        ]


def test_lengths_stay_within_a_small_context() -> None:
    """Catches a format that grows: lengths in tokens, as a model pays for them."""
    tasks = [task_of(problem) for problem in problems("code", "train", 600, seed=8)]
    lengths = sorted(map(len, tokenizer.encode_all([searching_trace(task) for task in tasks])))
    assert lengths[-1] <= 260
    assert lengths[int(0.95 * len(lengths))] <= 225
    assert 130 < sum(lengths) / len(lengths) < 155
    planned = list(map(len, tokenizer.encode_all([planned_trace(task) for task in tasks])))
    assert sum(planned) < 0.6 * sum(lengths)


def test_sloppy_errs_in_results_only_and_carries_its_errors_on() -> None:
    """Catches errors that later steps ignore, and errors in copies: `read` checks copies and verdicts."""
    rng = random.Random(6)
    wrong = total = failed = 0
    for task in TASKS:
        trace, answer = halves(sloppy_response(task, rng, 0.12))
        results, tried = read(trace, task)
        wrong += sum(written != right for written, right in results)
        total += len(results)
        form, a = tried[-1]
        last = re.findall(r" b=(\d)", trace)[-1]
        expression = {"linear": "*x", "square": "*x*x"}[form]
        assert answer == f"def f(x): return ({a}{expression}+{last})%10"
        failed += answer != program_text(task.function)
    assert 0.10 < wrong / total < 0.14
    assert failed > len(TASKS) / 3


def test_sloppy_without_errors_is_the_reference() -> None:
    """Catches draws that change more than the results."""
    for task in TASKS[:30]:
        assert sloppy_response(task, random.Random(0), 0.0) == searching_response(task)
        everything = sloppy_response(task, random.Random(0), 1.0)
        results, _ = read(halves(everything)[0], task)
        assert all(written != right for written, right in results)


def test_a_twin_that_forgets_its_errors_is_found() -> None:
    """Catches a checker that trusts the generator: errors written, but not passed on, must show as wrong."""
    task = next(task for task in TASKS if task.function.form.name == "square")
    steps = search(task.examples)
    written = []

    def change(step: TraceStep) -> str:
        return str((int(step.text) + 1) % 10) if step.kind == ARITHMETIC else step.text

    step = next(steps)
    with contextlib.suppress(StopIteration):
        while True:
            written.append(change(step))
            step = steps.send(step.text)  # the twin's fault: goes on with the right result
    with pytest.raises(AssertionError):
        read("".join(written), task)
    honest, outcome = write(search(task.examples), change)
    read(honest, task)
    assert outcome.function != task.function or not outcome.agrees
