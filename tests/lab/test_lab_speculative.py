"""What the speculation pillar compares on which problems."""

import pytest

from k2repro.lab.speculative import COMPARED, dealt
from k2repro.mini.benchmarks import MATHS


@pytest.mark.parametrize("problems", [500, 1000])
def test_each_setting_is_compared_on_every_tier(problems):
    """Catches a stride that shares a factor with the tiers: one batch met two of the four tiers only."""
    parts = dealt(problems)
    assert sorted(at for part in parts.values() for at in part) == list(range(problems))
    for part in parts.values():
        # Problems come with the tiers in turn.
        assert {at % len(MATHS) for at in part} == set(range(len(MATHS)))
    with_stride = {setting: range(place, problems, len(COMPARED)) for place, setting in enumerate(COMPARED)}
    assert {at % len(MATHS) for at in with_stride[1, 1]} < set(range(len(MATHS)))


def test_few_problems_are_dealt_too():
    """Catches a small profile in which problems are left out or asked twice."""
    parts = dealt(6)
    assert sorted(at for part in parts.values() for at in part) == list(range(6))
