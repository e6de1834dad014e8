"""The figure of notebook 03 about many samples shows what its table says, every seed among it."""

import pytest

from k2repro.evaluate.effects import Effect
from k2repro.evaluate.intervals import Interval
from k2repro.pictures.large_k import pass_at_k_picture

KS = [1, 2]


def effect(*values: float) -> Effect:
    mean = sum(values) / len(values)
    interval = Interval(mean - 0.1, mean + 0.1, method="none", level=0.95, n=4)
    return Effect(mean, interval, None, 4, {seed: (value, None) for seed, value in enumerate(values)})


CURVES = {
    "rlvr.large_k.pass.sft.k1": effect(0.2, 0.4),
    "rlvr.large_k.pass.sft.k2": effect(0.6, 0.8),
    "rlvr.large_k.pass.rl.k1": effect(0.4, 0.5),
    "rlvr.large_k.pass.rl.k2": effect(0.5, 0.7),
}


def test_every_seed_has_its_line_and_the_mean_stands_out():
    """Catches lines of one model under the other's name, and a mean without its seeds."""
    figure, records = pass_at_k_picture(CURVES, KS, None)
    lines = [(trace.name, list(trace.y)) for trace in figure.data]
    assert lines == [
        ("SFT, each seed", pytest.approx([20.0, 60.0])),
        ("SFT, each seed", pytest.approx([40.0, 80.0])),
        ("SFT", pytest.approx([30.0, 70.0])),
        ("RL from SFT, each seed", pytest.approx([40.0, 50.0])),
        ("RL from SFT, each seed", pytest.approx([50.0, 70.0])),
        ("RL from SFT", pytest.approx([45.0, 60.0])),
    ]
    assert [(each["model"], each["k"], each["pass@k (%)"], each["seed 1"]) for each in records] == [
        ("SFT", 1, 30.0, 40.0),
        ("SFT", 2, 70.0, 80.0),
        ("RL from SFT", 1, 45.0, 50.0),
        ("RL from SFT", 2, 60.0, 70.0),
    ]


def test_the_crossing_is_marked_on_the_curve():
    """Catches a mark at another k, and one where the curves do not cross."""
    figure, _ = pass_at_k_picture(CURVES, KS, 2)
    mark = figure.data[-1]
    assert (list(mark.x), list(mark.y)) == ([2], pytest.approx([70.0])) and "k = 2" in mark.name
    assert len(pass_at_k_picture(CURVES, KS, None)[0].data) == len(figure.data) - 1
