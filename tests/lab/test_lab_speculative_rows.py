"""Numbers of notebook 06: the spread over prompts, and texts that count against accuracy."""

import numpy as np
import pytest

from k2repro.lab.speculative_rows import add_identity, extremes, spread, spread_interval

# Tokens a pass: 2, 3, 4 and 5, of prompts whose lengths differ.
COUNTS = {"tokens": [20, 60, 40, 100], "passes": [10, 20, 10, 20]}


def test_the_spread_is_that_of_prompts_and_lies_in_its_interval():
    """Catches a spread over passes, where long prompts count more, and an interval of the mean."""
    rates = np.array([2.0, 3.0, 4.0, 5.0])
    assert spread(COUNTS) == pytest.approx(rates.std(ddof=1) / 3.5)
    within = spread_interval(COUNTS)
    assert within.low <= spread(COUNTS) <= within.high and within.n == 4
    assert extremes(COUNTS) == pytest.approx((2 / 3.5 - 1, 5 / 3.5 - 1))


def test_a_response_that_is_not_the_samplers_counts_against_accuracy():
    """Catches an accuracy that is said to be unchanged whatever was compared."""
    seen = {}

    class Rows:
        def add(self, name, value, **_):
            seen[name] = value

    add_identity(Rows(), {"identity": {"trained 1": [100, 100], "look-up 1": [95, 100]}})
    assert seen["speculative.identity.same"] == 195 and seen["speculative.identity.compared"] == 200
    assert seen["speculative.accuracy.most_change"] == pytest.approx(0.025)
