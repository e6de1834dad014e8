"""Catches: drills that teach a wrong look-up, a plan out of order, or a return to whom nobody noted."""

import re
from random import Random

import pytest

from k2repro.lab.steady_recipe import BASE
from k2repro.mini import drills, tokenizer
from k2repro.mini.mixtures import KINDS
from k2repro.mini.variables import LETTERS, marked, marked_plan_text, plan_text

ENTRY = re.compile(r" [a-z]: [-+*] [a-z] [a-z]| [a-z]=\d")
NOTE = re.compile(r" [a-z]: [-+*] [a-z] [a-z] (?:[a-z]|\?)(?= |$)")
SIZES = [(3, 3), (4, 7), (8, 18), (20, 20)]


def entries_of(listed: str) -> dict[str, dict[str, str]]:
    """What a question says of each name: its definition under ":", its value under "="."""
    found: dict[str, dict[str, str]] = {}
    for entry in ENTRY.findall(listed):
        found.setdefault(entry[1], {})[entry[2]] = entry
    return found


@pytest.mark.parametrize("names", SIZES)
def test_a_look_up_prefers_the_value_that_is_known(names: tuple[int, int]):
    """Catches a definition where a value is known: that is the one decision of a search."""
    for seed in range(100):
        question, answer = drills.look_up(Random(seed), names)
        listed, _, asked = question.partition(" ?")
        entries = entries_of(listed)
        assert "".join(each.get("=", each.get(":", "")) for each in map(entries.get, asked.split())) == answer
        assert names[0] <= len(entries) <= names[1]


@pytest.mark.parametrize("names", SIZES)
def test_a_plan_is_followed_in_its_own_order(names: tuple[int, int]):
    """Catches texts in the order of the list, which a model can copy without reading the plan."""
    in_order = 0
    for seed in range(100):
        question, answer = drills.follow(Random(seed), names)
        listed, _, rest = question.partition(" ?")
        asked, _, plan = rest.partition(" plan")
        order = [name.removesuffix("?") for name in plan.split()]
        entries = entries_of(listed)
        assert "".join(entries[name].get(":", "") + entries[name].get("=", "") for name in order) == answer
        assert set(asked.split()) <= set(order) and len(set(order)) == len(order)
        in_order += order == [name for name in entries if name in order]
    assert in_order < 60


@pytest.mark.parametrize("names", [(3, 5), (6, 9)])
def test_what_is_noted_again_goes_back_to_the_same_word(names: tuple[int, int]):
    """Catches a note copied from the question, which lacks the word that the search goes back to."""
    for seed in range(100):
        question, answer = drills.come_back(Random(seed), names)
        asked = question.rpartition(" ?")[2].split()
        notes = {note[1]: note for note in NOTE.findall(question)}
        assert "".join(notes[name] for name in asked) == answer
        assert set(notes) == set(asked)


def test_every_drill_fits_its_row():
    """Catches a rare long text that stops a training after ten minutes."""
    [stage] = [each for each in BASE if each.name == "skills"]
    longest = 0
    for kind, names in {(each.kind, each.operations) for each in stage.mixture}:
        size = names[1]
        for seed in range(200):
            texts = KINDS[kind](Random(seed), (size, size))
            longest = max(longest, sum(map(len, tokenizer.encode_all(texts))))
    assert 150 < longest <= stage.length


def test_a_mark_stands_nowhere_else():
    """Catches plans spelled with operands: then what follows a name in the plan is no unique look-up."""
    for draw in (drills.look_up, drills.come_back):
        question, answer = draw(Random(0), (8, 9))
        assert not re.search(r"[a-z]\?", question + answer)
    marks = [tokenizer.encode(marked_plan_text([name]))[1:] for name in LETTERS]
    assert all(len(mark) == 1 for mark in marks)
    assert marked(plan_text(["p", "m"])) == marked_plan_text(["p", "m"]) == " plan p? m?"
    assert marked("") == ""


def test_every_digit_is_a_value():
    """Catches a digit that no drill lists: what a model never looked up it will not copy."""
    for drill in (drills.look_up, drills.follow):
        listed = "".join(drill(Random(seed), (8, 18))[0] for seed in range(60))
        counts = [len(re.findall(f"={digit}", listed)) for digit in range(10)]
        assert 2 * min(counts) > max(counts), counts
