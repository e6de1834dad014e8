"""Catches: a formula off by one, costs that are mixed up, a draft that is advised where it hurts."""

import engine_tiny as tiny
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from k2repro.errors import K2ReproError
from k2repro.fast import CompiledDecoder, fold
from k2repro.speculative import Draft, expected_speedup, expected_tokens
from k2repro.speculative.advice import advice_text, advise
from k2repro.speculative.drafts import prune
from k2repro.speculative.growth import grow
from k2repro.speculative.prediction import Costs, best_gamma, expected_operations

# Leviathan et al., arXiv 2211.17192, table 1: acceptance, gamma, operations, speed.
TABLE_1 = [
    (0.6, 2, 1.53, 1.96),
    (0.7, 3, 1.58, 2.53),
    (0.8, 2, 1.23, 2.44),
    (0.8, 5, 1.63, 3.69),
    (0.9, 2, 1.11, 2.71),
    (0.9, 10, 1.60, 6.86),
]
# Table 4: acceptance, gamma, cost, expected; all twelve rows, printed with one digit and inputs with two.
TABLE_4 = [
    (0.75, 7, 0.02, 3.2),
    (0.80, 7, 0.04, 3.3),
    (0.82, 7, 0.11, 2.5),
    (0.62, 7, 0.02, 2.3),
    (0.71, 3, 0.11, 2.0),
    (0.56, 3, 0.11, 1.6),
    (0.68, 5, 0.04, 2.4),
    (0.65, 5, 0.02, 2.4),
    (0.73, 5, 0.04, 2.6),
    (0.74, 3, 0.11, 2.0),
    (0.53, 5, 0.02, 1.9),
    (0.55, 3, 0.04, 1.8),
]


@pytest.mark.parametrize(("alpha", "gamma", "operations", "speed"), TABLE_1)
def test_the_published_first_table_comes_out(alpha, gamma, operations, speed):
    """Catches gamma for gamma + 1."""
    assert expected_speedup(alpha, gamma) == pytest.approx(speed, abs=0.006)
    assert expected_operations(alpha, gamma, 0) == pytest.approx(operations, abs=0.006)


@pytest.mark.parametrize(("alpha", "gamma", "cost", "speed"), TABLE_4)
def test_the_published_fourth_table_comes_out(alpha, gamma, cost, speed):
    """Catches a draft that is charged once a cycle instead of once a guess."""
    low = expected_speedup(alpha - 0.005, gamma, cost + 0.005)
    high = expected_speedup(alpha + 0.005, gamma, cost - 0.005)
    assert low - 0.05 <= speed <= high + 0.05
    # A wrong twin: charged once a cycle, the larger drafts are far outside.
    assert cost < 0.1 or expected_speedup(alpha - 0.005, gamma, (cost + 0.005) / gamma) > speed + 0.05


@settings(derandomize=True, deadline=None)
@given(st.floats(0.01, 0.99), st.integers(1, 15), st.floats(0.0, 1.0))
def test_costs_that_do_not_grow_are_leviathans(alpha, gamma, cost):
    """Catches a generalisation that disagrees with the theorem where that holds."""
    costs = Costs({1: 2.0, 64: 2.0}, draft=2.0 * cost)
    tokens = expected_tokens(alpha, gamma)
    assert costs.speedup(tokens, gamma) == pytest.approx(expected_speedup(alpha, gamma, cost))
    assert costs.best_gamma(alpha) in (0, best_gamma(alpha, cost, 15))


def test_break_evens_are_where_speed_is_one():
    """Catches a search that ends on the wrong side."""
    costs = Costs({1: 1.0, 8: 1.3, 64: 6.0}, draft=0.05)
    alpha = costs.break_even_acceptance(7)
    assert costs.speedup(expected_tokens(alpha, 7), 7) == pytest.approx(1.0, abs=1e-6)
    rows = costs.break_even_rows(0.8, 7)
    assert (
        costs.speedup(expected_tokens(0.8, 7), 7, rows)
        <= 1
        < costs.speedup(expected_tokens(0.8, 7), 7, rows - 1)
    )
    assert Costs({1: 1.0, 8: 1.0}, draft=2.0).break_even_acceptance(7) is None
    assert Costs({1: 1.0, 8: 1.0}, draft=2.0).best_gamma(0.9) == 0


@pytest.mark.parametrize("wrong", [(1.2, 3), (-0.1, 3), (0.5, -1), (0.5, 1.5)])
def test_what_is_no_acceptance_is_refused(wrong):
    """Catches 80 for 0.8."""
    with pytest.raises(K2ReproError):
        expected_tokens(*wrong)


TARGET = tiny.model(tiny.config(hidden_size=16, num_hidden_layers=2), scale=0.3)


def logits_of(model) -> torch.Tensor:
    decoder = CompiledDecoder(model, fold(model), 1, 64)
    decoder.put(0, decoder.prefill(tiny.prompts([9]))[0])
    return decoder.extend(0, tiny.prompts([20], seed=2)[0])


@pytest.mark.parametrize(
    ("width", "layers", "units", "groups"), [(64, 4, 56, 3), (256, 2, 40, 2), (16, 3, 72, 4)]
)
def test_a_grown_model_has_the_same_logits_to_the_bit(width, layers, units, groups):
    """Catches a head in another's group, a norm's weight or epsilon that is not rescaled."""
    generator = torch.Generator().manual_seed(3)
    grown = grow(TARGET, width=width, layers=layers, units=units, groups=groups, generator=generator)
    assert sum(p.numel() for p in grown.parameters()) > sum(p.numel() for p in TARGET.parameters())
    assert torch.equal(logits_of(grown), logits_of(TARGET))
    # A wrong twin: with the old epsilon the last bits differ.
    grown.config.__dict__["rms_norm_eps"] = TARGET.config.rms_norm_eps * 1.5
    assert not torch.equal(logits_of(grown), logits_of(TARGET))


def test_growth_that_is_not_exact_and_pruning_that_adds_are_refused():
    """Catches a factor that rounds, and a draft larger than its target."""
    generator = torch.Generator()
    for width in (32, 24, 15):
        with pytest.raises(K2ReproError, match="width"):
            grow(TARGET, width=width, layers=2, units=40, groups=2, generator=generator)
    with pytest.raises(K2ReproError, match="fewer"):
        grow(TARGET, width=64, layers=1, units=40, groups=2, generator=generator)
    with pytest.raises(K2ReproError, match="pruning"):
        prune(TARGET, 3, 40)


def test_pruning_nothing_is_the_model_and_pruning_keeps_the_largest_units():
    """Catches units that are taken from gate and down in different orders."""
    assert torch.equal(logits_of(prune(TARGET, 2, 40)), logits_of(TARGET))
    marked = tiny.model(tiny.config(hidden_size=16, num_hidden_layers=1), scale=0.3)
    with torch.no_grad():
        for name, dim in (("gate", 0), ("up", 0), ("down", 1)):
            marked.get_parameter(f"model.layers.0.mlp.{name}_proj.weight").index_fill_(
                dim, torch.tensor([1, 5, 30]), 0.0
            )
    assert torch.allclose(logits_of(prune(marked, 1, 37)), logits_of(marked), atol=1e-5)


def test_advice_names_what_hurts():
    """Catches advice to use a draft as slow as its target."""
    found = advise(TARGET, {"itself": Draft.of(TARGET), "look-up": Draft.lookup()}, tiny.prompts([9, 12]))
    # A draft as large as its target costs what it brings; what is said follows from what was measured.
    for one in found["drafts"].values():
        assert (one["best_gamma"] > 0) == (one["speedup"] > 1)
    found["drafts"]["itself"] |= {"best_gamma": 0, "speedup": 0.5}
    assert "Do not use it: decoding would take 2.00 times as long" in advice_text(found)
