"""answers_equal pays for the right value, whole and alone; a table, properties, deadlines, threads."""

import csv
import threading
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k2repro.errors import K2ReproError
from k2repro.verify import answer_pool, answers_equal, lax_answers_equal

PAIRS = Path(__file__).with_name("answer_pairs.csv")


def pairs() -> list[dict[str, str]]:
    """Rows of kind, verdict (equal, unequal, malformed), gold, answer."""
    with PAIRS.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def wrong_verdicts(checker) -> tuple[list, list]:
    """(false accepts, false rejects) of a checker on the table."""
    accepts, rejects = [], []
    for row in pairs():
        verdict = checker(row["gold"], row["answer"])
        if verdict and row["verdict"] != "equal":
            accepts.append((row["gold"], row["answer"]))
        if not verdict and row["verdict"] == "equal":
            rejects.append((row["gold"], row["answer"]))
    return accepts, rejects


def test_the_table_is_large_and_of_all_kinds():
    """Catches a table that was cut down until the checker passed it."""
    verdicts = [row["verdict"] for row in pairs()]
    assert len(verdicts) >= 200
    assert verdicts.count("equal") >= 100
    assert verdicts.count("unequal") >= 100
    assert verdicts.count("malformed") >= 40


@pytest.mark.slow
def test_no_false_accept_and_few_false_rejects():
    """Catches rewards for wrong, hedged, approximate or open answers, and right ones that go unpaid."""
    accepts, rejects = wrong_verdicts(answers_equal)
    assert accepts == []
    equal = sum(row["verdict"] == "equal" for row in pairs())
    assert len(rejects) <= 0.02 * equal, rejects


def test_the_lax_twin_is_hacked():
    """Catches a table without hedges: a checker that looks for the gold anywhere must fail on it."""
    accepts, rejects = wrong_verdicts(lax_answers_equal)
    assert len(accepts) > 30
    assert len(rejects) > 30
    assert lax_answers_equal("12", "I guess 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12")
    assert not answers_equal("12", "I guess 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12")


numbers = st.fractions(min_value=-1000, max_value=1000, max_denominator=60)


def forms(value: Fraction) -> list[str]:
    """Ways to write a fraction."""
    sign, top = ("-" if value < 0 else ""), abs(value.numerator)
    bar = rf"{sign}\frac{{{top}}}{{{value.denominator}}}"
    if value.denominator == 1:
        return [str(value), f"{value}.0", f"${value}$", rf"\boxed{{{value}}}", f"x = {value}"]
    doubled = f"{2 * value.numerator}/{2 * value.denominator}"
    return [str(value), bar, rf"\boxed{{{bar}}}", f"${bar}$", doubled]


@given(numbers, numbers)
@settings(deadline=None)
def test_two_numbers_are_equal_in_every_form_or_in_none(one, other):
    """Catches a form that is read as another number."""
    for gold in forms(one):
        for answer in forms(one):
            assert answers_equal(gold, answer)
        if one != other:
            assert not any(answers_equal(gold, answer) for answer in forms(other))


two_digits = st.integers(-99, 99)


@given(two_digits, two_digits, st.sampled_from([" or ", ", ", " ", "; ", " = ", "\n", "/"]))
def test_a_second_number_beside_the_answer_is_never_paid(right, more, joint):
    """Catches hedging: the right number among others."""
    assert not answers_equal(str(right), f"{right}{joint}{more}")
    assert not answers_equal(str(right), f"{more}{joint}{right}")


@given(st.text(max_size=60))
@settings(deadline=None, max_examples=200)
def test_no_text_is_an_error_or_the_number_of_the_beast(text):
    """Catches a crash on odd text, and a text taken for a number that it does not hold."""
    if answers_equal("66600666", text):
        assert "66600666" in "".join(filter(str.isalnum, text))


def test_plain_answers_need_no_process(monkeypatch):
    """Catches rewards that pay for sympy: numbers and words must not start a worker."""
    monkeypatch.setattr(answer_pool, "ask", lambda *texts: pytest.fail(f"asked sympy about {texts}"))
    assert answers_equal("12", "12")
    assert not answers_equal("12", r"\sqrt{144}")
    assert not answers_equal("12", "9^{9^{9^9}}")
    assert not answers_equal("12", "10000000000000!")
    assert not answers_equal("m= 9 p= 3", "m= 9 p= 4")
    assert answers_equal("Tuesday", "tuesday")
    assert not answers_equal(r"\sqrt{2}", "9^{9^{9^9}}")


def test_a_comparison_is_killed_at_its_deadline_and_the_next_one_works(monkeypatch):
    """Catches math-verify's own timeout of 5 s, and a pool that does not replace a killed worker."""
    monkeypatch.setattr(answer_pool, "SECONDS", 0.3)
    killed = []
    replace = answer_pool._Pool._replace
    monkeypatch.setattr(
        answer_pool._Pool, "_replace", lambda self, worker: killed.append(1) or replace(self, worker)
    )
    # Asked directly: answers_equal refuses this before it gets here.
    assert not answer_pool.ask(r"\sqrt{2}", "9^{9^{9^9}}")
    monkeypatch.setattr(answer_pool, "SECONDS", 5.0)
    assert killed
    assert answer_pool.ask(r"\sqrt{7}", r"\frac{7}{\sqrt{7}}")


def test_formulas_are_compared_in_any_thread():
    """Catches signal.alarm: math-verify raises outside the main thread, as in every widget."""
    verdicts = []
    asked = [(r"\sqrt{50}", r"5\sqrt{2}"), (r"\sqrt{50}", r"2\sqrt{5}")]
    threads = [
        threading.Thread(target=lambda pair=pair: verdicts.append((pair, answers_equal(*pair))))
        for pair in asked * 3
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(verdicts) == sorted((pair, pair == asked[0]) for pair in asked * 3)


@pytest.mark.parametrize("gold", ["", "  ", None, 12])
def test_a_bad_gold_answer_is_an_error(gold):
    """Catches a data set without answers, which would pay every empty response."""
    with pytest.raises(K2ReproError, match="gold answer must be a text"):
        answers_equal(gold, "12")


def test_without_math_verify_numbers_still_compare(monkeypatch):
    """Catches a hard import: only formulas need the package, and the error names it."""
    monkeypatch.setattr(answer_pool, "_pools", {})
    monkeypatch.setattr(answer_pool.importlib.util, "find_spec", lambda name: None)
    assert answers_equal("12", "12.0")
    with pytest.raises(K2ReproError, match="math-verify"):
        answers_equal(r"\sqrt{11}", r"\frac{11}{\sqrt{11}}")
