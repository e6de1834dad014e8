"""Plans: a planner that is taught an order that does not work, and a judge of plans that lets one through."""

import random
import re
from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k2repro.mini import plans, tokenizer
from k2repro.mini.plans import WORKABLE, judge_plan, judge_reply, planning_response, read_line, read_reply
from k2repro.mini.question import read_question
from k2repro.mini.traces import planned_trace, searching_trace
from k2repro.mini.variables import draw_system, plan_text, question_text

CONTEXT = 512


def drawn(seed, operations):
    return draw_system(random.Random(seed), operations)


systems = st.builds(drawn, st.integers(0, 10**6), st.integers(1, 16))
short_systems = st.builds(drawn, st.integers(0, 10**6), st.integers(1, 4))


# ---- what a plan is worth -------------------------------------------------------------------------


def workable(system, names):
    return judge_plan(system, names).kind == WORKABLE


def can_be_evaluated(system, names):
    """Slow reference: carry the plan out, one name after the other, as a person would."""
    left, known = dict(system.definitions), dict(system.values)
    for name in names:
        if name not in left:
            return False
        operator, first, second = left.pop(name)
        if first not in known or second not in known:
            return False
        known[name] = {
            "+": known[first] + known[second],
            "-": known[first] - known[second],
            "*": known[first] * known[second],
        }[operator] % 10
    return bool(names) and all(name in known for name in system.asked)


def changed(rng, system):
    """A plan that works, with one thing done to it or nothing."""
    names, letters = list(system.needed), "abcdefghijklmnopqrst"
    what = rng.randrange(7)
    if what == 1:
        rng.shuffle(names)
    elif what == 2:
        names.pop(rng.randrange(len(names)))
    elif what == 3:
        names.insert(rng.randrange(len(names) + 1), rng.choice(letters))
    elif what == 4:
        names.insert(rng.randrange(len(names) + 1), rng.choice(names))
    elif what == 5:
        at = rng.randrange(len(names))
        names[at] = rng.choice(letters)
    elif what == 6:
        names.insert(rng.randrange(len(names) + 1), rng.choice(list(system.definitions)))
    return names


def disagreements(judged):
    """On how many of 3,000 plans, changed and unchanged, a judge says something else than carrying it out."""
    rng, wrong = random.Random(3), 0
    for index in range(3000):
        system = drawn(index, rng.randint(1, 12))
        names = changed(rng, system)
        wrong += judged(system, names) != can_be_evaluated(system, names)
    return wrong


def test_a_plan_works_exactly_if_it_can_be_carried_out():
    """Catches any rule about plans that is not "every operand first, and all that is asked"."""
    assert disagreements(workable) == 0


def any_order(system, names):
    """Wrong twin: counts the names, whatever their order."""
    return set(system.needed) <= set(names) <= set(system.definitions) and len(set(names)) == len(names)


def any_part(system, names):
    """Wrong twin: an order that works as far as it goes is a plan."""
    known = set(system.values)
    for name in names:
        if name in known or not known.issuperset(system.definitions.get(name, "???")[1:]):
            return False
        known.add(name)
    return bool(names)


def only_the_reference(system, names):
    """Wrong twin: one order is right, all others are wrong."""
    return tuple(names) == system.needed


def no_distractor(system, names):
    """Wrong twin: a detour over what nobody needs is a mistake."""
    return workable(system, names) and set(names) <= set(system.needed)


def twice_is_fine(system, names):
    """Wrong twin: a name may come again."""
    return workable(system, list(dict.fromkeys(names)))


def strangers_are_skipped(system, names):
    """Wrong twin: what the question does not define is passed over without a word."""
    return workable(system, [name for name in names if name in system.definitions])


@pytest.mark.parametrize(
    "twin", [any_order, any_part, only_the_reference, no_distractor, twice_is_fine, strangers_are_skipped]
)
def test_a_judge_with_another_rule_is_noticed(twin):
    """Catches a comparison that no wrong judge fails."""
    assert disagreements(twin) > 10


@given(short_systems)
@settings(max_examples=60, deadline=None)
def test_every_order_of_the_needed_names_is_judged_as_carried_out(system):
    """Catches a rule that holds for one canonical order alone: a graph has several that work."""
    for order in permutations(system.needed):
        assert workable(system, order) == can_be_evaluated(system, order)


@pytest.mark.parametrize(
    ("plan", "kind", "needless"),
    [
        ("p m", plans.WORKABLE, 0),
        ("p d m", plans.WORKABLE, 1),
        ("m p", plans.EARLY, 0),
        ("p", plans.INCOMPLETE, 0),
        ("", plans.EMPTY, 0),
        ("p p m", plans.REPEATED, 0),
        ("p z m", plans.UNDEFINED, 1),
        ("q p m", plans.UNDEFINED, 1),
    ],
)
def test_what_is_said_of_a_plan(plan, kind, needless):
    """Catches a wrong plan with the wrong name, or a detour that is not counted."""
    system = read_question("q=7 m: - p i i=4 p: + q i d: + q p ? m p")
    verdict = judge_plan(system, plan.split())
    assert (verdict.kind, verdict.needless) == (kind, needless)


# ---- what a planner is taught ---------------------------------------------------------------------


@given(systems)
@settings(max_examples=300, deadline=None)
def test_the_taught_plan_works_and_names_nothing_needless(system):
    """Catches a planner that is taught an order in which an operand comes too late."""
    verdict = judge_reply(system, planning_response(system) + tokenizer.TURN_END)
    assert (verdict.kind, verdict.needless) == (plans.WORKABLE, 0)
    assert verdict.text == plan_text(verdict.names)
    assert sorted(verdict.names) == sorted(system.needed)
    # What the solver makes of it is a trace of the taught form, one step for each name.
    assert len(planned_trace(replace(system, needed=verdict.names)).split()) == 7 * len(verdict.names)


@given(systems)
@settings(max_examples=300, deadline=None)
def test_the_thinking_is_the_search_without_a_single_result(system):
    """Catches arithmetic that a planner does for the solver: then it, too, could leak an answer."""
    thinking = planning_response(system).partition("<think>")[2].partition("</think>")[0]
    # Without the chain and the words that carry it, nothing is left but a search that gets 0 for everything.
    bare = re.sub(r"( [a-z]: [-+*] [a-z] [a-z] [a-z?]) (?:no|[a-z])(?= )", r"\1", thinking)
    bare = re.sub(r" (?:plan|[a-z]\?)(?= |$)", "", bare)
    worked_out = "".join(system.definitions)
    assert bare == re.sub(rf"([{worked_out}])=\d", r"\1=0", searching_trace(system))


@given(systems)
@settings(max_examples=300, deadline=None)
def test_the_plan_is_one_look_up_for_each_name(system):
    """Catches a chain with a mark that stands there twice: what follows it would be a guess."""
    thinking, _, rest = planning_response(system).partition("</think>")
    words = thinking.replace("<think>", "").split()
    marks = [word for word in words if word.endswith("?") and len(word) == 2 or word == plans.CHAIN]
    assert len(marks) == len(set(marks))
    here, found = plans.CHAIN, []
    while (at := words.index(here)) + 1 < len(words):
        found.append(words[at + 1].removesuffix("=0"))
        here = f"{found[-1]}?"
    assert rest == f"<answer>{plan_text(found)}</answer>"


@given(st.integers(0, 10**6), st.integers(15, 16))
@settings(max_examples=200, deadline=None)
def test_the_longest_reply_fits_its_limit_and_the_context(seed, operations):
    """Catches a planner that is cut in every long problem by its own limit."""
    system = drawn(seed, operations)
    prompt = tokenizer.encode(tokenizer.prompt_text(question_text(system)))
    reply = tokenizer.encode(planning_response(system) + tokenizer.TURN_END)
    assert len(reply) <= plans.MAX_NEW_TOKENS
    assert len(prompt) + plans.MAX_NEW_TOKENS <= CONTEXT


def test_an_asked_name_that_is_given_is_recalled():
    """Catches a planner that looks for a definition of what is given; only people ask for such."""
    system = read_question("q=7 i=4 p: + q i ? q p")
    assert planning_response(system) == (
        "<think> q=7 p: + q i ? no q=7 i=4 plan p=0 p?</think><answer> plan p</answer>"
    )


# ---- how a reply is read --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "thought", "line"),
    [
        ("<think> i=4 plan p=0 p? m=0 m?</think><answer> plan p m</answer>", ("p", "m"), ("p", "m")),
        ("<think> plan p=0 p? m=0 m?</think><answer> plan m</answer><|im_end|>", ("p", "m"), ("m",)),
        # What is looked up is not worked out, and a value that is not the mark of it is none.
        ("<think> p=0 m=0 p? m=7</think><answer></answer>", (), None),
        ("<think></think><answer> i d</answer>", (), None),
        ("<think> plan p=0</think><answer> plan p</answer><answer> plan m</answer>", ("p",), None),
        ("<think> plan p=0 p? m=0 plan p m", None, None),
        (" plan p=0</think>", None, None),
        ("", None, None),
    ],
)
def test_a_reply_is_read_or_it_is_not(reply, thought, line):
    """Catches a plan that is fished out of a text which is none, and the thinking taken for the line."""
    assert (read_reply(reply), read_line(reply)) == (thought, line)


@given(systems)
@settings(max_examples=200, deadline=None)
def test_thinking_and_line_of_a_taught_reply_say_the_same(system):
    """Catches a reader that takes what was looked up for what was worked out, or misses a link."""
    reply = planning_response(system)
    assert read_reply(reply) == read_line(reply)


def thinking(names):
    """A reply that works these out in this order."""
    marks = ["plan", *(f"{name}?" for name in names)]
    links = "".join(f" {mark} {name}=0" for mark, name in zip(marks, names, strict=False))
    return f"<think>{links}</think><answer></answer>"


def test_what_cannot_be_a_plan_is_not_handed_over_and_a_wrong_plan_is():
    """Catches a stranger's name that reaches the solver, and a wrong plan that is kept from it."""
    system = read_question("q=7 m: - p i i=4 p: + q i ? m p")
    for names in ("", "pzm", "qpm", "z"):
        assert judge_reply(system, thinking(names)).text == ""
    assert judge_reply(system, thinking("pm"), finished=False) == plans.PlanVerdict(plans.UNFINISHED)
    for names in ("mp", "p", "ppm"):
        verdict = judge_reply(system, thinking(names))
        assert verdict.text == plan_text(names)
        assert verdict.kind not in (plans.WORKABLE, *plans.NO_PLAN)


def test_the_line_behind_the_thinking_changes_nothing():
    """Catches a plan that is taken from where it was not learned."""
    system = read_question("q=7 m: - p i i=4 p: + q i ? m p")
    reply = thinking("pm").replace("<answer>", "<answer> plan m m")
    assert judge_reply(system, reply).kind == plans.WORKABLE
    assert judge_reply(system, reply, read=read_line).kind == plans.REPEATED
