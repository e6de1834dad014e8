"""The family `programs`: a hidden function of one digit, shown by four examples, to be written as Python.

     find f p20 q59 r75 s17

reads: example p has input 2 and output 0, q has 5 and 9, and so on; which f gives these outputs? Here it
is `def f(x): return (3*x+4)%10`. The six other inputs are hidden tests. Each example has a letter of its
own, so that to look one up is one step of copying what follows the letter; a digit alone stands
everywhere in the text.

Every form is a*x**power + b modulo 10. A further form is one more entry of FORMS, and its name one more word
of the tokenizer.
"""

import hashlib
import random
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from k2repro.errors import K2ReproError, unknown
from k2repro.mini.problem import SPLITS, Problem, item_random
from k2repro.mini.variables import MODULUS

FAMILY = "programs"
TIER = "code"
LABELS = "pqrs"

Example = tuple[int, int]  # input, output


@dataclass(frozen=True)
class Form:
    """The functions a*x**power + b modulo 10, with a from 1 to `largest` and any digit b."""

    name: str
    power: int
    largest: int

    def expression(self, a: int | str, b: int | str) -> str:
        """The value as Python writes it: `(3*x*x+4)%10`."""
        return f"({a}{'*x' * self.power}+{b})%{MODULUS}"


# In the order of search. The ranges keep the longest search near 200 tokens, and no function has two names:
# 5*x*x, for one, equals 5*x for every digit.
FORMS = (Form("linear", power=1, largest=9), Form("square", power=2, largest=4))


@dataclass(frozen=True)
class Function:
    """One candidate: a form with its two numbers."""

    form: Form
    a: int
    b: int

    @cached_property
    def table(self) -> tuple[int, ...]:
        """The outputs for 0 to 9, which is all that there is to know of a function."""
        return tuple((self.a * x**self.form.power + self.b) % MODULUS for x in range(MODULUS))


@dataclass(frozen=True)
class Task:
    """A hidden function and the examples that show it, in the order of the question."""

    function: Function
    examples: tuple[Example, ...]

    def hidden(self) -> tuple[Example, ...]:
        """The inputs that are not shown, in rising order, with the outputs they must give."""
        shown = {x for x, _ in self.examples}
        return tuple((x, y) for x, y in enumerate(self.function.table) if x not in shown)


_BY_FORM = tuple(
    tuple(Function(form, a, b) for a in range(1, form.largest + 1) for b in range(MODULUS)) for form in FORMS
)
FUNCTIONS = tuple(function for functions in _BY_FORM for function in functions)


def _agreeing() -> dict[Example, int]:
    """For each example a set of bits: bit i is set where FUNCTIONS[i] agrees with it.

    Raises K2ReproError if two functions are the same: no examples could tell them apart, and a draw would
    never end.
    """
    if len({function.table for function in FUNCTIONS}) < len(FUNCTIONS):
        raise K2ReproError("two entries of FORMS hold the same function; usual cause: `largest` is too large")
    sets = {(x, y): 0 for x in range(MODULUS) for y in range(MODULUS)}
    for at, function in enumerate(FUNCTIONS):
        for example in enumerate(function.table):
            sets[example] |= 1 << at
    return sets


_AGREEING = _agreeing()


def problems(tier: str, split: str, count: int, *, seed: int = 0, start: int = 0) -> list[Problem]:
    """`count` problems from item `start` on; the same arguments give the same problems.

    The only tier is "code". There are about 25,000 different tasks in all, so a long run meets a task
    again, in another order of its examples; it never meets one of another split.

    Raises K2ReproError for an unknown tier or split, a count below 1 or a negative start.
    """
    if tier != TIER:
        raise unknown("tier", tier, [TIER])
    if split not in SPLITS:
        raise unknown("split", split, list(SPLITS))
    if count < 1:
        raise K2ReproError(f"count is {count}: must be at least 1")
    if start < 0:
        raise K2ReproError(f"start is {start}: must be 0 or more, it numbers the items of a split")
    return [_problem(split, seed, index) for index in range(start, start + count)]


def _problem(split: str, seed: int, index: int) -> Problem:
    rng = item_random(FAMILY, split, TIER, seed, index)
    task = draw_task(rng)
    while split_of(task) != split:
        task = draw_task(rng)
    function = task.function
    return Problem(
        id=f"{FAMILY}/{split}/{TIER}/{seed}/{index}",
        family=FAMILY,
        split=split,
        tier=TIER,
        question=question_text(task),
        gold=program_text(function),
        plan=plan_text(function.form),
        facts={
            "examples": [list(example) for example in task.examples],
            "tests": [list(example) for example in task.hidden()],
            "form": function.form.name,
            "a": function.a,
            "b": function.b,
        },
    )


def draw_task(rng: random.Random) -> Task:
    """A random function, each form being as likely, with random examples that determine it."""
    function = rng.choice(rng.choice(_BY_FORM))
    while True:
        examples = tuple((x, function.table[x]) for x in rng.sample(range(MODULUS), len(LABELS)))
        if candidates(examples) == 1:
            return Task(function, examples)


def candidates(examples: tuple[Example, ...]) -> int:
    """How many of FUNCTIONS agree with every example.

    At 1 any order of search finds the right function; above 1 a program may agree with all that is
    shown and fail a hidden test, and nobody could have known.
    """
    left = (1 << len(FUNCTIONS)) - 1
    for example in examples:
        left &= _AGREEING[example]
    return left.bit_count()


def form_named(name: str) -> Form:
    """The form of that name; K2ReproError if there is none."""
    for form in FORMS:
        if form.name == name:
            return form
    raise unknown("form", name, [form.name for form in FORMS])


def task_of(problem: Problem) -> Task:
    """The task behind a problem of this family."""
    if problem.family != FAMILY:
        raise unknown("family with a hidden function", problem.family, [FAMILY])
    facts = problem.facts
    function = Function(form_named(facts["form"]), facts["a"], facts["b"])
    return Task(function, tuple((x, y) for x, y in facts["examples"]))


def hidden_tests(problem: Problem) -> list[dict[str, Any]]:
    """What the sandbox runs: `f` on each input that the question does not show.

    The keys are the arguments of `k2repro.verify`'s FunctionTest.
    """
    return [{"function": "f", "arguments": [x], "expected": y} for x, y in problem.facts["tests"]]


# ---- text -----------------------------------------------------------------------------------------


def question_text(task: Task) -> str:
    """The user turn: each example as its letter, its input, its output."""
    shown = zip(LABELS, task.examples, strict=True)
    return " find f" + "".join(f" {label}{x}{y}" for label, (x, y) in shown)


def plan_text(form: Form) -> str:
    """A plan names the form, so that the search need not go through the others."""
    return f" plan {form.name}"


def program_text(function: Function) -> str:
    """The function as a Python program of one line."""
    return f"def f(x): return {function.form.expression(function.a, function.b)}"


def render_program_problem(problem: Problem, *, plan: bool = False) -> str:
    """The question in sentences, for people; with `plan`, the form to look for as one more."""
    task = task_of(problem)
    kinds = " or ".join(f"{form.expression('a', 'b')} with a from 1 to {form.largest}" for form in FORMS)
    shown = ", ".join(f"f({x}) = {y}" for x, y in task.examples)
    sentences = [
        "A hidden function f turns a digit x into a digit.",
        f"It is {kinds}; b is any digit.",
        f"Examples: {shown}.",
        "Write f in Python; it will be tested on the six other digits.",
    ]
    if plan:
        sentences.append(f"Plan: try {task.function.form.expression('a', 'b')} only.")
    return " ".join(sentences)


def split_of(task: Task) -> str:
    """The split that a task belongs to, whatever the order of its examples.

    The normal form is the function's ten outputs and the set of examples, so splits are disjoint after
    normalisation by construction: 8 of 10 hashes are train, 1 validation, 1 test. The functions
    themselves occur in every split: held out are questions, not functions.
    """
    shown = [digit for example in sorted(task.examples) for digit in example]
    digest = hashlib.sha256(bytes([*task.function.table, *shown])).digest()
    place = int.from_bytes(digest[:8], "big") % 10
    return "train" if place < 8 else "validation" if place == 8 else "test"
