"""Problems of `variables`, solved again from their text alone by other means."""

import dataclasses
import random
import re

import pytest

from k2repro.errors import K2ReproError
from k2repro.mini import variables
from k2repro.mini.problem import SPLITS, Problem
from k2repro.mini.variables import TIERS, apply, draw_system, problems, split_of, system_of

DEFINITION = re.compile(r" ([a-z]): ([-+*]) ([a-z]) ([a-z])")
SAMPLE = [problem for tier in TIERS for split in SPLITS for problem in problems(tier, split, 25, seed=11)]


def read(question: str) -> tuple[dict[str, int], dict[str, tuple[str, str, str]], list[str]]:
    """Values, definitions and asked names, from the text."""
    body, _, asked = question.partition(" ? ")
    values = {name: int(digit) for name, digit in re.findall(r" ([a-z])=(\d)", body)}
    definitions = {name: rest for name, *rest in DEFINITION.findall(body)}
    assert body == "".join(re.findall(r" [a-z]=\d|" + DEFINITION.pattern.replace("(", "(?:"), body))
    return values, definitions, asked.split()


def evaluated(question: str) -> str:
    """The answer in whole numbers of any size; modulo 10 is taken at the very end only."""
    values, definitions, asked = read(question)

    def value(name: str) -> int:
        if name in values:
            return values[name]
        sign, first, second = definitions[name]
        left, right = value(first), value(second)
        return {"+": left + right, "-": left - right, "*": left * right}[sign]

    return "".join(f" {name}={value(name) % 10}" for name in asked)


@pytest.mark.parametrize("problem", SAMPLE[::5], ids=lambda problem: problem.id)
def test_gold_is_what_the_text_says(problem: Problem) -> None:
    """Catches a gold answer for another question: text, facts and gold agree."""
    assert evaluated(problem.question) == problem.gold


def test_gold_is_right_in_the_whole_sample_and_a_wrong_modulus_is_noticed() -> None:
    """Catches a remainder taken the C way, -3 % 10 = -3: the twin differs from gold somewhere."""
    assert all(evaluated(problem.question) == problem.gold for problem in SAMPLE)
    truncated = [(a - b) - 10 * int((a - b) / 10) for a in range(10) for b in range(10)]
    ours = [apply("-", a, b) for a in range(10) for b in range(10)]
    assert ours != truncated and min(ours) == 0 and max(ours) == 9


@pytest.mark.parametrize("tier", TIERS)
def test_a_tier_is_its_number_of_operations(tier: str) -> None:
    """Catches distractors counted as work: what the asked values need, from the text, fits the tier."""
    least, most = TIERS[tier]
    seen = set()
    for problem in problems(tier, "train", 60, seed=2):
        values, definitions, asked = read(problem.question)
        needed, waiting = set(), list(asked)
        while waiting:
            name = waiting.pop()
            if name in definitions and name not in needed:
                needed.add(name)
                waiting += definitions[name][1:]
        seen.add(len(needed))
        assert set(system_of(problem).needed) == needed
        assert len(set(asked)) == len(asked) == min(3, len(needed)) and needed.issuperset(asked)
        assert 2 <= len(values) <= 4 and len(definitions) - len(needed) <= 2
    assert seen == set(range(least, most + 1))


def test_the_plan_names_every_needed_variable_after_its_operands() -> None:
    """Catches a plan that cannot be followed: each operand is given or stands earlier in the plan."""
    for problem in SAMPLE:
        system, names = system_of(problem), problem.plan.removeprefix(" plan").split()
        assert sorted(names) == sorted(set(names)) == sorted(system.needed)
        for at, name in enumerate(names):
            assert set(system.definitions[name][1:]) <= {*system.values, *names[:at]}


def test_the_listing_does_not_give_the_order_away() -> None:
    """Catches definitions listed as they are solved: then no planning would be needed."""
    solvable = 0
    for problem in problems("tier-3", "train", 100, seed=6):
        system = system_of(problem)
        order = [name for name in system.listed if name in system.needed]
        known = set(system.values)
        for name in order:
            if not known.issuperset(system.definitions[name][1:]):
                break
            known.add(name)
        else:
            solvable += 1
    assert solvable < 5


def test_answers_are_hard_to_guess() -> None:
    """Catches a family in which 0 is nearly always right: no digit is over a quarter of the values."""
    digits = [value[2] for problem in SAMPLE for value in problem.gold.split()]
    assert max(digits.count(digit) for digit in "0123456789") < 0.25 * len(digits)
    assert len({problem.gold[3::4] for problem in SAMPLE}) > 0.5 * len(SAMPLE)


def test_problems_are_of_the_split_they_are_in() -> None:
    """Catches a split that is a label only: the normal form's hash says the same."""
    assert {problem.split for problem in SAMPLE} == set(SPLITS)
    assert all(split_of(system_of(problem)) == problem.split for problem in SAMPLE)


def test_the_share_of_each_split_is_as_stated() -> None:
    """Catches a hash that is not even: of 3,000 systems 8, 1 and 1 of 10, within four standard errors."""
    rng = random.Random(8)
    splits = [split_of(draw_system(rng, rng.randint(2, 12))) for _ in range(3000)]
    for split, share in zip(SPLITS, (0.8, 0.1, 0.1), strict=True):
        error = (share * (1 - share) / 3000) ** 0.5
        assert abs(splits.count(split) / 3000 - share) < 4 * error


def test_seeds_give_other_problems() -> None:
    """Catches a seed that is ignored, and neighbouring seeds that are one run shifted by one."""
    first, second = (
        [problem.question for problem in problems("tier-2", "test", 40, seed=seed)] for seed in (0, 1)
    )
    assert not set(first) & set(second)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("tier-5", "train", 1), "unknown tier 'tier-5'; did you mean"),
        (("tier-1", "tests", 1), "unknown split 'tests'; did you mean 'test'"),
        (("tier-1", "test", 0), "count is 0: must be at least 1"),
        (("tier-1", "test", -3), "count is -3: must be at least 1"),
    ],
)
def test_bad_input_is_named(arguments: tuple, message: str) -> None:
    """Catches an empty benchmark: unknown tiers and splits and counts below 1 are errors."""
    with pytest.raises(K2ReproError, match=re.escape(message)):
        problems(*arguments)


def test_a_negative_start_and_an_unknown_operator_are_refused() -> None:
    """Catches items that no run can name, and a division that would be read as something else."""
    with pytest.raises(K2ReproError, match="start is -1: must be 0 or more"):
        problems("tier-1", "test", 1, start=-1)
    with pytest.raises(K2ReproError, match="unknown operator '/'"):
        apply("/", 1, 2)


def test_a_problem_is_frozen_and_its_facts_are_json() -> None:
    """Catches a problem changed after it was judged; facts hold plain values only."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        SAMPLE[0].gold = "x"  # type: ignore[misc]
    assert set(SAMPLE[0].facts) == {"values", "definitions", "listed", "asked", "needed"}
    assert variables.answer_text(system_of(SAMPLE[0])) == SAMPLE[0].gold
