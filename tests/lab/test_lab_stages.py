"""Catches: a stage that ends before each of its skills stands, or that resumes to another end."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from k2repro.architecture import Qwen2
from k2repro.lab.sft_recipe import MODEL
from k2repro.lab.stages import Skill, Stage, run_stages, skill_batches, skill_losses
from k2repro.mini.checkpoint import new_model
from k2repro.mini.mixtures import Ingredient
from k2repro.training.loop import SKILL_STEPS

MIXTURE = (Ingredient("table", 1.0),)
SHAPE = replace(
    MODEL, hidden_size=16, intermediate_size=24, num_attention_heads=2, num_key_value_heads=1, head_dim=8
)


def tiny_model() -> Qwen2:
    """A model of the family's vocabulary that takes a step in milliseconds."""
    return new_model(SHAPE, 0, 1)


def stage(*bounds: float, steps: int = 2 * SKILL_STEPS) -> Stage:
    """A stage on single steps of arithmetic that measures arithmetic and a look-up nobody teaches."""
    skills = (Skill("table", bounds[0]), Skill("marked-look-up", bounds[1], (4, 5)))
    return Stage("skills", MIXTURE, steps=steps, rows=2, length=48, layers=1, skills=skills)


def test_one_skill_that_is_missing_keeps_a_stage_open():
    """Catches `any` for `all`: a mean, or one skill that stands, hides another that does not."""
    _, over = run_stages(tiny_model(), [stage(9.0, 9.0)], 0)
    _, missing = run_stages(tiny_model(), [stage(9.0, 0.0)], 0)
    _, other = run_stages(tiny_model(), [stage(0.0, 9.0)], 0)
    assert len(over["skills"].loss) == SKILL_STEPS
    assert len(missing["skills"].loss) == len(other["skills"].loss) == 2 * SKILL_STEPS
    assert [len(losses) for losses in missing["skills"].skills.values()] == [2, 2]


def test_measuring_skills_changes_no_weight():
    """Catches a measurement that leaves gradients, or draws from the stream that is trained on."""
    plain = Stage("skills", MIXTURE, steps=SKILL_STEPS + 3, rows=2, length=48, layers=1)
    model, _ = run_stages(tiny_model(), [plain], 0)
    measured, _ = run_stages(tiny_model(), [stage(0.0, 0.0, steps=SKILL_STEPS + 3)], 0)
    for one, other in zip(model.parameters(), measured.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_stopped_stage_ends_where_an_undisturbed_one_does(tmp_path: Path):
    """Catches a resumed stage that forgets what it measured, or trains on after its end."""
    steps = 3 * SKILL_STEPS
    _, whole = run_stages(tiny_model(), [stage(0.0, 0.0, steps=steps)], 0)

    def stop(now: object) -> None:
        if now.step == SKILL_STEPS + 60:  # type: ignore[attr-defined]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_stages(tiny_model(), [stage(0.0, 0.0, steps=steps)], 0, work=tmp_path, progress=stop)
    _, resumed = run_stages(tiny_model(), [stage(0.0, 0.0, steps=steps)], 0, work=tmp_path)
    assert resumed["skills"].skills == whole["skills"].skills
    assert resumed["skills"].loss == whole["skills"].loss


def test_a_short_stage_is_measured_at_its_end():
    """Catches a stage below SKILL_STEPS steps that says nothing of its skills, as in a quick run."""
    _, found = run_stages(tiny_model(), [stage(0.0, 0.0, steps=3)], 0)
    assert [len(losses) for losses in found["skills"].skills.values()] == [1, 1]


def test_skills_are_measured_on_the_same_texts_every_time():
    """Catches fresh texts at each look: a bound would be met by luck."""
    model, asked = tiny_model(), stage(1.0, 1.0)
    first, again, other = (skill_losses(skill_batches(asked, seed), model) for seed in (0, 0, 1))
    assert first == again != other
