"""Pools: generated in the right places, stored to the byte, and read back whole or not at all."""

import gzip
import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k2repro.engine import Completion
from k2repro.errors import K2ReproError
from k2repro.evaluate import Attempts, Generation, Pool, generate_pool, load_pool, save_pool
from k2repro.evaluate.pool import problem_seed


@dataclass(frozen=True)
class Question:
    id: str
    tier: str = "easy"


QUESTIONS = [Question("a"), Question("b", "hard"), Question("c")]


def sampler(prompts, *, n, seeds):
    """Responses that name their prompt, seed and sample, so that a wrong place is seen."""
    finishes = ["length", *["stop"] * (n - 1)]
    return [
        [Completion((7,) * (at + 1), finishes[at], text=f"{prompt} {seed} {at}") for at in range(n)]
        for prompt, seed in zip(prompts, seeds, strict=True)
    ]


def grade(problems, responses):
    """Right where the response is the second sample of problem b, or the first of any other."""
    wanted = [" 1" if problem.id == "b" else " 0" for problem in problems]
    return [response.endswith(end) for response, end in zip(responses, wanted, strict=True)]


make = partial(generate_pool, sampler, grade=grade, n=3, seed=7, prompt=lambda problem: f"<{problem.id}>")


@pytest.fixture
def pool() -> Pool:
    return make(problems=QUESTIONS, about={"model": "m"})


def test_each_generation_stands_with_its_problem(pool: Pool) -> None:
    """Catches samples or verdicts handed to another problem: text, length, finish and verdict."""
    assert [(attempt.id, attempt.tier, attempt.right) for attempt in pool.attempts] == [
        ("a", "easy", 1),
        ("b", "hard", 1),
        ("c", "easy", 1),
    ]
    assert pool.outcomes() == {"a": [1, 0, 0], "b": [0, 1, 0], "c": [1, 0, 0]}
    for attempt in pool.attempts:
        for at, generation in enumerate(attempt.generations):
            assert generation.text == f"<{attempt.id}> {problem_seed(7, attempt.id)} {at}"
            assert (generation.tokens, generation.finish) == (at + 1, "stop" if at else "length")
    assert pool.about == {"model": "m", "n": 3, "seed": 7}
    assert len(pool) == 3 and len(pool.generations()) == 9


def test_a_verdict_is_a_verdict_on_the_same_text() -> None:
    """Catches verdicts in the order samples first: a twin that grades transposed has other outcomes."""

    def transposed(problems, responses):
        verdicts = grade(problems, responses)
        return [verdicts[(at % 3) * 3 + at // 3] for at in range(9)]

    assert make(problems=QUESTIONS, grade=transposed).outcomes() != make(problems=QUESTIONS).outcomes()


def test_a_response_depends_on_seed_and_problem_alone() -> None:
    """Catches seeds by position: another order, fewer problems and more samples change no response."""
    full = {attempt.id: attempt.generations for attempt in make(problems=QUESTIONS).attempts}
    fewer = make(problems=[QUESTIONS[2], QUESTIONS[0]], n=2)
    for attempt in fewer.attempts:
        assert attempt.generations == full[attempt.id][:2]
    assert problem_seed(7, "a") != problem_seed(8, "a") != problem_seed(8, "b")
    assert 0 <= problem_seed(0, "a") < 2**64


def test_tiers_keep_their_order_and_part_the_pool(pool: Pool) -> None:
    """Catches a tier that loses problems: the parts add up to the pool."""
    assert pool.tiers == ("easy", "hard")
    assert [attempt.id for attempt in pool.tier("easy").attempts] == ["a", "c"]
    with pytest.raises(K2ReproError, match="unknown tier of this pool 'hrd'; did you mean 'hard'"):
        pool.tier("hrd")


# ---- files ----------------------------------------------------------------------------------------

GENERATIONS = st.builds(
    Generation, st.text(max_size=30), st.integers(0, 2000), st.sampled_from(["stop", "length"]), st.booleans()
)


@settings(derandomize=True, max_examples=100, deadline=None)
@given(st.lists(st.lists(GENERATIONS, min_size=1, max_size=3), min_size=1, max_size=4))
def test_a_pool_comes_back_equal(tmp_path_factory, rows: list[list[Generation]]) -> None:
    """Catches text that the file format changes: any characters, line separators too, any lengths."""
    pool = Pool(tuple(Attempts(str(at), "t", tuple(row)) for at, row in enumerate(rows)), {"k": [1, None]})
    path = save_pool(pool, tmp_path_factory.mktemp("pool") / "pool.jsonl.gz")
    assert load_pool(path) == pool


def test_line_separators_of_unicode_are_text_and_not_lines(tmp_path: Path) -> None:
    """Catches str.splitlines: U+2028 and U+0085 stand unescaped in JSON and would cut a line in two."""
    odd = "a\u2028b\x85c\nd"
    pool = Pool((Attempts("x", "t", (Generation(odd, 1, "stop", True),)),))
    path = save_pool(pool, tmp_path / "p.gz")
    assert load_pool(path) == pool
    assert len(gzip.decompress(path.read_bytes()).decode().splitlines()) > 2


def test_equal_pools_are_equal_bytes(pool: Pool, tmp_path: Path) -> None:
    """Catches a time or a name in the gzip header: hashes of artifacts would change from run to run."""
    one = save_pool(pool, tmp_path / "one.gz").read_bytes()
    again = Pool(pool.attempts, dict(reversed(pool.about.items())))
    assert save_pool(again, tmp_path / "two.gz").read_bytes() == one
    assert one[4:8] == b"\0\0\0\0" and not one[3] & 0x08
    assert gzip.compress(b"x", mtime=1) != gzip.compress(b"x", mtime=2)


def packed(path: Path, lines: list[str]) -> Path:
    path.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode()))
    return path


@pytest.mark.parametrize(
    ("line", "old", "new", "message"),
    [
        (0, '"problems":3', '"problems":4', "header says 4 problems, it holds 3"),
        (0, "k2repro pool 1", "k2repro pool 9", "its format is 'k2repro pool 9', this version reads"),
        (1, "[[", "[", "line 2: not JSON"),
        (2, '"tier"', '"teir"', "line 3: must hold id, tier and generations of"),
        (2, ',"stop",', ",", "line 3: must hold id, tier and generations of"),
        (2, '"id":"b"', '"id":"a"', "problem 'a' occurs twice"),
        (3, '"stop"', '"error"', "problem 'c': a generation must be text"),
        (3, "true", "0.5", "problem 'c': a generation must be text"),
    ],
)
def test_a_damaged_file_is_named_with_its_line(
    pool: Pool, tmp_path: Path, line: int, old: str, new: str, message: str
) -> None:
    """Catches a pool that is read in part: every damage is an error that names the file."""
    lines = gzip.decompress(save_pool(pool, tmp_path / "p.gz").read_bytes()).decode().splitlines()
    assert old in lines[line]
    lines[line] = lines[line].replace(old, new, 1)
    with pytest.raises(K2ReproError, match=message) as caught:
        load_pool(packed(tmp_path / "p.gz", lines))
    assert str(tmp_path / "p.gz") in str(caught.value)


def test_a_file_cut_anywhere_is_refused(pool: Pool, tmp_path: Path) -> None:
    """Catches half a pool with a score: no beginning of the file is a pool, nor is another file."""
    content = save_pool(pool, tmp_path / "p.gz").read_bytes()
    for end in range(len(content)):
        (tmp_path / "cut.gz").write_bytes(content[:end])
        with pytest.raises(K2ReproError, match=r"cut\.gz"):
            load_pool(tmp_path / "cut.gz")
    for other in (b"text", b"[]"):
        (tmp_path / "cut.gz").write_bytes(gzip.compress(other))
        with pytest.raises(K2ReproError, match="line 1"):
            load_pool(tmp_path / "cut.gz")
    with pytest.raises(K2ReproError, match="no such pool"):
        load_pool(tmp_path / "missing.gz")


def test_a_pool_that_cannot_be_written_leaves_the_old_one(pool: Pool, tmp_path: Path) -> None:
    """Catches a file half overwritten: values that JSON does not know are refused before writing."""
    path = save_pool(pool, tmp_path / "p.gz")
    for value in (float("nan"), {1, 2}):
        with pytest.raises(K2ReproError, match="cannot be written"):
            save_pool(Pool(pool.attempts, {"x": value}), path)
    assert load_pool(path) == pool
    assert json.dumps(load_pool(path).about)


# ---- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n": 0}, "n is 0: must be at least 1"),
        ({"problems": []}, "no problems to generate a pool for"),
        ({"problems": [QUESTIONS[0], QUESTIONS[0]]}, "problem 'a' occurs twice"),
        ({"grade": lambda p, r: [True]}, "the grader returned 1 verdicts for 9 responses"),
    ],
)
def test_bad_requests_are_named(changes: dict, message: str) -> None:
    """Catches an empty or doubled benchmark, and a grader that answers for some responses only."""
    with pytest.raises(K2ReproError, match=message):
        make(**{"problems": QUESTIONS, **changes})


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda prompts, *, n, seeds: sampler(prompts, n=1, seeds=seeds), r"3 prompts with \[1\] samples"),
        (lambda prompts, *, n, seeds: sampler(prompts, n=n, seeds=seeds)[1:], "returned 2 prompts"),
        (lambda prompts, *, n, seeds: [[Completion((1,), "stop")] * n] * 3, "'a' has no text"),
        (
            lambda prompts, *, n, seeds: [[Completion((), "timeout", error="no answer in 9 s")] * n] * 3,
            r"'a' failed \(timeout\): no answer in 9 s",
        ),
    ],
)
def test_a_sampler_that_does_not_do_as_asked_is_noticed(broken, message: str) -> None:
    """Catches a server that ignores n: a pool of one generation would pass for a pool of three."""
    with pytest.raises(K2ReproError, match=message):
        generate_pool(broken, QUESTIONS, grade, n=3, seed=7, prompt=lambda problem: problem.id)


def test_a_pool_without_problems_or_generations_is_refused() -> None:
    """Catches means of nothing."""
    with pytest.raises(K2ReproError, match="at least one problem"):
        Pool(())
    with pytest.raises(K2ReproError, match="problem 'a' has no generation"):
        Pool((Attempts("a", "t", ()),))
