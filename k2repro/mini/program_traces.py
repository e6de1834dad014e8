"""Reference responses of the family `programs`: try one candidate after the other until all examples agree.

    searching   no plan: every form in turn, every a from 1 on
    planned     with a plan in the question: only the form that it names
    direct      the program without any reasoning
    sloppy      searching, with some results wrong: part of the weak mixture behind the base model

    linear1 p202 b=8 q59548 no2 p204 b=6 q59096 no3 p206 b=4 q59544 ok r75144 ok s17344 ok

reads: linear, a = 1: p is 2 and 0, 1*2 is 2, so b is 8; q is 5 and 9, 1*5 is 5, so b would be 4, and it is 8.
Then a = 2, and so on. Each example gives a b, all of them by the same difference, and each digit follows from
two that stand close by: input and wanted output are copied before anything is computed, with squares x*x
comes first, the b to compare with is copied next to the one that was found. (When a check added b to the
product and compared the sum with the wanted output, that was more to learn: two of three seeds never did, and
solved 3 and 7 of 100 tasks.)

The search is written once, as a generator that says what comes next and is told what was written. Whoever
drives it decides: the reference writes what it says, the sloppy one errs, `program_mistakes` reads a trace.
"""

import random
from collections.abc import Callable, Generator, Sequence
from typing import NamedTuple

from k2repro.mini.programs import FORMS, LABELS, Example, Form, Function, Task, program_text
from k2repro.mini.traces import response_text
from k2repro.mini.variables import MODULUS

LOOK_UP, ARITHMETIC, VERDICT, ORDER = "look-up", "arithmetic", "verdict", "order"
OK, NO = " ok", " no"


class TraceStep(NamedTuple):
    """The next word of a trace: the kind of work that it takes, and the right text."""

    kind: str
    text: str


class SearchOutcome(NamedTuple):
    """The last function that a search tried, and whether it agreed with every example."""

    function: Function
    agrees: bool


Search = Generator[TraceStep, str, SearchOutcome]

# Made once: a search takes about a hundred steps, and training draws tens of thousands of searches.
_LOOK_UP, _ARITHMETIC, _CANDIDATE = (
    tuple(TraceStep(kind, str(digit)) for digit in range(MODULUS)) for kind in (LOOK_UP, ARITHMETIC, ORDER)
)
_DEDUCE, _OK, _NO = TraceStep(ORDER, " b="), TraceStep(VERDICT, OK), TraceStep(VERDICT, NO)
_EXAMPLE = {label: TraceStep(ORDER, f" {label}") for label in LABELS}


def search(examples: Sequence[Example], forms: Sequence[Form] = FORMS) -> Search:
    """Steps of the search; send back the word that was written, which later steps then build on."""
    for form in forms:
        yield TraceStep(ORDER, f" {form.name}")
        for a in range(1, form.largest + 1):
            outcome = yield from trial(form, a, examples)
            if outcome.agrees:
                return outcome
    return outcome


def trial(form: Form, a: int, examples: Sequence[Example]) -> Search:
    """One candidate: name it, deduce b from the first example, check the others."""
    yield _CANDIDATE[a]
    wanted, product = yield from _product(form, a, LABELS[0], examples[0])
    yield _DEDUCE
    function = Function(form, a, int((yield _ARITHMETIC[(wanted - product) % MODULUS])))
    return SearchOutcome(function, (yield from _agrees(function, examples)))


def _agrees(function: Function, examples: Sequence[Example]) -> Generator[TraceStep, str, bool]:
    """Check the examples after the first, up to one that does not fit."""
    for label, example in zip(LABELS[1:], examples[1:], strict=True):
        wanted, product = yield from _product(function.form, function.a, label, example)
        found = int((yield _ARITHMETIC[(wanted - product) % MODULUS]))
        b = int((yield _LOOK_UP[function.b]))
        if (yield _OK if found == b else _NO) == NO:
            return False
    return True


def _product(form: Form, a: int, label: str, example: Example) -> Generator[TraceStep, str, tuple[int, int]]:
    """Copy an example, then work out a*x**power; gives the wanted output and that product."""
    yield _EXAMPLE[label]
    x = int((yield _LOOK_UP[example[0]]))
    wanted = int((yield _LOOK_UP[example[1]]))
    power = x
    for _ in range(form.power - 1):
        power = int((yield _ARITHMETIC[power * x % MODULUS]))
    product = int((yield _ARITHMETIC[a * power % MODULUS]))
    return wanted, product


def write(steps: Search, change: Callable[[TraceStep], str] | None = None) -> tuple[str, SearchOutcome]:
    """The trace of a search and what it found; `change` says what to write instead of a right step."""
    written: list[str] = []
    try:
        step = next(steps)
        while True:
            written.append(step.text if change is None else change(step))
            step = steps.send(written[-1])
    except StopIteration as end:
        return "".join(written), end.value


def searching_trace(task: Task) -> str:
    """Every form in turn, until a function agrees with all examples."""
    return write(search(task.examples))[0]


def planned_trace(task: Task) -> str:
    """The search among the functions of the right form only."""
    return write(search(task.examples, [task.function.form]))[0]


def searching_response(task: Task) -> str:
    return response_text(searching_trace(task), program_text(task.function))


def planned_response(task: Task) -> str:
    return response_text(planned_trace(task), program_text(task.function))


def direct_response(task: Task) -> str:
    return response_text("", program_text(task.function))


def sloppy_response(task: Task, rng: random.Random, wrong: float) -> str:
    """A searching response in which each result is wrong with probability `wrong`, errors carried on.

    A search that finds nothing, because the right function was rejected, answers with the last one it tried.
    """

    def change(step: TraceStep) -> str:
        if step.kind != ARITHMETIC or rng.random() >= wrong:
            return step.text
        return str((int(step.text) + rng.randint(1, MODULUS - 1)) % MODULUS)

    trace, outcome = write(search(task.examples), change)
    return response_text(trace, program_text(outcome.function))
