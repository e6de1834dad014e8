"""Whole kinds of answers: rewrites that stay equal, mutations that must not be paid, and broken verifiers."""

import random
import re
from collections import Counter

import pytest
import verify_answer_mutations as changed
import verify_answer_space as space
from verify_answer_tables import TABLES, pairs

from k2repro.verify import answers, answers_equal, units
from k2repro.verify.maths import compare, identity, question, statements, tokens

REWRITES, MUTATIONS = 700, 1200


def rewrites(count: int, seed: int) -> list[tuple[str, str, str]]:
    """(kind, gold, another form of it)."""
    rng = random.Random(seed)
    trees = [space.answer(rng) for _ in range(count)]
    return [(tree.kind, space.gold(tree, rng), space.written(tree, rng)) for tree in trees]


def mutations(count: int, seed: int) -> list[tuple[str, str, str]]:
    """(what was changed, gold, an answer that is not it)."""
    rng = random.Random(seed)
    found: list[tuple[str, str, str]] = []
    while len(found) < count:
        tree = space.answer(rng)
        wanted = space.gold(tree, rng)
        found += [(what, wanted, text) for what, text in changed.mutations(tree, rng)]
    return found


@pytest.mark.slow
def test_other_forms_of_an_answer_are_paid():
    """Catches a notation that is not read: order, spaces, brackets, fractions, roots, units, names."""
    made = rewrites(REWRITES, seed=17)
    assert len({kind for kind, _, _ in made}) >= 15
    refused = [pair for pair in made if not answers_equal(*pair[1:])]
    assert len(refused) <= 0.005 * len(made), refused


@pytest.mark.slow
def test_changed_answers_are_never_paid():
    """Catches a part of an answer that is skipped or compared loosely, kind by kind."""
    made = mutations(MUTATIONS, seed=18)
    kinds = Counter(what for what, _, _ in made)
    assert len(kinds) >= 14 and min(kinds.values()) >= 5
    assert [pair for pair in made if answers_equal(*pair[1:])] == []


def close(one, other):
    """Equal to twelve digits, as math-verify has it."""
    node = compare.minus(one, other)
    points = identity._points(node, "seed", identity.whole_numbers(node), fine=True)
    return one == other or identity._at_several(points, 3, lambda point: _near(node, point))


def _near(node, point):
    identity.precision(128)
    return abs(identity.Evaluator(point).value(node).ball) < 1e-12


def as_sets(left, right, alike):
    """Members without how often."""
    return all(any(alike(a, b) for b in right) for a in left) and all(
        any(alike(a, b) for a in left) for b in right
    )


def first_part(text, *, thousands=True):
    """What can be read at the beginning; the rest is skipped."""
    return statements.Statements(tokens.tokens(text), thousands)._items()


def without_ends(one, other):
    left, right = compare.sets.pieces(one), compare.sets.pieces(other)
    return len(left) == len(right) and all(
        compare.sets.compare(a.low, b.low) == compare.sets.compare(a.high, b.high) == 0
        for a, b in zip(left, right, strict=True)
    )


BROKEN = {
    "units by any name": lambda patch: patch.setattr(units, "agree", lambda *_, **__: True),
    "letters as units": lambda patch: (
        patch.setattr(units, "_has_letters", lambda value: False)
        or patch.setattr(units, "_ONLY_IN_TEXT", frozenset())
    ),
    "capitals as small letters": lambda patch: patch.setattr(
        question, "readings", _lowered(question.readings)
    ),
    "twelve digits are enough": lambda patch: patch.setattr(identity, "equal", close),
    "members as sets": lambda patch: patch.setattr(compare, "_matched", as_sets),
    "the rest is skipped": lambda patch: patch.setattr(question, "parse", first_part),
    "names are nothing": lambda patch: patch.setattr(
        compare, "_both_named", lambda one, other: compare._same(one.whole, other.whole)
    ),
    "any command is a name": lambda patch: patch.setattr(answers, "_is_name", lambda *_: True),
    "cases may be brought": lambda patch: patch.setattr(compare, "brings_pieces", lambda *_: False),
    "percents beside units": lambda patch: patch.setattr(answers, "_percent_of_another", lambda *_: False),
    "not as a name": lambda patch: patch.setattr(tokens, "LOGIC", frozenset()),
    "numbers without proof": lambda patch: patch.setattr(identity, "_proof", lambda node, point: True),
    "one point is enough": lambda patch: patch.setattr(identity, "_is_minus", lambda *_: False),
    "calculations for numbers": lambda patch: (
        patch.setattr(question, "_is_open", lambda *_: False)
        or patch.setattr(answers, "_number", lambda text: (None, "", ""))
    ),
    "spaces in thousands": lambda patch: patch.setattr(answers, "clean", _without_spaces(answers.clean)),
    "ends of intervals": lambda patch: patch.setattr(compare.sets, "same_sets", without_ends),
    "equations by one side": lambda patch: patch.setattr(compare, "_proportional", lambda *_, **__: True),
    "words by their letters": lambda patch: patch.setattr(
        answers, "same_words", lambda one, other: sorted(one.lower()) == sorted(other.lower())
    ),
}


def _lowered(readings):
    return lambda text: readings(re.sub(r"(?<!\\)\b[A-Z]\b", lambda found: found[0].lower(), text))


def _without_spaces(clean):
    return lambda text: clean(re.sub(r",\s+", ",", text))


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_verifier_is_noticed(name, monkeypatch):
    """Catches tables and mutations that would pass with the rule taken out: each must pay a wrong answer."""
    cases = [
        (row["gold"], row["answer"]) for table in TABLES for row in pairs(table) if row["verdict"] != "equal"
    ]
    cases += [pair[1:] for pair in mutations(300, seed=19)]
    clear()
    BROKEN[name](monkeypatch)
    try:
        assert any(_paid(*case) for case in cases)
    finally:
        monkeypatch.undo()
        clear()


def _paid(gold: str, answer: str) -> bool:
    try:
        return answers_equal(gold, answer)
    except Exception:  # a broken verifier may also crash; that is not what is looked for
        return False


def clear() -> None:
    """Forget remembered verdicts."""
    answers._formulas.cache_clear()
    answers._number.cache_clear()
