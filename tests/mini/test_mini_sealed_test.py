"""Catches training, probing or choosing that reaches a test problem: a score would then measure memory.

Two proofs by construction. Every text that a mixture learns from goes through the question of a system or a
task, and each of these is looked at. And the name of the split stands in the few files that score, no more.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from k2repro.mini import mixtures, programs, variables
from k2repro.mini.mixtures import Ingredient, draw_example

PACKAGE = Path(mixtures.__file__).parents[1]
DRAWS = 150


def splits_learned(kind: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The split of every system and task whose question a kind of example shows."""
    seen: list[str] = []
    for family in (variables, programs):
        monkeypatch.setattr(family, "question_text", _watched(family, family.split_of, seen))
    for index in range(DRAWS):
        draw_example((Ingredient(kind, 1.0),), "sealed", index)
    return seen


def _watched(family, split_of, seen):
    spelled = family.question_text

    def watched(asked):
        seen.append(split_of(asked))
        return spelled(asked)

    return watched


@pytest.mark.parametrize("kind", mixtures.KINDS)
def test_a_mixture_learns_from_train_problems_alone(kind, monkeypatch):
    """Catches a kind of example that draws whatever comes: a tenth of it would be the test set."""
    assert set(splits_learned(kind, monkeypatch)) <= {"train"}


@pytest.mark.parametrize("kind", ["searching", "direct", "trial", "planned-program"])
def test_a_mixture_without_its_guard_is_noticed(kind, monkeypatch):
    """Wrong twin: everything counts as train, as if the guard had been removed."""
    real = {family: family.split_of for family in (variables, programs)}
    seen: list[str] = []
    for family, split_of in real.items():
        monkeypatch.setattr(family, "question_text", _watched(family, split_of, seen))
        monkeypatch.setattr(family, "split_of", lambda _: "train")
    for index in range(DRAWS):
        draw_example((Ingredient(kind, 1.0),), "sealed", index)
    assert "test" in seen


# Who may name the split: those who define it, score on it, describe it; lab/sft.py in a pool's header;
# lab/choices.py in the log of what was chosen with it in sight; lab/speculative.py counts passes and equal
# texts there, and chooses nothing by them.
MAY_NAME = {
    "mini/problem.py": 1,
    "mini/variables.py": 1,
    "mini/programs.py": 1,
    "mini/cards.py": 3,
    "lab/best_of_n_rows.py": 4,
    "lab/candidates.py": 1,
    "lab/choices.py": 1,
    "lab/large_k.py": 1,
    "lab/levels.py": 1,
    "lab/marks.py": 3,
    "lab/pair_reader.py": 1,
    "lab/planning_rows.py": 16,
    "lab/steady.py": 5,
    "lab/size.py": 7,
    "lab/test_time.py": 4,
    "lab/pools.py": 2,
    "lab/sft.py": 1,
    "lab/speculative.py": 4,
}
# Rooms that hold no problems of mini-K2: there the word means something else.
ELSEWHERE = ("cli", "harness", "notebook", "verify", "paper", "report")


def named(source: str) -> int:
    """How often the text "test" stands alone in a source, docstrings aside."""
    return sum(
        isinstance(node, ast.Constant) and node.value == "test" for node in ast.walk(ast.parse(source))
    )


def files() -> Iterator[tuple[str, Path]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        if name.split("/")[0] not in ELSEWHERE:
            yield name, path


def test_only_scoring_code_names_the_test_split():
    """Catches a probe, a curve or a threshold that is read off test problems: selection on the test set."""
    counts = {name: named(path.read_text(encoding="utf-8")) for name, path in files()}
    assert {name: count for name, count in counts.items() if count} == MAY_NAME


def test_a_probe_on_the_test_split_is_noticed():
    """Wrong twin: the probe of a training curve asks for the other split."""
    path = PACKAGE / "lab" / "rl_probe.py"
    sources = [path, *(PACKAGE / "lab").glob("*.py")]
    probing = next(each for each in sources if '"validation"' in each.read_text(encoding="utf-8"))
    assert named(probing.read_text(encoding="utf-8").replace('"validation"', '"test"')) > named(
        probing.read_text(encoding="utf-8")
    )
