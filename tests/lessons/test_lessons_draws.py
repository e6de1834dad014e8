"""Catches p-values that are not uniform under the law itself, and a test that notices nothing."""

import numpy as np
from scipy.stats import kstest

from k2repro.lessons.draws import chances, noticed, p_values

WANTED = np.array([0.5, 0.3, 0.15, 0.04, 0.01])


def test_p_values_of_the_law_itself_are_uniform():
    """Catches the chi-square distribution for few draws, and an order of comparison that is turned round."""
    generator = np.random.default_rng(1)
    found = p_values(generator.multinomial(60, WANTED, 2000), WANTED, generator)
    # With 60 draws there are few different distances, so the p-values have steps.
    assert kstest(found, "uniform").statistic < 0.05 and 0.03 < (found <= 0.05).mean() < 0.07


def test_more_draws_notice_more_and_a_text_that_cannot_come_is_noticed_at_once():
    """Catches a power that does not grow with the draws, and an impossible text that a log of 0 hides."""
    bent = WANTED + np.array([-0.05, 0.05, 0, 0, 0])
    few, many = (noticed(bent, WANTED, draws, 400, np.random.default_rng(2)) for draws in (100, 2000))
    assert few < 0.4 < 0.9 < many
    certain = np.array([0.5, 0.3, 0.2, 0.0, 0.0])
    assert p_values(np.array([[50, 30, 19, 0, 1]]), certain, np.random.default_rng(3))[0] < 1e-3


def test_chances_stand_in_the_order_of_the_texts():
    """Catches a text that is given its neighbour's probability, or left out where it cannot come."""
    law = {(0, 1): 0.25, (1, 0): 0.75}
    assert chances(law, [(1, 0), (0, 0), (0, 1)]).tolist() == [0.75, 0.0, 0.25]
