"""`k2repro speculate` with a pair of one's own: what it tries, and what it refuses before it measures."""

import json

import engine_tiny as tiny
import pytest

from k2repro.architecture import save_pretrained
from k2repro.cli import main


def cli(*words) -> int:
    """The exit code of a command line."""
    with pytest.raises(SystemExit) as info:
        main([str(word) for word in words])
    return info.value.code or 0


@pytest.fixture
def pair(tmp_path) -> list[str]:
    """Options that name a target, a draft and prompts."""
    for name, layers in (("target", 3), ("draft", 1)):
        save_pretrained(tiny.model(tiny.config(num_hidden_layers=layers)), tmp_path / name)
    tiny.tokenizer().save(str(tmp_path / "target" / "tokenizer.json"))
    lines = [json.dumps({"prompt": text}) for text in ("abba", "ab>a</", "b")]
    (tmp_path / "prompts.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return [
        *("--target", tmp_path / "target"),
        *("--draft", tmp_path / "draft"),
        *("--prompts", tmp_path / "prompts.jsonl"),
    ]


def test_look_up_the_draft_and_an_early_exit_are_measured(pair, capsys):
    """Catches a draft that is named and left out, and one that is measured under another's name."""
    assert cli("speculate", "--advise", *pair, "--early-exit", 2, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["prompts"] == 3 and found["rule"] == "coupled"
    assert list(found["drafts"]) == ["look-up", "model", "early exit"]
    costs = {name: one["draft_cost"] for name, one in found["drafts"].items()}
    assert costs["look-up"] == 0 and min(costs["model"], costs["early exit"]) > 0


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (["--early-exit", 4], "pruning only takes away"),
        (["--temperature", -1], "temperature"),
        (["--prompts", "nowhere.jsonl"], "nowhere.jsonl"),
        (["--draft", "nowhere"], "nowhere"),
    ],
)
def test_what_cannot_be_measured_is_refused(pair, capsys, change, rule):
    """Catches a traceback, and a minute of measuring before the refusal."""
    assert cli("speculate", *pair, *change) == 2
    assert rule in capsys.readouterr().err


def test_a_target_without_its_words_and_a_line_without_a_prompt_are_named(pair, tmp_path, capsys):
    """Catches an error of the tokenizer's library, and a prompt that is skipped in silence."""
    (tmp_path / "prompts.jsonl").write_text('{"prompt": "a"}\n{"question": "b"}\n', encoding="utf-8")
    assert cli("speculate", *pair) == 2
    assert "prompts.jsonl line 2" in capsys.readouterr().err
    (tmp_path / "target" / "tokenizer.json").unlink()
    assert cli("speculate", *pair) == 2
    assert "has no tokenizer.json" in capsys.readouterr().err


@pytest.mark.parametrize("options", [["--draft", "x"], ["--prompts", "x"], ["--early-exit", 1]])
def test_an_option_of_ones_own_pair_is_not_dropped_for_mini_k2(options, capsys):
    """Catches a draft of the user's that is never looked at."""
    assert cli("speculate", *options) == 2
    assert f"{options[0]} without --target" in capsys.readouterr().err
