"""WORKSHOP.md: the plans of a workshop hold what the notebooks say of their own exercises."""

import re

import pytest

from k2repro.notebook.source import read_source, source_names
from k2repro.results import Places

PLACES = Places.find()
PLAN = PLACES.root / "WORKSHOP.md"
SLOT = re.compile(r"^\| (\d+)-(\d+) \| ([^|]+) \|([^|]*)\|", re.MULTILINE)
NAMED = re.compile(r"(\d\d): ([\d, ]+)")
# What a slot needs beside its exercises: reading, running, comparing.
LEAST_BESIDE = 5


def exercise_minutes(name: str) -> dict[int, int]:
    """Minutes of each exercise of a notebook, by its number."""
    text = "\n".join(cell.source for cell in read_source(PLACES.sources / f"{name}.py").cells)
    found = re.findall(r"### Exercise (\d+) .*?about (\d+) minutes", text, re.DOTALL)
    return {int(number): int(minutes) for number, minutes in found}


def plans() -> list[tuple[str, list[tuple[int, int, str, str]]]]:
    """Each plan of the page: its heading, and its slots as (from, to, what, exercises)."""
    parts = PLAN.read_text(encoding="utf-8").split("\n## ")
    found = [(part.split("\n")[0], SLOT.findall(part)) for part in parts]
    return [
        (title, [(int(a), int(b), what, todo) for a, b, what, todo in slots])
        for title, slots in found
        if slots
    ]


@pytest.mark.parametrize(("title", "slots"), plans(), ids=[title for title, _ in plans()])
def test_the_exercises_of_a_slot_fit_into_it(title, slots):
    """Catches thirty minutes of exercises in a slot of fifteen: the class never reaches the end."""
    minutes = {name[:2]: exercise_minutes(name) for name in source_names(PLACES)}
    for start, end, what, todo in slots:
        asked = [minutes[nb][int(one)] for nb, ones in NAMED.findall(todo) for one in ones.split(",")]
        assert sum(asked) + LEAST_BESIDE <= end - start or not asked, f"{title}: {what}: {asked}"
    assert any(NAMED.search(todo) for *_, todo in slots)


@pytest.mark.parametrize(("title", "slots"), plans(), ids=[title for title, _ in plans()])
def test_a_plan_has_neither_gaps_nor_overlaps(title, slots):
    """Catches a slot that starts before the one above it has ended."""
    assert slots[0][0] == 0
    assert all(before[1] == after[0] for before, after in zip(slots, slots[1:], strict=False))
    assert slots[-1][1] == {"90 minutes": 90, "Half a day": 240}[title]


def test_half_a_day_visits_every_notebook():
    """Catches a notebook that came later and has no place in the day."""
    [slots] = [slots for title, slots in plans() if title == "Half a day"]
    visited = {number for _, _, what, _ in slots for number in re.findall(r"(\d\d) ·", what)}
    assert visited == {name[:2] for name in source_names(PLACES)}
