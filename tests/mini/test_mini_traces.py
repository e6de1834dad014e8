"""Reference traces: valid step by step, and equal to a slow second way of writing them."""

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k2repro.mini import traces
from k2repro.mini.grading import is_correct, split_response
from k2repro.mini.variables import TIERS, System, problems, system_of

SAMPLE = [problem for tier in TIERS for problem in problems(tier, "train", 25, seed=31)]
SYSTEMS = [system_of(problem) for problem in SAMPLE]
PIECE = re.compile(
    r" (?P<name>[a-z]): (?P<sign>[-+*]) (?P<first>[a-z]) (?P<second>[a-z])(?: (?P<back>[a-z?])(?![=:]))?"
    r"(?: (?P<a>[a-z])=(?P<left>\d) (?P<b>[a-z])=(?P<right>\d) (?P<m>[a-z])=(?P<result>\d))?"
    r"| (?P<recalled>[a-z])=(?P<value>\d)"
)


def pieces(trace: str) -> list[re.Match]:
    """The notes, evaluations and recalls of a trace; nothing may stand between them."""
    found = list(PIECE.finditer(trace))
    assert "".join(piece[0] for piece in found) == trace
    return found


def steps(trace: str) -> list[re.Match]:
    """The evaluations."""
    return [piece for piece in pieces(trace) if piece["result"] is not None]


def result_of(step: re.Match) -> int:
    left, right = int(step["left"]), int(step["right"])
    return {"+": left + right, "-": left - right, "*": left * right}[step["sign"]] % 10


def slow_searching_trace(system: System) -> str:
    """Slow reference: a stack of variables to work out, looked at anew after every piece."""
    known = dict(system.values)
    text = ""
    for asked in system.asked:
        if asked in known:
            text += f" {asked}={known[asked]}"
            continue
        stack = [asked]
        while stack:
            name = stack[-1]
            sign, first, second = system.definitions[name]
            text += f" {name}: {sign} {first} {second} {stack[-2] if len(stack) > 1 else '?'}"
            unknown = [operand for operand in (first, second) if operand not in known]
            if unknown:
                stack.append(unknown[0])
                if unknown[0] != first:
                    text += f" {first}={known[first]}"
                continue
            left, right = known[first], known[second]
            known[name] = {"+": left + right, "-": left - right, "*": left * right}[sign] % 10
            text += f" {first}={left} {second}={right} {name}={known[name]}"
            stack.pop()
    return text


def evaluate_before_seeking(system: System) -> str:
    """Wrong twin: steps in the order of the listing, whether their operands are known or not."""
    found = system.solve()
    return "".join(traces.step_text(name, system, found) for name in system.listed if name in system.needed)


def is_valid(system: System, trace: str) -> bool:
    """Every operand known before it is used, with its value; every needed variable evaluated once."""
    known, done = dict(system.values), []
    for piece in pieces(trace):
        if piece["recalled"]:
            if known.get(piece["recalled"]) != int(piece["value"]):
                return False
            continue
        if tuple(piece.group("sign", "first", "second")) != tuple(system.definitions[piece["name"]]):
            return False
        if piece["result"] is None:
            continue
        if (piece["a"], piece["b"], piece["m"]) != (piece["first"], piece["second"], piece["name"]):
            return False
        if (known.get(piece["a"]), known.get(piece["b"])) != (int(piece["left"]), int(piece["right"])):
            return False
        if result_of(piece) != int(piece["result"]):
            return False
        known[piece["name"]] = int(piece["result"])
        done.append(piece["name"])
    return sorted(done) == sorted(system.needed)


@pytest.mark.parametrize("make", [traces.searching_trace, traces.planned_trace])
def test_traces_are_valid(make) -> None:
    """Catches an operand used before it is known, and a variable worked out twice or never."""
    assert all(is_valid(system, make(system)) for system in SYSTEMS)


def test_evaluating_in_the_listed_order_is_not_valid() -> None:
    """Catches a check that anything passes: the wrong twin fails on most problems."""
    valid = sum(is_valid(system, evaluate_before_seeking(system)) for system in SYSTEMS)
    assert valid < 0.3 * len(SYSTEMS)


def test_the_searching_trace_equals_the_slow_reference() -> None:
    """Catches another order of search: equal to a stack-driven one, character by character."""
    for system in SYSTEMS:
        assert traces.searching_trace(system) == slow_searching_trace(system)


def slow_returns(system: System, trace: str) -> list[tuple[str, str]]:
    """Slow reference: (variable, whose note comes after its value), the notes kept on a stack."""
    found, stack = [], []
    for piece in pieces(trace):
        if piece["name"] and piece["name"] not in stack:
            stack.append(piece["name"])
        if piece["result"] is not None:
            found.append((stack.pop(), stack[-1] if stack else "?"))
    return found


def test_the_last_word_of_a_note_is_where_the_search_returns_to() -> None:
    """Catches a search that must remember a stack: each return is the last word of the note before it."""
    for system in SYSTEMS:
        trace = traces.searching_trace(system)
        assert slow_returns(system, trace) == [(step["name"], step["back"]) for step in steps(trace)]
        order = traces.search_order(system)
        for before, move, after in zip(order, order[1:], order[2:], strict=False):
            if move.action == traces.EVALUATE and before.back != traces.QUESTION:
                assert (after.action, after.name) == (traces.NOTE, before.back)


def test_a_marked_search_names_what_it_looks_up() -> None:
    """Catches marks at some look-ups and not at others: the decision was learned twice."""
    for system in SYSTEMS:
        marked = traces.searching_trace(system, marked=True)
        assert re.sub(r" [a-t]\?", "", marked) == traces.searching_trace(system)
        names = re.findall(r" ([a-t])\? \1(?=[:=])", marked)
        values = re.findall(r" ([a-t])=", marked)
        # Looked up: every value that is no result of a step, and each definition where it is opened.
        assert len(names) == marked.count("?") - marked.count(" ? ") == len(values)
        assert sorted(names) == sorted(looked_up(system))


def looked_up(system: System) -> list[str]:
    """Slow reference, from the unmarked text: recalled values, operands, what is noted for the first time."""
    found = pieces(traces.searching_trace(system))
    names = [piece[part] for piece in found for part in ("recalled", "a", "b") if piece[part]]
    return names + sorted({piece["name"] for piece in found if piece["name"]})


def test_a_variable_is_evaluated_right_after_a_note_and_once() -> None:
    """Catches an evaluation without its definition before it, and one that is repeated."""
    for system in SYSTEMS:
        order = traces.search_order(system)
        evaluated = [at for at, move in enumerate(order) if move.action == traces.EVALUATE]
        assert sorted(order[at].name for at in evaluated) == sorted(system.needed)
        assert all(order[at - 1][:2] == (traces.NOTE, order[at].name) for at in evaluated)


def test_the_planned_trace_follows_the_plan() -> None:
    """Catches a plan that is ignored: evaluations stand in its order, and nothing is searched."""
    for problem, system in zip(SAMPLE, SYSTEMS, strict=True):
        found = pieces(traces.planned_trace(system))
        assert [step["name"] for step in found] == problem.plan.removeprefix(" plan").split()
        assert all(step["result"] is not None for step in found)


def test_a_marked_plan_says_how_far_it_has_come() -> None:
    """Catches a place that is another name's, or a mark at an operand: a step has one of either."""
    for system in SYSTEMS:
        marked = traces.planned_trace(system, marked=True)
        steps_alone = re.sub(r" ok [a-t]\?| [a-t]\?", "", marked)
        assert steps_alone == traces.planned_trace(system)
        assert re.findall(r" ok ([a-t])\?", marked) == list(system.needed)
        assert re.findall(r" ([a-t])\? \1:", marked) == list(system.needed)


def test_a_plan_shortens_the_trace_by_what_the_search_copies() -> None:
    """Catches a plan that saves nothing: notes that are no steps, returns, recalled values must be gone."""
    for system in SYSTEMS:
        actions = [move.action for move in traces.search_order(system)]
        notes, recalls = actions.count(traces.NOTE), actions.count(traces.RECALL)
        saved = len(traces.searching_trace(system)) - len(traces.planned_trace(system))
        copied = len(" m: + a b") * (notes - len(system.needed))
        assert saved == copied + len(" m") * notes + len(" m=1") * recalls


def test_responses_are_well_formed_and_right() -> None:
    """Catches tags that the grader does not know: all three references come apart and are right."""
    for problem, system in zip(SAMPLE, SYSTEMS, strict=True):
        for make in (traces.searching_response, traces.planned_response, traces.direct_response):
            parts = split_response(make(system))
            assert parts is not None and parts.answer == problem.gold
            assert is_correct(problem, make(system))
        assert split_response(traces.direct_response(system)) == ("", problem.gold)


@settings(derandomize=True, max_examples=100, deadline=None)
@given(st.sampled_from(SYSTEMS), st.integers(0, 2**32))
def test_rate_0_is_the_reference_and_rate_1_is_wrong_in_each_step(system: System, seed: int) -> None:
    """Catches errors that cancel: at rate 0 nothing differs, at rate 1 every result is wrong."""
    reference = traces.searching_response(system)
    assert traces.sloppy_response(system, random.Random(seed), 0.0) == reference
    sloppy = split_response(traces.sloppy_response(system, random.Random(seed), 1.0))
    assert sloppy is not None
    assert all(int(step["result"]) != result_of(step) for step in steps(sloppy.trace))


def test_a_sloppy_search_speaks_the_language_of_a_sound_one() -> None:
    """Catches a base that is spoiled with texts of another form: RL from it then had nothing to sharpen."""
    for system in SYSTEMS:
        sound = traces.searching_response(system, marked=True)
        sloppy = traces.sloppy_response(system, random.Random(3), 0.5, marked=True)
        assert re.sub(r"\d", "0", sloppy) == re.sub(r"\d", "0", sound)


def test_sloppiness_has_the_stated_rate_and_is_carried_on() -> None:
    """Catches errors that are repaired: later steps use the wrong value, so does the answer."""
    rng = random.Random(9)
    wrong = total = 0
    for system in SYSTEMS * 4:
        parts = split_response(traces.sloppy_response(system, rng, 0.12))
        assert parts is not None
        known = dict(system.values)
        for step in steps(parts.trace):
            assert (int(step["left"]), int(step["right"])) == (known[step["first"]], known[step["second"]])
            wrong, total = wrong + (result_of(step) != int(step["result"])), total + 1
            known[step["name"]] = int(step["result"])
        assert parts.answer == "".join(f" {name}={known[name]}" for name in system.asked)
    assert abs(wrong / total - 0.12) < 4 * (0.12 * 0.88 / total) ** 0.5
