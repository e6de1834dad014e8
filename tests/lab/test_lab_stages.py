"""Catches: a stage that ends before each of its skills stands, or that resumes to another end."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from k2repro.architecture import Qwen2
from k2repro.lab import stages
from k2repro.lab.sft_recipe import MODEL
from k2repro.lab.stages import Skill, Stage, run_stages, skill_batches, skill_losses
from k2repro.mini.checkpoint import new_model
from k2repro.mini.mixtures import Ingredient, MixtureStream
from k2repro.training.loop import SKILL_STEPS, History
from k2repro.training.packing import IGNORED

MIXTURE = (Ingredient("table", 1.0),)
SHAPE = replace(
    MODEL, hidden_size=16, intermediate_size=24, num_attention_heads=2, num_key_value_heads=1, head_dim=8
)


def tiny_model() -> Qwen2:
    """A model of the family's vocabulary that takes a step in milliseconds."""
    return new_model(SHAPE, 0, 1)


def stage(*bounds: float, steps: int = 2 * SKILL_STEPS) -> Stage:
    """A stage on single steps of arithmetic that measures arithmetic and a look-up nobody teaches."""
    skills = (Skill("table", bounds[0]), Skill("look-up", bounds[1], (4, 5)))
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


def test_skills_are_measured_on_texts_that_are_not_trained_on(monkeypatch):
    """Catches a bound that is met by heart: the stream of the training read once more."""
    read = []

    class Noted(MixtureStream):
        def next_batch(self):
            batch = super().next_batch()
            read.append({tuple(row.tolist()) for row in batch.tokens})
            return batch

    monkeypatch.setattr(stages, "MixtureStream", Noted)
    skill = Skill("look-up", 0.0, (12, 18))
    taught = replace(stage(0.0, 0.0), mixture=(skill.texts,), skills=(skill,), rows=12, length=400, steps=2)
    run_stages(tiny_model(), [taught], 0)
    assert len(read) == 3 and all(len(rows) == 12 for rows in read)
    assert len(set.union(*read)) == 3 * 12


def test_a_skill_is_measured_in_nats_of_a_learned_token():
    """Catches a sum, or a mean over prompts too, held against a bound for learned tokens."""
    model, batches = tiny_model(), skill_batches(stage(1.0, 2.0), 0)
    for name, (loss, bound) in skill_losses(batches, model).items():
        batch, said = batches[name]
        logits = model(batch.tokens, segments=batch.segments).flatten(0, 1)
        expected = functional.cross_entropy(logits, batch.targets.flatten(), ignore_index=IGNORED)
        assert loss == pytest.approx(float(expected.detach()), rel=1e-4) and bound == said


def test_new_layers_are_drawn_anew_for_each_seed(monkeypatch):
    """Catches seeds that share their new layers: they would be less apart than trainings are."""
    monkeypatch.setattr(stages, "train", lambda *_, **__: History())
    deeper = replace(stage(0.0, 0.0), layers=2)
    models = [run_stages(tiny_model(), [deeper], seed)[0].state_dict() for seed in (0, 0, 1)]
    drawn = {name: values.std() > 0 for name, values in models[0].items() if ".layers.1." in name}
    assert any(drawn.values())
    for name, random in drawn.items():
        first, again, other = (model[name] for model in models)
        assert torch.equal(first, again) and torch.equal(first, other) == (not random), name


def test_models_are_kept_from_the_last_stage_alone():
    """Catches a curve that begins with models of the stage before, filed under steps of the last one."""
    kept = []
    short = replace(stage(0.0, 0.0, steps=3), skills=())
    run_stages(
        tiny_model(),
        [replace(short, name="before"), replace(short, layers=2)],
        0,
        keep=lambda step, model: kept.append((step, model.config.num_hidden_layers)),
        keep_at=(2, 3),
    )
    assert kept == [(2, 2), (3, 2)]
