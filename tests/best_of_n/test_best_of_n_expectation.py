"""Expected accuracies over subsets equal the brute force over every subset, and their wrong twins do not."""

import random
from itertools import combinations, permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k2repro.best_of_n import (
    COMPARING,
    SELECTORS,
    Candidate,
    accuracy_curve,
    adaptive,
    choose,
    choose_threshold,
    expected_accuracy,
    expected_knock_out,
    expected_round_robin,
    expected_vote,
    oracle_accuracy,
    sees_the_answer,
    selector,
    unreadable,
)
from k2repro.best_of_n.adaptive import mean_adaptive
from k2repro.errors import K2ReproError


def pool(logprobs, answers=None):
    answers = answers or ["a"] * len(logprobs)
    return [
        Candidate(
            f"text {index}",
            answer,
            tokens=10 + index,
            logprob=value,
            judge=value / 2,
            certainty=-value,
            agrees=index % 2 == 0,
        )
        for index, (value, answer) in enumerate(zip(logprobs, answers, strict=True))
    ]


def by_hand(candidates, right, select, subsets):
    """Mean over `subsets` of the share of right candidates among those with the highest score."""
    found = []
    for subset in subsets:
        scores = select([candidates[i] for i in subset])
        best = [right[i] for i, score in zip(subset, scores, strict=True) if score == max(scores)]
        found.append(sum(best) / len(best))
    return sum(found) / len(found)


def drawn_pool(size):
    """Scores, answers, which of them are right (one answer is, or none), N."""
    return st.tuples(
        st.lists(st.sampled_from([-3.0, -2.0, -1.0]), min_size=size, max_size=size),
        st.lists(st.sampled_from(["a", "b", "c", None]), min_size=size, max_size=size),
        st.sampled_from(["a", "d"]),
        st.integers(1, size),
    ).map(lambda of: (of[0], of[1], [answer == of[2] for answer in of[1]], of[3]))


small = st.integers(1, 6).flatmap(drawn_pool)


@settings(max_examples=60, deadline=None)
@given(small, st.sampled_from(sorted(SELECTORS)))
def test_every_selector_over_every_subset(drawn, name):
    """Catches a closed form that forgets ties, and a vote that counts answers outside the subset."""
    values, answers, right, n = drawn
    candidates = pool(values, answers)
    expected = by_hand(candidates, right, SELECTORS[name], combinations(range(len(values)), n))
    found = expected_accuracy(candidates, right, SELECTORS[name], n, comparing=name in COMPARING)
    assert found == pytest.approx(expected, abs=1e-12)


def test_drawing_with_replacement_is_another_number():
    """The wrong twin: a sample that competes with its own copy gives less than the truth."""
    candidates, right = pool([-1.0, -2.0, -3.0, -4.0], list("abcd")), [True, False, False, False]
    with_copies = by_hand(candidates, right, SELECTORS["own-sum"], product(range(4), repeat=3))
    assert expected_accuracy(candidates, right, SELECTORS["own-sum"], 3) == 0.75
    assert with_copies == pytest.approx(1 - (3 / 4) ** 3)


@settings(max_examples=40, deadline=None)
@given(small)
def test_random_is_a_single_sample_and_the_oracle_bounds_everything(drawn):
    """Catches a random selector that gains with N, and an oracle that somebody beats."""
    values, answers, right, n = drawn
    candidates = pool(values, answers)
    assert expected_accuracy(candidates, right, SELECTORS["random"], n) == pytest.approx(np.mean(right))
    for name, select in SELECTORS.items():
        reached = expected_accuracy(candidates, right, select, n, comparing=name in COMPARING)
        assert reached <= oracle_accuracy(right, n) + 1e-12


def test_an_oracle_of_another_pool_is_refused():
    """Catches labels that belong to other candidates."""
    with pytest.raises(K2ReproError, match="another pool"):
        expected_accuracy(pool([-1.0, -2.0]), [True, False, False], SELECTORS["own-sum"], 1)


@pytest.mark.parametrize(
    ("answers", "right"), [(["a", "a", "b"], [True, False, False]), ([None, "a", "b"], [True, False, False])]
)
def test_labels_of_another_pool_of_equal_size_are_refused(answers, right):
    """Catches an oracle, or any selector, measured with the labels of other candidates."""
    with pytest.raises(K2ReproError, match="another pool"):
        expected_accuracy(pool([-1.0, -2.0, -3.0], answers), right, SELECTORS["own-sum"], 2)


@pytest.mark.parametrize("name", sorted(SELECTORS))
def test_when_nothing_can_be_read_every_selector_still_chooses_and_nothing_is_right(name):
    """Catches a vote among no answers that crashes, or that finds one."""
    candidates = pool([-1.0, -2.0, -3.0], [None] * 3)
    assert unreadable(candidates) == 3
    chosen = choose(candidates, SELECTORS[name], generator=random.Random(0))
    assert chosen.index in range(3)
    assert chosen.tied == (3 if name in {"random", "majority", "weighted-vote"} else 1)
    wrong = [False] * 3
    assert expected_accuracy(candidates, wrong, SELECTORS[name], 2, comparing=name in COMPARING) == 0.0


@pytest.mark.parametrize("n", [0, 4])
def test_n_outside_the_pool_is_refused(n):
    with pytest.raises(K2ReproError, match="from 1 to 3"):
        expected_accuracy(pool([-1.0, -2.0, -3.0], list("abc")), [1, 0, 0], SELECTORS["own-sum"], n)


def test_a_judge_that_returns_nan_is_refused():
    """Catches a NaN that is never the maximum, so that the first candidate wins unseen."""
    with pytest.raises(K2ReproError, match="NaN"):
        expected_accuracy(pool([-1.0, float("nan")], list("ab")), [1, 0], SELECTORS["own-sum"], 2)


def test_unknown_selector_is_named_with_those_that_exist():
    with pytest.raises(K2ReproError, match="weighted-vote"):
        selector("wieghted")


def test_a_selector_that_sees_the_answer_is_caught_and_an_honest_one_is_not():
    """Catches a selector that was closed over the gold answers."""
    generator = random.Random(0)
    pools, rights = [], []
    for _ in range(30):
        right = [True, False, False]
        generator.shuffle(right)
        pools.append(
            pool([generator.uniform(-9, 0) for _ in right], [str(generator.random()) for _ in right])
        )
        rights.append(right)
    golds = {
        c.text + str(c.logprob)
        for p, r in zip(pools, rights, strict=True)
        for c, t in zip(p, r, strict=True)
        if t
    }
    assert sees_the_answer(pools, rights, lambda p: [float(c.text + str(c.logprob) in golds) for c in p])
    assert not sees_the_answer(pools, rights, SELECTORS["own-sum"])
    with pytest.raises(AttributeError):
        object.__setattr__(pools[0][0], "gold", "12")


def verdict_table(size, generator, unreadable=0.2):
    table = np.where(generator.random((size, size)) < 0.5, 0, 1)
    table[generator.random((size, size)) < unreadable] = -1
    return table


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_knock_out_and_round_robin_over_every_order(n):
    """Catches a knock-out that shows the challenger first, and unread verdicts that count for one side."""
    generator = np.random.default_rng(n)
    table, right = verdict_table(5, generator), generator.random(5) < 0.5
    knocked = []
    for order in permutations(range(5), n):
        best = order[0]
        for nxt in order[1:]:
            if table[best][nxt] == 1:
                best = nxt
        knocked.append(right[best])
    assert expected_knock_out(table, right, n) == pytest.approx(np.mean(knocked))
    robin = []
    for subset in combinations(range(5), n):
        wins = dict.fromkeys(subset, 0.0)
        for i, j in permutations(subset, 2):
            said = table[i][j]
            wins[i] += {0: 1.0, 1: 0.0, -1: 0.5}[said]
            wins[j] += {0: 0.0, 1: 1.0, -1: 0.5}[said]
        best = [i for i in subset if wins[i] == max(wins.values())]
        robin.append(np.mean([right[i] for i in best]))
    assert expected_round_robin(table, right, n) == pytest.approx(np.mean(robin))


def test_a_judge_that_always_prefers_the_first_decides_nothing_in_both_orders():
    """Position bias alone: the knock-out keeps whoever comes first, the round robin is a random choice."""
    right = [True, False, False, False]
    assert expected_knock_out(np.zeros((4, 4), int), right, 3) == pytest.approx(0.25)
    assert expected_round_robin(np.zeros((4, 4), int), right, 3) == pytest.approx(0.25)


@settings(max_examples=40, deadline=None)
@given(small, st.sampled_from([-3.5, -2.5, -1.5, 0.0]))
def test_adaptive_n_over_every_order(drawn, threshold):
    """Catches tokens of the sample that passed being left out, and a best of the wrong samples."""
    scores, _, right, most = drawn
    tokens = [10 + 3 * index for index in range(len(scores))]
    accuracy, samples, spent = [], [], []
    for order in permutations(range(len(scores))):
        seen = []
        for index in order[:most]:
            seen.append(index)
            if scores[index] >= threshold:
                break
        top = max(scores[i] for i in seen)
        chosen = [seen[-1]] if scores[seen[-1]] >= threshold else [i for i in seen if scores[i] == top]
        accuracy.append(np.mean([right[i] for i in chosen]))
        samples.append(len(seen))
        spent.append(sum(tokens[i] for i in seen))
    found = adaptive(scores, right, tokens, threshold, most)
    assert found.accuracy == pytest.approx(np.mean(accuracy))
    assert found.samples == pytest.approx(np.mean(samples))
    assert found.tokens == pytest.approx(np.mean(spent))


def test_the_threshold_keeps_its_limit_and_fixed_n_is_interpolated():
    """Catches a threshold that is chosen without looking at its cost."""
    generator = np.random.default_rng(0)
    pools = []
    for _ in range(40):
        right = generator.random(8) < 0.6
        pools.append((right + generator.normal(0, 0.4, 8), right, np.full(8, 100.0)))
    threshold = choose_threshold(pools, 8, mean_samples=1.5)
    found = mean_adaptive(pools, threshold, 8)
    assert found.samples <= 1.5 < mean_adaptive(pools, 9.0, 8).samples
    assert found.accuracy > np.mean([right.mean() for _, right, _ in pools]) + 0.1
    with pytest.raises(K2ReproError, match="at least one sample"):
        choose_threshold(pools, 8, mean_samples=0.5)


@given(
    st.lists(st.tuples(st.integers(-1, 3), st.sampled_from([0.0, 1.0, 2.5])), min_size=1, max_size=7),
    st.data(),
)
def test_votes_and_curves_are_those_of_the_selectors(pairs, data):
    """Catches a fast count of votes, or a whole curve at once, that is not the one over subsets."""
    answers = [answer for answer, _ in pairs]
    scores = [score for _, score in pairs]
    right = [answer == 0 for answer in answers]
    candidates = [Candidate("", None if answer < 0 else str(answer), judge=score) for answer, score in pairs]
    n = data.draw(st.integers(1, len(pairs)))
    majority = expected_accuracy(candidates, right, SELECTORS["majority"], n, comparing=True)
    assert expected_vote(answers, [1.0] * len(pairs), right, n) == pytest.approx(majority)
    weighted = expected_accuracy(candidates, right, SELECTORS["weighted-vote"], n, comparing=True)
    weights = np.exp(np.array(scores) - max(scores))
    assert expected_vote(answers, weights, right, n) == pytest.approx(weighted)
    assert accuracy_curve(scores, right)[n - 1] == pytest.approx(
        expected_accuracy(candidates, right, SELECTORS["judge"], n)
    )


def test_unreadable_answers_do_not_vote_for_each_other():
    """Wrong twin: two that cannot be read would outvote one right answer."""
    assert expected_vote([0, -1, -1], [1.0] * 3, [True, False, False], 3) == 1.0
