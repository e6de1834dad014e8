"""The loop: learns, resumes to the same bytes, stops in time, and says what it did."""

import copy
import dataclasses
import random

import numpy as np
import pytest
import rlvr_tiny as tiny
import torch

from k2repro.engine import Completion, LocalBackend
from k2repro.errors import K2ReproError
from k2repro.rlvr import DivergedError, GrpoConfig, RewardError, train_grpo
from k2repro.training import build_optimizer


def trained(steps, *, source=None, config=None, model=None, build=None, **arguments):
    """(model, records) after a run from the same weights."""
    model = model or tiny.model()
    optimizer = (build or build_optimizer)(model)
    config = config or tiny.config(prompts_per_step=4)
    return model, train_grpo(model, optimizer, source or tiny.source(), config, steps, **arguments)


def same(one, other):
    return all(torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())


def test_it_learns():
    """Catches everything at once: a loop that runs, logs and does not improve."""
    config = tiny.config(prompts_per_step=6, group_size=8)
    _, records = trained(20, config=config, build=lambda m: torch.optim.AdamW(m.parameters(), lr=3e-3))
    assert records[0].pass_rate < 0.7
    assert sum(record.pass_rate for record in records[-3:]) / 3 > 0.9
    assert all(record.gap is None or record.gap < 1e-4 for record in records)
    assert records[0].nll == pytest.approx(records[0].entropy, rel=0.3)


def test_a_backend_with_older_weights_is_refused():
    """Catches a backend that is made once and goes on sampling from the weights it began with."""
    first = LocalBackend(tiny.model())
    with pytest.raises(K2ReproError, match="step 1: .* the sampler holds older weights"):
        trained(3, source=tiny.source(backend=lambda model: first))


def test_a_reward_that_accepts_everything_teaches_nothing():
    """Catches learning that comes from somewhere else than the reward."""
    config = tiny.config(prompts_per_step=4)
    model, records = trained(3, source=tiny.source(lambda p, c: [1.0] * len(c)), config=config)
    assert same(model, tiny.model())
    assert [(record.updates, record.all_right, record.loss) for record in records] == [(0, 4, None)] * 3


@pytest.mark.parametrize("killed_after", [1, 2, 3, 4])
def test_resumed_equals_undisturbed(tmp_path, killed_after):
    """Catches a resumption that forgets a momentum, the place in the stream, or the seeds of the samples."""

    def kill(progress):
        if progress.record.step + 1 == killed_after:
            raise KeyboardInterrupt

    whole, records = trained(4)
    with pytest.raises(KeyboardInterrupt):
        trained(4, work=tmp_path, save_every=2, progress=kill)
    resumed, again = trained(4, work=tmp_path, save_every=2)
    assert again == records
    assert same(resumed, whole)


def test_a_state_of_another_run_is_refused(tmp_path):
    """Catches two runs mixed into one because they share a folder."""
    trained(1, work=tmp_path)
    with pytest.raises(K2ReproError, match="was made with seed = 0, not 1"):
        trained(2, work=tmp_path, config=tiny.config(prompts_per_step=4, seed=1))
    with pytest.raises(K2ReproError, match="was made with max_new_tokens = 9, not "):
        stages = tiny.config(prompts_per_step=4, max_new_tokens=((0, 4), (1, 9)))
        trained(2, work=tmp_path, config=stages)


def test_stages_of_the_budget_survive_resumption(tmp_path):
    """Catches tuples that come back from disk as lists and look like another config."""
    stages = tiny.config(prompts_per_step=4, max_new_tokens=((0, 4), (2, 9)))
    trained(1, work=tmp_path, config=stages)
    _, records = trained(3, work=tmp_path, config=stages)
    assert [record.budget for record in records] == [4, 4, 9]
    assert [record.length <= record.budget for record in records] == [True] * 3
    assert records[0].truncated > 0.5


class Breaks(torch.optim.SGD):
    """Works twice, then loses the weights."""

    calls = 0

    def step(self, closure=None):
        self.calls += 1
        super().step(closure)
        if self.calls == 3:
            self.param_groups[0]["params"][0].detach().fill_(torch.nan)


def test_divergence_names_the_step_and_keeps_the_last_good_state(tmp_path):
    """Catches NaN weights written over the last good checkpoint."""
    build = lambda model: Breaks(model.parameters(), lr=1e-3)  # noqa: E731
    with pytest.raises(DivergedError, match=r"step 2: .* The last good state is .*state\.safetensors"):
        trained(5, build=build, work=tmp_path, save_every=1)
    good, _ = trained(2, build=lambda model: torch.optim.SGD(model.parameters(), lr=1e-3))
    kept, records = trained(2, build=build, work=tmp_path)
    assert [record.step for record in records] == [0, 1]
    assert same(kept, good)
    with pytest.raises(DivergedError, match="step 2: .* No state was saved"):
        trained(5, build=build)


def test_a_bad_reward_stops_the_run_and_keeps_the_state(tmp_path):
    """Catches a NaN reward in step 2 that costs the steps before it."""
    calls = []

    def fails_late(prompts, completions):
        calls.append(len(completions))
        return [float("nan") if len(calls) == 3 else value for value in tiny.even(prompts, completions)]

    with pytest.raises(RewardError, match="'even' returned nan for completion 0"):
        trained(5, source=tiny.source(fails_late), work=tmp_path, save_every=1)
    _, records = trained(2, work=tmp_path)
    assert len(records) == 2


def test_nothing_to_learn_for_too_long_is_an_error():
    """Catches a run that spends an hour on problems that are all too hard."""
    config = tiny.config(prompts_per_step=2, max_skipped_steps=3)
    told = []
    with pytest.raises(K2ReproError, match="step 3: 4 steps in a row had no group") as e:
        trained(9, source=tiny.source(lambda p, c: [0.0] * len(c)), config=config, progress=told.append)
    assert "0 of 2 groups were all right, 2 all wrong" in str(e.value)
    assert [progress.record.updates for progress in told] == [0, 0, 0]


def test_skipped_steps_must_follow_each_other():
    """Catches a count of skipped steps over the whole run."""
    calls = []

    def now_and_then(prompts, completions):
        calls.append(1)
        return tiny.even(prompts, completions) if len(calls) % 2 == 0 else [0.0] * len(completions)

    config = tiny.config(prompts_per_step=2, max_skipped_steps=1)
    _, records = trained(6, source=tiny.source(now_and_then), config=config)
    assert [bool(record.updates) for record in records] == [False, True] * 3


def test_several_updates_from_one_rollout():
    """Catches shares of the groups that are left out, and ratios that stay 1."""
    config = tiny.config(prompts_per_step=4, updates_per_rollout=2, iterations=2, uniform_groups="train")
    _, (record,) = trained(1, config=config)
    assert record.updates == 4
    assert record.ratio_max > 1.001 > 0.999 > record.ratio_min
    assert record.gap < 1e-4  # measured before the first update only


def test_the_second_share_is_compared_with_the_policy_that_sampled():
    """Catches old log-probabilities that are taken only for iterations: later shares look on policy."""
    config = tiny.config(prompts_per_step=4, updates_per_rollout=2, uniform_groups="train")
    _, (record,) = trained(1, config=config)
    assert record.updates == 2 and max(record.ratio_max - 1, 1 - record.ratio_min) > 1e-3


@pytest.mark.parametrize(("longest", "updates"), [(7, 0), (9, 1)])
def test_length_is_punished_by_the_budget_of_the_step(longest, updates):
    """Catches a penalty that keeps the first budget when the budget grows: fair lengths would cost."""

    class Written:
        def complete(self, requests, *, progress=None):
            lengths = (3, 3, longest, longest) if requests[0].max_new_tokens == 9 else (1, 2, 3, 4)
            return [[Completion((5,) * n, "stop") for n in lengths] for _ in requests]

    config = tiny.config(max_new_tokens=((0, 4), (1, 9)), overlong="penalise", overlong_buffer=2)
    source = tiny.source(lambda prompts, completions: [1.0] * len(completions), backend=lambda m: Written())
    assert [record.updates for record in trained(2, source=source, config=config)[1]] == [1, updates]


def test_reference_keeps_the_model_near():
    """Catches a KL term that is computed, logged and left out of the loss."""
    tokens = torch.tensor([prompt.tokens for prompt in tiny.PROMPTS])
    start = tiny.model()(tokens).log_softmax(-1).detach()
    away = {}
    for beta in (0.0, 2.0):
        config = tiny.config(prompts_per_step=4, beta=beta, uniform_groups="train")
        model, records = trained(
            15,
            config=config,
            reference=tiny.model(),
            build=lambda m: torch.optim.AdamW(m.parameters(), lr=2e-3),
        )
        now = model(tokens).log_softmax(-1).detach()
        away[beta] = (now.exp() * (now - start)).sum(-1)[:, -1].mean().item()
        assert [record.kl is None for record in records] == [beta == 0] * 15
    assert away[2.0] < 0.5 * away[0.0]
    with pytest.raises(K2ReproError, match="give the reference model"):
        trained(1, config=tiny.config(beta=0.1, uniform_groups="train"))


def test_progress_and_probes():
    """Catches a probe in the middle of a step, and progress that is told late or not at all."""
    seen = []
    trained(
        5,
        progress=lambda progress: seen.append(progress),
        probe=lambda done, model: seen.append(done),
        probe_every=2,
    )
    kinds = [item if isinstance(item, int) else f"step {item.record.step}" for item in seen]
    assert kinds == [0, "step 0", "step 1", 2, "step 2", "step 3", 4, "step 4", 5]
    first, last = seen[1], seen[-2]
    assert first.seconds_left > 0 == last.seconds_left
    assert first.clock.sampling > 0 < first.clock.training


def test_the_schedule_reaches_the_optimizer():
    """Catches a schedule that is ignored."""
    still, _ = trained(2, schedule=lambda step, steps: 0.0)
    assert same(still, tiny.model())


def test_the_schedule_is_asked_for_each_step_from_0(tmp_path):
    """Catches a schedule that is one step ahead, or begins again after a resumption."""
    asked = []
    for steps in (2, 4):
        trained(steps, work=tmp_path, schedule=lambda step, steps: asked.append((step, steps)) or 1.0)
    assert asked == [(0, 2), (1, 2), (2, 4), (3, 4)]


def test_global_random_state_is_left_alone():
    """Catches draws from the global generators, which couple a run to whatever ran before."""
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    before = random.getstate(), np.random.get_state()[1].copy(), torch.get_rng_state()
    _, first = trained(2)
    assert random.getstate() == before[0]
    assert (np.random.get_state()[1] == before[1]).all()
    assert torch.equal(torch.get_rng_state(), before[2])
    torch.manual_seed(2)
    assert trained(2)[1] == first


def test_uncentred_control_runs():
    """Catches a control arm that cannot be run: all groups, all with positive advantages."""
    config = tiny.config(prompts_per_step=4, center=False, scale="none", uniform_groups="train")
    _, records = trained(2, config=config)
    assert all(record.updates == 1 and record.loss < 0 for record in records)


def test_several_steps_at_once_are_resumed_for_more(tmp_path):
    """Catches a finished run that starts again instead of going on."""
    trained(2, work=tmp_path)
    longer, records = trained(3, work=tmp_path)
    whole, expected = trained(3)
    assert records == expected
    assert same(longer, whole)
    assert trained(3, work=tmp_path, model=copy.deepcopy(longer))[1] == expected


def test_prompts_drawn_in_place_of_others_do_not_come_again():
    """Catches a stream that goes on behind the first draw of a step: refilled prompts would come twice."""
    places = []
    plain = tiny.source(lambda prompts, completions: [1.0] * len(completions))

    def noted(place):
        places.append(place)
        return plain.prompts(place)

    config = tiny.config(prompts_per_step=2, refill_rounds=2)
    trained(3, source=dataclasses.replace(plain, prompts=noted), config=config)
    assert places == list(range(3 * 2 * 3))


@pytest.mark.parametrize("name", ["save_every", "probe_every"])
def test_bad_intervals(name):
    """Catches a division by zero after the first step."""
    with pytest.raises(K2ReproError, match=f"{name} = 0"):
        trained(1, **{name: 0})
    with pytest.raises(K2ReproError, match="steps = 0"):
        trained(0)


OFF_POLICY = {"iterations": 3, "max_grad_norm": 1e9}
# field -> (settings in which it matters, another value)
FIELDS = {
    "prompts_per_step": ({}, 3),
    "group_size": ({}, 3),
    "max_new_tokens": ({}, 5),
    "scale": ({}, "none"),
    "center": ({"scale": "none", "uniform_groups": "train"}, False),
    "std_epsilon": ({}, 0.5),
    "loss_type": ({}, "grpo"),
    "importance_sampling_level": (OFF_POLICY, "sequence"),
    "epsilon_low": (OFF_POLICY, 0.01),
    "epsilon_high": (OFF_POLICY, 0.01),
    "delta": (OFF_POLICY, 1.21),
    "beta": ({"uniform_groups": "train", "iterations": 2}, 0.5),
    "use_bias_correction_kl": ({"uniform_groups": "train", "beta": 0.5, "iterations": 2}, False),
    "updates_per_rollout": ({}, 2),
    "iterations": ({}, 2),
    "max_grad_norm": ({}, 0.01),
    "uniform_groups": ({"group_size": 2}, "drop"),
    "refill_rounds": ({"group_size": 2}, 1),
    "overlong": ({}, "mask"),
    "overlong_buffer": ({"overlong": "penalise", "overlong_buffer": 2}, 6),
    "seed": ({}, 1),
}
# Cost and safety: they change no number, and have tests of their own.
WITHOUT_EFFECT = {
    "micro_batch_tokens",
    "micro_batch_multiple",
    "gap_warning",
    "gap_error",
    "max_skipped_steps",
}


@pytest.mark.parametrize("name", FIELDS)
def test_every_setting_is_read(name):
    """Catches a setting that is documented, accepted and ignored."""
    base, other = FIELDS[name]
    stop = range(2, 16) if name.startswith("overlong") else (tiny.STOP,)  # of many lengths, or mostly full
    outcomes = []
    for changes in (base, {**base, name: other}):
        config = tiny.config(**{"prompts_per_step": 4, **changes})
        model, _ = trained(
            1,
            config=config,
            reference=tiny.model(seed=3),
            source=tiny.source(stop=stop),
            build=lambda m: torch.optim.SGD(m.parameters(), lr=0.5),
        )
        outcomes.append(model)
    assert not same(*outcomes)


def test_no_setting_is_forgotten():
    """Catches a new setting without a test that it does something."""
    assert FIELDS.keys() | WITHOUT_EFFECT == {field.name for field in dataclasses.fields(GrpoConfig)}
