"""How a question is put to a model and how its answer is read: the part of the procedure that differs."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from k2repro.engine.backend import Completion, Message, Prompt, Sampling
from k2repro.errors import K2ReproError
from k2repro.planning import Ask, Plan, make_plans, with_plan
from k2repro.verify import answers_equal
from k2repro.verify.extract import closing_brace, unboxed

ANSWER = re.compile(r"<answer>(.*?)(?:</answer>|\Z)", re.DOTALL)
BOXED = re.compile(r"\\(?:boxed|fbox)\s*(?=\{)")


class Dialect(Protocol):
    """One way of asking."""

    def check(self, question: str) -> str:
        """The question as it will be asked. Raises K2ReproError for one that cannot be."""

    def check_plan(self, question: str, plan: Plan) -> None:
        """Raises K2ReproError for a plan, given by whoever asks, that the solver could not make sense of."""

    def prompt(self, question: str, plan: Plan | None) -> Prompt:
        """What the solver reads."""

    def text(self, completion: Completion) -> str:
        """The response as a judge and a reader see it."""

    def answer(self, completion: Completion) -> str | None:
        """The value that a response states; None when none can be read."""

    def same(self, first: str, second: str) -> bool:
        """Whether two answers are one value, so that their votes count together."""

    def plans(self, question: str, ask: Ask, *, count: int, seed: int, sampling: Sampling) -> Sequence[Plan]:
        """`count` plans by the planner behind `ask`, an empty text for each that is none."""

    def own_plan(self, question: str, searched: Sequence[Completion]) -> Plan | None:
        """A plan read off the solver's own first passes, for want of a planner; None if it cannot be."""


@dataclass(frozen=True)
class ChatDialect:
    """A chat model. system: the system prompt, empty for none; instruction: added to every question."""

    system: str = ""
    instruction: str = ""

    def check(self, question: str) -> str:
        return question.strip()

    def check_plan(self, question: str, plan: Plan) -> None:
        if not plan.text.strip():
            raise K2ReproError("the plan that is given is empty: leave it out, or say what to do")

    def prompt(self, question: str, plan: Plan | None) -> Prompt:
        asked = f"{question}\n\n{self.instruction}" if self.instruction else question
        user = Message("user", with_plan(asked, plan))
        return (Message("system", self.system), user) if self.system else (user,)

    def text(self, completion: Completion) -> str:
        return "" if completion.failed else completion.text or ""

    def answer(self, completion: Completion) -> str | None:
        return read_answer(self.text(completion))

    def same(self, first: str, second: str) -> bool:
        return answers_equal(first, second)

    def plans(self, question: str, ask: Ask, *, count: int, seed: int, sampling: Sampling) -> Sequence[Plan]:
        return make_plans(question, ask, count=count, seed=seed, sampling=sampling)

    def own_plan(self, question: str, searched: Sequence[Completion]) -> Plan | None:
        return None


def read_answer(text: str) -> str | None:
    r"""The answer that a chat model states: its last `<answer>` block, else its last `\boxed{...}`.

    A block may be unclosed, because the published protocol stops at `</answer>`. Where two boxes stand in the
    last line that has one, as in "12 or 13", there is no one answer.

    >>> read_answer("so <answer>12</answer>"), read_answer(r"so $x = \boxed{\frac{1}{2}}$.")
    ('12', '\\frac{1}{2}')
    >>> read_answer("12") is None
    True
    """
    blocks = ANSWER.findall(text)
    if blocks:
        inside = blocks[-1].strip()
        boxes = _boxes(inside)
        return (boxes[0] if len(boxes) == 1 else unboxed(inside)) or None
    lines = [line for line in text.splitlines() if BOXED.search(line)]
    boxes = _boxes(lines[-1] if lines and _boxes(lines[-1]) else text)
    if not boxes or (lines and len(set(_boxes(lines[-1]))) > 1):
        return None
    return boxes[-1] or None


def _boxes(text: str) -> list[str]:
    """What stands in the boxes of `text`; unclosed ones are left out."""
    found = []
    for match in BOXED.finditer(text):
        end = closing_brace(text[match.end() :])
        if end > 0:
            found.append(text[match.end() + 1 : match.end() + end].strip())
    return found
