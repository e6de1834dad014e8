"""Catches: a formula off by one, costs that are mixed up, a draft that is advised where it hurts."""

from itertools import product

import engine_tiny as tiny
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from k2repro.errors import K2ReproError
from k2repro.fast import CompiledDecoder, fold
from k2repro.speculative import Draft, expected_speedup, expected_tokens
from k2repro.speculative.advice import advice_text, advise
from k2repro.speculative.drafts import prune
from k2repro.speculative.exact import coupled_pairs, drawn_law
from k2repro.speculative.growth import grow
from k2repro.speculative.prediction import (
    Costs,
    acceptance_of,
    expected_operations,
    independent,
    shared_mass,
    shared_numbers,
    shortened,
    tokens_a_cycle,
)
from k2repro.speculative.sampling import SpeculativeSampler
from k2repro.speculative.timing import time_costs, typical

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
    costs = Costs({1: 2.0, 64: 2.0}, {0: 0.0, 64: 128.0 * cost})
    cycles = independent(alpha, gamma)
    assert tokens_a_cycle(cycles) == pytest.approx(expected_tokens(alpha, gamma))
    assert acceptance_of(cycles) == pytest.approx(alpha)
    assert costs.speedup(cycles) == pytest.approx(expected_speedup(alpha, gamma, cost))


@settings(derandomize=True, deadline=None)
@given(st.floats(0.01, 0.99), st.integers(1, 8), st.integers(1, 8))
def test_a_longer_run_tells_a_shorter_one(alpha, gamma, more):
    """Catches guesses behind the last one that are still counted."""
    found = shortened(independent(alpha, gamma + more), gamma)
    assert np.allclose(found, independent(alpha, gamma))


def test_acceptance_at_one_place_is_that_of_every_branch_written_down():
    """Catches stretches of the number line that are laid side by side wrongly, and a broken bound."""
    laws = [drawn_law(seed, 4)(()) for seed in "abcdefgh"]
    for p, q in product(laws, laws):
        wanted = sum(length for length, guess, word in coupled_pairs(p, q) if guess == word)
        mass = sum(min(a, b) for a, b in zip(p, q, strict=True))
        as_floats = p.astype(np.float64)[None], q.astype(np.float64)[None]
        assert shared_numbers(*as_floats) == pytest.approx(float(wanted))
        assert shared_mass(*as_floats) == pytest.approx(float(mass)) and wanted <= mass


def test_a_draft_that_has_no_guess_does_not_pay_for_one():
    """Catches look-up that is charged for passes it never asked for: half of its cycles guess nothing."""
    costs = Costs({1: 1.0, 4: 3.0})
    half = np.zeros((4, 4))
    half[0, 0] = half[3, 3] = 0.5
    assert costs.of_cycle(half) == 2.0 and tokens_a_cycle(half) == 2.5
    assert costs.speedup(half) == pytest.approx(1.25)
    # A wrong twin: as if every cycle had read four tokens.
    assert tokens_a_cycle(half) * costs.of_pass(1) / costs.of_pass(4) < 1


def test_reading_prompts_is_paid_for_and_the_parts_are_the_whole():
    """Catches a speed that holds for decoding alone where a response was asked for."""
    costs = Costs({1: 1.0, 8: 1.4}, {0: 0.0, 7: 0.7}, reading=10.0, draft_reading=2.0)
    cycles = independent(0.9, 7)
    a_token = (1.4 + 0.7) / expected_tokens(0.9, 7)
    assert costs.speedup(cycles) == pytest.approx(1 / a_token)
    assert costs.speedup(cycles, 100) == pytest.approx(110 / (12 + 100 * a_token))
    parts = costs.phases(cycles, 100)
    assert sum(parts.values()) == pytest.approx(1)
    assert parts["guessing"] / parts["checking"] == pytest.approx(0.7 / 1.4)


def test_the_break_even_is_where_speed_is_one():
    """Catches a search that ends on the wrong side, and a draft that can never pay."""
    costs = Costs({1: 1.0, 8: 1.3}, {0: 0.0, 7: 0.35})
    alpha = costs.break_even_acceptance(7)
    assert costs.speedup(independent(alpha, 7)) == pytest.approx(1.0, abs=1e-6)
    slow = Costs({1: 1.0, 16: 1.0}, {0: 0.0, 15: 30.0})
    assert slow.break_even_acceptance(7) is None


def test_a_pass_that_was_not_timed_is_refused():
    """Catches a cost that is made up beyond what was measured."""
    with pytest.raises(K2ReproError, match="the most that was timed is 8"):
        Costs({1: 1.0, 8: 1.3}).of_pass(9)


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


def test_costs_are_timed_in_place_and_change_nothing():
    """Catches a rehearsal that leaves its tokens behind, and one that never drafts."""
    how = {"max_new_tokens": 30, "seeds": [3, 4]}
    prompts = tiny.prompts([9, 12])
    made = SpeculativeSampler(TARGET, Draft.of(prune(TARGET, 1, 40)), gamma=5, batch=2, positions=60)
    before = made.sample(prompts, **how)
    costs = time_costs(made.speculator, rows=2, prompt=12, response=30, sizes=(2,), rounds=2)
    assert sorted(costs.passes) == [1, 2, 3, 6] and sorted(costs.guesses) == [0, 1, 5]
    assert all(seconds > 0 for seconds in (*costs.passes.values(), costs.reading)) and costs.guesses[0] == 0
    assert made.sample(prompts, **how).responses == before.responses
    assert typical([costs, costs, Costs(dict.fromkeys(costs.passes, 9.0), costs.guesses)]) == costs
    with pytest.raises(K2ReproError, match="room for 2 rows of 60"):
        time_costs(made.speculator, rows=2, prompt=40, response=30)


def test_a_rehearsed_cycle_guesses_and_checks_as_many_as_it_says():
    """Catches passes timed over fewer tokens than their name: look-up that finds nothing in the text."""
    made = SpeculativeSampler(TARGET, Draft.of(TARGET), gamma=5, batch=1, positions=60).speculator
    alone = made.retuned(gamma=5, lookup=True)
    for loop in (made, alone):
        loop.prepare([[at % 7 for at in range(20)]])
        loop.rehearse(5, 3)
        assert loop.state.cycles.sum() == 3 and loop.state.cycles[0, 5].sum() == 3
        assert loop.state.counts[0] == 20


def test_fewer_rows_and_guesses_on_the_same_memory_give_the_same_text():
    """Catches a setting of the larger sampler that the smaller one keeps."""
    prompts, how = tiny.prompts([9, 12, 5]), {"max_new_tokens": 20, "seeds": [3, 4, 5]}
    whole = SpeculativeSampler(TARGET, Draft.of(prune(TARGET, 1, 40)), gamma=6, batch=3)
    wanted = whole.sample(prompts, **how).responses
    for change in ({"gamma": 2}, {"gamma": 0}, {"gamma": 4, "lookup": True, "batch": 1}):
        found = whole.retuned(**change).sample(prompts, **how).responses
        assert [row[0].tokens for row in found] == [row[0].tokens for row in wanted]
    assert whole.sample(prompts, **how).responses == wanted
    for change in ({"gamma": 7}, {"gamma": 1, "batch": 4}, {"gamma": 1, "temperature": 1.5}):
        with pytest.raises(K2ReproError):
            whole.retuned(**change)


def test_advice_names_what_hurts():
    """Catches advice to use a draft as slow as its target."""
    found = advise(TARGET, {"itself": Draft.of(TARGET), "look-up": Draft.lookup()}, tiny.prompts([9, 12]))
    # What is said follows from what was measured.
    for one in found["drafts"].values():
        assert (one["best_gamma"] > 0) == (one["speedup"] > 1)
        # The table's speed at batch 1 is that of the number of guesses beside it.
        assert one["batches"][1] == one["speedup"] and one["fastest_gamma"] >= 1
    for one in found["drafts"].values():
        one |= {"best_gamma": 0, "speedup": 0.5, "draft_cost": 0.2}
    found["drafts"]["itself"] |= {"draft_cost": 1.2, "speedup": 0.4}
    said = advice_text(found)
    assert said.startswith("Use no draft. With the best of them, look-up, a response would take 2.00 times")
    assert "itself is slower than the target, 1.20 passes a guess" in said
    found["drafts"]["itself"] |= {"best_gamma": 7, "speedup": 3.0, "draft_cost": 0.1}
    assert advice_text(found).startswith("Use itself with 7 guesses a cycle: 3.00 times as fast")
    found["drafts"]["itself"] |= {"best_gamma": 1}
    assert advice_text(found).startswith("Use itself with 1 guess a cycle")
