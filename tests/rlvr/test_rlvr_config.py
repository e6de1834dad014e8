"""Settings: sourced defaults, and no combination that quietly does something else."""

import dataclasses
import inspect
import re

import pytest
import rlvr_tiny as tiny

from k2repro.errors import K2ReproError
from k2repro.rlvr import GrpoConfig, LossSettings, config


def test_every_default_names_its_source():
    """Catches a number that came from nowhere: settings of the method carry a source in their comment."""
    lines = [*inspect.getsource(GrpoConfig).splitlines(), *inspect.getsource(LossSettings).splitlines()]
    of_this_project = {"max_new_tokens", "max_skipped_steps", "seed", "gap_warning", "gap_error"}
    for field in dataclasses.fields(GrpoConfig):
        if field.name in of_this_project:
            continue
        declared = re.compile(rf"    {field.name}: .* = ")
        at = next(i for i, line in enumerate(lines) if declared.match(line))
        above = at
        while lines[above - 1].strip().startswith("#"):
            above -= 1
        text = " ".join(lines[above : at + 1])
        assert any(source in text for source in ("TRL", "Guru", "DAPO", "mini-K2")), field.name


@pytest.mark.slow
def test_defaults_said_to_be_trls_are_trls():
    """Catches a default of TRL that has changed since it was quoted."""
    from trl import GRPOConfig

    theirs = {f.name: f.default for f in dataclasses.fields(GRPOConfig)}
    ours = tiny.config(group_size=8)
    names = ["loss_type", "importance_sampling_level", "beta", "use_bias_correction_kl"]
    assert [theirs[name] for name in names] == [getattr(ours, name) for name in names]
    assert theirs["num_generations"] == 8 == GrpoConfig.__dataclass_fields__["group_size"].default
    assert (theirs["scale_rewards"], theirs["epsilon"]) == (ours.scale, ours.epsilon_low)
    assert (theirs["temperature"], theirs["top_p"], theirs["num_iterations"]) == (1.0, 1.0, ours.iterations)
    assert theirs["mask_truncated_completions"] is False and ours.overlong == "keep"
    assert theirs["epsilon_high"] is None and theirs["delta"] is None


def test_budget_stages():
    """Catches a budget that changes one step early or late."""
    two = tiny.config(max_new_tokens=((0, 80), (20, 230)))
    assert [two.budget_at(step) for step in (0, 19, 20, 500)] == [80, 80, 230, 230]
    assert tiny.config(max_new_tokens=7).budget_at(3) == 7
    assert config.stages(7) == ((0, 7),)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"group_size": 1}, "group_size = 1"),
        ({"prompts_per_step": 0}, "prompts_per_step = 0"),
        ({"prompts_per_step": 2.0}, "prompts_per_step = 2.0"),
        ({"loss_type": "ppo"}, "unknown loss_type 'ppo'"),
        ({"scale": "std"}, "unknown scale 'std'"),
        ({"overlong": "cut"}, "unknown overlong 'cut'"),
        ({"uniform_groups": "filter"}, "unknown uniform_groups 'filter'"),
        ({"importance_sampling_level": "word"}, "unknown importance_sampling_level 'word'"),
        ({"max_new_tokens": 0}, "max_new_tokens = 0"),
        ({"max_new_tokens": ((5, 10),)}, "begin at step 0"),
        ({"max_new_tokens": ((0, 10), (0, 20))}, "rising steps"),
        ({"max_new_tokens": ()}, "begin at step 0"),
        ({"overlong": "penalise"}, "overlong_buffer = 0"),
        ({"overlong": "penalise", "overlong_buffer": 9}, "overlong_buffer = 9"),
        ({"center": False}, "excludes scale='group'"),
        ({"center": False, "scale": "none"}, "needs uniform_groups='train'"),
        ({"beta": 0.1}, "beta > 0 needs uniform_groups"),
        ({"gap_warning": 1.0}, "gap_warning = 1.0 is above"),
        ({"prompts_per_step": 16, "updates_per_rollout": 3}, "not a multiple of updates_per_rollout"),
        ({"epsilon_low": 2.0}, "epsilon_low = 2.0"),
        ({"delta": 1.0}, "delta = 1.0"),
        ({"max_grad_norm": 0.0}, "max_grad_norm = 0.0"),
        ({"beta": -1.0}, "beta = -1.0"),
    ],
)
def test_bad_input(changes, message):
    """Catches a run that starts and only fails, or does something else, an hour later."""
    with pytest.raises(K2ReproError, match=message):
        tiny.config(**changes)


def test_the_control_without_a_baseline_can_be_configured():
    """Catches rules that forbid the control arm of the experiments."""
    assert not tiny.config(center=False, scale="none", uniform_groups="train").center
