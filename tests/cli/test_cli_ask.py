"""`k2repro solve` and `probe` from the command line: out of the box on mini-K2, streamed on a server."""

import json

import pytest
from stubs import stub

from k2repro.cli import main
from k2repro.errors import K2ReproError
from k2repro.results import Places
from k2repro.solve.mini import shipped_judge


def cli(*words):
    """The exit code of a command line."""
    with pytest.raises(SystemExit) as info:
        main([str(word) for word in words])
    return info.value.code or 0


def test_mini_k2_answers_out_of_the_box_and_its_trace_is_replayed(tmp_path, capsys):
    """Catches a command that needs a server, a download or a second terminal, and a trace nobody can read."""
    trace = tmp_path / "trace.jsonl"
    assert cli("solve", "-q", "q=7 m: - p i i=4 p: + q i ? m p", "--trace", trace, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["answer"] == "m=7 p=1"
    assert [plan["source"] for plan in found["plans"]] == ["own"]
    assert cli("replay", trace, "--model", "k2-think", "--device", "H100-SXM", "--devices", 8) == 0
    assert str(found["usage"]["solver"]["output_tokens"]) in capsys.readouterr().out


def test_mini_k2_takes_a_planner_from_a_folder_and_its_tokens_stand_on_the_bill(capsys):
    """Catches a planner that is trained or loaded and never asked; here a solver's checkpoint stands in."""
    from k2repro.solve.mini import shipped_checkpoint

    folder = shipped_checkpoint(Places.find().shipped_artifacts("laptop"))
    words = ["-q", "q=7 m: - p i i=4 p: + q i ? m p", "--planner", folder]
    assert cli("solve", *words, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["usage"]["planner"]["calls"] == 1
    # A solver writes answers, no plans: nothing is handed over, and the third sample is a search.
    assert [plan["text"] for plan in found["plans"]] == [""]
    assert [each["planned"] for each in found["candidates"]] == [False] * 3
    assert cli("solve", *words) == 0
    assert "plan 1: (none: " in capsys.readouterr().out


def test_a_planner_of_mini_k2_is_refused_on_a_server(capsys):
    assert cli("solve", "--base-url", "http://127.0.0.1:9/v1", "--model", "m", "-q", "x", "--planner") == 2
    assert "--planner-model" in capsys.readouterr().err


def test_mini_k2s_judge_ships_and_stands_on_the_bill(capsys):
    """Catches a judge that has to be trained first, and one whose tokens nobody counts."""
    words = ["-q", "q=7 m: - p i i=4 p: + q i ? m p", "--json"]
    for select in ("judge", "judge+own", "weighted-vote", "self-certainty"):
        assert cli("solve", *words, "--select", select) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["answer"] == "m=7 p=1"
        assert ("judge" in found["usage"]) == (select != "self-certainty")
    folder = Places.find().shipped_artifacts("laptop") / "weights"
    assert cli("solve", *words, "--select", "judge", "--judge", folder / "none") == 2
    assert "none" in capsys.readouterr().err


def test_a_clone_without_its_judge_says_how_to_get_one(capsys, tmp_path):
    with pytest.raises(K2ReproError, match=r"no judge of mini-K2: .*--judge FOLDER.*make reproduce"):
        shipped_judge(tmp_path)
    words = ["--base-url", "http://127.0.0.1:9/v1", "--model", "m", "-q", "x", "--judge", tmp_path]
    assert cli("solve", *words) == 2
    assert "--judge-model" in capsys.readouterr().err


@pytest.mark.parametrize("words", [(), ("--base-url", "http://127.0.0.1:9/v1", "--model", "m")])
def test_no_samples_are_refused_on_both(words, capsys):
    """Catches --best-of 0 that is taken for the default."""
    assert cli("solve", "-q", "q=7 i=4 m: + q i ? m", "--best-of", 0, *words) == 2
    assert "0 samples" in capsys.readouterr().err


def test_a_plan_with_a_strange_name_is_refused_with_an_example(capsys):
    assert cli("solve", "-q", "q=7 i=4 m: + q i ? m", "--plan-text", "m z") == 2
    assert "names 'z'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--plan"], "--plan without --base-url"),
        (["--temperature", "0.3"], "--temperature without --base-url"),
        (["--max-tokens", "9", "--price-output", "2"], "--max-tokens, --price-output without --base-url"),
        (["--judge-model", "m", "--journal", "j"], "--journal, --judge-model without --base-url"),
        (["--planner", "x", "--plan-text", "m"], "nobody would ask it"),
        (["--planner", "x", "--planned", 0], "nobody would ask it"),
        (["--judge", "x"], "--select own-mean: that selector asks no judge"),
    ],
)
def test_what_mini_k2_would_not_look_at_is_refused(words, said, capsys):
    """Catches an option that is dropped without a word, and a planner that is trained for nobody."""
    assert cli("solve", "-q", "q=7 i=4 m: + q i ? m", *words) == 2
    assert said in capsys.readouterr().err


def test_a_question_in_english_is_refused_with_an_example(capsys):
    assert cli("solve", "-q", "What is 2 + 2?") == 2
    assert "q=7 m: - p i i=4" in capsys.readouterr().err


def test_a_server_is_streamed_planned_judged_and_billed(tmp_path, capsys):
    """Catches a first sample that is not shown, and a bill without the planner's and the judge's part."""
    with stub() as url:
        words = ["--base-url", url, "--model", "stub", "-q", "What is 12 + 30?", "--plan", "--best-of", 3]
        assert cli("solve", *words, "--price-prompt", 1, "--price-output", 10) == 0
        said = capsys.readouterr().out
        assert cli("probe", "--base-url", url, "--model", "stub", "--json") == 0
    assert "<think>12 + 30 makes 42</think>" in said
    assert "answer: 42" in said
    bill = {
        line.split()[0]: line.split()
        for line in said.splitlines()
        if line.startswith(("judge", "planner", "solver"))
    }
    assert [bill[role][1] for role in ("judge", "planner", "solver")] == ["2", "6", "3"]
    assert "money" in said
    assert {each["name"] for each in json.loads(capsys.readouterr().out)} >= {
        "temperature",
        "seed",
        "stop",
        "n",
    }


def test_each_role_pays_its_own_price(capsys):
    """Catches a judge at another provider that is billed at the solver's price, or for nothing."""
    with stub() as url:
        words = ["--base-url", url, "--model", "stub", "-q", "What is 12 + 30?", "--plan", "--best-of", 3]
        prices = ["--price-prompt", 100, "--judge-price-prompt", 0, "--planner-price-prompt", 1000]
        assert cli("solve", *words, *prices, "--no-stream") == 0
    roles, lines = ("judge", "planner", "solver"), capsys.readouterr().out.splitlines()
    cells = [line.split() for line in lines if line.startswith(roles)]
    bill = {role: (int(tokens), float(money)) for role, _, tokens, *_, money in cells}
    assert {role: money / tokens for role, (tokens, money) in bill.items()} == pytest.approx(
        {"judge": 0.0, "planner": 1000e-6, "solver": 100e-6}
    )


def test_a_selector_that_does_not_exist_is_named_with_those_that_do(capsys):
    assert (
        cli("solve", "--base-url", "http://127.0.0.1:9/v1", "--model", "m", "-q", "x", "--select", "best")
        == 2
    )
    assert "round-robin" in capsys.readouterr().err
