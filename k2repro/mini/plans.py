"""Plans of the family `variables`: how a planner is taught to find one, and when a plan works.

A planner reads the question alone and thinks; the names that its thinking works out are handed over in their
order, and nothing else of it reaches the solver:

    <think> i: + c e ? no c=9 e=4 plan i=0 h: - i d ? i i=0 d: * ...</think><answer> plan i d h</answer>

Its thinking is the solver's search (`traces`) without arithmetic: what is worked out is marked as known by a
0, whatever its value. So a planner that starts from a model which can search has little to learn, and its
plan cannot give the answer away. What is new is the order in which the search got its values. It is written
out as a chain, for the reason for which the stack of the search is: what a small model would have to find by
counting back, it gets wrong. Every note ends in the name that was worked out last (`no` for none), and what
is worked out is written behind that name with a question mark: ` d? h=0` says that h came after d. Each of
these marks stands there once, so the plan is one look-up for each name: what follows ` d?`.

The line behind the thinking is taught, and was not learned in the time that a planner gets, where the
thinking above it mostly was (chosen on validation problems; notebook 04 counts both on test problems). So the
order is read off the thinking (`read_reply`), as a solver's own order is read off its search; `read_line`
reads the line.
"""

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from k2repro.mini.grading import CLOSE_TRACE, OPEN_TRACE, split_response
from k2repro.mini.traces import EVALUATE, NOTE, response_text, search_order
from k2repro.mini.variables import System, definition_text, plan_text

# Above every taught reply up to 16 operations; with the longest question it fits the context of 512.
MAX_NEW_TOKENS = 400
# What stands for "nothing is worked out yet", at the end of a note and at the begin of the chain.
NONE_YET, CHAIN = "no", "plan"
# The value of everything that is worked out.
KNOWN = 0
# A link of the chain: a mark, and what was worked out behind it.
LINK = re.compile(rf" (?:{CHAIN}|[a-z]\?) ([a-z])={KNOWN}")

WORKABLE = "workable"
UNFINISHED, UNREADABLE, EMPTY = "unfinished", "unreadable", "empty"
UNDEFINED, REPEATED, EARLY, INCOMPLETE = "undefined name", "repeated name", "too early", "incomplete"
# What may be said of a planner's reply, from its form to its content; the first four are no plan at all.
KINDS = (UNFINISHED, UNREADABLE, EMPTY, UNDEFINED, REPEATED, EARLY, INCOMPLETE, WORKABLE)
NO_PLAN = KINDS[:4]


# ---- what a planner is taught ---------------------------------------------------------------------


def planning_response(system: System) -> str:
    """Thinking and plan: the search depth first from the asked names, then the order that it found."""
    parts: list[str] = []
    order: list[str] = []
    values = {**system.values, **dict.fromkeys(system.definitions, KNOWN)}
    for action, name, back in search_order(system):
        if action == NOTE:
            last = order[-1] if order else NONE_YET
            parts.append(f"{definition_text(name, system.definitions[name])} {back} {last}")
            continue
        if action == EVALUATE:
            parts += [f" {operand}={values[operand]}" for operand in system.definitions[name][1:]]
            parts.append(_mark(order))
            order.append(name)
        parts.append(f" {name}={values[name]}")
    return response_text("".join(parts) + _mark(order), plan_text(order))


def _mark(order: Sequence[str]) -> str:
    return f" {order[-1]}?" if order else f" {CHAIN}"


# ---- what a reply is worth ------------------------------------------------------------------------


Reader = Callable[[str], tuple[str, ...] | None]


class PlanVerdict(NamedTuple):
    """What is to be said of a reply.

    kind      one of KINDS: the first thing that is wrong with it
    names     what it names, in order; empty where it could not be read
    needless  how many of the names no asked value depends on; a detour, no mistake
    """

    kind: str
    names: tuple[str, ...] = ()
    needless: int = 0

    @property
    def text(self) -> str:
        """What is handed over, as it stands behind a question: names of the question only, or nothing.

        A plan that does not work is handed over all the same: who would know?
        """
        return "" if self.kind in NO_PLAN else plan_text(self.names)


def read_reply(reply: str) -> tuple[str, ...] | None:
    """The names that a planner's thinking works out, in their order; None for a text of another form.

    >>> read_reply("<think> i: + c e ? no c=9 e=4 plan i=0 i?</think><answer> plan m</answer>")
    ('i',)
    >>> read_reply("plan i") is None
    True
    """
    head, closed, _ = reply.partition(CLOSE_TRACE)
    if not closed or not head.startswith(OPEN_TRACE):
        return None
    return tuple(LINK.findall(head))


def read_line(reply: str) -> tuple[str, ...] | None:
    """The names in the line behind a planner's thinking; None for a text of another form.

    >>> read_line("<think> i: + c e ? no c=9 e=4 plan i=0 i?</think><answer> plan m</answer>")
    ('m',)
    """
    parts = split_response(reply)
    if parts is None:
        return None
    head, *names = parts.answer.split() or [""]
    return tuple(names) if head == plan_text(()).strip() else None


def judge_reply(
    system: System, reply: str, *, finished: bool = True, read: Reader = read_reply
) -> PlanVerdict:
    """What a reply to the question of `system` is worth.

    finished: whether the planner ended it; a reply that was cut at its limit of tokens hands nothing over.
    read: `read_reply`, or `read_line` for what the planner itself wrote down as its plan.
    """
    if not finished:
        return PlanVerdict(UNFINISHED)
    names = read(reply)
    return PlanVerdict(UNREADABLE) if names is None else judge_plan(system, names)


def judge_plan(system: System, names: Sequence[str]) -> PlanVerdict:
    """Whether every asked value can be worked out along a plan, each operand known before.

    A plan may name what nobody needs, as long as it can be evaluated where it stands. It may not name a given
    value or a letter that the question does not hold (there is nothing to evaluate), nor a name twice.
    """
    needless = len(set(names) - _ancestors(system))
    return PlanVerdict(_kind(system, names), tuple(names), needless)


def _kind(system: System, names: Sequence[str]) -> str:
    if not names:
        return EMPTY
    if any(name not in system.definitions for name in names):
        return UNDEFINED
    if len(set(names)) < len(names):
        return REPEATED
    known = set(system.values)
    for name in names:
        if not known.issuperset(system.definitions[name][1:]):
            return EARLY
        known.add(name)
    return WORKABLE if known.issuperset(system.asked) else INCOMPLETE


def _ancestors(system: System) -> set[str]:
    """The definitions that the asked values depend on, worked out from the question alone."""
    found: set[str] = set()
    waiting = list(system.asked)
    while waiting:
        name = waiting.pop()
        if name in system.definitions and name not in found:
            found.add(name)
            waiting += system.definitions[name][1:]
    return found
