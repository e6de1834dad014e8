"""Catches: bits of one model, problem or sample that come back as another's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2repro.errors import K2ReproError
from k2repro.lab.levels import FIRST, LevelOutcome, level_ids, level_problems
from k2repro.lab.steady_file import bits as packed
from k2repro.lab.steady_file import from_bits, pack, unpack
from k2repro.mini.benchmarks import LEVELS
from k2repro.mini.mistakes import LOOK_UP, ORDER, RIGHT


@given(st.lists(st.integers(0, 1), min_size=1, max_size=200))
def test_bits_come_back(bits: list[int]):
    """Catches zeros in front that are lost, and a last digit that is filled up and counted."""
    assert from_bits(packed(bits), len(bits), "a test") == bits


@given(st.data(), st.integers(1, 5))
def test_outcomes_come_back_in_their_order(data: st.DataObject, problems: int):
    """Catches samples that change their problem, and plans that change places with searches."""
    ids = level_ids("test", problems)
    draw = data.draw(st.lists(st.integers(0, 15), min_size=len(ids), max_size=len(ids)))
    outcomes = [
        LevelOutcome(name, level, (n & 1, n >> 1 & 1, n >> 2 & 1), (n >> 3,))
        for (name, level), n in zip(ids, draw, strict=True)
    ]
    assert unpack(pack("steady-sft", 3, "test", outcomes)) == outcomes


def test_mistakes_are_counted_level_by_level():
    """Catches kinds of one level counted under the next, and planned passes counted as searches."""
    ids = level_ids("test", 2)
    outcomes = [
        LevelOutcome(name, level, (1, 0, 0), (0,), (9, 9, 9), (RIGHT, ORDER, ORDER if at % 2 else LOOK_UP))
        for at, (name, level) in enumerate(ids)
    ]
    kinds = pack("steady-sft", 3, "test", outcomes).kinds
    assert kinds[RIGHT] == (2,) * 4 and kinds[ORDER] == (3,) * 4 and kinds[LOOK_UP] == (1,) * 4
    assert sum(map(sum, kinds.values())) == 3 * len(ids)


def test_ids_are_those_of_the_problems():
    """Catches names made up beside the problems: seeds would pair answers to different questions."""
    for split in ("validation", "test"):
        problems = level_problems(split, 2)
        assert level_ids(split, 2) == [(each.id, each.tier) for each in problems]
    assert level_ids("test", 1)[0] == (f"variables/test/{LEVELS[0]}/0/{FIRST}", LEVELS[0])


def test_a_file_of_another_scale_is_refused():
    """Catches answers of eight problems read as those of three hundred."""
    with pytest.raises(K2ReproError, match="steady-sft 3.*2 digits for 9 samples"):
        from_bits("ff", 9, "steady-sft 3")
