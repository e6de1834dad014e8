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
WORD = re.compile(
    r" (?P<name>[a-z])(?P<role>[:?]) (?P<sign>[-+*]) (?P<first>[a-z]) (?P<second>[a-z])"
    r"(?: (?P<a>[a-z])=(?P<left>\d) (?P<b>[a-z])=(?P<right>\d) (?P<m>[a-z])=(?P<result>\d))?"
)


def steps(trace: str) -> list[re.Match]:
    """The notes and evaluations of a trace; nothing may stand between them."""
    found = list(WORD.finditer(trace))
    assert "".join(step[0] for step in found) == trace
    assert all((step["role"] == ":") is (step["result"] is not None) for step in found)
    return found


def slow_searching_trace(system: System) -> str:
    """Slow reference: an agenda instead of recursion; what a variable needs goes in front of it."""
    known = dict(system.values)
    text = ""
    for asked in system.asked:
        agenda = [("seek", asked)] if asked not in known else []
        while agenda:
            task, name = agenda.pop(0)
            if name in known:
                continue
            sign, first, second = system.definitions[name]
            if task == "seek":
                text += f" {name}? {sign} {first} {second}"
                agenda = [("seek", first), ("seek", second), ("work", name), *agenda]
                continue
            left, right = known[first], known[second]
            known[name] = {"+": left + right, "-": left - right, "*": left * right}[sign] % 10
            text += f" {name}: {sign} {first} {second} {first}={left} {second}={right} {name}={known[name]}"
    return text


def evaluate_before_seeking(system: System) -> str:
    """Wrong twin: steps in the order of the listing, whether their operands are known or not."""
    found = system.solve()
    return "".join(traces.step_text(name, system, found) for name in system.listed if name in system.needed)


def is_valid(system: System, trace: str) -> bool:
    """Every operand known before it is used, with its value; every needed variable evaluated once."""
    known, done = dict(system.values), []
    for step in steps(trace):
        if tuple(step.group("sign", "first", "second")) != tuple(system.definitions[step["name"]]):
            return False
        if step["role"] == "?":
            continue
        left, right = int(step["left"]), int(step["right"])
        if (step["a"], step["b"], step["m"]) != (step["first"], step["second"], step["name"]):
            return False
        if known.get(step["a"]) != left or known.get(step["b"]) != right:
            return False
        result = {"+": left + right, "-": left - right, "*": left * right}[step["sign"]] % 10
        if result != int(step["result"]):
            return False
        known[step["name"]] = result
        done.append(step["name"])
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
    """Catches another order of search: equal to an agenda-driven one, character by character."""
    for system in SYSTEMS:
        assert traces.searching_trace(system) == slow_searching_trace(system)


def test_each_definition_is_noted_once_and_before_its_operands() -> None:
    """Catches a search that jumps ahead: a note, then its unknown operands, then its evaluation."""
    for system in SYSTEMS:
        order = traces.search_order(system)
        assert sorted(name for name, evaluate in order if not evaluate) == sorted(system.needed)
        for name in system.needed:
            noted, evaluated = order.index((name, False)), order.index((name, True))
            assert noted < evaluated
            for operand in system.definitions[name][1:]:
                if operand in system.needed:
                    assert order.index((operand, True)) < evaluated


def test_the_planned_trace_follows_the_plan() -> None:
    """Catches a plan that is ignored: evaluations stand in its order, and nothing is searched."""
    for problem, system in zip(SAMPLE, SYSTEMS, strict=True):
        found = steps(traces.planned_trace(system))
        assert [step["name"] for step in found] == problem.plan.removeprefix(" plan").split()
        assert {step["role"] for step in found} == {":"}


def test_a_plan_shortens_the_trace_by_what_the_search_copies() -> None:
    """Catches a plan that saves nothing: each needed definition is written once instead of twice."""
    for system in SYSTEMS:
        saved = len(traces.searching_trace(system)) - len(traces.planned_trace(system))
        assert saved == len(" m? + a b") * len(system.needed)


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
    for step in steps(sloppy.trace):
        if step["role"] == ":":
            left, right = int(step["left"]), int(step["right"])
            right_result = {"+": left + right, "-": left - right, "*": left * right}[step["sign"]] % 10
            assert int(step["result"]) != right_result


def test_sloppiness_has_the_stated_rate_and_is_carried_on() -> None:
    """Catches errors that are repaired: later steps use the wrong value, so does the answer."""
    rng = random.Random(9)
    wrong = total = 0
    for system in SYSTEMS * 4:
        parts = split_response(traces.sloppy_response(system, rng, 0.12))
        assert parts is not None
        known = dict(system.values)
        for step in steps(parts.trace):
            if step["role"] == "?":
                continue
            left, right = known[step["first"]], known[step["second"]]
            assert (int(step["left"]), int(step["right"])) == (left, right)
            result = {"+": left + right, "-": left - right, "*": left * right}[step["sign"]] % 10
            wrong, total = wrong + (result != int(step["result"])), total + 1
            known[step["name"]] = int(step["result"])
        assert parts.answer == "".join(f" {name}={known[name]}" for name in system.asked)
    assert abs(wrong / total - 0.12) < 4 * (0.12 * 0.88 / total) ** 0.5
