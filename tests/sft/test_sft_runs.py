"""Catches: a stage that ends before its skill is there, a run that resumes elsewhere, an artifact that is
reused after its recipe changed, a published table that is typed by hand."""

import json
from dataclasses import replace

import pytest
import torch

from k2repro.errors import K2ReproError
from k2repro.mini.mixtures import Ingredient
from k2repro.results import ArtifactStore
from k2repro.sft import builds, published, specimens
from k2repro.sft.chains import build_chains, jobs_for
from k2repro.sft.generate import BENCHMARKS, benchmark_problems
from k2repro.sft.recipe import BASE, DIRECT, MODEL, SFT
from k2repro.sft.runs import read_curve, read_history, train_run
from k2repro.sft.sizes import Sizes
from k2repro.sft.stages import Stage, load_checkpoint, new_model, run_stages
from k2repro.training.loop import RECENT, is_mastered

TINY = Sizes(steps=0.003, problems=2, samples=1, deep=2, deep_samples=2, probe=1)
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


def test_a_run_keeps_history_curve_and_checkpoint(tmp_path):
    """Catches curves without a start, and checkpoints that differ from what was trained."""
    train_run(new_model(SMALL, 0, 1), [STAGE], 0, 1, tmp_path / "run", tmp_path / "work")
    curve = read_curve(tmp_path / "run")
    assert (curve[0].share, curve[-1].share) == (0.0, 1.0)
    assert set(curve[0].right) == set(BENCHMARKS)
    assert len(read_history(tmp_path / "run")["tiny"]["loss"]) == STAGE.steps
    assert load_checkpoint(tmp_path / "run").config.hidden_size == SMALL.hidden_size


def test_a_run_without_a_probe_has_no_curve(tmp_path):
    """Catches an empty curve that is read as one."""
    train_run(new_model(SMALL, 0, 1), [STAGE], 0, 0, tmp_path / "run", tmp_path / "work")
    with pytest.raises(K2ReproError, match="asked no probe"):
        read_curve(tmp_path / "run")


def test_whatever_makes_a_checkpoint_is_in_its_address():
    """Catches artifacts that survive a change of seed, size or base."""
    keys = {
        builds.checkpoint_recipe(name, seed, sizes).key
        for name in builds.NAMES
        for seed in (0, 1)
        for sizes in (TINY, Sizes())
    }
    assert len(keys) == len(builds.NAMES) * 2 * 2
    with pytest.raises(K2ReproError, match="checkpoint of the SFT pillar"):
        builds.checkpoint_recipe("stf", 0, TINY)


def test_chains_make_everything_once(tmp_path):
    """Catches a second call that trains again, and a missing part of what notebook 02 reads."""
    store = ArtifactStore(tmp_path, shipped=None)
    chains = build_chains([0], TINY, store)
    assert jobs_for([0], TINY, store) == []
    assert set(chains.scores) == set(builds.NAMES)
    assert set(chains.curves) == {"sft", "direct"}
    assert {attempt.tier for attempt in chains.scores["sft"][0].attempts} == set(BENCHMARKS)
    assert len(chains.histories["base"][0]) == len(BASE)


@pytest.mark.parametrize("seeds", [[], [1, 1]])
def test_seeds_must_be_given_once(seeds, tmp_path):
    """Catches an average over nothing, and one seed that counts twice."""
    with pytest.raises(K2ReproError, match="at least one, each once"):
        build_chains(seeds, TINY, ArtifactStore(tmp_path, shipped=None))


@pytest.mark.parametrize(
    ("field", "value"),
    [("steps", 0.0), ("steps", 1.5), ("problems", 0), ("deep", 1), ("deep", 501), ("deep_samples", 1)],
)
def test_sizes_that_cannot_be_run_are_refused(field, value):
    """Catches a profile that asks for nothing, found only after an hour."""
    with pytest.raises(K2ReproError, match=field):
        replace(Sizes(), **{field: value})


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
