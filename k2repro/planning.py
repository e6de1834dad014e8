"""Plan before you think: a planner reads the question first, and the solver gets question and plan.

The procedure of the released code (MBZUAI-IFM/K2-Think-Inference, main.py), in our words: a planner says
whether the question needs a plan and names a few topics; from the topics it writes a plan that must not give
the answer; the solver reads the question, the plan, and the question's request again. In K2-Think the planner
is another, larger model; the paper does not name it.

Where the released code trips, this does not: a planner's reply that is no JSON is read as far as it can be
and counted, an empty plan leaves the question as it was, and a plan that states an answer is noticed.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from k2repro.engine.backend import Completion, Message, Request, Sampling, derived_seed
from k2repro.errors import K2ReproError

Ask = Callable[[Sequence[Request]], list[list[Completion]]]

MOST_TOPICS = 4
PLANNER = Sampling(max_new_tokens=2048)
NEED_SCHEMA = {
    "type": "object",
    "properties": {
        "needs_plan": {"type": "boolean"},
        "topics": {"type": "array", "items": {"type": "string"}, "maxItems": MOST_TOPICS},
    },
    "required": ["needs_plan", "topics"],
}
NEED_PROMPT = """\
Read the question. Do not answer it.
Decide whether somebody who has to answer it would gain from a plan. If so, name at most {most} topics \
(methods, theorems, facts) that a plan should draw on.
Reply with JSON only: {{"needs_plan": true or false, "topics": ["...", "..."]}}

<question>
{question}
</question>"""
PLAN_PROMPT = """\
Write a short plan for answering the question below, for somebody else who will carry it out.
Name the steps and their order. Do NOT carry them out, and do NOT give the answer or a guess at it.
{topics}
<question>
{question}
</question>"""
SOLVER_PROMPT = """\
<question>
{question}
</question>

<ideas>
{plan}
</ideas>

The ideas may be wrong. Now answer the question."""
# What a plan must not say, and what a plan has no reason to hold.
STATED = re.compile(r"\\boxed|<answer>|\b(?:the|final) answer (?:is|will be|equals|:)", re.IGNORECASE)


@dataclass(frozen=True)
class Need:
    """Whether the question needs a plan. readable: False when the planner's reply was not what was asked."""

    wanted: bool
    topics: tuple[str, ...] = ()
    readable: bool = True


@dataclass(frozen=True)
class Plan:
    """A plan for one question.

    text: empty when there is none. source: who made it: "planner", "own" (the solver's own order), "gold"
    (the program's), "given". states_answer: whether it says what the answer is. need: the step before it.
    fault: why a reply that came is not handed over, empty for none.
    """

    text: str
    source: str = "planner"
    states_answer: bool = False
    need: Need | None = None
    fault: str = ""


def need_request(question: str, *, seed: int, n: int = 1, sampling: Sampling = PLANNER) -> Request:
    """The first question to the planner: is a plan needed, and on which topics?"""
    text = NEED_PROMPT.format(question=question, most=MOST_TOPICS)
    return _planner_request(text, sampling, seed, n, "topics", NEED_SCHEMA)


def read_need(completion: Completion) -> Need:
    """The planner's reply, as far as it can be read.

    Prose around the JSON is left out. What cannot be read counts as "a plan is wanted, no topics": the plan
    is then written from the question alone.
    """
    found = re.search(r"\{.*\}", completion.text or "", re.DOTALL)
    try:
        value = json.loads(found[0]) if found else None
    except ValueError:
        value = None
    if not isinstance(value, dict) or not isinstance(value.get("needs_plan"), bool):
        return Need(wanted=True, readable=False)
    topics = value.get("topics") or ()
    if not isinstance(topics, list) or not all(isinstance(topic, str) for topic in topics):
        return Need(value["needs_plan"], readable=False)
    return Need(value["needs_plan"], tuple(topics[:MOST_TOPICS]))


def plan_request(question: str, topics: Sequence[str], *, seed: int, sampling: Sampling = PLANNER) -> Request:
    """The second question to the planner: the plan."""
    named = "Topics to draw on: " + "; ".join(topics) + "\n" if topics else ""
    text = PLAN_PROMPT.format(question=question, topics=named)
    return _planner_request(text, sampling, seed, 1, "plan", None)


def read_plan(completion: Completion, need: Need | None = None) -> Plan:
    """The plan of a reply; a failed or empty one is no plan."""
    text = "" if completion.failed else (completion.text or "").strip()
    return Plan(text, states_answer=states_an_answer(text), need=need)


def make_plans(question: str, ask: Ask, *, count: int, seed: int, sampling: Sampling = PLANNER) -> list[Plan]:
    """`count` plans, drawn independently of each other as in the released code, one for each sample.

    ask: the planner's `Backend.complete`. A question that needs no plan gets a Plan with an empty text.
    """
    needs = [
        read_need(each) for each in ask([need_request(question, seed=seed, n=count, sampling=sampling)])[0]
    ]
    wanted = [
        plan_request(question, need.topics, seed=derived_seed("plan", seed, index), sampling=sampling)
        for index, need in enumerate(needs)
        if need.wanted
    ]
    written = iter(ask(wanted) if wanted else ())
    return [read_plan(next(written)[0], need) if need.wanted else Plan("", need=need) for need in needs]


def with_plan(question: str, plan: Plan | None) -> str:
    """What the solver reads: the question alone, or the question and the ideas.

    Raises K2ReproError for an empty question.
    """
    if not question.strip():
        raise K2ReproError("the question is empty")
    if plan is None or not plan.text:
        return question
    return SOLVER_PROMPT.format(question=question, plan=plan.text)


def states_an_answer(plan: str) -> bool:
    r"""Whether the plan's own words claim to give the answer; needs no gold answer.

    >>> states_an_answer("First factor n. The answer is 12."), states_an_answer("First factor n.")
    (True, False)
    """
    return STATED.search(plan) is not None


def holds_answer(plan: str, question: str, gold: str) -> bool:
    """Whether the gold answer stands in the plan as a word of its own, and not in the question already.

    For the audit after a run only: it looks at the gold answer, which no part of the procedure may.
    """
    word = re.compile(rf"(?<![\w.]){re.escape(gold.strip())}(?![\w.]\w|\w)")
    return bool(gold.strip()) and bool(word.search(plan)) and not word.search(question)


@dataclass(frozen=True)
class LeakRate:
    """How often plans hold their answer. chance: how often they hold the answer of another question.

    A plan for a question with the answer 2 holds a 2 by chance; only what exceeds chance is a leak.
    """

    plans: int
    stated: float
    held: float
    chance: float


def leak_rate(plans: Sequence[str], questions: Sequence[str], golds: Sequence[str]) -> LeakRate:
    """Leaks over a benchmark; one plan, question and gold answer at each place. Empty plans are left out.

    Raises K2ReproError for lists of different lengths.
    """
    if not len(plans) == len(questions) == len(golds):
        raise K2ReproError(
            f"{len(plans)} plans, {len(questions)} questions, {len(golds)} answers: must be equal"
        )
    places = [index for index, plan in enumerate(plans) if plan]
    if not places:
        return LeakRate(0, 0.0, 0.0, 0.0)
    held = [holds_answer(plans[i], questions[i], golds[i]) for i in places]
    others = [
        holds_answer(plans[i], questions[i], gold)
        for i in places
        for gold in {golds[j] for j in places} - {golds[i]}
    ]
    return LeakRate(
        plans=len(places),
        stated=sum(states_an_answer(plans[i]) for i in places) / len(places),
        held=sum(held) / len(places),
        chance=sum(others) / len(others) if others else 0.0,
    )


def _planner_request(
    text: str, sampling: Sampling, seed: int, n: int, label: str, schema: dict | None
) -> Request:
    return Request(
        (Message("user", text),),
        sampling.max_new_tokens,
        n=n,
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        stop=sampling.stop,
        seed=seed,
        role="planner",
        label=label,
        schema=schema,
    )
