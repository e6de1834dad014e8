"""Judges: a model reads candidates, gives each a mark or compares two; whoever that model is.

`knock_out` is the released procedure (MBZUAI-IFM/K2-Think-Inference, main.py): the best so far is always
shown first and meets the next candidate, N - 1 comparisons, so a judge that prefers what it reads first keeps
the first candidate. `round_robin` compares every pair in both orders, N (N - 1) comparisons, and such a judge
then decides nothing. Only what follows the thinking is judged. Replies that cannot be read are counted.
"""

import json
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from k2repro.best_of_n.expectation import both_orders
from k2repro.engine.backend import Completion, Message, Request, Sampling, derived_seed
from k2repro.errors import K2ReproError

Ask = Callable[[Sequence[Request]], list[list[Completion]]]

JUDGE = Sampling(max_new_tokens=2048)
# Of a response without an end of thinking, as in the released code.
LAST_CHARACTERS = 2000
FIRST, SECOND, UNREADABLE = 0, 1, -1
PAIR_SCHEMA = {
    "type": "object",
    "properties": {"better": {"type": "integer", "enum": [1, 2]}},
    "required": ["better"],
}
SCORE_SCHEMA = {
    "type": "object",
    "properties": {"score": {"type": "number", "minimum": 0, "maximum": 10}},
    "required": ["score"],
}
PAIR_PROMPT = """\
Two responses to one question. Decide which is more likely to be right.
Reply with JSON only: {{"better": 1}} or {{"better": 2}}.

<question>
{question}
</question>

<response number="1">
{first}
</response>

<response number="2">
{second}
</response>"""
SCORE_PROMPT = """\
How likely is the response below to be a right answer to the question? 0: surely wrong, 10: surely right.
Reply with JSON only: {{"score": number}}.

<question>
{question}
</question>

<response>
{response}
</response>"""


@dataclass
class Verdicts:
    """What a judge said about the pairs of one question.

    table: int [N, N]; [i, j] is FIRST when candidate i, shown first, was preferred to j, SECOND when j was,
    UNREADABLE when the reply could not be read or did not come, and UNREADABLE where nobody asked.
    tied: how many candidates shared the most wins of a round robin; 1 is nobody else.
    """

    table: NDArray[np.int64]
    asked: int = 0
    unreadable: int = 0
    tied: int = 1
    replies: list[Completion] = field(default_factory=list)

    @property
    def first_preferred(self) -> float | None:
        """Share of readable verdicts for the one shown first; .5 without position bias, None without any."""
        readable = self.table[self.table != UNREADABLE]
        return float((readable == FIRST).mean()) if len(readable) else None

    @property
    def depends_on_order(self) -> float | None:
        """Share of pairs, compared in both orders, whose winner changes with the order."""
        both = [
            (self.table[i, j], self.table[j, i])
            for i in range(len(self.table))
            for j in range(i)
            if UNREADABLE not in (self.table[i, j], self.table[j, i])
        ]
        return sum(a == b for a, b in both) / len(both) if both else None


def judged_part(text: str) -> str:
    """What a judge reads of a response: what follows the thinking, else its last characters."""
    return text.rpartition("</think>")[2].strip()[-LAST_CHARACTERS:]


def pair_request(question: str, first: str, second: str, *, seed: int, sampling: Sampling = JUDGE) -> Request:
    """Which of two responses is better?"""
    text = PAIR_PROMPT.format(question=question, first=judged_part(first), second=judged_part(second))
    return _request(text, seed, sampling, "compare", PAIR_SCHEMA)


def read_pair(completion: Completion) -> int:
    """FIRST, SECOND, or UNREADABLE for a reply that names neither or both."""
    named = {int(number) for number in _values(completion, "better") if number in ("1", "2")}
    return named.pop() - 1 if len(named) == 1 else UNREADABLE


def read_score(completion: Completion) -> float | None:
    """A mark from 0 to 10; None for a reply without one."""
    for value in _values(completion, "score"):
        try:
            score = float(value)
        except ValueError:
            continue
        if 0.0 <= score <= 10.0:
            return score
    return None


def score_all(
    question: str, texts: Sequence[str], ask: Ask, *, seed: int, sampling: Sampling = JUDGE
) -> list[float | None]:
    """A mark for each response, read alone; None where the reply could not be read."""
    requests = [
        _request(
            SCORE_PROMPT.format(question=question, response=judged_part(text)),
            derived_seed("score", seed, index),
            sampling,
            "score",
            SCORE_SCHEMA,
        )
        for index, text in enumerate(texts)
    ]
    return [read_score(completions[0]) for completions in ask(requests)]


def compare(
    question: str,
    texts: Sequence[str],
    pairs: Sequence[tuple[int, int]],
    ask: Ask,
    *,
    seed: int,
    sampling: Sampling = JUDGE,
    into: Verdicts | None = None,
) -> Verdicts:
    """Ask about `pairs` of responses, (shown first, shown second), all at once."""
    found = into or Verdicts(np.full((len(texts), len(texts)), UNREADABLE))
    requests = [
        pair_request(question, texts[i], texts[j], seed=derived_seed("pair", seed, i, j), sampling=sampling)
        for i, j in pairs
    ]
    for (i, j), (reply,) in zip(pairs, ask(requests), strict=True):
        found.table[i, j] = read_pair(reply)
        found.asked += 1
        found.unreadable += int(found.table[i, j] == UNREADABLE)
        found.replies.append(reply)
    return found


def knock_out(
    question: str, texts: Sequence[str], ask: Ask, *, seed: int, sampling: Sampling = JUDGE
) -> tuple[int, Verdicts]:
    """The released procedure: (index of the winner, verdicts). An unreadable reply keeps the best so far.

    Raises K2ReproError for no response.
    """
    _some(texts)
    found, best = Verdicts(np.full((len(texts), len(texts)), UNREADABLE)), 0
    for challenger in range(1, len(texts)):
        pair = [(best, challenger)]
        compare(question, texts, pair, ask, seed=seed, sampling=sampling, into=found)
        best = challenger if found.table[best, challenger] == SECOND else best
    return best, found


def round_robin(
    question: str,
    texts: Sequence[str],
    ask: Ask,
    *,
    seed: int,
    generator: random.Random,
    sampling: Sampling = JUDGE,
) -> tuple[int, Verdicts]:
    """Every pair in both orders; the response with most wins, ties evenly by `generator`."""
    _some(texts)
    pairs = [(i, j) for i in range(len(texts)) for j in range(len(texts)) if i != j]
    found = compare(question, texts, pairs, ask, seed=seed, sampling=sampling)
    wins = both_orders(found.table).sum(axis=1)
    first = np.flatnonzero(wins == wins.max()).tolist()
    found.tied = len(first)
    return int(generator.choice(first)), found


def _some(texts: Sequence[str]) -> None:
    if not texts:
        raise K2ReproError("there is no response to judge: N must be at least 1")


def _values(completion: Completion, name: str) -> list[str]:
    """What a reply gives as `name`: of a JSON object in it, else of `name: value` in prose."""
    text = "" if completion.failed else completion.text or ""
    for found in re.findall(r"\{[^{}]*\}", text):
        try:
            value = json.loads(found)
        except ValueError:
            continue
        if isinstance(value, dict) and name in value:
            return [str(value[name])]
    return re.findall(rf"\b{name}\b\W{{0,4}}(-?\d+(?:\.\d+)?)", text, re.IGNORECASE)


def _request(text: str, seed: int, sampling: Sampling, label: str, schema: dict) -> Request:
    return Request(
        (Message("user", text),),
        sampling.max_new_tokens,
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        stop=sampling.stop,
        seed=seed,
        role="judge",
        label=label,
        schema=schema,
    )
