"""Training mixtures: which kinds of response a stage learns from, and an endless stream of them.

Every example is drawn from the hash of (stream name, index), so a stream can continue from any index, and
two streams with different names share nothing but chance. Only the train split is drawn.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from k2repro.errors import K2ReproError, unknown
from k2repro.mini import drills, plans, program_traces, programs, tokenizer, traces, variables
from k2repro.mini.problem import item_random
from k2repro.training.packing import Batch, Example, pack

# Share of the results that a sloppy trace gets wrong.
SLOPPY = 0.12
# Names that are asked for at most in a text of the kind "many-marked"; problems ask for three.
MOST_ASKED = 8
# Texts drawn ahead of a batch, as a share of its positions: more choice, fuller rows.
AHEAD = 1.5


@dataclass(frozen=True)
class Ingredient:
    """One kind of example and how often it is drawn.

    kind        a key of KINDS
    share       relative frequency in the mixture
    operations  of a `variables` problem, least and most; of a drill the names; ignored by `programs`
    """

    kind: str
    share: float
    operations: tuple[int, int] = (2, 12)


def _text(question: str, plan: str, response: str) -> tuple[str, str]:
    return tokenizer.prompt_text(question, plan), response + tokenizer.TURN_END


def _variables(kind: str) -> Callable[[Random, tuple[int, int]], tuple[str, str]]:
    def draw(rng: Random, operations: tuple[int, int]) -> tuple[str, str]:
        system = variables.draw_system(rng, rng.randint(*operations))
        while variables.split_of(system) != "train":
            system = variables.draw_system(rng, rng.randint(*operations))
        if kind == "many-marked":
            system = asking_more(rng, system)
        question = variables.question_text(system)
        if kind == "planned":
            return _text(question, variables.plan_text(system.needed), traces.planned_response(system))
        if kind == "marked-plan":
            plan = variables.marked_plan_text(system.needed)
            return _text(question, plan, traces.planned_response(system, marked=True))
        if kind == "direct":
            return _text(question, "", traces.direct_response(system))
        if kind in ("sloppy", "sloppy-steps"):
            marked = kind == "sloppy-steps"
            return _text(question, "", traces.sloppy_response(system, rng, SLOPPY, marked=marked))
        if kind == "planning":
            return _text(question, "", plans.planning_response(system))
        marked = kind in ("marked-steps", "many-marked")
        return _text(question, "", traces.searching_response(system, marked=marked))

    return draw


def asking_more(rng: Random, system: variables.System) -> variables.System:
    """The same system with more names asked for, most of which are known by the time that they come.

    Where a search has answered one name it looks at the next: is it known already? That comes twice in an
    ordinary text of 200 tokens. In an earlier form of the recipe it was wrong in up to every third case,
    where most other decisions were wrong in one of a thousand. Of up to four operations, as in the
    recipe today, one text in nine asks for four names, and none for more.
    """
    most = min(len(system.needed), MOST_ASKED)
    while True:
        asked = rng.sample(system.needed, rng.randint(min(variables.ASKED, most), most))
        asking = replace(system, asked=tuple(asked))
        # With other names asked it is another problem, and may belong to another split.
        if variables.split_of(asking) == "train":
            return asking


def _drill(
    draw: Callable[[Random, tuple[int, int]], tuple[str, str]],
) -> Callable[[Random, tuple[int, int]], tuple[str, str]]:
    def drawn(rng: Random, operations: tuple[int, int]) -> tuple[str, str]:
        question, listed = draw(rng, operations)
        return _text(question, "", traces.response_text(listed, ""))

    return drawn


def _mispaired(rng: Random, operations: tuple[int, int]) -> tuple[str, str]:
    """A question with the solution of another: what a judge must gain nothing from."""
    prompt, _ = KINDS["marked-steps"](rng, operations)
    _, response = KINDS["marked-steps"](rng, operations)
    return prompt, response


def _programs(kind: str) -> Callable[[Random, tuple[int, int]], tuple[str, str]]:
    def draw(rng: Random, operations: tuple[int, int]) -> tuple[str, str]:
        task = programs.draw_task(rng)
        while programs.split_of(task) != "train":
            task = programs.draw_task(rng)
        question = programs.question_text(task)
        if kind == "planned":
            plan = programs.plan_text(task.function.form)
            return _text(question, plan, program_traces.planned_response(task))
        if kind == "direct":
            return _text(question, "", program_traces.direct_response(task))
        if kind == "sloppy":
            return _text(question, "", program_traces.sloppy_response(task, rng, SLOPPY))
        return _text(question, "", program_traces.searching_response(task))

    return draw


def _copy(rng: Random, operations: tuple[int, int]) -> tuple[str, str]:
    """Words in a random order, then the same once more from another place on, outside any chat.

    Every token of the second round follows from its place in the first. Learning that takes a head that looks
    back one token and one that looks for a match, and nowhere else are they asked for so densely. The lists
    are long on purpose: with 2 to 12 words guessing pays, and no seed had learned it after 700 steps.
    """
    heads = [f" {name}{form}" for name in variables.LETTERS for form in (":", "=")]
    words = [head + _follower(rng, head) for head in rng.sample(heads, rng.randint(8, 10))]
    turn = rng.randrange(len(words))
    return "".join(words), "".join(words[turn:] + words[:turn])


def _marked_copy(rng: Random, operations: tuple[int, int]) -> tuple[str, str]:
    """The same with marks between the words, which plans and searches are full of.

    Where marks had no part in the copying, what stands behind one in a plan was found late or never: one
    seed counted steps instead, and was at .18 nats a token after 4,000 steps of the drills. With them it was
    at .02 after 900.
    """
    heads = [f" {name}{form}" for name in variables.LETTERS for form in (":", "=")]
    words = [head + _follower(rng, head) for head in rng.sample(heads, rng.randint(5, 7))]
    words += [f" {name}?" for name in rng.sample(variables.LETTERS, rng.randint(5, 7))]
    rng.shuffle(words)
    turn = rng.randrange(len(words))
    return "".join(words), "".join(words[turn:] + words[:turn])


def _follower(rng: Random, head: str) -> str:
    """What stands behind a head: an operator or a digit, whichever its sign, and operands behind a colon.

    With operators behind colons alone, guessing one is right every third time, and some seeds stopped there.
    """
    sign = rng.choice([" +", " -", " *", *map(str, range(variables.MODULUS))])
    if head.endswith("="):
        return sign
    first, second = rng.sample(variables.LETTERS, 2)
    return f"{sign} {first} {second}"


def _recall(rng: Random, operations: tuple[int, int]) -> tuple[str, str]:
    """Values and definitions, asked back by name: the look-up that every later step needs.

    Some names have both, as in a search what was worked out has; then the value is wanted. That is the only
    decision of a search, known or not, and here it is asked for densely.
    """
    names = rng.sample(variables.LETTERS, rng.randint(4, 7))
    listed = {name: _entry(rng, name, names) for name in names}
    known = {
        name: f" {name}={rng.randrange(variables.MODULUS)}"
        for name in names
        if ":" in listed[name] and rng.random() < 0.4
    }
    entries = [*listed.values(), *known.values()]
    rng.shuffle(entries)
    asked = rng.sample(names, rng.randint(2, len(names)))
    question = "".join([*entries, " ?", *(f" {name}" for name in asked)])
    return _text(question, "", traces.response_text("".join((listed | known)[name] for name in asked), ""))


def _entry(rng: Random, name: str, names: list[str]) -> str:
    """A value or a definition, as a question lists it."""
    if rng.random() < 0.6:
        return f" {name}={rng.randrange(variables.MODULUS)}"
    first, second = rng.sample(names, 2)
    return variables.definition_text(name, (rng.choice("+-*"), first, second))


def _table(rng: Random, operations: tuple[int, int]) -> tuple[str, str]:
    """One step of evaluation on its own, outside any chat: nothing but a multiplication table to learn.

    A sum modulo 10 says nothing about either operand alone, so it is learned only once both are read; in a
    short text they are hard to miss.
    """
    first, second, result = rng.sample(variables.LETTERS, 3)
    a, b = rng.randrange(variables.MODULUS), rng.randrange(variables.MODULUS)
    operator = rng.choice("+-*")
    step = variables.definition_text(result, (operator, first, second))
    return f"{step} {first}={a} {second}={b} {result}=", str(variables.apply(operator, a, b))


def _trial(rng: Random, operations: tuple[int, int]) -> tuple[str, str]:
    """One candidate of a search for a program, outside any chat; every other time it is the right one."""
    task = programs.draw_task(rng)
    while programs.split_of(task) != "train":
        task = programs.draw_task(rng)
    form, a = task.function.form, task.function.a
    if rng.random() < 0.5:
        form = rng.choice(programs.FORMS)
        a = rng.randint(1, form.largest)
    trace, _ = program_traces.write(program_traces.trial(form, a, task.examples))
    return f"{programs.question_text(task)} {form.name}", trace


KINDS: dict[str, Callable[[Random, tuple[int, int]], tuple[str, str]]] = {
    "searching": _variables("searching"),
    "marked-steps": _variables("marked-steps"),
    "many-marked": _variables("many-marked"),
    "planned": _variables("planned"),
    "marked-plan": _variables("marked-plan"),
    "direct": _variables("direct"),
    "sloppy": _variables("sloppy"),
    "sloppy-steps": _variables("sloppy-steps"),
    "mispaired-steps": _mispaired,
    "copy": _copy,
    "marked-copy": _marked_copy,
    "recall": _recall,
    "marked-look-up": _drill(drills.look_up),
    "marked-follow": _drill(drills.follow),
    "return": _drill(drills.come_back),
    "table": _table,
    "trial": _trial,
    "searching-program": _programs("searching"),
    "planned-program": _programs("planned"),
    "direct-program": _programs("direct"),
    "sloppy-program": _programs("sloppy"),
    "planning": _variables("planning"),
}


def draw_example(mixture: Sequence[Ingredient], name: str, index: int, stretch: int = 0) -> Example:
    """Item `index` of the stream `name`, as tokens; stretch: see `MixtureStream`."""
    rng = item_random("mixture", name, index)
    place = rng.random() * sum(ingredient.share for ingredient in mixture)
    chosen = mixture[-1]
    for ingredient in mixture:
        place -= ingredient.share
        if place < 0:
            chosen = ingredient
            break
    prompt, response = KINDS[chosen.kind](rng, chosen.operations)
    tokens, learned = tokenizer.encode_all([prompt, response])
    return Example(tokens, learned, _skip(rng, len(tokens), len(learned), stretch))


def _skip(rng: Random, prompt: int, response: int, stretch: int) -> tuple[int, int]:
    """Where positions skip, and by how many: in half of the texts, and every other time behind the prompt."""
    if not stretch or rng.random() < 0.5:
        return 0, 0
    place = prompt if rng.random() < 0.5 else rng.randrange(prompt, prompt + response)
    return place, rng.randint(1, stretch)


class MixtureStream:
    """Packed batches of [rows, length] tokens from a mixture; resumable (see `training.loop`).

    stretch: in half of the texts the positions skip up to so many, once, so that the model meets distances
    that only longer texts have. Source: PoSE, https://arxiv.org/abs/2309.10400 .
    """

    def __init__(
        self, mixture: Sequence[Ingredient], name: str, *, rows: int, length: int, stretch: int = 0
    ) -> None:
        if not mixture:
            raise K2ReproError("a mixture needs at least one ingredient")
        for ingredient in mixture:
            if ingredient.kind not in KINDS:
                raise unknown("kind of example", ingredient.kind, list(KINDS))
        self.mixture, self.name, self.rows, self.length = tuple(mixture), name, rows, length
        self.stretch = stretch
        self._next = 0
        self._waiting: list[tuple[int, Example]] = []

    def next_batch(self) -> Batch:
        """The next batch; texts that do not fit wait for the one after."""
        drawn = list(self._waiting)
        size = sum(len(example) for _, example in drawn)
        while size < AHEAD * self.rows * self.length:
            example = self._draw(self._next)
            drawn.append((self._next, example))
            size += len(example)
            self._next += 1
        batch, left = pack([example for _, example in drawn], self.length, rows=self.rows)
        waiting = {id(example) for example in left}
        self._waiting = [(index, example) for index, example in drawn if id(example) in waiting]
        return batch

    def state_dict(self) -> dict[str, Any]:
        """The next index and the indices of the texts that wait."""
        return {"next": self._next, "waiting": [index for index, _ in self._waiting]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken: waiting texts are drawn again from their indices."""
        self._next = int(state["next"])
        self._waiting = [(index, self._draw(index)) for index in state["waiting"]]

    def _draw(self, index: int) -> Example:
        return draw_example(self.mixture, self.name, index, self.stretch)
