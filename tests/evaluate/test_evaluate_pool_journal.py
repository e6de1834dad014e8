"""Pools are written as they are made: a kill loses one part, and what comes after is the same pool."""

import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest

from k2repro.engine import Completion
from k2repro.errors import K2ReproError
from k2repro.evaluate import generate, generate_pool


@dataclass(frozen=True)
class Question:
    id: str
    tier: str = "easy"


QUESTIONS = [Question(f"q{at}") for at in range(10)]


class Model:
    """Names prompt and seed in each response, counts what it is asked, and fails from a prompt on."""

    def __init__(self, fails_at: str = "") -> None:
        self.asked: list[str] = []
        self.fails_at = fails_at

    def __call__(self, prompts, *, n, seeds):
        if self.fails_at in prompts:
            return [[Completion((), "error", error="gone")] * n for _ in prompts]
        self.asked += prompts
        return [
            [Completion((7,) * (at + 1), "stop", text=f"{prompt} {seed} {at}") for at in range(n)]
            for prompt, seed in zip(prompts, seeds, strict=True)
        ]


def make(model: Model, journal: Path | None, questions=QUESTIONS, seed: int = 3, n: int = 2):
    return generate_pool(
        model,
        questions,
        lambda problems, texts: [text.endswith("0") for text in texts],
        n=n,
        seed=seed,
        prompt=lambda problem: problem.id,
        journal=journal,
    )


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    """Three problems between two writes."""
    monkeypatch.setattr(generate, "AT_ONCE", 6)


def test_a_pool_goes_on_where_it_stopped_and_is_the_same(tmp_path):
    """Catches a resumed pool that asks twice, leaves problems out, or has them in another order."""
    journal = tmp_path / "pool.jsonl"
    whole = make(Model(), None)
    with pytest.raises(K2ReproError, match="failed .error.: gone"):
        make(Model(fails_at="q7"), journal)
    second = Model()
    assert make(second, journal) == whole
    assert second.asked == ["q6", "q7", "q8", "q9"]
    third = Model()
    assert make(third, journal) == whole and third.asked == []
    assert make(third, journal, QUESTIONS[::-1]).attempts == whole.attempts[::-1]


@pytest.mark.parametrize("cut", [1, 40])
def test_a_line_that_a_kill_cut_is_asked_again(tmp_path, cut: int):
    """Catches half a line that is read, or that spoils the line which is written after it."""
    journal = tmp_path / "pool.jsonl"
    whole = make(Model(), journal)
    journal.write_bytes(journal.read_bytes()[:-cut])
    again = Model()
    assert make(again, journal) == whole
    assert again.asked == ["q9"]
    assert make(Model(), journal) == whole and len(journal.read_text().splitlines()) == 1 + len(QUESTIONS)


def test_a_journal_of_another_setting_is_refused(tmp_path):
    """Catches generations of another seed or number in one pool."""
    make(Model(), tmp_path / "pool.jsonl")
    for other in ({"seed": 4}, {"n": 1}):
        with pytest.raises(K2ReproError, match="another n or seed"):
            make(Model(), tmp_path / "pool.jsonl", **other)


def test_a_kill_loses_at_most_one_part(tmp_path):
    """Catches a journal that is written at the end: SIGKILL in the middle, then the rest is asked."""
    program = textwrap.dedent("""
        import sys, time
        from pathlib import Path
        sys.path.insert(0, sys.argv[2])
        import test_evaluate_pool_journal as here
        from k2repro.evaluate import generate
        generate.AT_ONCE = 6
        class Slow(here.Model):
            def __call__(self, prompts, *, n, seeds):
                if "q6" in prompts:
                    print("half", flush=True)
                    time.sleep(60)
                return super().__call__(prompts, n=n, seeds=seeds)
        here.make(Slow(), Path(sys.argv[1]))
    """)
    journal, here = tmp_path / "pool.jsonl", str(Path(__file__).parent)
    process = subprocess.Popen([sys.executable, "-c", program, str(journal), here], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"half\n"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    model = Model()
    assert make(model, journal) == make(Model(), None)
    assert model.asked == ["q6", "q7", "q8", "q9"]
