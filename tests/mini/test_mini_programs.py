"""Problems of `programs`, judged from their text alone: the gold program is run, all functions are tried."""

import ast
import dataclasses
import hashlib
import itertools
import random
import re
from collections.abc import Callable

import pytest

from k2repro.errors import K2ReproError
from k2repro.mini import programs, tokenizer, variables
from k2repro.mini.problem import SPLITS, Problem
from k2repro.mini.programs import (
    FORMS,
    FUNCTIONS,
    LABELS,
    Form,
    Function,
    Task,
    candidates,
    draw_task,
    form_named,
    hidden_tests,
    problems,
    program_text,
    question_text,
    render_program_problem,
    split_of,
    task_of,
)

SAMPLE = [problem for split in SPLITS for problem in problems("code", split, 120, seed=5)]
EXAMPLE = re.compile(r" ([a-z])(\d)(\d)")
Examples = tuple[tuple[int, int], ...]


def run(source: str) -> Callable[[int], int]:
    """The function of a gold program: our own text, one line, read as an expression."""
    (function,) = ast.parse(source).body
    assert isinstance(function, ast.FunctionDef) and function.name == "f"
    (returned,) = function.body
    assert isinstance(returned, ast.Return) and returned.value is not None
    body = ast.unparse(returned.value)
    return lambda x: eval(body, {"__builtins__": {}}, {"x": x})  # noqa: S307 (our own text)


def shown(question: str) -> Examples:
    """The examples, from the text."""
    assert question == " find f" + "".join(found[0] for found in EXAMPLE.finditer(question))
    assert "".join(label for label, _, _ in EXAMPLE.findall(question)) == LABELS
    return tuple((int(x), int(y)) for _, x, y in EXAMPLE.findall(question))


def explanations(examples: Examples) -> set[tuple[int, ...]]:
    """Tables of outputs of all functions a*x + b and a*x*x + b that give the examples, by trial."""
    tables = {tuple((a * x + b) % 10 for x in range(10)) for a in range(1, 10) for b in range(10)} | {
        tuple((a * x * x + b) % 10 for x in range(10)) for a in range(1, 5) for b in range(10)
    }
    return {table for table in tables if all(table[x] == y for x, y in examples)}


def test_the_gold_program_passes_every_example_and_every_hidden_test() -> None:
    """Catches tests or examples made from another function than the gold program's."""
    for problem in SAMPLE:
        function = run(problem.gold)
        examples = shown(problem.question)
        assert [list(example) for example in examples] == problem.facts["examples"]
        assert all(function(x) == y for x, y in examples)
        tests = hidden_tests(problem)
        assert all(test["function"] == "f" for test in tests)
        assert all(function(*test["arguments"]) == test["expected"] for test in tests)
        inputs = [x for x, _ in examples] + [x for test in tests for x in test["arguments"]]
        assert sorted(inputs) == list(range(10))


def ambiguous(drawn: list[Examples]) -> int:
    return sum(len(explanations(examples)) != 1 for examples in drawn)


def test_the_examples_leave_one_function() -> None:
    """Catches questions whose examples a wrong function explains as well; the twin draws without looking."""
    assert ambiguous([shown(problem.question) for problem in SAMPLE]) == 0
    rng = random.Random(0)
    careless = []
    for _ in range(len(SAMPLE)):
        function = rng.choice(FUNCTIONS)
        careless.append(tuple((x, function.table[x]) for x in rng.sample(range(10), 4)))
    assert ambiguous(careless) > 0


def test_candidates_are_counted_as_by_trial() -> None:
    """Catches a wrong set of bits: one that misses a function would let ambiguous examples pass."""
    rng = random.Random(1)
    counts = set()
    for _ in range(300):
        function = rng.choice(FUNCTIONS)
        inputs = rng.sample(range(10), rng.randint(1, 5))
        examples = tuple((x, function.table[x]) for x in inputs)
        assert candidates(examples) == len(explanations(examples))
        counts.add(candidates(examples))
    assert candidates(()) == len(FUNCTIONS) == 130
    assert {1, 2} < counts


def test_no_function_has_two_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches a form or a range that repeats a function: 5*x*x is 5*x, so a search could give either."""

    def tables(forms: tuple[Form, ...]) -> list[tuple[int, ...]]:
        return [
            Function(form, a, b).table
            for form in forms
            for a in range(1, form.largest + 1)
            for b in range(10)
        ]

    assert len(set(tables(FORMS))) == len(tables(FORMS)) == len(FUNCTIONS)
    wider = (FORMS[0], Form("square", power=2, largest=9))
    assert len(set(tables(wider))) < len(tables(wider))
    twice = tuple(Function(form, 1, 0) for form in (FORMS[0], FORMS[0]))
    monkeypatch.setattr(programs, "FUNCTIONS", twice)
    with pytest.raises(K2ReproError, match="hold the same function"):
        programs._agreeing()


def normal(problem: Problem) -> tuple[str, frozenset[tuple[int, int]]]:
    """A normal form of its own making: the program and the set of examples."""
    return problem.gold, frozenset(shown(problem.question))


def test_splits_share_no_question_in_any_order() -> None:
    """Catches a test question that training meets in another order; the twin hashes the text."""
    seen = {split: {normal(p) for p in problems("code", split, 700, seed=2)} for split in SPLITS}
    for first, second in itertools.combinations(SPLITS, 2):
        assert not seen[first] & seen[second]

    def by_text(task: Task) -> int:
        return hashlib.sha256(question_text(task).encode()).digest()[0] * 10 // 256

    moved = 0
    for problem in SAMPLE:
        task = task_of(problem)
        turned = Task(task.function, task.examples[::-1])
        assert split_of(turned) == split_of(task) == problem.split
        moved += by_text(turned) != by_text(task)
    assert moved > len(SAMPLE) / 2


def test_every_task_has_one_split_and_the_shares_are_as_said() -> None:
    """Catches a split that takes too much; also the number of different tasks that the docstring gives."""
    count = dict.fromkeys(SPLITS, 0)
    for function in FUNCTIONS:
        for inputs in itertools.combinations(range(10), 4):
            examples = tuple((x, function.table[x]) for x in inputs)
            if candidates(examples) == 1:
                count[split_of(Task(function, examples))] += 1
    total = sum(count.values())
    assert total == 25760
    assert [round(count[split] / total, 2) for split in SPLITS] == [0.8, 0.1, 0.1]


def test_an_item_does_not_depend_on_its_neighbours_or_on_global_state() -> None:
    """Catches seeds added up, and draws from the global generator."""
    random.seed(3)
    before = random.getstate()
    all_at_once = problems("code", "test", 30, seed=1)
    assert random.getstate() == before
    assert problems("code", "test", 10, seed=1, start=20) == all_at_once[20:]
    assert len({problem.id for problem in SAMPLE}) == len(SAMPLE)
    other = problems("code", "test", 30, seed=2)
    assert sum(a.question == b.question for a, b in zip(all_at_once[1:], other, strict=False)) <= 1


def test_forms_are_equally_likely_and_every_function_occurs() -> None:
    """Catches a draw that never leaves one form, or misses the ends of a range."""
    rng = random.Random(4)
    drawn = [draw_task(rng).function for _ in range(6000)]
    squares = sum(function.form.name == "square" for function in drawn)
    assert 2800 < squares < 3200
    assert set(drawn) == set(FUNCTIONS)


def test_first_examples_are_not_sorted() -> None:
    """Catches examples in rising order, from which a model could read off what is not asked."""
    orders = [[x for x, _ in shown(problem.question)] for problem in SAMPLE]
    assert sum(order == sorted(order) for order in orders) < len(orders) / 8
    assert {order[0] for order in orders} == set(range(10))


def test_a_problem_gives_its_task_back() -> None:
    """Catches facts that lose or reorder something: traces are made from them."""
    for problem in SAMPLE:
        task = task_of(problem)
        assert question_text(task) == problem.question
        assert program_text(task.function) == problem.gold
        assert [list(example) for example in task.hidden()] == problem.facts["tests"]
        assert problem.plan == f" plan {problem.facts['form']}"
        assert (problem.family, problem.tier) == ("programs", "code")


def test_questions_are_short_and_each_digit_is_one_token() -> None:
    """Catches words that the tokenizer takes apart, also those of a form that is added one day."""
    for problem in SAMPLE[:50]:
        tokens = tokenizer.encode(problem.question)
        assert len(tokens) == 2 + 3 * len(LABELS)
        assert tokenizer.decode(tokens) == problem.question
        assert len(tokenizer.encode(problem.plan)) == 2
    assert all(len(tokenizer.encode(f" {form.name}")) == 1 for form in FORMS)


def test_the_text_for_people_says_what_the_question_says() -> None:
    """Catches a rendering that drops an example, states other ranges or gives the answer away."""
    for problem in SAMPLE[:50]:
        text = render_program_problem(problem)
        examples = re.findall(r"f\((\d)\) = (\d)", text)
        assert tuple((int(x), int(y)) for x, y in examples) == shown(problem.question)
        assert "(a*x+b)%10 with a from 1 to 9 or (a*x*x+b)%10 with a from 1 to 4" in text
        assert problem.gold not in text and "Plan" not in text
        planned = render_program_problem(problem, plan=True)
        power = form_named(problem.facts["form"]).power
        assert planned == text + f" Plan: try (a{'*x' * power}+b)%10 only."


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("tier-1", "test", 1, 0), "unknown tier 'tier-1'.*Known: code"),
        (("code", "tset", 1, 0), "unknown split 'tset'; did you mean 'test'"),
        (("code", "test", 0, 0), "count is 0: must be at least 1"),
        (("code", "test", 1, -1), "start is -1: must be 0 or more"),
    ],
)
def test_bad_arguments(arguments: tuple[str, str, int, int], message: str) -> None:
    """Catches an empty list, or another split, where the caller made a mistake."""
    tier, split, count, start = arguments
    with pytest.raises(K2ReproError, match=message):
        problems(tier, split, count, start=start)


def test_bad_problems() -> None:
    """Catches a problem of another family, or an unknown form, taken for a program."""
    with pytest.raises(K2ReproError, match="unknown family with a hidden function 'variables'"):
        task_of(variables.problems("tier-1", "test", 1)[0])
    facts = {**SAMPLE[0].facts, "form": "cubic"}
    with pytest.raises(K2ReproError, match="unknown form 'cubic'.*Known: linear, square"):
        task_of(dataclasses.replace(SAMPLE[0], facts=facts))
