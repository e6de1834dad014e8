"""Catches: a stage that ends before its skill is there, a run that resumes elsewhere, an artifact that is
reused after its recipe changed, a published table that is typed by hand."""

import json
from dataclasses import replace

import pytest
import torch

from k2repro.errors import K2ReproError
from k2repro.lab import sft
from k2repro.lab.campaign import jobs_for
from k2repro.lab.made import make_now
from k2repro.lab.scale import Scale
from k2repro.lab.sft_recipe import BASE, DIRECT, MODEL, SFT
from k2repro.lab.stages import Stage, run_stages
from k2repro.lessons import published, specimens
from k2repro.mini.benchmarks import BENCHMARKS, benchmark_problems
from k2repro.mini.checkpoint import new_model
from k2repro.mini.mixtures import Ingredient
from k2repro.results import ArtifactStore
from k2repro.training.loop import RECENT, is_mastered

TINY = Scale(seeds=1, steps=0.003, problems=2, samples=1, deep=2, deep_samples=2, probe=1)
STAGE = Stage("tiny", (Ingredient("recall", 1.0),), steps=6, rows=2, length=96, layers=1)
SMALL = replace(
    MODEL, hidden_size=32, intermediate_size=48, num_attention_heads=2, num_key_value_heads=1, head_dim=16
)


def test_a_stage_ends_with_the_mean_of_its_recent_losses():
    """Catches an end after one lucky batch; the twin is a single low loss."""
    assert not is_mastered([5.0] * RECENT + [0.0], 0.1)
    assert not is_mastered([0.0] * (RECENT - 1), 0.1)
    assert is_mastered([5.0] + [0.1] * RECENT, 0.11)
    assert not is_mastered([0.0] * RECENT, None)


def test_a_bounded_stage_stops_early_and_an_unreached_bound_does_not():
    """Catches a bound that is ignored, and one that shortens a stage it should not."""
    long = replace(STAGE, steps=RECENT + 5)
    for until, steps in ((99.0, RECENT), (1e-6, RECENT + 5)):
        _, histories = run_stages(new_model(SMALL, 0, 1), [replace(long, until=until)], 0)
        assert len(histories["tiny"].loss) == steps


def test_a_finished_bounded_stage_is_not_trained_on(tmp_path):
    """Catches a resumed run that trains a mastered stage once more."""
    stage = replace(STAGE, steps=RECENT + 5, until=99.0)
    first, _ = run_stages(new_model(SMALL, 0, 1), [stage], 0, work=tmp_path)
    again, histories = run_stages(new_model(SMALL, 0, 1), [stage], 0, work=tmp_path)
    assert len(histories["tiny"].loss) == RECENT
    pairs = zip(first.state_dict().values(), again.state_dict().values(), strict=True)
    assert all(torch.equal(mine, theirs) for mine, theirs in pairs)


def test_the_recipe_reaches_the_model_that_it_names():
    """Catches stages whose depths shrink, and ingredients that do not share out a whole."""
    for stages in (BASE, SFT, DIRECT):
        for stage in stages:
            assert sum(each.share for each in stage.mixture) == pytest.approx(1.0), stage.name
    layers = [stage.layers for stage in (*BASE, *SFT)]
    assert layers == sorted(layers)
    assert layers[-1] == MODEL.num_hidden_layers


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    store = ArtifactStore(tmp_path_factory.mktemp("sft"), shipped=None)
    return sft.carry_out_sft(TINY, store), store


def test_everything_is_made_once(made):
    """Catches a second call that trains again, and a missing part of what notebook 02 reads."""
    results, store = made
    assert jobs_for(sft.everything(TINY), store) == []
    assert set(results.scores) == set(sft.FIRST)
    assert set(results.curves) == {"sft", "direct"}
    assert {attempt.tier for attempt in results.scores["sft"][0].attempts} == set(BENCHMARKS)
    assert len(results.histories["base"][0]) == len(BASE)


def test_a_curve_begins_at_the_start_and_ends_at_the_end(made):
    """Catches curves without a start, and points that are taken from another step than they say."""
    results, store = made
    curve = results.curves["sft"][0]
    assert (curve[0].share, curve[-1].share) == (0.0, 1.0)
    steps = sft.stages_of("sft", TINY)[-1].steps
    assert [point.step for point in curve] == sorted({round(share * steps) for share in sft.CURVE_POINTS})
    assert set(curve[0].right) == set(BENCHMARKS)
    assert len(results.histories["sft"][0]["sft"]["loss"]) == steps


class Killed(Exception):
    """Stands for the end of the process."""


def test_a_run_killed_behind_a_kept_step_goes_on_to_the_same_bytes(made, tmp_path):
    """Catches a resumed training that stops where it finds what it had kept before it was killed."""
    _, whole = made
    store = ArtifactStore(tmp_path, shipped=None)

    def killing(now) -> None:
        if now.share == 1 and "sft" in now.words:
            raise Killed

    wanted = sft.training("sft", 0, TINY)
    with pytest.raises(Killed):
        make_now(wanted, store, killing)
    [kept] = tmp_path.rglob(f"{sft.STEPS}")
    assert any(kept.iterdir())
    folders = (make_now(wanted, each) / sft.WEIGHTS for each in (store, whole))
    again, undisturbed = ((folder / "model.safetensors").read_bytes() for folder in folders)
    assert again == undisturbed


def test_a_probe_on_a_snapshot_has_the_bits_of_the_model_in_training(made, tmp_path):
    """Catches snapshots that round: the last one, rounded as a checkpoint, is the checkpoint that ships."""
    from k2repro.mini.checkpoint import load_checkpoint, load_snapshot, save_checkpoint

    _, store = made
    folder = make_now(sft.training("sft", 0, TINY), store)
    last = load_snapshot(sorted((folder / sft.STEPS).iterdir())[-1])
    save_checkpoint(last, tmp_path)
    kept = load_checkpoint(make_now(sft.weights("sft", 0, TINY), store))
    pairs = zip(load_checkpoint(tmp_path).state_dict().values(), kept.state_dict().values(), strict=True)
    assert all(torch.equal(mine, theirs) for mine, theirs in pairs)
    # Wrong twin: a checkpoint in place of a snapshot would have lost bits.
    assert not torch.equal(last.model.layers[0].mlp.up_proj.weight, kept.model.layers[0].mlp.up_proj.weight)


def test_whatever_makes_weights_is_in_their_address():
    """Catches artifacts that survive a change of seed, size or base."""
    keys = {
        sft.weights(name, seed, scale).key
        for name in sft.FIRST
        for seed in (0, 1)
        for scale in (TINY, Scale())
    }
    assert len(keys) == len(sft.FIRST) * 2 * 2
    with pytest.raises(K2ReproError, match="model of the SFT pillar"):
        sft.weights("stf", 0, TINY)


def test_nothing_that_only_judges_is_in_the_address_of_weights(monkeypatch):
    """Catches weights that go stale with a benchmark, a probe or a grader; scores and curve have to."""
    from k2repro.lab import pools

    before = {
        thing: getattr(sft, thing)("sft", 0, TINY).key for thing in ("weights", "history", "curve", "scores")
    }
    larger = replace(TINY, problems=3, probe=2, samples=2)
    after = {thing: getattr(sft, thing)("sft", 0, larger).key for thing in before}
    for room in (sft, pools):
        monkeypatch.setattr(room, "GRADER", "grader-of-tomorrow")
        monkeypatch.setattr(room, "ENGINE", "engine-of-tomorrow")
    later = {thing: getattr(sft, thing)("sft", 0, TINY).key for thing in before}
    for other in (after, later):
        assert [thing for thing in before if other[thing] != before[thing]] == ["curve", "scores"]


def test_a_raised_word_of_training_makes_everything_stale(monkeypatch):
    """Catches a word that stands in no key."""
    before = {made.key for made in sft.everything(TINY)}
    monkeypatch.setattr(sft, "TRAINING", "train-of-tomorrow")
    assert before.isdisjoint(made.key for made in sft.everything(TINY))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("steps", 0.0),
        ("steps", 1.5),
        ("rl_steps", 0.0),
        ("problems", 0),
        ("deep", 1),
        ("deep", 501),
        ("deep_samples", 1),
        ("seeds", 0),
        ("shown_seeds", 4),
        ("prompts", 0),
        ("group", -1),
        ("points", 1.5),
    ],
)
def test_scales_that_cannot_be_run_are_refused(field, value):
    """Catches a profile that asks for nothing, found only after an hour."""
    with pytest.raises(K2ReproError, match=field):
        replace(Scale(), **{field: value})


def test_every_profile_has_a_scale():
    """Catches a misspelt key in [lab] that leaves the laptop's size in force."""
    from k2repro.results import profile_names

    for name in profile_names():
        Scale.of_profile(name)
    assert Scale.of_profile("laptop") == Scale()
    assert Scale.of_profile("smoke").problems < Scale().problems


def test_published_settings_are_facts_with_sources():
    """Catches a hyper-parameter that is typed by hand or quotes no source."""
    records = published.recipe_records()
    sources = {record["source"] for record in published.source_records()}
    assert {record["source"] for record in records} <= sources
    by_name = {record["hyper-parameter"]: record for record in records}
    assert by_name["scheduler"]["mini-K2"] == SFT[0].schedule
    assert all(record["published"] for record in records)
    json.dumps(published.data_records())


def test_borders_keep_packed_texts_apart():
    """Catches attention across texts of a row; the twin leaves the borders out."""
    batch = specimens.packed_batches(SFT[0], seed=0, count=1)[0]
    model = new_model(MODEL, 0, 2).eval()
    assert specimens.packing_difference(model, batch, apart=True) < 1e-4
    assert specimens.packing_difference(model, batch, apart=False) > 1e-2
    packed, padded = specimens.fill_of([batch])
    assert 0.3 < padded < packed - 0.3 <= 0.7


def test_the_three_formats_answer_the_same_question():
    """Catches formats that differ in more than the reasoning."""
    [problem] = benchmark_problems("tier-2", "validation", 1)
    searching, planned, direct = specimens.formats(problem)
    answers = {record["the response"].partition("<answer>")[2] for record in (searching, planned, direct)}
    assert len(answers) == 1
    assert direct["tokens"] < planned["tokens"] < searching["tokens"]
