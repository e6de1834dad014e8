"""run_tests and run_many: which level is used, what a verdict holds, and what is refused."""

import pickle
import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2repro.errors import K2ReproError
from k2repro.verify import (
    CodeTest,
    FunctionTest,
    Limits,
    available_levels,
    ladder,
    level_cpython,
    level_versions,
    run_many,
    run_tests,
)
from k2repro.verify.codec import decode, encode, plain_text, same
from k2repro.verify.level import LevelMissing, Reply

ADD = FunctionTest((2, 3), 5)
RIGHT = "def f(a, b): return a + b"
MISSING = {"monty": "not installed", "sandlock": "no Landlock", "bubblewrap": "not installed"}


def test_the_level_is_in_the_result_and_may_be_demanded():
    """Catches a row that cannot say how its code was confined."""
    assert run_tests(RIGHT, [ADD]).level == available_levels()[0]
    for level in available_levels():
        assert run_tests(RIGHT, [ADD], level=level).level == level


def test_a_program_beyond_the_subset_climbs_one_level():
    """Catches right programs that fail because the fast interpreter lacks a module."""
    source = "import heapq\ndef f(a, b):\n    return heapq.nlargest(1, [a, b])[0] + min(a, b)"
    if available_levels()[:1] != ("monty",) or len(available_levels()) < 2:
        pytest.skip("needs monty and a real-CPython level")
    assert run_tests(source, [ADD], level="monty").reason == "unsupported"
    run = run_tests(source, [ADD])
    assert run.passed
    assert run.level == available_levels()[1]


FAILS_IN_THE_SUBSET = {
    "pow": "def f(a, b): return pow(a, -1, 11) + 1",  # 3 * 4 = 1 modulo 11
    "raises": "def f(a, b):\n    next(x for x in [a])\n    return a + b",
    "other answer": "def f(a, b): return 5 if round(2.675, 2) == 2.67 else 0",
    "says so itself": "def f(a, b):\n    raise NotImplementedError('not supported')",
}


@pytest.mark.skipif(
    len(available_levels()) < 2 or available_levels()[0] != "monty", reason="needs two levels"
)
@pytest.mark.parametrize("name", FAILS_IN_THE_SUBSET)
def test_the_subset_is_believed_only_when_it_says_passed(name):
    """Catches a right program that fails for good because the fast interpreter reads Python otherwise."""
    test = FunctionTest((3, 2), 5)
    assert not run_tests(FAILS_IN_THE_SUBSET[name], [test], level="monty").passed
    run = run_tests(FAILS_IN_THE_SUBSET[name], [test])
    assert run.level == available_levels()[1]
    assert run.passed == (name != "says so itself")


def test_a_syntax_error_is_one_at_every_level():
    """Catches a climb for nothing: half of what an untrained model writes is no Python."""
    run = run_tests("def f(a, b)\n    return a + b", [ADD])
    assert (run.reason, run.level) == ("syntax error", available_levels()[0])


@pytest.mark.parametrize("level", available_levels())
def test_the_version_of_the_level_is_in_the_result(level):
    """Catches a row that names a sandbox and not which one: their holes are a matter of versions."""
    version = run_tests(RIGHT, [ADD], level=level).level_version
    assert level_versions()[level] == version
    assert version[0].isdigit()
    assert "." in version


class Failing:
    """A level of real Python whose start fails some times."""

    def __init__(self, level, times):
        self._launch = level.launch
        self._left = times
        self.asked = 0

    def __call__(self, limits):
        self.asked += 1
        self._left -= 1
        if self._left >= 0:
            raise LevelMissing("the machine is busy", may_pass=True)
        return self._launch(limits)


@pytest.fixture
def real_level(monkeypatch):
    """The first level of real Python here, whose pauses between tries take no time."""
    name = next((name for name in available_levels() if name != "monty"), None)
    if name is None:
        pytest.skip("needs a level of real Python")
    monkeypatch.setattr(level_cpython, "_PAUSE_SECONDS", 0.0)
    return ladder.LEVELS[name]


def test_a_start_that_fails_is_tried_again(monkeypatch, real_level):
    """Catches a training run that ends because a sandbox was slow to start on a busy machine."""
    failing = Failing(real_level, 2)
    monkeypatch.setattr(real_level, "launch", failing)
    assert run_tests(RIGHT, [ADD], level=real_level.name).passed
    assert failing.asked == 3


def test_a_level_that_stops_starting_never_ends_a_batch(monkeypatch, real_level, caplog):
    """Catches an exception in the midst of a batch: the others have verdicts, this one says it has none."""
    names = [name for name in available_levels() if name != "monty"]
    for name in names:
        monkeypatch.setattr(ladder.LEVELS[name], "launch", Failing(ladder.LEVELS[name], 10**6))
    tests = [ADD]
    right, wrong = run_many([(RIGHT, tests), ("def f(a, b): return a - b", tests)])
    if "monty" in available_levels():
        assert right.passed
    assert not wrong.passed
    assert "does not start, the next one is asked" in caplog.text
    if available_levels()[0] != "monty":
        assert wrong.reason == "not run"


def test_a_processor_that_has_no_filter_has_no_level(monkeypatch, real_level):
    """Catches a level that runs without its filter where the filter's numbers are not known."""
    monkeypatch.setattr(level_cpython.platform, "machine", lambda: "riscv64")
    assert "no system-call filter" in ladder._probe(real_level)


def test_a_filter_that_does_not_hold_refuses_to_start(monkeypatch, real_level):
    """Catches a kernel that takes the filter and ignores it: this mutant filter allows everything."""
    everything = (0x06).to_bytes(2, "little") + bytes(2) + (0x7FFF0000).to_bytes(4, "little")
    monkeypatch.setattr(level_cpython, "filter_program", lambda machine: everything)
    assert "does not hold" in ladder._probe(real_level)


def test_without_any_level_nothing_runs(monkeypatch):
    """Catches the silent drop to a bare subprocess; the error names what is missing and the remedy."""
    monkeypatch.setattr(ladder, "_known", dict(MISSING))
    assert available_levels() == ()
    with pytest.raises(K2ReproError, match="no sandbox is available.*never run without one.*bubblewrap"):
        run_tests(RIGHT, [ADD])
    with pytest.raises(K2ReproError, match="no sandbox is available"):
        run_many([(RIGHT, [ADD])])


def test_a_missing_level_is_skipped_or_refused_when_demanded(monkeypatch):
    """Catches a demand for one level that is quietly met by another."""
    monkeypatch.setattr(ladder, "_known", {**ladder._known, "monty": "not installed"})
    if not available_levels():
        pytest.skip("needs a real-CPython level")
    assert run_tests(RIGHT, [ADD]).level == available_levels()[0] != "monty"
    with pytest.raises(K2ReproError, match="monty is not available on this system: not installed.*Available"):
        run_tests(RIGHT, [ADD], level="monty")


def test_a_level_that_does_not_confine_is_not_available():
    """Catches a probe that only looks for the package: this mutant level lets /etc/passwd be read."""

    class Bare:
        name = "bare"

        def open(self, limits):
            raise AssertionError

        check = open

    class Reading:
        def __enter__(self):
            return self

        def __exit__(self, *error):
            return None

        def load(self, source):
            return Reply("value")

        def call(self, function, arguments):
            return Reply("value", value='"open"')

    level = Bare()
    level.open = lambda limits: Reading()
    assert "wrong answer" in ladder._probe(level)


def test_every_outcome_has_its_reason():
    """Catches one word for all failures: error taxonomies are built from these."""
    tests = [ADD, *(FunctionTest(*test) for test in [((1, 1), 3), ((0, 0), 0), ((), 1), ((1, 2), 3, "g")])]
    source = "def f(a, b):\n    return a + b if a else 1 // a"
    run = run_tests(source, tests)
    words = [outcome.reason for outcome in run]
    assert words == ["passed", "wrong answer", "exception", "exception", "no function"]
    assert run.reason == "wrong answer"
    assert not run.passed
    assert run_tests("def f(a, b)\n  return", tests).reason == "syntax error"
    assert run_tests("raise ValueError", tests).reason == "exception"
    assert {outcome.reason for outcome in run_tests("raise ValueError", tests)} == {"not run"}


@pytest.mark.parametrize("level", available_levels())
def test_what_was_computed_before_the_end_is_kept(level):
    """Catches a timeout that loses the outcomes of the tests before it."""
    source = "def f(a, b):\n    while a == 0: pass\n    return a + b"
    tests = [ADD, FunctionTest((0, 1), 1), ADD]
    run = run_tests(source, tests, Limits(seconds=0.4), level=level)
    assert [outcome.reason for outcome in run] == ["passed", "timeout", "not run"]


@pytest.mark.parametrize("level", available_levels())
def test_values_keep_their_types_on_the_way(level):
    """Catches a wire format that turns tuples into lists, keys into texts, or loses digits."""
    value = (1, [2.5, None, True], {"a": {1, 2}, 3: b"x"}, "\u00e9\U0001f600", 10**40, frozenset({1}), 2j)
    assert run_tests("def f(x): return x", [FunctionTest((value,), value)], level=level).passed
    for returned, expected in (("1", True), ("True", 1), ("1.0", 1), ("[1]", (1,)), ("'1'", 1), ("{1}", [1])):
        run = run_tests(f"def f(): return {returned}", [FunctionTest((), expected)], level=level)
        assert run.reason == "wrong answer", (returned, expected)


@pytest.mark.parametrize("level", available_levels())
def test_checks_see_the_programs_exceptions_and_helpers_of_their_own(level):
    """Catches free-form checks that cannot expect an error or keep a helper the program must not see."""
    code = (
        "def helper(x): return x * 2\n"
        "def check(candidate):\n    assert candidate(3) == helper(3)\n    assert candidate(x=4) == 8\n"
        "    try:\n        candidate(-1)\n    except ValueError:\n        return\n    assert False\n"
        "check(candidate)"
    )
    good = "def f(x):\n    if x < 0: raise ValueError('no')\n    return x + x"
    assert run_tests(good, [CodeTest(code)], level=level).passed
    assert run_tests("def f(x): return x + x", [CodeTest(code)], level=level).reason == "wrong answer"
    peeking = "def f(x): return helper(x)"
    assert run_tests(peeking, [CodeTest(code)], level=level).reason == "exception"


def test_checks_that_never_call_the_program_are_an_error():
    """Catches HumanEval's trap: its text defines check(candidate) and leaves the call to the harness."""
    with pytest.raises(K2ReproError, match="never called candidate"):
        run_tests(RIGHT, [CodeTest("def check(candidate):\n    assert candidate(2, 3) == 6")])


def test_many_programs_come_back_in_order_and_equal_ones_run_once(monkeypatch):
    """Catches a batch that mixes up its rewards."""
    sources = [f"def f(a, b): return a + b + {i % 3}" for i in range(30)]
    judged = []
    monkeypatch.setattr(
        ladder, "run_tests", lambda *args, **options: judged.append(1) or run_tests(*args, **options)
    )
    tests = [ADD]
    runs = run_many([(source, tests) for source in sources])
    assert [run.passed for run in runs] == [i % 3 == 0 for i in range(30)]
    assert len(judged) == 3


def test_a_hanging_program_does_not_spoil_its_neighbours():
    """Catches a killed worker that takes another program's verdict along."""
    programs = [("while True: pass", [ADD]), (RIGHT, [ADD])] * 3
    runs = run_many(programs, Limits(seconds=0.3), workers=3)
    assert [run.reason for run in runs] == ["timeout", "passed"] * 3


def test_programs_run_in_any_thread():
    """Catches signals and thread-bound handles: widgets call from threads."""
    found = []
    thread = threading.Thread(target=lambda: found.append(run_tests(RIGHT, [ADD])))
    thread.start()
    thread.join()
    assert found[0].passed


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: run_tests(RIGHT, []), "at least one test"),
        (lambda: run_tests(RIGHT, ADD), "must be a list"),
        (lambda: run_tests(RIGHT, [((2, 3), 5)]), "FunctionTest or a CodeTest"),
        (lambda: run_tests(None, [ADD]), "source must be the text"),
        (lambda: run_tests(RIGHT, [ADD], level="docker"), "unknown sandbox level 'docker'"),
        (lambda: run_many([(RIGHT, [ADD])], workers=0), "workers must be at least 1"),
        (lambda: FunctionTest("ab", 1), "arguments must be a list or a tuple"),
        (lambda: FunctionTest((1,), object()), "expected must be made of"),
        (lambda: FunctionTest((print,), 1), "arguments must be made of"),
        (lambda: FunctionTest((1,), 1, "f()"), "function must be a Python name"),
        (lambda: FunctionTest((1,), 1, "k2_call"), "function must be a Python name"),
        (lambda: CodeTest("x", "import"), "function must be a Python name"),
        (lambda: Limits(seconds=0), "seconds must lie"),
        (lambda: Limits(memory_mb=1), "memory_mb must be at least 64"),
        (lambda: Limits(output_bytes=1), "output_bytes must be at least 1000"),
    ],
)
def test_bad_input_is_named(make, words):
    """Catches tests that every program passes, and limits that none can."""
    with pytest.raises(K2ReproError, match=words):
        make()


def test_a_cyclic_value_is_named():
    """Catches a RecursionError from the depths of the wire format."""
    cyclic: list = []
    cyclic.append(cyclic)
    with pytest.raises(K2ReproError, match="contains itself"):
        FunctionTest((cyclic,), 1)


scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text() | st.integers(), inner)
    ),
    max_leaves=10,
)


def exactly(one, other) -> bool:
    """Equality by value and type, the slow way."""
    if type(one) is not type(other):
        return False
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(exactly, one, other))
    if isinstance(one, dict):
        pairs = {(type(key), key): value for key, value in other.items()}
        return len(one) == len(other) and all(
            (type(key), key) in pairs and exactly(value, pairs[type(key), key]) for key, value in one.items()
        )
    return one == other


@given(values, values)
def test_texts_are_equal_when_values_and_types_are(one, other):
    """Catches 1 == True == 1.0, and a dictionary whose order matters."""
    assert exactly(decode(encode(one)), one)
    assert same(plain_text(one, "x"), plain_text(other, "x")) == exactly(one, other)


def test_a_forged_set_of_colliding_integers_is_not_hashed():
    """Catches a judge that rebuilds hostile sets: these integers share one hash, minutes of work."""
    forged = '{"s": [' + ", ".join(f'{{"i": "{hex(i * (2**61 - 1))}"}}' for i in range(40_000)) + "]}"
    assert not same(forged, plain_text({1}, "x"))


@pytest.mark.parametrize(
    "text", ["", "[", "{}", '{"s": 3}', '{"?": "A"}', '{"f": []}', "[" * 5000, '{"a": 1, "b": 2}']
)
def test_forged_replies_are_wrong_answers(text):
    """Catches a judge that a malformed value takes down."""
    assert not same(text, plain_text(5, "x"))


def test_a_run_can_be_sent_between_processes():
    """Catches results that hold live handles."""
    run = run_tests(RIGHT, [ADD])
    assert pickle.loads(pickle.dumps(run)) == run  # noqa: S301 - our own object


def test_the_room_opens_without_its_packages():
    """Catches imports of flint, monty or sandlock, or of torch, by `import k2repro.verify`."""
    code = (
        "import sys, k2repro.verify; print([name for name in "
        "('sympy', 'flint', 'pydantic_monty', 'sandlock', 'torch', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
