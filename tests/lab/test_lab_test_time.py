"""Planning and best-of-N in the lab: one pool behind every curve, and nothing chosen by a right answer."""

import json
from dataclasses import replace

import numpy as np
import pytest
from solver_marks import drawn, solver_results

from k2repro.best_of_n import SELECTORS, expected_accuracy
from k2repro.errors import K2ReproError
from k2repro.evaluate.effects import SeedTable
from k2repro.lab import best_of_n_rows, candidates, judge, planning_rows, selections, solvers, test_time
from k2repro.lab.asking import AskedPrompt
from k2repro.lab.made import Made, make_now
from k2repro.lab.marks import OWN, SEARCH, Marks, marks, read_marks
from k2repro.lab.readings import ResponseReadings, likeliest
from k2repro.lab.scale import Scale
from k2repro.lab.solvers import Gates, next_of
from k2repro.lab.test_time import SolverResults
from k2repro.mini import variables
from k2repro.mini.benchmarks import LEVELS, benchmark_problems
from k2repro.mini.plans import EARLY
from k2repro.results import ArtifactStore, open_rows

TINY = Scale(
    seeds=1,
    steps=0.003,
    problems=2,
    samples=1,
    deep=2,
    deep_samples=6,
    probe=1,
    rl_steps=0.02,
    prompts=2,
    group=2,
    rl_probe=1,
    points=1,
    solver_seeds=2,
    gate=0.0,
    asked=3,
    candidates=4,
    chosen=2,
)


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> SolverResults:
    return solver_results(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def rows(results):
    book = open_rows("05_best_of_n", profile="smoke")  # never saved
    best_of_n_rows.add_rows(book, results, best_of_n_rows.stopping(results))
    planning_rows.add_rows(book, results)
    return book


def test_the_whole_chain_runs_and_its_marks_are_whole(tmp_path):
    """Catches a link of the chain that loses a candidate: every curve would be of another pool."""
    store = ArtifactStore(tmp_path)
    found = read_marks(make_now(marks(0, (0, 1), TINY), store))
    test = [each for each in found if (each.split, each.kind) == ("test", SEARCH)]
    assert sorted(len(each.of) for each in test) == [4] * len(LEVELS) + [6, 6] * len(LEVELS)
    own = [each for each in found if (each.split, each.kind) == ("test", OWN)]
    assert [len(each.of) for each in own] == [2] * len(test)
    assert {each.kind for each in found if each.split == "test"} == {SEARCH, OWN, *candidates.EXHIBITS}
    assert {each.kind for each in found if each.split == "validation"} == {SEARCH, OWN}
    for each in found:
        assert max(each.of) < len(each.right) == len(each.own) == len(each.tokens) == len(each.answer)
    again = read_marks(make_now(marks(0, (0, 1), TINY), ArtifactStore(tmp_path)))
    assert again == found


def test_marks_of_all_kinds_stand_in_one_order(results):
    """Catches a planned pass beside the searches of another problem: files hold deep pools first."""
    mixed = {seed: found[::-1] for seed, found in results.marks.items()}
    turned = replace(results, marks=mixed)
    for kind in (SEARCH, OWN):
        for seed, found in turned.of("test", kind).items():
            assert [each.id for each in found] == [each.id for each in results.of("test", SEARCH)[seed]]


def test_a_selector_sees_no_right_answer():
    """Catches marks that carry the verdict into a candidate: every selector could be an oracle."""
    rng = np.random.default_rng(1)
    for marked in drawn(0, SEARCH, "test", rng, problems=5):
        turned = replace(marked, right=tuple(1 - each for each in marked.right))
        assert marked.candidates == turned.candidates
        for name in (*SELECTORS, "foreign", "foreign+own", "process"):
            assert selections.scores(marked, name) == selections.scores(turned, name)


@pytest.mark.parametrize("name", sorted({*SELECTORS, "judge+own"}))
def test_choices_are_those_of_the_selectors(name):
    """Catches a second formula for a selector that drifts from the one readers see."""
    rng = np.random.default_rng(2)
    for marked in drawn(0, SEARCH, "test", rng, problems=3):
        small = replace(marked, of=(0, 1, 1, 3, 4))
        comparing = name in ("majority", "weighted-vote")
        by_hand = expected_accuracy(
            small.candidates, small.column("right"), SELECTORS[name], 3, comparing=comparing
        )
        assert selections.chosen(small, name, 3) == pytest.approx(by_hand)


@pytest.mark.parametrize("n", [0, 9])
@pytest.mark.parametrize("name", ["oracle", "own-sum", "majority"])
def test_n_outside_the_pool_is_refused(name, n):
    """Catches N = 0 that reads the last place of a curve, which is the largest N."""
    (marked, *_) = drawn(0, SEARCH, "test", np.random.default_rng(2), problems=1)
    with pytest.raises(K2ReproError, match=f"N = {n}: must be from 1 to 8"):
        selections.chosen(marked, name, n)


def test_random_is_a_single_sample_and_the_oracle_bounds_all(rows):
    """Catches an oracle of another pool, and a random choice that is not one."""
    for n in (3, 8):
        single = rows[f"best_of_n.accuracy.random.n{n}"].value
        assert single == pytest.approx(rows["best_of_n.score.single.mean"].value)
        top = rows[f"best_of_n.accuracy.oracle.n{n}"].value
        for name in best_of_n_rows.NAMES:
            assert rows[f"best_of_n.accuracy.{best_of_n_rows.row_name(name)}.n{n}"].value <= top + 1e-12


def test_an_oracle_of_another_pool_is_above_the_bound(results):
    """Wrong twin: the oracle counted on planned passes says more than the searches can give."""
    searched, other = results.of("test", SEARCH), results.of("test", OWN)
    cut = {
        seed: [replace(each, right=(0,) * len(each.right)) for each in found]
        for seed, found in searched.items()
    }
    assert (
        best_of_n_rows.accuracy(other, "oracle", 3).mean.mean()
        > best_of_n_rows.accuracy(cut, "oracle", 3).mean.mean()
    )


def test_rows_rest_on_all_solvers(rows):
    """Catches an interval over problems alone, or over one seed, in a statement about training."""
    row = rows["best_of_n.gain.judge.n3"]
    assert row.seeds == (0, 1, 2) and "seed and problem" in row.interval_method
    assert row.interval[0] < row.value < row.interval[1]
    alone = rows["best_of_n.shuffled_judge_gain.n3"]
    assert alone.seeds == (0,) and "seed" not in alone.interval_method


def test_a_judge_that_knows_something_gains_and_one_of_noise_does_not(rows):
    """Catches a gain that comes from counting: the same pool, scores without a word about right and wrong."""
    assert rows["best_of_n.gain.judge.n3"].interval[0] > 0
    assert rows["best_of_n.judge_own_minus_own.n3"].interval[0] > 0
    noise = rows["best_of_n.gain.self_certainty.n3"]
    assert noise.interval[0] < 0 < noise.interval[1]
    assert abs(rows["best_of_n.shuffled_judge_gain.n3"].value) < 0.05


def test_a_threshold_is_chosen_on_validation(results):
    """Catches a threshold that was tuned on what it is judged by."""
    test, validation = results.of("test", SEARCH)[0], results.of("validation", SEARCH)[0]
    found = selections.adaptive_against_fixed(validation, test, "own-sum", mean_samples=1.5)
    turned = [replace(each, right=tuple(1 - one for one in each.right)) for each in test]
    again = selections.adaptive_against_fixed(validation, turned, "own-sum", mean_samples=1.5)
    assert again.threshold == found.threshold
    np.testing.assert_array_equal(again.samples, found.samples)
    assert found.accuracy.mean() > found.fixed.mean()


def test_fixed_n_at_equal_tokens_pays_for_what_adaptive_n_spent(results):
    """Catches a comparison at equal samples: adaptive N would be given its tokens for nothing."""
    test, validation = results.of("test", SEARCH)[0], results.of("validation", SEARCH)[0]
    found = selections.adaptive_against_fixed(validation, test, "own-sum", mean_samples=1.5)
    each = np.mean([selections.tokens(marked) for marked in test])
    bought = found.tokens / each
    assert 1 <= bought <= 2
    low, high = (np.mean([selections.curve(marked, "own-sum")[n] for marked in test]) for n in (0, 1))
    assert found.fixed.mean() == pytest.approx(low + (bought - 1) * (high - low))


def test_a_planned_pass_stands_beside_the_two_searches_it_was_read_off():
    """Catches a plan of one pair beside the searches of another: three searches in disguise."""
    searched = Marks(
        "a", LEVELS[0], "test", SEARCH, (0, 1, 2, 3), (0, 0, 1, 1), (10,) * 4, (0, 1, 2, 2), (-1.0,) * 4
    )
    planned = replace(
        searched, kind=OWN, of=(0, 1), right=(1, 0), own=(0.0, -9.0), answer=(2, 3), tokens=(5, 5)
    )
    # Pair one: the plan is likeliest and right. Pair two: both searches are right and likelier than the plan.
    assert selections.mixed(searched, planned, "own-sum") == 1.0
    swapped = replace(planned, of=(1, 0))
    assert selections.mixed(searched, swapped, "own-sum") == pytest.approx(0.5)
    assert selections.paired_tokens(searched, planned) == 25


def test_the_likelier_search_gives_the_plan():
    """Catches a plan read off the longer, or the first, of two searches."""
    asking = AskedPrompt("a", "t", "q", "", ("x", "y"), (10, 20), (False, False))
    assert likeliest(asking, ResponseReadings("a", (-5.0, -8.0), (0.0, 0.0)), range(2)) == 1


@pytest.mark.parametrize("kind", ["gold", "shuffled", "missing"])
def test_plans_on_show_are_what_they_are_called(kind):
    """Catches a shuffled plan in the right order, and a missing name that is still there."""
    for problem in benchmark_problems(LEVELS[1], "validation", 20):
        order = variables.system_of(problem).needed
        names = [name.removesuffix("?") for name in candidates.bent(kind, problem).split()[1:]]
        if kind == "missing":
            assert len(names) == len(order) - 1 and [each for each in order if each in names] == names
        else:
            assert sorted(names) == sorted(order) and (tuple(names) == tuple(order)) == (kind == "gold")


def test_levels_are_problems_of_their_own():
    """Catches levels that repeat the tiers' problems, or training that reaches their length."""
    for level, (least, most) in variables.LEVELS.items():
        for problem in benchmark_problems(level, "validation", 10):
            assert least <= len(variables.system_of(problem).needed) <= most
            assert problem.split == "validation"


def test_a_solver_is_not_its_own_judge():
    """Catches a judge that starts from the solver's own SFT model: its errors would be the solver's."""
    passed = (0, 1, 4)
    assert [next_of(seed, passed) for seed in passed] == [1, 4, 0]
    assert judge.judge(1, next_of(1, passed), Scale()).needs["start"].seed == 4


def gates_of(scores: dict[int, float], monkeypatch, tmp_path) -> Gates:
    """Gates as they come out when seeds solve these shares of the shortest level."""

    def made(seed: int, scale: Scale) -> Made:
        return Made("gate", "made up", seed, _write_gate, {"share": scores[seed]})

    monkeypatch.setattr(solvers, "gate", made)
    scale = replace(Scale(), steady_first=0, solver_seeds=2)

    monkeypatch.setattr(solvers, "carry_out", lambda wanted, store, **_: _made_with(wanted, store, scores))
    return solvers.passing(scale, ArtifactStore(tmp_path))[0]


def _write_gate(making) -> None:
    raise AssertionError("never made")


def _made_with(wanted, store, scores):
    found = {}
    for each in wanted:
        folder = store.root / str(each.seed)
        folder.mkdir(parents=True)
        shares = dict.fromkeys(LEVELS, scores[each.seed])
        (folder / solvers.FILE).write_text(json.dumps(shares), encoding="utf-8")
        found[each.key] = folder
    return found


def test_a_seed_that_fails_is_named_and_the_next_one_tried(monkeypatch, tmp_path):
    """Catches a failed seed that is dropped silently, or kept as if it could solve."""
    found = gates_of({0: 0.9, 1: 0.1, 2: 0.8}, monkeypatch, tmp_path)
    assert found.passed == (0, 2) and found.failed == (1,) and found.scores[1][LEVELS[0]] == 0.1


def test_too_few_solvers_are_an_error_with_every_score(monkeypatch, tmp_path):
    """Catches a run that goes on with fewer solvers than it says."""
    with pytest.raises(K2ReproError, match="seed 3: 10%"):
        gates_of({0: 0.9, 1: 0.1, 2: 0.2, 3: 0.1}, monkeypatch, tmp_path)


def test_what_ships_is_small_in_kind():
    """Catches weights of every solver in the repository."""
    shipped = [made for made in test_time.everything(Scale(), Scale().steady(5)) if made.ships]
    assert sorted(made.kind for made in shipped) == ["marks"] * 5 + ["plans"] * 4 + ["weights"] * 2


@pytest.mark.parametrize("value", [2, 5, 0])
def test_candidates_come_in_pairs(value):
    """Catches a pool that leaves a search without its pair."""
    with pytest.raises(K2ReproError, match="candidates"):
        replace(Scale(), candidates=value)


def test_a_planner_that_missed_its_gate_stands_for_nothing(results):
    """Catches a planner in the paper's place whose plans do not work."""
    assert results.plan == "planner"
    failed = [replace(each, kind=EARLY) for each in results.written["validation"]]
    assert replace(results, written={**results.written, "validation": failed}).plan == OWN


def test_a_share_of_the_gap_is_drawn_from_both_its_parts():
    """Catches a gap that is held fixed while the gain is resampled: the share would look surer than it is."""
    rng = np.random.default_rng(3)
    ids = tuple(map(str, range(200)))
    room = SeedTable(ids, {seed: (rng.random(200) < 0.2).astype(float) for seed in range(4)})
    half = SeedTable(ids, {seed: values / 2 for seed, values in room.by_seed.items()})
    whole = best_of_n_rows.ratio("tied", half, room)["tied"]
    assert whole.value == pytest.approx(0.5) and whole.interval.width < 1e-9
    turned = SeedTable(ids, {seed: values[::-1] / 2 for seed, values in room.by_seed.items()})
    assert best_of_n_rows.ratio("apart", turned, room)["apart"].interval.width > 0.05


def test_without_a_gap_there_is_no_share():
    """Catches a division by nothing that becomes a number."""
    nothing = SeedTable(("a", "b"), {0: np.zeros(2), 1: np.ones(2)})
    assert best_of_n_rows.ratio("none", nothing, nothing) == {}


def test_both_roles_are_paid_for(results, rows):
    """Catches a planned pass that looks cheap because its planner's tokens are left out."""
    with_planner = rows["planning.token_ratio_of_both_roles"].value
    assert with_planner > rows["planning.token_ratio.planner"].value
    planned, searched = results.of("test", "planner"), results.of("test", SEARCH)
    means = [
        np.mean([selections.tokens(each) for found in part.values() for each in found])
        for part in (planned, searched)
    ]
    assert with_planner == pytest.approx((20 + means[0]) / means[1])


def test_jobs_have_names_of_their_own():
    """Catches two planners whose plans are called alike: a campaign would refuse to begin."""
    found, left = {}, list(test_time.everything(Scale(), Scale().steady(5)))
    while left:
        each = left.pop()
        if each.key not in found:
            found[each.key] = each.title
            left += each.needs.values()
    assert len(set(found.values())) == len(found)
