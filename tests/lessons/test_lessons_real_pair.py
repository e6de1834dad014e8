"""The random test of a real pair: its cells are the target's law, and it notices a draft let through."""

import engine_tiny as tiny
import numpy as np
import pytest

from k2repro.engine import sample
from k2repro.lessons.real_pair import chances_on, counts_on, g_tests, noticed_from, pairs_of

TARGET = tiny.model(tiny.config(num_hidden_layers=3), scale=0.25)
DRAFT = tiny.model(tiny.config(num_hidden_layers=1, hidden_size=16), seed=4, scale=0.25)
TEXT = tiny.prompts([9])[0]
DRAWS = 1000


def test_the_right_rules_are_not_accused_and_the_power_is_stated():
    """Catches cells counted under other words than they are expected under, and a power of nothing."""
    how = {"rules": ["token", "block"], "temperature": 1.0, "draws": DRAWS}
    found = g_tests(TARGET, DRAFT, [TEXT], generator=np.random.default_rng(0), **how)
    assert [one["rule"] for one in found] == ["token", "block"]
    for one in found:
        assert one["cells"] > 10 and one["p, Holm"] >= one["p"] > 0.005 and one["notices from"] == 0.5


def test_a_draft_that_is_let_through_is_noticed():
    """Catches a test that could not fail: the draft's own texts, and the target's at another temperature."""
    from k2repro.lessons.draws import p_values

    pairs = pairs_of(TARGET, TEXT, 1.0, DRAWS)
    assert pairs.chances.sum() == pytest.approx(1)
    assert chances_on(pairs, TARGET, TEXT, 1.0) == pytest.approx(pairs.chances)
    for model, temperature, right in ((TARGET, 1.0, True), (DRAFT, 1.0, False), (TARGET, 1.3, False)):
        rows = sample(model, [TEXT], n=DRAWS, max_new_tokens=2, temperature=temperature, seeds=[5])[0]
        counts = counts_on(pairs, [row.tokens for row in rows])
        found = p_values(counts[None], pairs.chances, np.random.default_rng(0))[0]
        assert found > 0.005 if right else found < 0.001
    # A draft that is the target has nothing to be noticed.
    assert noticed_from(pairs.chances, pairs.chances, DRAWS, 0.01, np.random.default_rng(0)) is None
