"""Judges: what is read of replies, who is shown first, and what is counted when nothing can be read."""

import random

import pytest

from k2repro.best_of_n import judged_part, knock_out, round_robin, score_all
from k2repro.best_of_n.judging import FIRST, SECOND, UNREADABLE, read_pair, read_score
from k2repro.engine.backend import Completion
from k2repro.errors import K2ReproError


def reply(text, finish="stop"):
    return Completion((), finish, text=text, counted=3)


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ('{"better": 1}', FIRST),
        ('After some thought:\n```json\n{"better": 2}\n```', SECOND),
        ('{"better": "2"}', SECOND),
        ("Better: 1", FIRST),
        ('{"index": 1}', UNREADABLE),
        ("Both are fine.", UNREADABLE),
        ("better 1, or rather better 2", UNREADABLE),
        ('{"better": 3}', UNREADABLE),
        ("", UNREADABLE),
    ],
)
def test_verdicts_are_read_or_counted_never_guessed(text, verdict):
    """Catches prose that is read as a vote for one side (the released parser looks for another key)."""
    assert read_pair(reply(text)) == verdict


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ('{"score": 7.5}', 7.5),
        ("Score: 3", 3.0),
        ('{"score": 11}', None),
        ('{"score": "high"}', None),
        ("7", None),
    ],
)
def test_marks(text, score):
    assert read_score(reply(text)) == score
    assert read_score(reply(text, "error")) is None


class Judge:
    """Answers pair requests by a rule on (first, second); remembers whom it saw first."""

    def __init__(self, rule):
        self.rule, self.seen = rule, []

    def __call__(self, requests):
        found = []
        for request in requests:
            text = request.prompt[0].content
            first = text.split('<response number="1">\n')[1].split("\n</response>")[0]
            second = text.split('<response number="2">\n')[1].split("\n</response>")[0]
            self.seen.append((first, second))
            found.append([reply(self.rule(first, second))])
        return found


def test_knock_out_shows_the_best_so_far_first_and_thinking_is_not_judged():
    """Catches a challenger that is shown first, and a judge that reads the thinking."""
    judge = Judge(lambda first, second: '{"better": 2}' if second == "good" else '{"better": 1}')
    texts = ["<think>good</think>bad", "<think>x</think>good", "worse"]
    winner, verdicts = knock_out("q", texts, judge, seed=0)
    assert winner == 1
    assert judge.seen == [("bad", "good"), ("good", "worse")]
    assert verdicts.asked == 2
    assert verdicts.unreadable == 0


def test_unreadable_replies_keep_the_best_so_far_and_are_counted():
    judge = Judge(lambda first, second: "I cannot say.")
    winner, verdicts = knock_out("q", ["a", "b", "c"], judge, seed=0)
    assert (winner, verdicts.asked, verdicts.unreadable) == (0, 2, 2)
    assert verdicts.first_preferred is None


def test_both_orders_show_position_bias_and_take_it_out():
    """Catches a round robin that asks in one order only."""
    judge = Judge(lambda first, second: '{"better": 1}')
    chosen = {
        round_robin("q", ["a", "b", "c"], judge, seed=0, generator=random.Random(s))[0] for s in range(30)
    }
    _, verdicts = round_robin("q", ["a", "b", "c"], judge, seed=0, generator=random.Random(0))
    assert chosen == {0, 1, 2}
    assert (verdicts.asked, verdicts.first_preferred, verdicts.depends_on_order) == (6, 1.0, 1.0)
    assert verdicts.tied == 3
    fair = Judge(lambda first, second: '{"better": 1}' if first < second else '{"better": 2}')
    winner, verdicts = round_robin("q", ["b", "a", "c"], fair, seed=0, generator=random.Random(0))
    assert (winner, verdicts.first_preferred, verdicts.depends_on_order) == (1, 0.5, 0.0)
    assert verdicts.tied == 1


def test_long_responses_without_an_end_of_thinking_are_cut_as_released():
    assert judged_part("<think>" + "x" * 5000) == "x" * 2000
    assert judged_part("a</think> b ") == "b"


def test_no_response_is_refused_and_marks_are_asked_one_by_one():
    with pytest.raises(K2ReproError, match="no response"):
        knock_out("q", [], Judge(lambda a, b: ""), seed=0)
    assert score_all("q", ["a", "b"], lambda requests: [[reply('{"score": 4}')], [reply("?")]], seed=0) == [
        4.0,
        None,
    ]
