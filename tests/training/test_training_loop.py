"""The training loop: exact resumption, gradient accumulation, and a loss that is not a number."""

import pytest
import torch
from training_tiny import CountingStream, tiny_model

from k2repro.errors import K2ReproError
from k2repro.training import build_optimizer, warmup_cosine
from k2repro.training import state as state_module
from k2repro.training.loop import train
from k2repro.training.optimizer import LearningRates
from k2repro.training.state import load_state, save_state

RATES = LearningRates(0.01, 0.003, 0.03)


class Stop(Exception):
    """Stands for a kill."""


def run(work=None, stop_at=None, steps=9, **options):
    model = tiny_model()

    def at_step(step, _):
        if step == stop_at:
            raise Stop

    history = train(
        model,
        build_optimizer(model, RATES),
        CountingStream(),
        steps,
        schedule=warmup_cosine,
        work=work,
        save_every=2,
        at_step=at_step,
        **options,
    )
    return model, history


def assert_same(a, b):
    for (name, x), y in zip(a.state_dict().items(), b.state_dict().values(), strict=True):
        assert torch.equal(x, y), name


@pytest.mark.parametrize("stop_at", [1, 2, 5, 8])
def test_a_stopped_run_ends_with_the_same_bytes(tmp_path, stop_at):
    """Catches anything that a resumption forgets: momenta, schedule, place in the data, history."""
    undisturbed, history = run()
    with pytest.raises(Stop):
        run(tmp_path, stop_at=stop_at)
    resumed, again = run(tmp_path)
    assert_same(undisturbed, resumed)
    assert history == again


def test_a_resumption_without_the_optimiser_is_told_apart(tmp_path, monkeypatch):
    """Catches a test of resumption that would pass with fresh momenta: the wrong twin must differ."""
    undisturbed, _ = run()
    with pytest.raises(Stop):
        run(tmp_path, stop_at=5)
    monkeypatch.setattr("k2repro.training.optimizer.Optimizer.load_state_dict", lambda self, state: None)
    twin, _ = run(tmp_path)
    pairs = zip(undisturbed.parameters(), twin.parameters(), strict=True)
    assert any(not torch.equal(a, b) for a, b in pairs)


def test_two_runs_are_equal_and_the_seed_counts():
    """Catches a hidden source of randomness, and a model that ignores its data."""
    first, history = run()
    second, again = run()
    assert_same(first, second)
    assert history == again
    assert history.loss[-1] != history.loss[0]


def test_training_lowers_the_loss_of_what_is_repeated():
    """Catches an update with the wrong sign."""

    class Same(CountingStream):
        def next_batch(self):
            self.at = 0
            return super().next_batch()

    model = tiny_model()
    history = train(model, build_optimizer(model, RATES), Same(), 30)
    assert history.loss[-1] < 0.5 * history.loss[0]


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_state(tmp_path):
    """Catches training on after NaN, which overwrites the last good checkpoint."""
    model = tiny_model()

    def poison(step, model):
        if step == 5:
            model.model.norm.weight.data.fill_(float("nan"))

    said = r"loss of step 5 is nan \(stream at \{'at': 6\}\).*last good state"
    with pytest.raises(K2ReproError, match=said):
        train(
            model,
            build_optimizer(model, RATES),
            CountingStream(),
            9,
            work=tmp_path,
            save_every=2,
            at_step=poison,
        )
    kept = load_state(tmp_path / "state.safetensors")
    assert kept["step"] == 4
    assert all(torch.isfinite(tensor).all() for tensor in kept["model"].values())


def test_a_full_disk_keeps_the_state_before(tmp_path, monkeypatch):
    """Catches a state that is truncated in place when the disk is full."""
    path = tmp_path / "state.safetensors"
    save_state(path, {"step": 1, "tensor": torch.ones(3)})

    def full(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(state_module, "write_bytes", full)
    with pytest.raises(K2ReproError, match="No space left on device.*disk is full.*untouched"):
        save_state(path, {"step": 2, "tensor": torch.zeros(3)})
    assert load_state(path)["step"] == 1


def test_a_state_comes_back_as_it_was(tmp_path):
    """Catches integer keys that come back as text, and tensors that lose their type."""
    tree = {
        "a": {0: {"exp_avg": torch.ones(2, dtype=torch.float32)}, "b": [1, 2.5, None, "x"]},
        "t": torch.tensor([3], dtype=torch.int64),
    }
    save_state(tmp_path / "s", tree)
    found = load_state(tmp_path / "s")
    assert found["a"]["b"] == [1, 2.5, None, "x"]
    assert torch.equal(found["a"][0]["exp_avg"], tree["a"][0]["exp_avg"])
    assert found["t"].dtype == torch.int64


@pytest.mark.parametrize("content", [b"", b"no safetensors at all, only text"])
def test_a_damaged_state_is_refused(tmp_path, content):
    """Catches a resumption from half a file."""
    (tmp_path / "s").write_bytes(content)
    with pytest.raises(K2ReproError, match="no whole training state"):
        load_state(tmp_path / "s")


def test_progress_counts_what_was_trained():
    """Catches a token count that includes padding."""
    told = []
    model = tiny_model()
    history = train(
        model, build_optimizer(model, RATES), CountingStream(), 3, accumulate=2, progress=told.append
    )
    assert [progress.step for progress in told] == [1, 2, 3]
    assert told[-1].tokens == sum(history.tokens) == 3 * 2 * 4 * 6


@pytest.mark.parametrize("options", [{"steps": 0}, {"accumulate": 0}])
def test_impossible_lengths_are_refused(options):
    """Catches a run of no steps that reports success."""
    with pytest.raises(K2ReproError, match="at least 1"):
        run(**options)
