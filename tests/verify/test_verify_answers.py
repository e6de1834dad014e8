"""answers_equal pays for the right value, whole and alone; tables, properties, threads, load."""

import subprocess
import sys
import threading
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from verify_answer_tables import HERE, TABLES, pairs

from k2repro.errors import K2ReproError
from k2repro.verify import answers, answers_equal, compare_answers, comparison_counts, lax_answers_equal


def wrong_verdicts(checker, table: str = "answer_pairs.csv") -> tuple[list, list]:
    """(false accepts, false rejects) of a checker on a table."""
    accepts, rejects = [], []
    for row in pairs(table):
        verdict = checker(row["gold"], row["answer"])
        if verdict and row["verdict"] != "equal":
            accepts.append((row["gold"], row["answer"]))
        if not verdict and row["verdict"] == "equal":
            rejects.append((row["gold"], row["answer"]))
    return accepts, rejects


def test_the_tables_are_large_and_of_all_kinds():
    """Catches a table that was cut down until the checker passed it."""
    for table, least in TABLES.items():
        assert len(pairs(table)) >= least
    verdicts = [row["verdict"] for table in TABLES for row in pairs(table)]
    assert verdicts.count("equal") >= 550
    assert verdicts.count("unequal") >= 750
    assert verdicts.count("malformed") >= 40


@pytest.mark.parametrize("table", TABLES)
def test_no_false_accept_and_no_false_reject(table):
    """Catches rewards for wrong, hedged, approximate or open answers, and right ones that go unpaid."""
    assert wrong_verdicts(answers_equal, table) == ([], [])


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
@settings(deadline=None)
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


_COMMANDS = r"""
\frac \sqrt { } ( ) [ ] \{ \} ^ _ + - = < , ; 1 2 7 0 . x y e i \pi \sin \ln ! | \infty \cup
\binom \log \le \pm % ' \text{or} \pmod \begin{pmatrix} & \\ \end{pmatrix} \overline f( :
"""
COMMANDS = _COMMANDS.split()


@pytest.mark.slow
@given(st.lists(st.sampled_from(COMMANDS), max_size=14).map("".join))
@settings(deadline=None, max_examples=300)
def test_no_heap_of_commands_is_an_error(text):
    """Catches any exception but a verdict from the grammar and from the arithmetic below it."""
    for gold in ("\\sqrt{2}", "x+1", "(1,2)", text or "1"):
        compare_answers(gold, text)


def test_plain_answers_need_no_arithmetic_package():
    """Catches rewards that pay for flint: numbers and words must do without it."""
    program = (
        "import sys; from k2repro.verify import answers_equal as equal\n"
        "assert equal('12', '12') and equal('1/2', '0.5') and equal('Tuesday', 'tuesday')\n"
        "assert equal('1\\\\frac{1}{2}', '1.5') and not equal('12', '\\\\sqrt{144}')\n"
        "assert not equal('m= 9 p= 3', 'm= 9 p= 4') and not equal('12', '9^{9^{9^9}}')\n"
        "assert 'flint' not in sys.modules, 'flint was imported'"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_without_flint_numbers_still_compare(monkeypatch):
    """Catches a hard import: only formulas need the package, and the error names it."""
    monkeypatch.setitem(sys.modules, "k2repro.verify.maths.question", None)
    answers._formulas.cache_clear()
    assert answers_equal("12", "12.0")
    with pytest.raises(K2ReproError, match="python-flint"):
        answers_equal(r"\sqrt{11}", r"\frac{11}{\sqrt{11}}")


@pytest.mark.parametrize("gold", ["", "  ", None, 12])
def test_a_bad_gold_answer_is_an_error(gold):
    """Catches a data set without answers, which would pay every empty response."""
    with pytest.raises(K2ReproError, match="gold answer must be a text"):
        answers_equal(gold, "12")


UNDECIDED = [
    (r"\sqrt{2}", "9^{9^{9^9}}"),
    (r"n!+1", r"n!+1+\frac{\binom{n}{99999}}{10^{99}}"),
    (r"\pi", r"\pi+\frac{1}{9^{9^{9}}}"),
]


@pytest.mark.parametrize(("gold", "answer"), UNDECIDED)
def test_what_is_beyond_the_budget_is_unequal_undecided_and_counted(gold, answer):
    """Catches a near miss that is paid because it could not be told from the answer."""
    before = comparison_counts()["undecided"]
    verdict = compare_answers(gold, answer)
    assert not verdict.equal and not verdict.decided
    assert comparison_counts()["undecided"] == before + 1
    assert compare_answers(gold, gold).equal


def test_formulas_are_compared_in_any_thread_and_in_many_at_once():
    """Catches one precision for all threads, and signals, which raise outside of the main thread."""
    wanted = {
        (row["gold"], row["answer"]): row["verdict"] == "equal"
        for row in pairs("answer_pairs_kinds.csv")[::4]
    }
    found: list[tuple] = []

    def work(items: list) -> None:
        found.extend((pair, answers_equal(*pair)) for pair in items)

    answers._formulas.cache_clear()
    threads = [threading.Thread(target=work, args=(list(wanted),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 * len(wanted)
    assert all(verdict == wanted[pair] for pair, verdict in found)


BUSY = "while True: pass"
EVERY = "3"  # row of the table, so that the test is short
VERDICTS = (
    "import csv, sys; from k2repro.verify import compare_answers\n"
    "rows = list(csv.DictReader(open(sys.argv[1], newline='', encoding='utf-8')))\n"
    "for row in rows[::int(sys.argv[2])]:\n"
    "    print(compare_answers(row['gold'], row['answer']))"
)


@pytest.mark.slow
def test_verdicts_under_load_and_a_limit_of_processor_time_are_those_of_an_idle_machine():
    """Catches a deadline by the clock: rewards would depend on what else runs."""
    command = [sys.executable, "-c", VERDICTS, str(HERE / "answer_pairs_kinds.csv"), EVERY]
    idle = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    busy = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(4)]
    try:
        limited = ["bash", "-c", 'ulimit -t 60; exec "$@"', "-", *command]
        loaded = subprocess.run(limited, capture_output=True, text=True, check=True).stdout
    finally:
        for process in busy:
            process.kill()
            process.wait()
    assert loaded == idle
    assert idle.count("equal=True") > 50
