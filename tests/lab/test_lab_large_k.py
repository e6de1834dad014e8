"""Catches: a biased pass@k, temperatures chosen on test problems, models that were asked other problems."""

import gzip
from math import comb

import numpy as np
import pytest
import torch
from rlvr_tiny import model

from k2repro.errors import K2ReproError
from k2repro.evaluate.effects import difference
from k2repro.lab import large_k, large_k_rows, levels, temperatures
from k2repro.lab.large_k import AT_MANY, AT_ONE, AT_SAME, KINDS, LargeK
from k2repro.lab.outcomes import SampleOutcomes, first_of, only_by, pass_table
from k2repro.lab.predictions import load_predictions
from k2repro.lab.scale import Scale
from k2repro.lab.temperatures import (
    GRID,
    SAME,
    ChosenTemperatures,
    TemperatureTry,
    choose,
    matching_temperature,
)

SCALE = Scale()


def outcome(name: str, right: int, samples: int = 8) -> SampleOutcomes:
    """The last `right` samples are right."""
    return SampleOutcomes(name, "0" * (samples - right) + "1" * right)


# ---- outcomes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("right", ["1", "0", "00000", "01000000000", "1" * 64, "0" * 63 + "1"])
def test_bits_come_back_as_they_were(right):
    """Catches leading zeros that are lost: a model that is wrong at first would get fewer samples."""
    assert SampleOutcomes.unpacked(SampleOutcomes("a", right).packed()) == SampleOutcomes("a", right)


def test_an_edited_file_is_refused():
    """Catches more bits than samples, which would move every sample by one."""
    with pytest.raises(K2ReproError, match="9 bits for 8 samples"):
        SampleOutcomes.unpacked({"id": "a", "samples": 8, "right": "1ff"})
    with pytest.raises(K2ReproError, match="must hold"):
        SampleOutcomes.unpacked({"id": "a", "samples": 8})
    with pytest.raises(K2ReproError, match="ones and zeros"):
        SampleOutcomes("a", "012")


def test_pass_at_k_is_the_unbiased_one():
    """Catches 1 - (1 - c/n)^k, which draws with replacement and is too low."""
    table = pass_table({0: [outcome("a", 1), outcome("b", 3)]}, 4)
    exact = [1 - comb(8 - c, 4) / comb(8, 4) for c in (1, 3)]
    assert table.by_seed[0] == pytest.approx(exact)
    # Wrong twin.
    biased = np.array([1 - (1 - c / 8) ** 4 for c in (1, 3)])
    assert (table.by_seed[0] > biased + 0.05).all()


def test_other_problems_are_no_comparison():
    """Catches pools of different problems, of different order, and of unequally many samples."""
    ours, theirs = {0: [outcome("a", 1)]}, {0: [outcome("b", 1)]}
    with pytest.raises(K2ReproError, match="other problems"):
        only_by(ours, theirs)
    with pytest.raises(K2ReproError, match="different problems"):
        difference(pass_table(ours, 1), pass_table(theirs, 1), generator=np.random.default_rng(0))
    with pytest.raises(K2ReproError, match="other problems"):
        pass_table({0: [outcome("a", 1), outcome("b", 1)], 1: [outcome("b", 1), outcome("a", 1)]}, 1)
    with pytest.raises(K2ReproError, match="asked more often"):
        only_by(ours, {0: [outcome("a", 0, samples=4)]})


def test_solved_alone_means_never_by_the_other():
    """Catches a problem that counts as new although one sample of the other solved it."""
    first = {0: [outcome("a", 1), outcome("b", 8), outcome("c", 0), outcome("d", 2)]}
    second = {0: [outcome("a", 0), outcome("b", 1), outcome("c", 5), outcome("d", 0)]}
    assert only_by(first, second).by_seed[0].tolist() == [1, 0, 0, 1]
    assert only_by(second, first).by_seed[0].tolist() == [0, 0, 1, 0]


# ---- temperatures -------------------------------------------------------------------------------------


def tries(one, many, entropy=(0.1, 0.2, 0.3, 0.4)):
    return [TemperatureTry(*values) for values in zip(GRID, one, many, entropy, strict=True)]


def test_one_and_many_are_chosen_apart_over_all_seeds():
    """Catches one temperature for both, and a choice by the first seed alone."""
    sft = {0: tries((0.9, 0.5, 0.5, 0.1), (0.9,) * 4), 1: tries((0.1, 0.6, 0.5, 0.1), (0.8, 0.9, 0.95, 0.9))}
    rl = {0: tries((0.5,) * 4, (0.5, 0.5, 0.5, 0.6)), 1: tries((0.5,) * 4, (0.5, 0.5, 0.5, 0.6))}
    found = choose({"sft": sft, "from-sft": rl}, 8)
    # The first seed alone would take 0.4.
    assert found.one == {"sft": 0.7, "from-sft": SAME}
    assert found.many == {"sft": 1.0, "from-sft": 1.4}


def test_entropy_is_matched_seed_by_seed():
    """Catches a match to the other model's entropy at a temperature that is not the one of training."""
    sft = {
        0: tries((0,) * 4, (0,) * 4, (0.0, 0.1, 0.2, 0.6)),
        1: tries((0,) * 4, (0,) * 4, (0.0, 0.2, 0.4, 1.0)),
    }
    rl = {seed: tries((0,) * 4, (0,) * 4, (0.01, 0.03, 0.1, 0.3)) for seed in (0, 1)}
    assert choose({"sft": sft, "from-sft": rl}, 8).matched == {0: 0.7, 1: 0.55}


def test_entropies_out_of_reach_end_at_the_grid():
    """Catches a temperature that nobody tried."""
    known = tries((0,) * 4, (0,) * 4)
    assert matching_temperature(known, 0.01) == GRID[0] and matching_temperature(known, 9.0) == GRID[-1]


def needed(made):
    """A thing and all that it rests on."""
    yield made
    for each in made.needs.values():
        yield from needed(each)


def test_temperatures_rest_on_validation_problems_alone():
    """Catches a temperature chosen on test: nothing that the choice needs has seen a test problem."""
    behind = list(needed(large_k.choice(SCALE)))
    asked = [made for made in behind if made.kind == "tried"]
    assert len(asked) == 2 * SCALE.seeds and {made.params["split"] for made in asked} == {"validation"}
    assert not {made.kind for made in behind} & {"outcomes", "pool", "scores", "candidates"}


def test_a_pool_on_test_reads_the_temperature_that_was_chosen():
    """Catches a temperature typed beside the choice."""
    chosen = ChosenTemperatures(
        {"sft": 0.4, "from-sft": 0.7}, {"sft": 1.0, "from-sft": 1.4}, {0: 0.55, 1: 0.61}, 8, {}
    )
    for kind in (*AT_ONE.values(), *AT_MANY.values(), large_k.MATCHED):
        assert large_k.outcomes(kind, 1, SCALE).needs["temperatures"].key == large_k.choice(SCALE).key
    asked = {kind: large_k.temperature_of(kind, 1, chosen) for kind in KINDS if kind not in AT_SAME.values()}
    assert asked == {
        "sft@many": 1.0,
        "from-sft@many": 1.4,
        "sft@one": 0.4,
        "from-sft@one": 0.7,
        "sft@matched": 0.61,
        "sft+norm": SAME,
        "from-sft+norm": SAME,
    }


# ---- what is asked ------------------------------------------------------------------------------------


def test_both_models_are_asked_the_same_new_problems():
    """Catches problems that notebooks 04 and 05 have asked, and kinds of unlike problems or samples."""
    made = {kind: large_k.outcomes(kind, 0, SCALE).params for kind in KINDS}
    assert {(each["level"], each["start"], each["problems"]) for each in made.values()} == {
        (large_k.LEVEL, large_k.FIRST, SCALE.many_problems)
    }
    asked = range(levels.FIRST, levels.FIRST + SCALE.asked)
    assert not set(asked) & set(range(large_k.FIRST, large_k.FIRST + SCALE.many_problems))
    samples = {kind: each["samples"] for kind, each in made.items()}
    assert samples["sft@same"] == samples["from-sft@same"] == samples["sft@many"] == SCALE.many_samples
    with pytest.raises(K2ReproError, match="sft@same"):
        large_k.outcomes("sft@sam", 0, SCALE)


def test_norms_come_from_the_other_model_of_the_same_seed():
    """Catches a control that carries its own norm, or that of another seed."""
    made = large_k.outcomes(large_k.SFT_WITH_RL_NORM, 2, SCALE)
    assert made.needs["model"].key == large_k.weights("sft", 2, SCALE).key
    assert made.needs["norm"].key == large_k.weights("from-sft", 2, SCALE).key
    made = large_k.outcomes(large_k.RL_WITH_SFT_NORM, 2, SCALE)
    assert made.needs["model"].key == large_k.weights("from-sft", 2, SCALE).key
    assert made.needs["norm"].key == large_k.weights("sft", 2, SCALE).key


def test_the_last_norm_alone_is_exchanged():
    """Catches an exchange of more than the 128 numbers, or of none."""
    ours, other = model(seed=0), model(seed=1)
    before = {name: value.clone() for name, value in ours.named_parameters()}
    large_k.with_norm_of(ours, other)
    changed = {name for name, value in ours.named_parameters() if not torch.equal(value, before[name])}
    assert changed == {"model.norm.weight"}
    assert torch.equal(ours.model.norm.weight, other.model.norm.weight)


# ---- rows ---------------------------------------------------------------------------------------------

# Right samples of eight on two problems; every kind's own numbers, so that no two differences are equal.
COUNTS = {
    "sft@same": (1, 3),
    "from-sft@same": (0, 7),
    "sft@many": (2, 2),
    "from-sft@many": (1, 8),
    "sft@one": (3, 4),
    "from-sft@one": (4, 5),
    "sft@matched": (2, 4),
    "sft+norm": (1, 5),
    "from-sft+norm": (1, 2),
}


@pytest.fixture(scope="module")
def results() -> LargeK:
    made = {
        kind: {seed: [outcome(name, c) for name, c in zip("ab", counts, strict=True)] for seed in (0, 1, 2)}
        for kind, counts in COUNTS.items()
    }
    return LargeK(made, ChosenTemperatures({}, {}, {}, 8, {}), {})


def rate(kind: str) -> float:
    return sum(COUNTS[kind]) / 16


def test_every_difference_is_of_the_models_that_it_names(results):
    """Catches exchanged sides, a control against the wrong model, the wrong temperature."""
    found = large_k_rows.differences(results) | large_k_rows.controls(results)
    expected = {
        "same.k1": rate("from-sft@same") - rate("sft@same"),
        "gain.k1": rate("from-sft@same") - rate("sft@same"),
        "best.k1": rate("from-sft@one") - rate("sft@one"),
        "matched.k1": rate("from-sft@same") - rate("sft@matched"),
        "rl_norm_minus_sft": rate("sft+norm") - rate("sft@same"),
        "from_sft_minus_rl_norm": rate("from-sft@same") - rate("sft+norm"),
        "sft_norm_minus_sft": rate("from-sft+norm") - rate("sft@same"),
    }
    for name, value in expected.items():
        assert found[f"rlvr.large_k.{name}"].value == pytest.approx(value), name
    assert found["rlvr.large_k.same.k8"].value == pytest.approx(-0.5)
    assert found["rlvr.large_k.best.k8"].value == pytest.approx(0.0)


def test_who_solves_what_alone(results):
    """Catches the two shares exchanged: RL never solves the first problem, SFT does."""
    found = large_k_rows.alone(results)
    assert (found["rlvr.large_k.only_sft"].value, found["rlvr.large_k.only_rl"].value) == (0.5, 0.0)


def test_the_crossing_is_where_rl_falls_behind_for_good(results):
    """Catches a first touch that RL makes good again, and a crossing where RL stays ahead."""
    ks = large_k_rows.ks_of(results)
    found = large_k_rows.differences(results)
    assert ks == [1, 2, 4, 8]
    signs = [found[f"rlvr.large_k.same.k{k}"].value > 0 for k in ks]
    assert large_k_rows.crossing(found, ks) == ks[signs.index(False)]
    ahead = {f"rlvr.large_k.same.k{k}": found["rlvr.large_k.same.k1"] for k in ks}
    assert large_k_rows.crossing(ahead, ks) is None
    touched = ahead | {"rlvr.large_k.same.k2": found["rlvr.large_k.same.k8"]}
    assert large_k_rows.crossing(touched, ks) is None


def test_every_prediction_has_its_row(results):
    """Catches a prediction that waits for ever for a row of another name."""
    found = large_k_rows.differences(results) | large_k_rows.controls(results) | large_k_rows.alone(results)
    declared = {each.effect for each in load_predictions() if each.effect.startswith("rlvr.large_k.")}
    largest = {name.replace("k8", "k64") for name in found}
    assert declared and declared <= largest


def test_first_samples_are_the_first():
    """Catches a small pool that is not the beginning of the large one."""
    assert first_of([SampleOutcomes("a", "10010000")], 4) == [SampleOutcomes("a", "1001")]
    with pytest.raises(K2ReproError, match="16 were asked for"):
        first_of([SampleOutcomes("a", "1001")], 16)


def test_the_grid_holds_the_temperature_of_training():
    """Catches a grid without the temperature to which entropies are matched."""
    assert SAME in temperatures.GRID


def test_a_file_that_was_cut_short_is_named(tmp_path):
    """Catches a comparison of fewer models than were made, and a traceback for a broken file."""
    line = '{"id":"a","kind":"sft@same","right":"f","samples":4,"seed":0}\n'
    path = tmp_path / large_k.SHIPPED
    path.write_bytes(gzip.compress(line.encode()))
    with pytest.raises(K2ReproError, match="no outcomes of from-sft"):
        large_k.read_large_k(tmp_path)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(K2ReproError, match="cut short"):
        large_k.read_large_k(tmp_path)
